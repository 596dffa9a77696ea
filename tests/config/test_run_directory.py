"""Files of a run directory: locks that name their holder, and files of the user's that stay."""

import os
import socket
import subprocess
import sys

import pytest

from keras_s2s.cli import main
from keras_s2s.config import Config
from keras_s2s.config.run_directory import (
    LOCK,
    check_own_files,
    check_unlocked,
    lock_run,
    save_config,
)
from keras_s2s.errors import UserError

CHOSEN = {"policy": "float32", "learning_rate": 0.1, "schedule": "constant", "warmup": 0}
CHOSEN |= {"metric": "loss", "scores": []}
COMPLETE = Config.from_dict(
    {"training": {**CHOSEN, "updates": 3}, "model": {"encoder": {"units": 8}}}
)
HOLDER = """\
import sys
from keras_s2s.config.run_directory import lock_run
with lock_run(sys.argv[1]):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held_run(tmp_path):
    """A run directory that another process has locked, and the process."""
    run = tmp_path / "run"
    command = [sys.executable, "-c", HOLDER, run]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"locked\n"
        yield run, process
        process.kill()


def test_lock_names_the_process_that_holds_it(held_run):
    run, process = held_run
    holder = f"process {process.pid} on {socket.gethostname()} since 20"
    with pytest.raises(UserError, match=holder), lock_run(run):
        pass
    with pytest.raises(UserError, match=f"process {process.pid} on"):
        check_unlocked(run)


def test_lock_of_a_killed_process_ends_with_it(held_run):
    run, process = held_run
    process.kill()
    process.wait()
    assert (run / LOCK).exists()
    check_unlocked(run)
    with lock_run(run):
        assert str(os.getpid()) in (run / LOCK).read_text()
    assert list(run.iterdir()) == []


def test_lock_removes_only_a_directory_that_it_created(tmp_path):
    with lock_run(tmp_path / "new" / "run"):
        pass
    assert not (tmp_path / "new" / "run").exists()
    (tmp_path / "old").mkdir()
    with lock_run(tmp_path / "old"):
        pass
    assert (tmp_path / "old").is_dir()


def test_lock_is_released_by_an_error(tmp_path):
    with pytest.raises(KeyError), lock_run(tmp_path):
        raise KeyError
    with lock_run(tmp_path):
        pass


@pytest.mark.parametrize("command", ["train", "vocab"])
def test_commands_refuse_a_locked_run_before_tensorflow_starts(
    held_run, tmp_path, capsys, monkeypatch, command
):
    monkeypatch.setattr(f"keras_s2s.cli.{command}.import_tensorflow", pytest.fail)
    config, pairs = tmp_path / "my.yml", tmp_path / "pairs.tsv"
    pairs.write_text("a\tb\n")
    config.write_text(f"data: {{train: {{pairs: {pairs}}}}}\n")
    assert main([command, str(config), "--run-dir", str(held_run[0])]) == 2
    error = capsys.readouterr().err
    assert f"process {held_run[1].pid} on" in error and "--run-dir" in error


def test_own_config_is_replaced(tmp_path):
    save_config(COMPLETE, tmp_path)
    other = Config.from_dict({"training": {"policy": "float32", "updates": 4}})
    check_own_files(tmp_path)
    save_config(other, tmp_path)
    assert Config.load(tmp_path / "config.yml") == other


@pytest.mark.parametrize(
    "text",
    [
        "# notes\ntraining: {updates: 3}\n",
        "training:\n  updates: 3\n",
        "training: {policy: float32, learning_rate: 0.1}\nmodel: {encoder: {units: 8}}\n",
        "{}\n",
    ],
)
def test_config_of_the_user_is_refused_and_kept(tmp_path, text):
    path = tmp_path / "config.yml"
    path.write_text(text)
    for check in (check_own_files, lambda run: save_config(COMPLETE, run)):
        with pytest.raises(UserError, match=f"{path}: expected a file that train has written"):
            check(tmp_path)
    assert path.read_text() == text


def test_commented_config_with_every_value_stays(tmp_path):
    save_config(COMPLETE, tmp_path)
    path = tmp_path / "config.yml"
    path.write_text(text := f"# notes\n{path.read_text()}")
    check_own_files(tmp_path)
    save_config(COMPLETE, tmp_path)
    assert path.read_text() == text
    with pytest.raises(UserError, match="move it out of the run directory"):
        save_config(Config.from_dict({"training": {**CHOSEN, "updates": 4}}), tmp_path)
    assert path.read_text() == text


def test_metrics_without_a_config_are_the_users(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"mine": 1}\n')
    with pytest.raises(UserError, match="metrics.jsonl: expected a file that train has written"):
        check_own_files(tmp_path)
    save_path = tmp_path / "config.yml"
    COMPLETE.save(save_path)
    check_own_files(tmp_path)
