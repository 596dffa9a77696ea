"""Commands whose standard streams are closed."""

import subprocess
import sys
from pathlib import Path

import pytest

from keras_s2s.config import Decoding
from tests.export.tiny_models import make_translator

ROOT = Path(__file__).resolve().parents[2]
COMMAND = f"'{sys.executable}' -m keras_s2s translate"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("streams")
    make_translator(Decoding(max_length=5)).save(place / "run")
    (place / "in.txt").write_text("a b\nc\n")
    return place


def translated(words, place, output=""):
    command = f"{COMMAND} {words.format(place=place, output=output)}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("{place}/run --output {place}/out.txt <&-", "input"),
        ("{place}/run --input {place}/in.txt >&-", "output"),
    ],
)
def test_a_closed_stream_that_is_needed_is_named(place, words, name):
    done = translated(words, place)
    assert done.returncode == 2
    problem = f"standard {name}: expected an open stream, got a closed one"
    assert done.stderr.endswith(f"keras-s2s: error: {problem}\n")
    assert sorted(path.name for path in place.iterdir()) == ["in.txt", "run"]


def test_no_stream_is_needed_from_file_to_file(place, tmp_path):
    words, found = "{place}/run --input {place}/in.txt --output {output}", []
    for name, streams in (("whole", ""), ("closed", " <&- >&- 2>&-")):
        assert translated(words + streams, place, tmp_path / name).returncode == 0
        found.append((tmp_path / name).read_text())
    assert found[0] == found[1]
    assert found[0].count("\n") == 2
