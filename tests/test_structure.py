"""The house rules: who may import whom, how large things get, what is written down."""

import ast
import configparser
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import keras_s2s

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"keras_s2s": "keras_s2s", "export": "keras_s2s.export", "serving": "keras_s2s.serving"}

# A folder imports only the rows above its own, and in its own row what stands to its left.
ROWS = (
    ("errors", "io"),
    ("signatures",),
    ("config",),
    ("layers",),
    ("attention",),
    ("transformer_layers",),
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
# Transformer layers are in `layers/` but contain attention layers: they come after `attention/`.
TRANSFORMER_LAYERS = ("keras_s2s.layers.transformer", "keras_s2s.layers.transformer_stack")
ORDER = {room: (y, x) for y, row in enumerate(ROWS) for x, room in enumerate(row)}
ONLY = {"serving": {"errors", "io", "signatures"}}  # runs on the artefact alone
FILE_LINES = 400
FUNCTION_LINES = 40
LEFT_OVER = re.compile("|".join(("TO" + "DO", "FIX" + "ME", r"\bXX" + "X")))
TENSOR = re.compile(r"\b(float|int|bool|string)\w* tensor")
SHAPE = re.compile(r"\[(\.\.\.|[A-Z][A-Za-z']*\b)[^]]*\]")


def package_files():
    return sorted(path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py"))


def python_files():
    found = package_files()
    for folder in ("tests", "tools"):
        found += sorted((ROOT / folder).rglob("*.py"))
    return found


def dotted(path):
    """`export/saved_model.py` -> `keras_s2s.export.saved_model`."""
    first, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGES[first], *rest]).removesuffix(".__init__")


def room(module):
    """The room of a dotted name of ours; None for the package itself."""
    if module in TRANSFORMER_LAYERS:
        return "transformer_layers"
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def imports(path):
    """Absolute dotted names that a file imports, wherever in the file, with their lines."""
    here = dotted(path).split(".") if path.parts[len(ROOT.parts)] in PACKAGES else []
    for node in ast.walk(ast.parse(path.read_text())):
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


def relative(path):
    return str(path.relative_to(ROOT))


def public_definitions(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def is_layer(node):
    """A class whose base is named like a Keras layer or model, or one of ours."""
    names = [
        base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        for base in getattr(node, "bases", ())
    ]
    return any(name.endswith(("Layer", "Model", "Encoder", "Decoder", "Head")) for name in names)


def may_import(own, other):
    if own == other or own is None:
        return True
    if own in ONLY:
        return other in ONLY[own]
    return ORDER[other] < ORDER[own] and (other not in ("serving", "export") or own == "cli")


@pytest.mark.parametrize("path", package_files(), ids=relative)
def test_rooms_import_only_what_stands_above_them(path):
    own = room(dotted(path))
    assert own is None or own in ORDER, f"{relative(path)} is in no row of this test's table"
    for name, line in imports(path):
        other = room(name) if name.split(".")[0] == "keras_s2s" else None
        if other in ORDER:
            assert may_import(own, other), f"{relative(path)}:{line}: {own} imports {other}"


def test_import_rule_finds_what_it_forbids():
    assert not may_import("masks", "model")
    assert not may_import("attention", "transformer")
    assert not may_import("serving", "model")
    assert not may_import("training", "export")
    assert may_import("transformer", "attention")
    assert may_import("serving", "signatures")
    assert may_import("cli", "serving")


@pytest.mark.parametrize("path", python_files(), ids=relative)
def test_export_and_serving_are_never_imported_by_their_bare_names(path):
    bare = [
        f"{relative(path)}:{line}"
        for name, line in imports(path)
        if name.split(".")[0] in ("export", "serving")
    ]
    assert not bare


@pytest.mark.parametrize("path", python_files(), ids=relative)
def test_files_and_functions_stay_small(path):
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            lines = node.end_lineno - node.lineno + 1
            lines -= docstring.count("\n") + 1 if docstring else 0
            assert lines <= FUNCTION_LINES, f"{relative(path)}:{node.lineno}: {node.name}"


@pytest.mark.parametrize("path", python_files(), ids=relative)
def test_nothing_is_left_over(path):
    assert not LEFT_OVER.search(path.read_text())


@pytest.mark.parametrize("path", package_files(), ids=relative)
def test_public_objects_are_documented(path):
    assert ast.get_docstring(ast.parse(path.read_text())), f"{relative(path)} has no docstring"
    for node in public_definitions(path):
        where = f"{relative(path)}:{node.lineno}: {node.name}"
        docstring = ast.get_docstring(node)
        assert docstring, f"{where} has no docstring"
        if is_layer(node) or TENSOR.search(docstring):
            assert SHAPE.search(docstring), f"{where} has a docstring without shapes"


@pytest.mark.parametrize("path", package_files(), ids=relative)
def test_all_lists_what_is_importable(path):
    module = importlib.import_module(dotted(path)) if path.name != "__main__.py" else None
    names = getattr(module, "__all__", None)
    if names is None:
        return
    for name in names:
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
    found = {dotted(path) for path in package_files() if path.name == "__init__.py"}
    assert sorted(listed) == sorted(found)


def without_tensorflow(code):
    check = "import sys\n" + code + "\nprint([m for m in sys.modules if m in "
    check += "('tensorflow', 'keras', 'numpy', 'tensorflow_serving')])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_help_does_not_wait_for_tensorflow():
    code = "from keras_s2s import cli\ntry:\n    cli.main(['--help'])\nexcept SystemExit: pass"
    *text, modules = without_tensorflow(code)
    assert any("evaluate" in line for line in text)
    assert modules == "[]"


def test_client_does_not_wait_for_tensorflow():
    (modules,) = without_tensorflow("from keras_s2s.serving import Client")
    assert "tensorflow" not in modules
    assert "keras'" not in modules


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_finds_nothing(arguments):
    command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout
