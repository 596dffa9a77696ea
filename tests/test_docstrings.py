"""The examples in docstrings run and print what they show."""

import doctest
import importlib

import keras
import pytest

from tests.source_files import dotted, package_files

OPTIONAL_PACKAGES = {"ai_edge_litert", "ai_edge_quantizer", "apache_beam", "ctranslate2"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = [dotted(path) for path in package_files() if ">>> " in path.read_text()]


def import_or_skip(name):
    """Imports a module; skips the test if an optional package is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in OPTIONAL_PACKAGES:
            raise
        pytest.skip(f"{error.name} is not installed")


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    module = import_or_skip(name)
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(1)
    results = doctest.testmod(module, optionflags=FLAGS)
    assert results.attempted
    assert not results.failed


def test_wrong_examples_fail():
    failures = doctest.DocTestRunner(verbose=False, optionflags=FLAGS)
    example = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3", {}, "example", None, 0)
    assert failures.run(example, out=lambda text: None).failed == 1
