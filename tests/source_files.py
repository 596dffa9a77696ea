"""The source files of the project and what they define, for tests of its rules."""

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"keras_s2s": "keras_s2s", "export": "keras_s2s.export", "serving": "keras_s2s.serving"}
LAZY_TABLES = ("_LAZY", "_MODULES")  # public names to modules that are imported on first access
NOT_MODULES = {"keras_s2s.card"}  # a key of the metadata of LiteRT files
MODULE_NAME = re.compile(r"keras_s2s(\.[a-z_][a-z0-9_]*)+")


@lru_cache(None)
def text_of(path: Path) -> str:
    return path.read_text()


@lru_cache(None)
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


@lru_cache(None)
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(tree_of(path)))


@lru_cache(None)
def package_files() -> list[Path]:
    return sorted(path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py"))


@lru_cache(None)
def python_files() -> list[Path]:
    folders = (ROOT / "tests", ROOT / "tools")
    return package_files() + [path for folder in folders for path in sorted(folder.rglob("*.py"))]


def dotted(path: Path) -> str:
    """`export/publishing.py` -> `keras_s2s.export.publishing`."""
    first, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGES[first], *rest]).removesuffix(".__init__")


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Absolute dotted names of all import statements of a file, with their lines."""
    here = dotted(path).split(".") if path.parts[len(ROOT.parts)] in PACKAGES else []
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                keep = len(here) - node.level + (path.name == "__init__.py")
                base = ".".join([*here[:keep], *([base] if base else [])])
            if base == "keras_s2s":
                yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield base, node.lineno


def module_strings(path: Path) -> Iterator[tuple[str, int]]:
    """Modules of this package that strings name, as in `"keras_s2s.config"`, with their lines."""
    for node in nodes_of(path):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and MODULE_NAME.fullmatch(node.value)
            and node.value not in NOT_MODULES
        ):
            yield node.value, node.lineno


def lazy_imports(path: Path) -> Iterator[tuple[str, int]]:
    """Modules in a file's tables of names that are imported on first access, with their lines."""
    for node in tree_of(path).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in LAZY_TABLES:
            for value in node.value.values:
                name = value.value.removeprefix(".")
                is_absolute = name.startswith("keras_s2s.")
                yield name if is_absolute else f"{dotted(path)}.{name}", value.lineno


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def public_definitions(path: Path) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    for node in tree_of(path).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def public_functions(path: Path) -> Iterator[tuple[ast.FunctionDef, bool]]:
    """Public functions, constructors and public methods; and whether the first argument is self."""
    for node in public_definitions(path):
        if isinstance(node, ast.FunctionDef):
            yield node, False
            continue
        for method in node.body:
            if isinstance(method, ast.FunctionDef):
                decorators = {getattr(item, "id", "") for item in method.decorator_list}
                if method.name == "__init__" or not method.name.startswith("_"):
                    yield method, "staticmethod" not in decorators


def arguments(node: ast.FunctionDef) -> list[ast.arg]:
    """The named arguments of a function, without `*args` and `**kwargs`."""
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def subfolders(root: Path, prefix: str = "") -> set[str]:
    """Dotted names of the packages below a folder."""
    parents = (path.parent.relative_to(root).parts for path in root.rglob("__init__.py"))
    return {".".join([*([prefix] if prefix else []), *parts]) for parts in parents} - {""}
