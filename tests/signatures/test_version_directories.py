"""Names of version directories."""

from keras_s2s.signatures.version_directories import list_versions


def test_versions_are_named_by_decimal_numbers(tmp_path):
    for name in ("1", "007", "7", "12", ".tmp-13", "13.tmp", "-4", "v2", "1_0", "9" * 19):
        (tmp_path / name).mkdir()
    assert list(list_versions(tmp_path).items()) == [
        (1, tmp_path / "1"),
        (7, tmp_path / "7"),
        (12, tmp_path / "12"),
    ]


def test_files_are_no_versions(tmp_path):
    (tmp_path / "8").mkdir()
    (tmp_path / "9").touch()
    (tmp_path / "10").symlink_to(tmp_path / "8")
    (tmp_path / "11").symlink_to(tmp_path / "9")
    (tmp_path / "12").symlink_to(tmp_path / "missing")
    assert list_versions(tmp_path) == {8: tmp_path / "8", 10: tmp_path / "10"}
