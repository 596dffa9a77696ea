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
from keras_s2s.export.publishing import versions
from keras_s2s.serving import Client
from tests.export.tiny import make_translator

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 4


def command(*words, **more):
    words = [sys.executable, "-m", "keras_s2s", *map(str, words)]
    return subprocess.Popen(words, cwd=ROOT, text=True, **more)


@pytest.mark.slow
def test_a_server_answers_on_while_exports_are_killed(tmp_path):
    translator = make_translator(Decoding(beam_size=2, max_length=5))
    run, base = tmp_path / "run", tmp_path / "served"
    translator.save(run)
    export_translator(translator, base)
    expected, answers, failures, ending = translator.translate(["a b"]), [], [], threading.Event()

    def ask(address):
        with Client(address, "m", timeout=60) as client:
            while not ending.is_set():
                try:
                    answers.append(client.translate(["a b"])[0][0].text)
                    failures.extend(one for one in client.status() if one.error_code)
                except Exception as error:
                    failures.append(error)
                time.sleep(0.05)

    place = f"--model_base_path={base}"
    with command("serve", "--model_name=m", place, "--port=0", stdout=subprocess.PIPE) as server:
        line = server.stdout.readline()
        address = re.search(r"localhost:\d+", line)[0]
        asking = threading.Thread(target=ask, args=(address,))
        asking.start()
        try:
            begun = time.monotonic()
            with command("export", run, base) as export:
                assert export.wait() == 0
            whole = time.monotonic() - begun
            draw = random.Random(1)
            for _ in range(ROUNDS):
                with command("export", run, base) as export:
                    time.sleep(whole * draw.uniform(0.2, 1.0))
                    export.send_signal(signal.SIGKILL)
            last = max(versions(base))
            with Client(address, "m", timeout=60) as client:
                deadline = time.monotonic() + 60
                while client.status()[0].version < last or client.status()[0].state != "AVAILABLE":
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
        finally:
            ending.set()
            asking.join()
            server.terminate()
    assert last >= 2 and not failures
    assert answers and {*answers} == {*expected}
