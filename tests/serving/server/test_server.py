"""The server with real processes, ports, signals and versions published at run time."""

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
    """A process that runs `serve` and is ready; its address is `process.address`."""
    command = [sys.executable, "-c", SERVE, base_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        line = process.stdout.readline()
        match = re.fullmatch(r"serving shout version 1 at (localhost:\d+)\n", line)
        assert match, line
        process.address = match[1]
        yield process
        if process.poll() is None:
            process.kill()


def seconds_per_step(client):
    """Measures a step, to make a call last long enough on any machine."""
    client.predict("slow", {"steps": [10]})
    start = time.monotonic()
    client.predict("slow", {"steps": [20_000]})
    return (time.monotonic() - start) / 20_000


def in_background(call):
    results = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    return thread, results


def test_process_serves_and_drains_on_sigterm(process):
    with Client(process.address, "shout", timeout=60) as client:
        assert client.translate(["Straße version"])[0][0].text == "STRAßE 1"
        steps = int(5 / seconds_per_step(client))
        thread, results = in_background(lambda: client.predict("slow", {"steps": [steps]}))
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert thread.is_alive(), "the call was too short for this test"
        with Client(process.address, "shout") as late, pytest.raises(errors.Unavailable):
            late.translate(["a"])
        thread.join(60)
        assert results[0]["steps"].tolist() == [steps]
    assert process.wait(30) == 0
    assert process.stdout.read() == ""  # one line is the whole output


def test_process_ends_on_sigint(process):
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class RepeatedCall:
    """Calls a function repeatedly in a thread; collects `answers` and a final `failure`."""

    def __init__(self, call):
        self.answers, self.failure, self._is_running = [], None, True
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call):
        try:
            while self._is_running:
                self.answers.append(call())
        except Exception as error:
            self.failure = error

    def stop(self):
        self._is_running = False
        self._thread.join(60)
        assert self.failure is None


def test_new_version_takes_over_without_a_failed_call(tmp_path):
    export(tmp_path, 1)
    with (
        Server("shout", tmp_path, 0, host="127.0.0.1", poll_seconds=0.05) as server,
        Client(server.address, "shout", timeout=60) as client,
    ):
        # one of the calls is in progress whenever the version changes
        steps = int(0.3 / seconds_per_step(client))
        short = RepeatedCall(lambda: client.translate(["version"])[0][0].text)
        long = RepeatedCall(lambda: client.predict("slow", {"steps": [steps]})["steps"][0])
        wait_for(lambda: short.answers and long.answers)
        export(tmp_path, 2)
        wait_for(lambda: short.answers[-1] == "2")
        long.stop()
        short.stop()
        assert short.answers == sorted(short.answers)
        assert set(long.answers) == {steps}
        wait_for(lambda: [one.state for one in client.status()] == ["AVAILABLE", "END"])


def test_broken_version_is_reported_and_the_previous_one_serves(tmp_path):
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


def test_stopped_server_is_unavailable_and_can_restart(base_path):
    with Server("shout", base_path, 0, host="127.0.0.1") as server:
        address = server.address
    with Client(address, "shout") as client, pytest.raises(errors.Unavailable):
        client.translate(["a"])
    server.stop()
    with server, Client(server.address, "shout") as client:
        assert client.wait_until_ready(10) == 1


def test_port_in_use_is_named(base_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = f"^port {port} on 127.0.0.1 cannot be opened: Address already in use$"
        with pytest.raises(StartError, match=message):
            Server("shout", base_path, port, host="127.0.0.1").start()


def test_two_servers_do_not_share_a_port(base_path, server):
    with pytest.raises(StartError, match=f"port {server.port} on 127.0.0.1 cannot be opened"):
        Server("shout", base_path, server.port, host="127.0.0.1").start()
    with pytest.raises(StartError, match=f"port {server.port} on 0.0.0.0 cannot be opened"):
        Server("shout", base_path, server.port).start()


@pytest.mark.parametrize("port", [-1, 65536, "8500"])
def test_invalid_port_is_named(base_path, port):
    with pytest.raises(StartError, match=f"port must be a whole number .* not {port!r}"):
        Server("shout", base_path, port).start()


def test_invalid_base_path_is_named(base_path, tmp_path):
    def message(path, name="shout"):
        with pytest.raises(StartError) as caught:
            Server(name, path, 0).start()
        return str(caught.value)

    missing = tmp_path / "missing"
    assert message(missing) == f"model_base_path {missing} does not exist"
    missing.touch()
    assert message(missing) == f"model_base_path {missing} is not a directory"
    assert message(tmp_path) == (
        f"model_base_path {tmp_path} holds no version: expected a directory named by a number,"
        f" such as {tmp_path / '1'}"
    )
    assert message(base_path / "1") == (
        f"model_base_path {base_path / '1'} holds no version: it is itself a version: give the"
        f" directory above it, {base_path}"
    )
    assert message(base_path, "") == "model_name must not be empty"


def test_failure_of_the_first_version_is_one_line(tmp_path):
    (tmp_path / "4").mkdir()
    with pytest.raises(StartError) as caught:
        Server("shout", tmp_path, 0).start()
    line = str(caught.value)
    assert line.startswith(f"version 4 in {tmp_path} does not load: Specified file path")
    assert "\n" not in line


def test_relative_base_path_survives_a_change_of_directory(base_path, monkeypatch):
    monkeypatch.chdir(base_path.parent)
    server = Server("shout", base_path.name, 0, host="127.0.0.1")
    monkeypatch.chdir("/")
    with server, Client(server.address, "shout") as client:
        assert client.wait_until_ready(10) == 1
