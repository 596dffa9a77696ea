"""Rules of the code base: which folder imports which, sizes, types, documentation."""

import ast
import configparser
import importlib
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import keras_s2s
from tests.source_files import (
    ROOT,
    arguments,
    dotted,
    imports,
    lazy_imports,
    module_strings,
    nodes_of,
    package_files,
    public_definitions,
    public_functions,
    python_files,
    relative,
    subfolders,
    text_of,
    tree_of,
)

# A folder imports only the rows above its own, and in its own row the folders to its left.
ROWS = (
    ("errors", "io", "lazy_imports", "module_aliases"),
    ("signatures",),
    ("config",),
    ("layers",),
    ("attention",),
    ("layers.transformer*",),
    ("encoders", "decoders", "heads"),
    ("losses", "schedules"),
    ("models",),
    ("search",),
    ("tokenizers", "data"),
    ("metrics",),
    ("checkpoints", "callbacks"),
    ("translator",),
    ("tensorboard",),
    ("training",),
    ("importers",),
    ("export",),
    ("serving",),
    ("cli",),
    ("__main__",),
)
ORDER = {folder: (y, x) for y, row in enumerate(ROWS) for x, folder in enumerate(row)}
# Transformer layers are in `layers/` but contain attention layers: they come after `attention/`.
TRANSFORMER_LAYERS = ("keras_s2s.layers.transformer", "keras_s2s.layers.transformer_stack")
ONLY = {"serving": {"errors", "io", "lazy_imports", "signatures"}}  # runs on the artefact alone
WORKERS = {"keras_s2s.serving.edge.worker"}  # export runs it in a separate process
VAGUE_NAMES = {"utils", "util", "helpers", "common", "misc"}

FILE_LINES = 400
FUNCTION_LINES = 40
CONSTRUCTOR_ARGUMENTS = 8
# The arguments of these are keys of saved models: they cannot be grouped.
LONG_CONSTRUCTORS = {"TransformerDecoder", "TransformerEncoder", "TransformerLayer"}
LEFT_OVER = re.compile("|".join(("TO" + "DO", "FIX" + "ME", r"\bXX" + "X")))
TENSOR = re.compile(r"\b(float|int|bool|string)\w* tensor")
SHAPE = re.compile(r"\[(\.\.\.|[A-Z][A-Za-z']*\b)[^]]*\]")

TEST_FOLDERS_OF_THEIR_OWN = {"docs", "compatibility", "conformance", "system", "tensorboard.page"}
TESTED_WITH_THEIR_PARENT = {"attention.positions", "importers.opennmt"}


def problems(rule: Callable[[Path], Iterator[str]], files: list[Path]) -> list[str]:
    """What a rule finds in all files."""
    return [problem for path in files for problem in rule(path)]


def folder_of(module: str) -> str | None:
    """The entry of `ROWS` that a module belongs to; None for the package itself."""
    if module in TRANSFORMER_LAYERS:
        return "layers.transformer*"
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def unannotated(node: ast.FunctionDef, is_method: bool) -> list[str]:
    """Arguments of a function without a type; "return" where its result has none."""
    variable = [item for item in (node.args.vararg, node.args.kwarg) if item]
    own = arguments(node)[is_method:] + variable
    names = [argument.arg for argument in own if argument.annotation is None]
    if node.returns is None and node.name != "__init__":
        names.append("return")
    return names


def is_layer(node: ast.AST) -> bool:
    """Whether a base of the class is named like a layer or model."""
    names = [
        base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        for base in getattr(node, "bases", ())
    ]
    return any(name.endswith(("Layer", "Model", "Encoder", "Decoder", "Head")) for name in names)


def only_reexports(path: Path) -> bool:
    """Whether a module has imports but no code besides a docstring and `__all__`."""
    body = [node for node in tree_of(path).body if not isinstance(node, ast.Expr)]
    has_imports = any(isinstance(node, ast.Import | ast.ImportFrom) for node in body)
    return has_imports and all(
        isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__")
        for node in body
    )


def may_import(own: str | None, other: str) -> bool:
    if own == other or own is None:
        return True
    if own in ONLY:
        return other in ONLY[own]
    return ORDER[other] < ORDER[own] and (other not in ("serving", "export") or own == "cli")


def forbidden_imports(path: Path) -> Iterator[str]:
    own = folder_of(dotted(path))
    if own is not None and own not in ORDER:
        yield f"{relative(path)} is in no row of this test's table"
    for name, line in [*imports(path), *module_strings(path), *lazy_imports(path)]:
        other = folder_of(name) if name.split(".")[0] == "keras_s2s" else None
        if own == "layers" and name in TRANSFORMER_LAYERS and path.name == "__init__.py":
            continue  # the package lists them among its public names
        if other in ORDER and name not in WORKERS and not may_import(own, other):
            yield f"{relative(path)}:{line}: {own} imports {other}"


def test_folders_import_only_what_is_above_them():
    assert not problems(forbidden_imports, package_files())


def test_import_rule_finds_what_it_forbids():
    assert not may_import("layers", "attention")
    assert not may_import("attention", "layers.transformer*")
    assert not may_import("encoders", "decoders")
    assert not may_import("search", "translator")
    assert not may_import("serving", "models")
    assert not may_import("serving", "config")
    assert not may_import("training", "export")
    assert not may_import("export", "serving")
    assert may_import("layers.transformer*", "attention")
    assert may_import("decoders", "encoders")
    assert may_import("serving", "signatures")
    assert may_import("cli", "serving")


def test_every_folder_has_a_row():
    files = {
        path.relative_to(ROOT / "keras_s2s").parts[0]
        for path in package_files()
        if path.is_relative_to(ROOT / "keras_s2s")
    }
    names = {name.removesuffix(".py") for name in files} - {"__init__"}
    assert names | {"export", "serving", "layers.transformer*"} == set(ORDER)


def test_modules_in_strings_exist():
    modules = {dotted(file) for file in package_files()}
    assert not [
        f"{relative(path)}:{line}: there is no module {name}"
        for path in package_files()
        for name, line in [*module_strings(path), *lazy_imports(path)]
        if name not in modules
    ]


def test_export_and_serving_are_never_imported_by_their_bare_names():
    assert not [
        f"{relative(path)}:{line}"
        for path in python_files()
        for name, line in imports(path)
        if name.split(".")[0] in ("export", "serving")
    ]


def oversized(path: Path) -> Iterator[str]:
    if text_of(path).count("\n") > FILE_LINES:
        yield relative(path)
    for node in nodes_of(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            lines = node.end_lineno - node.lineno + 1
            lines -= docstring.count("\n") + 1 if docstring else 0
            if lines > FUNCTION_LINES:
                yield f"{relative(path)}:{node.lineno}: {node.name}"


def test_files_and_functions_stay_small():
    assert not problems(oversized, python_files())


def test_constructors_have_few_arguments():
    long = {
        node.name
        for path in package_files()
        for node in nodes_of(path)
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name == "__init__"
        if len(arguments(method)) - 1 > CONSTRUCTOR_ARGUMENTS
    }
    assert long == LONG_CONSTRUCTORS


def test_files_define_what_they_are_named_for():
    files = [path for path in package_files() if path.name not in ("__init__.py", "__main__.py")]
    assert not [path for path in package_files() if path.stem in VAGUE_NAMES]
    assert not [path for path in files if only_reexports(path)]


def test_no_unfinished_work_is_marked():
    assert not [relative(path) for path in python_files() if LEFT_OVER.search(text_of(path))]


def undocumented(path: Path) -> Iterator[str]:
    if not ast.get_docstring(tree_of(path)):
        yield f"{relative(path)} has no docstring"
    for node in public_definitions(path):
        where = f"{relative(path)}:{node.lineno}: {node.name}"
        docstring = ast.get_docstring(node)
        if not docstring:
            yield f"{where} has no docstring"
        elif (is_layer(node) or TENSOR.search(docstring)) and not SHAPE.search(docstring):
            yield f"{where} has a docstring without shapes"


def test_public_objects_are_documented():
    assert not problems(undocumented, package_files())


def untyped(path: Path) -> Iterator[str]:
    # Overridden methods of Keras, `call` and `build` among them, are annotated like all others.
    for node, is_method in public_functions(path):
        if names := ", ".join(unannotated(node, is_method)):
            yield f"{relative(path)}:{node.lineno}: {node.name} has no types for {names}"


def test_public_functions_are_annotated():
    assert not problems(untyped, package_files())


def test_types_are_distributed():
    assert (ROOT / "keras_s2s" / "py.typed").is_file()
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    assert "py.typed" in parser["options.package_data"]["keras_s2s"].split()


def test_all_lists_what_is_importable():
    for path in package_files():
        if path.name != "__main__.py":
            module = importlib.import_module(dotted(path))
            for name in getattr(module, "__all__", ()):
                assert getattr(module, name) is not None
                assert not name.startswith("_")


def test_package_names_its_public_objects():
    assert keras_s2s.__all__ == sorted(keras_s2s.__all__)
    assert set(keras_s2s.__all__) <= set(dir(keras_s2s))
    with pytest.raises(AttributeError, match="has no attribute 'Sequence2Sequence'"):
        keras_s2s.Sequence2Sequence  # noqa: B018


def test_every_package_is_installed():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    listed = parser["options"]["packages"].split()
    existing = [dotted(path) for path in package_files() if path.name == "__init__.py"]
    assert sorted(listed) == sorted(existing)


def test_tests_have_the_folders_of_the_package():
    packages = subfolders(ROOT / "keras_s2s")
    packages |= subfolders(ROOT / "export", "export") | subfolders(ROOT / "serving", "serving")
    tests = subfolders(ROOT / "tests") - TEST_FOLDERS_OF_THEIR_OWN
    assert tests == packages - TESTED_WITH_THEIR_PARENT


def modules_without_tensorflow(code: str) -> list[str]:
    check = "import sys\n" + code + "\nprint([m for m in sys.modules if m in "
    check += "('tensorflow', 'keras', 'numpy', 'tensorflow_serving')])"
    process = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


def test_help_does_not_import_tensorflow():
    code = "from keras_s2s import cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit: pass"
    *text, modules = modules_without_tensorflow(code)
    assert any("evaluate" in line for line in text)
    assert modules == "[]"


def test_client_does_not_import_tensorflow():
    (modules,) = modules_without_tensorflow("from keras_s2s.serving import Client")
    assert "tensorflow" not in modules
    assert "keras'" not in modules


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_finds_nothing(arguments):
    command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."]
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert process.returncode == 0, process.stdout
