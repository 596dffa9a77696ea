"""Exports that are killed beside a model server which watches their directory."""

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
from keras_s2s.export.publishing import list_versions
from keras_s2s.serving import Client
from tests.export.tiny_models import make_translator

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 4


def command(*words, **more):
    words = [sys.executable, "-m", "keras_s2s", *map(str, words)]
    return subprocess.Popen(words, cwd=ROOT, text=True, **more)


class Asking:
    """Calls a server again and again in a thread; `failures` tells of calls and of versions."""

    def __init__(self, address):
        self.answers, self.failures, self._ending = [], [], threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(address,))
        self._thread.start()

    def _ask(self, address):
        with Client(address, "m", timeout=60) as client:
            while not self._ending.wait(0.05):
                try:
                    self.answers.append(client.translate(["a b"])[0][0].text)
                    self.failures.extend(one for one in client.status() if one.error_code)
                except Exception as error:
                    self.failures.append(error)

    def stop(self):
        self._ending.set()
        self._thread.join()


def kill_some(run, base):
    """Exports once whole and then, at random moments, in part."""
    begun = time.monotonic()
    with command("export", run, base) as export:
        assert export.wait() == 0
    whole, draw = time.monotonic() - begun, random.Random(1)
    for _ in range(ROUNDS):
        with command("export", run, base) as export:
            time.sleep(whole * draw.uniform(0.2, 1.0))
            export.send_signal(signal.SIGKILL)


def wait_for(address, version):
    deadline = time.monotonic() + 60
    with Client(address, "m", timeout=60) as client:
        while (client.status()[0].version, client.status()[0].state) != (version, "AVAILABLE"):
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.slow
def test_a_server_answers_on_while_exports_are_killed(tmp_path):
    translator = make_translator(Decoding(beam_size=2, max_length=5))
    run, base = tmp_path / "run", tmp_path / "served"
    translator.save(run)
    export_translator(translator, base)
    place = f"--model_base_path={base}"
    with command("serve", "--model_name=m", place, "--port=0", stdout=subprocess.PIPE) as server:
        address = re.search(r"localhost:\d+", server.stdout.readline())[0]
        asking = Asking(address)
        try:
            kill_some(run, base)
            last = max(list_versions(base))
            wait_for(address, last)
        finally:
            asking.stop()
            server.terminate()
    assert last >= 2 and not asking.failures
    assert {*asking.answers} == {*translator.translate(["a b"])}
