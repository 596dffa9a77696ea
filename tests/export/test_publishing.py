"""Atomic publication of versions."""

import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from keras_s2s.errors import UserError
from keras_s2s.export import keep_newest
from keras_s2s.export.publishing import check_version, publish
from keras_s2s.signatures.version_directories import list_versions

# Publishes three files slowly. Arguments: directory, version (0: the next one), seconds per file.
SLOW = """
import sys, time
from keras_s2s.export.publishing import publish

def write(path, scratch):
    for name in "abc":
        (path / name).write_text(name * 1000)
        (scratch / name).write_text(name)
        print(name, flush=True)
        time.sleep(float(sys.argv[3]))

print(publish(sys.argv[1], int(sys.argv[2]) or None, write).name)
"""


def write(path, scratch):
    (path / "variables").mkdir()
    (path / "variables" / "a").write_text("a")
    (scratch / "temporary").write_text("b")


def publish_slowly(directory, version=0, seconds=0.05):
    command = [sys.executable, "-c", SLOW, str(directory), str(version), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_next_version_is_published(tmp_path):
    base = tmp_path / "new" / "served"
    assert publish(base, None, write) == base / "1"
    assert os.listdir(base) == ["1"]
    assert os.listdir(base / "1") == ["variables"]
    (base / "41").mkdir()
    (base / "43.old").mkdir()
    (base / str(2**63)).mkdir()  # servers ignore it
    assert publish(base, None, write).name == "42"


def test_existing_and_invalid_versions_are_refused(tmp_path):
    publish(tmp_path, 1, write)
    (tmp_path / "007").mkdir()
    for version in (1, 7):
        with pytest.raises(UserError, match=f"expected one that is free, got {version}: .*has it"):
            publish(tmp_path, version, write)
    with pytest.raises(UserError, match="version: expected at most 9223372036854775807, got"):
        publish(tmp_path, 2**63, write)
    for version in (0, -3, True, "2"):
        with pytest.raises(UserError, match="version: expected a positive integer, got"):
            check_version(tmp_path, version)
    assert list_versions(tmp_path).keys() == {1, 7}


def test_version_that_appears_during_the_export_is_not_overwritten(tmp_path):
    def overtaken(path, scratch):
        write(path, scratch)
        (tmp_path / "7" / "other").mkdir(parents=True, exist_ok=True)

    with pytest.raises(UserError, match="version: expected one that is free, got 7"):
        publish(tmp_path, 7, overtaken)
    assert os.listdir(tmp_path / "7") == ["other"]
    assert publish(tmp_path, None, write).name == "8"
    assert sorted(os.listdir(tmp_path)) == ["7", "8"]


@pytest.mark.parametrize("error", [RuntimeError, UserError, KeyboardInterrupt])
def test_failure_leaves_nothing(tmp_path, error):
    def fails(path, scratch):
        write(path, scratch)
        raise error("graph")

    with pytest.raises(error, match="graph"):
        publish(tmp_path, None, fails)
    assert os.listdir(tmp_path) == []


def test_full_disk_is_reported_and_leaves_nothing(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    before_signal = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(UserError, match=r"^directory .*: cannot be written: File too large$"):
            publish(tmp_path, None, lambda path, scratch: (path / "a").write_bytes(bytes(9000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, before_signal)
    assert os.listdir(tmp_path) == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="directory .*file: cannot be written: it is a file"):
        publish(tmp_path / "file", None, write)
    with pytest.raises(UserError, match=r"directory .*file/served: cannot be written: Not a dir"):
        publish(tmp_path / "file" / "served", None, write)


def test_version_is_readable_by_other_users(tmp_path):
    assert stat.S_IMODE(publish(tmp_path, None, write).stat().st_mode) & 0o055 == 0o055


def test_concurrent_exports_get_different_versions(tmp_path):
    processes = [publish_slowly(tmp_path) for _ in range(4)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert sorted(out.split()[-1] for out, _ in outputs) == ["1", "2", "3", "4"]
    assert sorted(os.listdir(tmp_path)) == ["1", "2", "3", "4"]


def test_second_export_of_a_version_fails(tmp_path):
    processes = [publish_slowly(tmp_path, 5), publish_slowly(tmp_path, 5)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1]
    assert sum("expected one that is free, got 5" in err for _, err in outputs) == 1
    assert os.listdir(tmp_path) == ["5"]


def test_watcher_sees_complete_versions_only_when_exports_are_killed(tmp_path):
    seen, stop = {}, threading.Event()

    def watch():  # as a server does: every numbered directory must be complete
        while not stop.is_set():
            for path in list_versions(tmp_path).values():
                seen.setdefault(path.name, sorted(os.listdir(path)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for last_file in "abcabc":
            process = publish_slowly(tmp_path, seconds=0.2)
            while process.stdout.readline().strip() != last_file:
                pass
            time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=60)
        staging = [name for name in os.listdir(tmp_path) if not name.isdecimal()]
        assert len(staging) == 1  # each export removed the previous one's
        publish(tmp_path, None, lambda path, _: [(path / x).write_text(x) for x in "abc"])
        time.sleep(0.05)
    finally:
        stop.set()
        watcher.join()
    assert all(name.isdecimal() for name in os.listdir(tmp_path))
    assert seen and all(files == ["a", "b", "c"] for files in seen.values())


def test_staging_directory_of_a_running_export_stays(tmp_path):
    process = publish_slowly(tmp_path, seconds=0.5)
    process.stdout.readline()
    publish(tmp_path, 9, write)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out.split()[-1]) == (0, "10"), err
    assert sorted(os.listdir(tmp_path / "10")) == ["a", "b", "c"]


def test_keep_newest(tmp_path):
    for version in (3, 20, 100):
        publish(tmp_path, version, write)
    (tmp_path / "5.note").mkdir()
    keep_newest(tmp_path, 2)
    assert sorted(os.listdir(tmp_path)) == ["100", "20", "5.note"]
    keep_newest(tmp_path, 2)
    assert sorted(os.listdir(tmp_path)) == ["100", "20", "5.note"]


def test_files_named_by_a_number_are_neither_versions_nor_overwritten(tmp_path):
    for version in ("1", "2", "3"):
        (tmp_path / version).mkdir()
    for name in ("4", "9"):
        (tmp_path / name).write_text("a note")
    keep_newest(tmp_path, 2)
    assert sorted(list_versions(tmp_path)) == [2, 3]
    assert publish(tmp_path, None, lambda path, scratch: None) == tmp_path / "5"
    with pytest.raises(UserError, match="version: expected one that is free, got 9"):
        check_version(tmp_path, 9)
    assert (tmp_path / "9").read_text() == "a note"
