"""Lookup of an export's version on the local disk."""

import shutil

import pytest

from keras_s2s.serving.beam.exports import find_export


def test_highest_complete_version_is_found(base_path, tmp_path):
    version = str(base_path / "1")
    assert find_export(f"{version}/") == find_export(base_path) == version
    for name in ("2", "10", ".tmp-11"):
        (tmp_path / name).mkdir()
        shutil.copy(base_path / "1" / "saved_model.pb", tmp_path / name)
    (tmp_path / "12").mkdir()
    assert find_export(tmp_path) == str(tmp_path / "10")


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_missing_export_is_named(name, tmp_path):
    (tmp_path / "empty").mkdir()
    path = tmp_path / name
    with pytest.raises(ValueError, match=f"^{path}: expected an export"):
        find_export(path)
