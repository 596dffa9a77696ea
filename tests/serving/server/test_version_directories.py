"""Lookup of the version directory of a SavedModel."""

import pytest

from keras_s2s.serving import StartError
from keras_s2s.serving.server.version_directories import find_version
from keras_s2s.signatures.version_directories import SAVED_MODEL


def test_highest_version_or_directory_itself(tmp_path):
    for name in ("2", "10"):
        (tmp_path / name).mkdir()
        (tmp_path / name / SAVED_MODEL).touch()
    (tmp_path / "12").mkdir()
    assert find_version(tmp_path / "2") == (tmp_path / "2", 2)
    assert find_version(tmp_path, skip_incomplete=True) == (tmp_path / "10", 10)
    with pytest.raises(StartError, match=f"^{tmp_path}/12: expected a SavedModel, got a path"):
        find_version(tmp_path)
    (tmp_path / SAVED_MODEL).touch()
    assert find_version(tmp_path) == (tmp_path, 0)


def test_missing_directory_is_named(tmp_path):
    with pytest.raises(StartError, match=f"^{tmp_path}/none: expected a SavedModel"):
        find_version(tmp_path / "none")
