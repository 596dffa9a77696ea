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
