"""A server whose threads are all in use, and callers who go away."""

import threading
import time

import pytest

from keras_s2s.serving import Client, errors
from keras_s2s.serving.server import server as server_module
from tests.serving.sleeping_model import make_server


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.setattr(server_module, "_THREADS_PER_CORE", 1)
    monkeypatch.setattr(server_module.os, "cpu_count", lambda: 2)
    server, model = make_server(tmp_path)
    with server:
        yield server, model


def predict(client, text):
    return client.predict("serving_default", {"text": [text]})["text"].tolist()


def call_in_background(client, text):
    """Starts a call; returns its thread and the list that gets its error."""
    failures = []

    def call():
        try:
            predict(client, text)
        except errors.ServingError as error:
            failures.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread, failures


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition stays false"
        time.sleep(0.01)


def test_status_and_metadata_do_not_wait_behind_runs(served):
    server, model = served
    with Client(server.address, "sleeper", timeout=None) as client:
        calls = [call_in_background(client, "sleep 60") for _ in range(5)]
        wait_until(lambda: model.num_running == 2)  # three calls wait
        with Client(server.address, "sleeper", timeout=5) as probe:
            assert [version.state for version in probe.status()] == ["AVAILABLE"]
            assert list(probe.metadata().signatures) == ["serving_default"]
        assert model.num_running == 2
    for thread, failures in calls:
        thread.join(10)
        assert isinstance(failures[0], errors.Cancelled)


def test_run_ends_when_its_caller_goes(served):
    server, model = served
    with Client(server.address, "sleeper", timeout=None) as client:
        call_in_background(client, "sleep 60")
        wait_until(lambda: model.num_running == 1)
    wait_until(lambda: model.num_running == 0)


def test_waiting_call_of_a_caller_who_has_gone_is_not_run(served):
    server, model = served
    with Client(server.address, "sleeper", timeout=20) as other:
        blockers = [call_in_background(other, "sleep 1") for _ in range(2)]
        wait_until(lambda: model.num_running == 2)
        with Client(server.address, "sleeper", timeout=None) as client:
            waiting, _ = call_in_background(client, "sleep 60")
            time.sleep(0.2)
        waiting.join(10)
        for thread, _ in blockers:
            thread.join(10)
        assert predict(other, "free") == ["FREE"]
        wait_until(lambda: model.num_running == 0)
        assert model.num_started == 3


def test_model_without_cancellation_is_served(served, monkeypatch):
    server, model = served
    monkeypatch.setattr(type(model), "supports_cancellation", False)
    run = type(model).run
    monkeypatch.setattr(type(model), "run", lambda self, a, b, timeout=None: run(self, a, b))
    with Client(server.address, "sleeper", timeout=20) as client:
        assert predict(client, "a") == ["A"]
