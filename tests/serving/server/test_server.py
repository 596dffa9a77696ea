"""The server as users meet it: real processes, ports and signals, versions published live."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from keras_s2s.serving import Client, Server, StartError, errors
from tests.serving.models import export

ROOT = Path(__file__).resolve().parents[3]
SERVE = "import sys; from keras_s2s.serving import serve; serve('shout', sys.argv[1], 0)"


@pytest.fixture
def process(base_path):
    """`serve` in a process of its own, ready; its address is `process.address`."""
    command = [sys.executable, "-c", SERVE, base_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        line = process.stdout.readline()
        found = re.fullmatch(r"serving shout version 1 at (localhost:\d+)\n", line)
        assert found, line
        process.address = found[1]
        yield process
        if process.poll() is None:
            process.kill()


def seconds_a_step(client):
    """So that a call can be made to last, however busy the machine is."""
    client.predict("slow", {"steps": [10]})
    start = time.monotonic()
    client.predict("slow", {"steps": [20_000]})
    return (time.monotonic() - start) / 20_000


def in_background(call):
    found = []
    thread = threading.Thread(target=lambda: found.append(call()), daemon=True)
    thread.start()
    return thread, found


def test_a_process_serves_and_drains_on_sigterm(process):
    with Client(process.address, "shout", timeout=60) as client:
        assert client.translate(["Straße version"])[0][0].text == "STRAßE 1"
        steps = int(5 / seconds_a_step(client))
        thread, found = in_background(lambda: client.predict("slow", {"steps": [steps]}))
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert thread.is_alive(), "the call was too short to tell"
        with Client(process.address, "shout") as late, pytest.raises(errors.Unavailable):
            late.translate(["a"])
        thread.join(60)
        assert found[0]["steps"].tolist() == [steps]
    assert process.wait(30) == 0
    assert process.stdout.read() == ""  # one line was all


def test_an_interrupt_ends_it_too(process):
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Asking:
    """Calls again and again in a thread; `answers` grows, `failure` tells why it ended."""

    def __init__(self, call):
        self.answers, self.failure, self._going = [], None, True
        self._thread = threading.Thread(target=self._ask, args=(call,), daemon=True)
        self._thread.start()

    def _ask(self, call):
        try:
            while self._going:
                self.answers.append(call())
        except Exception as error:
            self.failure = error

    def stop(self):
        self._going = False
        self._thread.join(60)
        assert self.failure is None


def test_a_new_version_takes_over_without_a_failed_call(tmp_path):
    export(tmp_path, 1)
    with (
        Server("shout", tmp_path, 0, host="127.0.0.1", poll_seconds=0.05) as server,
        Client(server.address, "shout", timeout=60) as client,
    ):
        # one or the other is under way whenever the version changes
        steps = int(0.3 / seconds_a_step(client))
        short = Asking(lambda: client.translate(["version"])[0][0].text)
        long = Asking(lambda: client.predict("slow", {"steps": [steps]})["steps"][0])
        wait_for(lambda: short.answers and long.answers)
        export(tmp_path, 2)
        wait_for(lambda: short.answers[-1] == "2")
        long.stop()
        short.stop()
        assert short.answers == sorted(short.answers)
        assert set(long.answers) == {steps}
        wait_for(lambda: [one.state for one in client.status()] == ["AVAILABLE", "END"])


def test_a_broken_version_is_told_by_status_and_the_old_one_serves(tmp_path):
    export(tmp_path, 1)
    with (
        Server("shout", tmp_path, 0, host="127.0.0.1", poll_seconds=0.05) as server,
        Client(server.address, "shout", timeout=60) as client,
    ):
        (tmp_path / "2").mkdir()
        wait_for(lambda: client.status()[0].version == 2 and client.status()[0].error_code)
        broken, old = client.status()
        assert (broken.state, broken.error_code) == ("LOADING", 5)
        assert "does not appear to contain a SavedModel" in broken.error_message
        assert old.state == "AVAILABLE"
        assert client.translate(["version"])[0][0].text == "1"


def test_a_stopped_server_answers_no_more(base_path):
    with Server("shout", base_path, 0, host="127.0.0.1") as server:
        address = server.address
    with Client(address, "shout") as client, pytest.raises(errors.Unavailable):
        client.translate(["a"])
    server.stop()
    with server, Client(server.address, "shout") as client:
        assert client.wait_until_ready(10) == 1


def test_a_port_in_use_is_told(base_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        problem = f"^port {port} on 127.0.0.1 cannot be opened: Address already in use$"
        with pytest.raises(StartError, match=problem):
            Server("shout", base_path, port, host="127.0.0.1").start()


def test_two_servers_never_share_a_port(base_path, server):
    with pytest.raises(StartError, match=f"port {server.port} on 127.0.0.1 cannot be opened"):
        Server("shout", base_path, server.port, host="127.0.0.1").start()
    with pytest.raises(StartError, match=f"port {server.port} on 0.0.0.0 cannot be opened"):
        Server("shout", base_path, server.port).start()


@pytest.mark.parametrize("port", [-1, 65536, "8500"])
def test_a_wrong_port_is_told(base_path, port):
    with pytest.raises(StartError, match=f"port must be a whole number .* not {port!r}"):
        Server("shout", base_path, port).start()


def test_a_wrong_base_path_is_told(base_path, tmp_path):
    def problem(path, name="shout"):
        with pytest.raises(StartError) as caught:
            Server(name, path, 0).start()
        return str(caught.value)

    missing = tmp_path / "missing"
    assert problem(missing) == f"model_base_path {missing} does not exist"
    missing.touch()
    assert problem(missing) == f"model_base_path {missing} is not a directory"
    assert problem(tmp_path) == (
        f"model_base_path {tmp_path} holds no version: expected a directory named by a number,"
        f" such as {tmp_path / '1'}"
    )
    assert problem(base_path / "1") == (
        f"model_base_path {base_path / '1'} holds no version: it is itself a version: give the"
        f" directory above it, {base_path}"
    )
    assert problem(base_path, "") == "model_name must not be empty"


def test_a_first_version_that_does_not_load_is_told_in_one_line(tmp_path):
    (tmp_path / "4").mkdir()
    with pytest.raises(StartError) as caught:
        Server("shout", tmp_path, 0).start()
    line = str(caught.value)
    assert line.startswith(f"version 4 in {tmp_path} does not load: Specified file path")
    assert "\n" not in line


def test_a_relative_base_path_outlives_a_change_of_directory(base_path, monkeypatch):
    monkeypatch.chdir(base_path.parent)
    server = Server("shout", base_path.name, 0, host="127.0.0.1")
    monkeypatch.chdir("/")
    with server, Client(server.address, "shout") as client:
        assert client.wait_until_ready(10) == 1
