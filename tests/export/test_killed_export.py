"""Exports that are killed while a server watches their directory."""

import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from keras_s2s.config import Decoding
from keras_s2s.export import export_translator
from keras_s2s.serving import Client
from keras_s2s.signatures.version_directories import list_versions
from tests.export.tiny_models import make_translator

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 4


def command(*words, **more):
    words = [sys.executable, "-m", "keras_s2s", *map(str, words)]
    return subprocess.Popen(words, cwd=ROOT, text=True, **more)


class RepeatedRequests:
    """Sends requests in a thread and records responses, failed calls and failed versions."""

    def __init__(self, address):
        self.responses, self.failures, self._stop = [], [], threading.Event()
        self._thread = threading.Thread(target=self._run, args=(address,))
        self._thread.start()

    def _run(self, address):
        with Client(address, "m", timeout=60) as client:
            while not self._stop.wait(0.05):
                try:
                    self.responses.append(client.translate(["a b"])[0][0].text)
                    self.failures.extend(status for status in client.status() if status.error_code)
                except Exception as error:
                    self.failures.append(error)

    def stop(self):
        self._stop.set()
        self._thread.join()


def kill_exports(run, base):
    """Runs one complete export, then kills further ones at random moments."""
    start = time.monotonic()
    with command("export", run, base) as export:
        assert export.wait() == 0
    duration, random_state = time.monotonic() - start, random.Random(1)
    for _ in range(ROUNDS):
        with command("export", run, base) as export:
            time.sleep(duration * random_state.uniform(0.2, 1.0))
            export.send_signal(signal.SIGKILL)


def wait_for(address, version):
    deadline = time.monotonic() + 60
    with Client(address, "m", timeout=60) as client:
        while (client.status()[0].version, client.status()[0].state) != (version, "AVAILABLE"):
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.slow
def test_server_keeps_answering_while_exports_are_killed(tmp_path):
    translator = make_translator(Decoding(beam_size=2, max_length=5))
    run, base = tmp_path / "run", tmp_path / "served"
    translator.save(run)
    export_translator(translator, base)
    base_path = f"--model_base_path={base}"
    with command(
        "serve", "--model_name=m", base_path, "--port=0", stdout=subprocess.PIPE
    ) as server:
        address = re.search(r"localhost:\d+", server.stdout.readline())[0]
        requests = RepeatedRequests(address)
        try:
            kill_exports(run, base)
            last = max(list_versions(base))
            wait_for(address, last)
        finally:
            requests.stop()
            server.terminate()
    assert last >= 2 and not requests.failures
    assert {*requests.responses} == {*translator.translate(["a b"])}
