"""Public names of a package that are imported on first access."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy_attributes"]


def lazy_attributes(
    package: str, modules: Mapping[str, str], former_names: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns the functions `__getattr__` and `__dir__` of a package.

    Args:
        package: name of the package, `__name__` there.
        modules: public names, and the module of each. A name that starts with a dot is relative to
            the package.
        former_names: earlier names, and the current name of each.

    Example:

    >>> from keras_s2s.lazy_imports import lazy_attributes
    >>> get, _ = lazy_attributes("keras_s2s", {"UserError": ".errors"})
    >>> get("UserError").status
    2
    """

    def get(name: str) -> Any:
        current = (former_names or {}).get(name, name)
        if current not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(modules[current], package), current)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        module = vars(sys.modules[package])
        return sorted({*module, *module.get("__all__", ())})

    return get, names
