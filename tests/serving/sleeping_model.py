"""A server in this process over a model that sleeps and upper-cases; no TensorFlow."""

import threading
import time

import numpy as np

from keras_s2s.serving import Server
from keras_s2s.serving.server import status
from keras_s2s.serving.server.edge_model import _signature_def
from keras_s2s.serving.server.status import StatusError
from keras_s2s.signatures.fields import SERVING_DEFAULT


class SleepingModel:
    """A model for which the text "sleep 2" takes two seconds; it counts its runs.

    Attributes:
        num_running: number of runs in progress.
        num_started: number of runs so far.
    """

    supports_cancellation = True

    def __init__(self, directory=None):
        self.signatures = {SERVING_DEFAULT.name: _signature_def(SERVING_DEFAULT, {})}
        self.num_running = self.num_started = 0
        self._lock = threading.Lock()

    def run(self, feeds, fetches, timeout=None, cancellation=None):
        (texts,) = feeds.values()
        self._count(1)
        try:
            _sleep(texts, cancellation)
        finally:
            self._count(-1)
        outputs = {
            "text": np.array([text.upper() for text in texts], np.object_),
            "score": np.zeros(len(texts), np.float32),
        }
        return [outputs[fetch.partition("/")[2]] for fetch in fetches]

    def close(self):
        pass

    def _count(self, change):
        with self._lock:
            self.num_running += change
            self.num_started += change > 0


def _sleep(texts, cancellation):
    words = texts[0].split() if len(texts) else []
    end = time.monotonic() + (float(words[1]) if words[:1] == [b"sleep"] else 0.0)
    while time.monotonic() < end:
        if cancellation is not None and cancellation.is_cancelled:
            raise StatusError(status.CANCELLED, "cancelled")
        time.sleep(0.01)


def make_server(directory, host="127.0.0.1"):
    """Returns a server, not started, and its model."""
    (directory / "1").mkdir()
    server, model = Server("sleeper", directory, 0, host=host), SleepingModel()
    server._load = lambda path: model
    return server, model
