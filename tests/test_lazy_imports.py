"""Public names that are imported on first access."""

import sys
from types import ModuleType

import pytest

from keras_s2s.errors import UserError
from keras_s2s.lazy_imports import lazy_attributes


@pytest.fixture
def package(monkeypatch):
    module = ModuleType("some_package")
    module.__all__ = ["UserError"]
    monkeypatch.setitem(sys.modules, "some_package", module)
    modules = {"UserError": "keras_s2s.errors"}
    names = lazy_attributes("some_package", modules, {"UsageError": "UserError"})
    module.__getattr__, module.__dir__ = names
    return module


def test_names_and_former_names_are_imported(package):
    assert package.UsageError is package.UserError is UserError
    assert vars(package)["UserError"] is UserError


def test_dir_lists_names_that_are_not_imported_yet(package):
    assert "UserError" in dir(package)


def test_unknown_name(package):
    with pytest.raises(AttributeError, match="module 'some_package' has no attribute 'Usererror'"):
        package.Usererror  # noqa: B018
