"""Start of TensorFlow by commands: without its messages, and with its backend only."""

import os
import signal
import subprocess
import sys
import time

import pytest

from keras_s2s.cli.interrupts import redeliver_interrupts

CODE = "import keras_s2s; keras_s2s.Seq2Seq"


def test_tensorflow_starts_without_a_word():
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("TF_")}
    code = "from keras_s2s.cli.quiet import import_tensorflow; import_tensorflow()"
    code += "; import tensorflow as tf; print(tf.reduce_sum([1, 2]).numpy())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("3\n", "")


@pytest.mark.parametrize("words", [("-m", "keras_s2s", "translate", "x"), ("-c", CODE)])
def test_another_backend_is_named(words, tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment)
    assert done.returncode != 0
    line = done.stderr.splitlines()[-1]
    assert line.endswith("rror: KERAS_BACKEND: expected 'tensorflow', got 'jax'")


@pytest.mark.slow
def test_an_interrupt_inside_a_destructor_comes_again():
    class Dying:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), redeliver_interrupts():
        Dying()
        time.sleep(30)
