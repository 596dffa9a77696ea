"""Import names of version 0.1."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from keras_s2s.module_aliases import MODULE_ALIASES

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", MODULE_ALIASES)
def test_old_module_names_give_the_moved_modules(name):
    old = importlib.import_module(f"keras_s2s.{name}")
    new = importlib.import_module(f"keras_s2s.{MODULE_ALIASES[name]}")
    assert old is new
    assert old.__name__ == old.__spec__.name == f"keras_s2s.{MODULE_ALIASES[name]}"


def test_modules_moved_under_old_names_run_as_programs():
    command = [sys.executable, "-m", "keras_s2s.serving.pipeline", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "--beam-size" in done.stdout


def test_unknown_modules_are_not_found():
    with pytest.raises(ModuleNotFoundError, match="keras_s2s.no_such_module"):
        importlib.import_module("keras_s2s.no_such_module")
