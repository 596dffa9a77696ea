"""An interrupted output is taken up again, whatever interrupted it and whenever."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from keras_s2s.cli.length_windows import RowErrors, process_windows, run_in_length_batches
from keras_s2s.cli.resumable_output import ResumableOutput, open_output
from keras_s2s.cli.text_streams import LineOutput
from keras_s2s.errors import UserError
from tests.cli.test_translate import make_runs

ROWS = [("ab" * (i % 5) + str(i),) for i in range(23)]


class Upper:
    """Work of two lines for a row, one where the row is empty of letters."""

    name = "upper"

    def __init__(self, limit=None):
        self.state, self.limit = {"seen": 0}, limit

    def lines(self, rows, first, done):
        for number, (text,) in enumerate(rows, first):
            if number == self.limit:
                raise UserError(f"line {number}: broken")
            self.state["seen"] += 1
            yield f"{number} {text.upper()} {self.state['seen']}"
            if text.isdigit():
                continue
            yield text
        done(len(rows))


def expected():
    return "".join(line + "\n" for line in Upper().lines(ROWS, 0, lambda count: None))


def write(path, resume, made_of=None, limit=None, window=4):
    made_of = {"window": 4} if made_of is None else made_of
    with open_output(str(path), made_of, resume) as output:
        process_windows(iter(ROWS), output, "in.txt", Upper(limit), window)


def test_what_goes_on_is_what_would_have_been(tmp_path, capsys):
    made = tmp_path / "out.txt"
    made.write_text("old")
    with pytest.raises(UserError, match="line 13: broken"):
        write(made, resume=False, limit=13)
    assert made.read_text() == "old"
    expected_text = "out.txt.partial holds the output of the first 12 lines; --resume"
    assert expected_text in capsys.readouterr().err
    with (tmp_path / "out.txt.partial").open("a") as file:
        file.write("half a li")
    write(made, resume=True)
    assert made.read_text() == expected()
    assert list(tmp_path.iterdir()) == [made]


def test_without_a_whole_window_nothing_is_left(tmp_path, capsys):
    with pytest.raises(UserError):
        write(tmp_path / "out.txt", resume=True, limit=3)
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().err == ""


def test_without_resume_it_is_made_anew(tmp_path):
    with pytest.raises(UserError):
        write(tmp_path / "out.txt", resume=False, limit=13)
    write(tmp_path / "out.txt", resume=False, made_of={"window": 5}, window=5)
    assert (tmp_path / "out.txt").read_text() == expected()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("made_of", "message"),
    [
        ({"window": 5}, "made with window 5, got 4; run without --resume to start again"),
        ({"window": 4, "beam_size": 2}, "made with beam_size 2, got left out"),
        ({}, "made with window left out, got 4"),
    ],
)
def test_other_work_is_not_taken_up(tmp_path, made_of, message):
    with pytest.raises(UserError):
        write(tmp_path / "out.txt", resume=False, limit=13)
    with pytest.raises(UserError, match=f"out.txt.partial: expected one {message}"):
        write(tmp_path / "out.txt", resume=True, made_of=made_of)
    write(tmp_path / "out.txt", resume=True)
    assert (tmp_path / "out.txt").read_text() == expected()


def test_what_cannot_be_taken_up_is_named(tmp_path):
    with pytest.raises(UserError):
        write(tmp_path / "out.txt", resume=False, limit=13)
    (tmp_path / "out.txt.partial").write_text("")
    with pytest.raises(UserError, match=r"out.txt.partial: expected at least \d+ bytes, got 0"):
        write(tmp_path / "out.txt", resume=True)
    (tmp_path / "out.txt.partial.json").write_text("[]")
    with pytest.raises(UserError, match="partial.json: expected a file that this command wrote"):
        write(tmp_path / "out.txt", resume=True)
    with pytest.raises(UserError, match="--resume: expected --input and --output, both files"):
        open_output("-", {}, resume=True)
    with pytest.raises(UserError, match="--resume: expected --input and --output, both files"):
        open_output(str(tmp_path / "out.txt"), None, resume=True)
    with pytest.raises(UserError, match="expected a folder that exists"):
        ResumableOutput(tmp_path / "none" / "out.txt", {}, resume=False)


def test_two_commands_do_not_write_one_file(tmp_path):
    with ResumableOutput(tmp_path / "out.txt", {}, resume=False) as output:
        output.write("a")
        with pytest.raises(UserError, match="expected no other command that writes it, got one"):
            ResumableOutput(tmp_path / "out.txt", {}, resume=False)
    assert (tmp_path / "out.txt").read_text() == "a\n"


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.cli.test_resumable_output import expected, write

made = Path(sys.argv[1]) / "out.txt"
rounds = 0


def killed_at(number):
    # dies before the call of that number, and in the middle of a write
    left = [number]

    def dying(call, half=None):
        def wrapped(*args, **options):
            left[0] -= 1
            if not left[0]:
                if half:
                    half(*args)
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **options)

        return wrapped

    from keras_s2s.cli.resumable_output import ResumableOutput

    def torn(output, line):
        output._file.write(line.encode()[: len(line) // 2])
        output._file.flush()

    for module, names in ((os, ("fsync", "replace")), (Path, ("unlink",))):
        for name in names:
            setattr(module, name, dying(getattr(module, name)))
    ResumableOutput.write = dying(ResumableOutput.write, torn)
    ResumableOutput._truncate = dying(ResumableOutput._truncate)


for number in range(1, 200):
    child = os.fork()
    if not child:
        killed_at(number)
        write(made, resume=True)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    rounds += os.WIFSIGNALED(status)
    write(made, resume=True)
    assert made.read_text() == expected(), number
    assert len(list(made.parent.iterdir())) == 1, number
    made.unlink()
    if not os.WIFSIGNALED(status):
        break
print(rounds)
"""


def test_a_kill_at_every_step_leaves_what_can_be_taken_up(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50  # 6 windows, each with writes, two fsyncs and a rename


def test_lines_are_batched_by_length_and_come_back_in_order():
    batches, seen = [], []

    def ask(items):
        batches.append(items)
        return [item.upper() for item in items], {0: "bad"} if "bb" in items else {}

    items = ["ccc", "a", "bb", "dddd"]
    found, errors = run_in_length_batches(ask, items, list(map(len, items)), 2, seen.append)
    assert batches == [["a", "bb"], ["ccc", "dddd"]]
    assert found == ["CCC", "A", "BB", "DDDD"]
    assert errors == {1: "bad"}
    assert seen == [2, 2]


def test_problems_are_counted_and_the_first_named():
    problems = RowErrors(state := {})
    problems.raise_if_any()
    for number in range(8):
        problems.add(f"line {number}", "bad")
    with pytest.raises(UserError, match=r"^line 0: bad; .*line 4: bad; and 3 more$"):
        RowErrors(json.loads(json.dumps(state))).raise_if_any()


def test_standard_output_is_marked_too(capsys):
    with LineOutput() as output:
        process_windows(iter(ROWS), output, "in.txt", Upper(), 4)
    assert capsys.readouterr().out == expected()
    assert (output.done, output.state) == (23, {"seen": 23})


def killed_translate(command, sidecar):
    """Runs a command and kills it soon after its first window."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 300
        while not sidecar.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    return process.returncode


@pytest.mark.slow
def test_translate_goes_on_after_kill_9(tmp_path_factory, tmp_path):
    folder = make_runs(tmp_path_factory.mktemp("runs"))
    given, made = tmp_path / "in.txt", tmp_path / "out.jsonl"
    given.write_text("".join("ab" * (i % 7) + "a\n" for i in range(400)))
    words = ["translate", folder / "one", "--input", given, "--json", "--window=2"]
    command = [sys.executable, "-m", "keras_s2s", *map(str, words), "--resume", "--output"]
    status = killed_translate([*command, made], tmp_path / "out.jsonl.partial.json")
    assert status == -signal.SIGKILL
    assert {"out.jsonl.partial", "out.jsonl.partial.json"} <= set(os.listdir(tmp_path))
    assert not made.exists()
    before = (tmp_path / "out.jsonl.partial").read_bytes()
    done = json.loads((tmp_path / "out.jsonl.partial.json").read_text())["done"]
    assert 0 < done < 400
    subprocess.run([*command, made], check=True, capture_output=True)
    subprocess.run([*command, tmp_path / "whole.jsonl"], check=True, capture_output=True)
    whole = (tmp_path / "whole.jsonl").read_bytes()
    assert made.read_bytes() == whole
    assert whole.startswith(before[: before.rindex(b"\n") + 1])
    assert sorted(os.listdir(tmp_path)) == ["in.txt", "out.jsonl", "whole.jsonl"]
