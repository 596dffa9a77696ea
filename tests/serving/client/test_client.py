"""The client against a server in this process."""

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import keras_s2s.serving
from keras_s2s.serving import Client, RowError, errors

ROOT = Path(__file__).resolve().parents[3]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def slow_connection(port, seconds):
    """A port whose connections reach `port` after a delay."""

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while content := source.recv(65536):
                sink.sendall(content)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                near = listener.accept()[0]
                time.sleep(seconds)
                far = socket.create_connection(("127.0.0.1", port))
                ends.extend([near, far])
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    ends = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    for end in ends:
        end.close()


def test_client_waits_for_a_slow_connection(server):
    with (
        slow_connection(server.port, 0.7) as port,
        Client(f"localhost:{port}", "shout", timeout=20) as client,
    ):
        assert client.translate(["slow"])[0][0].text == "SLOW"


def test_translate_returns_hypotheses_of_each_text(client):
    first, second = client.translate(["hello there", "one"])
    assert [one.text for one in first] == ["HELLO THERE"]
    (only,) = second
    assert (only.text, only.tokens, only.source_tokens) == ("ONE", ["ONE"], ["one", "</s>"])
    assert only.finished is True
    assert only.log_prob == pytest.approx(-0.5)
    assert only.score == pytest.approx(-0.5 / 1.6)
    np.testing.assert_array_equal(only.alignment, [[1, 0]])
    np.testing.assert_array_equal(first[0].alignment, [[1, 0, 0], [0, 1, 0]])


def test_options_for_all_rows_and_for_each_row(client):
    rows = client.translate(
        ["a b c", "d e f", "g"], num_hypotheses=[3, 1, 2], length_penalty=1, max_length=2
    )
    assert [[one.text for one in row] for row in rows] == [["A B", "A B", "A"], ["D E"], ["G", ""]]
    assert [one.finished for one in rows[0]] == [False, True, True]
    assert rows[1][0].score == pytest.approx(-0.25)
    assert rows[0][2].tokens == ["A"]
    assert rows[0][2].alignment.shape == (1, 4)


def test_omitted_and_none_options_use_the_models_defaults(client):
    (plain,) = client.translate(["a b"])
    (none,) = client.translate(["a b"], beam_size=None, length_penalty=None)
    (explicit,) = client.translate(["a b"], beam_size=5, length_penalty=0.6)
    assert plain[0].score == none[0].score == explicit[0].score


def test_empty_list_of_texts(client):
    assert client.translate([]) == []


def test_unusual_characters(client):
    texts = ["", "日本 語", "😀 é", "a\tb\nc", b"caf\xe9 x", "x\0y"]
    translations = [row[0].text for row in client.translate(texts)]
    assert translations == ["", "日本 語", "😀 é", "A B C", "CAF\ufffd X", "X\0Y"]


def test_alignment_can_be_omitted(client):
    (row,) = client.translate(["a b"], alignment=False)
    assert row[0].alignment is None
    assert row[0].tokens == ["A", "B"]


def test_rejected_row_is_named_and_other_rows_are_returned(client):
    with pytest.raises(RowError, match="^row 1: num_hypotheses must be at most beam") as caught:
        client.translate(["a", "b", "c"], beam_size=[2, 2, 4], num_hypotheses=[1, 3, 1])
    assert list(caught.value.errors) == [1]
    assert [[one.text for one in row] for row in caught.value.results] == [["A"], [], ["C"]]


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ("hello", {}, "texts: expected a list of strings, got the string 'hello'"),
        ([3], {}, r"texts\[0\]: expected a string, got .*3"),
        ([["a"]], {}, "texts: expected a flat list"),
        (["a", "\ud83d"], {}, r"texts\[1\]: expected valid Unicode"),
        (["a"], {"beamsize": 3}, "unknown option 'beamsize': .*; did you mean 'beam_size'"),
        (["a"], {"xyz": 3}, r"unknown option 'xyz': expected one of \['beam_size',.*\]$"),
        (["a"], {"text": "b"}, "unknown option 'text'"),
        (["a"], {"beam_size": "many"}, "beam_size: expected int32, got 'many'"),
        (["a"], {"beam_size": 2.5}, "beam_size: expected int32, got 2.5"),
        (["a"], {"beam_size": [1, 2]}, r"beam_size: expected one value or 1, .* got .* \[2\]"),
        (["a"], {"timeout": 0}, "timeout: expected a positive number of seconds, got 0"),
    ],
)
def test_invalid_arguments_are_named(client, texts, options, message):
    with pytest.raises(ValueError, match=message):
        client.translate(texts, **options)


@pytest.mark.parametrize(
    ("address", "model", "message"),
    [
        ("localhost", "m", "address: expected 'HOST:PORT', got 'localhost'"),
        ("localhost:http", "m", "address: expected"),
        ("localhost:99999", "m", "address: expected"),
        ("http://localhost:8500", "m", "address: expected"),
        (":8500", "m", "address: expected"),
        ("localhost:8500", "", "model: expected the name of a served model, got ''"),
        ("localhost:8500", None, "model: expected the name of a served model, got None"),
    ],
)
def test_invalid_addresses_models_and_versions_are_named(address, model, message):
    with pytest.raises(ValueError, match=message):
        Client(address, model)
    for version in ("1", True, -1, 2**63):
        with pytest.raises(ValueError, match="version: expected a whole number, got"):
            Client("localhost:8500", "m", version=version)
    with pytest.raises(ValueError, match="timeout: expected a positive number"):
        Client("localhost:1", "m", timeout=-1)


def test_predict_returns_arrays_of_python_strings(client):
    outputs = client.predict("serving_default", {"text": ["hi", "you"]})
    assert sorted(outputs) == ["score", "text"]
    assert outputs["text"].tolist() == ["HI", "YOU"]
    assert outputs["score"].dtype == np.float32
    selected = client.predict("serving_default", {"text": ["hi"]}, outputs=["score"])
    assert list(selected) == ["score"]


def test_empty_batch_runs(client):
    outputs = client.predict("translate", {"text": np.array([], object)})
    assert outputs["text"].shape == (0, 1)
    assert outputs["alignment"].shape[0] == 0


def test_large_messages_are_accepted(client):
    word = "é" * 2_600_000
    outputs = client.predict("serving_default", {"text": [word]}, timeout=60)
    assert len(outputs["text"][0].encode()) == 5_200_000


@pytest.mark.parametrize(
    ("signature", "inputs", "error_class", "message"),
    [
        ("nope", {}, errors.FailedPrecondition, 'Serving signature key "nope" not found'),
        ("serving_default", {}, errors.InvalidArgument, "input size does not match"),
        ("serving_default", {"text": [1]}, errors.InvalidArgument, "to be string but int32"),
    ],
)
def test_server_rejects_an_invalid_request(client, signature, inputs, error_class, message):
    with pytest.raises(error_class, match=message):
        client.predict(signature, inputs)


def test_unknown_model_or_version_is_not_found(server):
    with Client(server.address, "other") as client:
        with pytest.raises(errors.NotFound, match=r"Latest\(other\)"):
            client.translate(["a"])
        with pytest.raises(errors.NotFound, match="any versions of model other"):
            client.status()
    with Client(server.address, "shout", version=9) as client:
        with pytest.raises(errors.NotFound, match=r"Specific\(shout, 9\)"):
            client.translate(["a"])
        with pytest.raises(errors.NotFound, match="version 9 of model shout"):
            client.status()


def test_client_of_one_version(server):
    with Client(server.address, "shout", version=1) as client:
        assert client.translate(["version"])[0][0].text == "1"
        assert [one.state for one in client.status()] == ["AVAILABLE"]


def test_missing_server_is_unavailable():
    address = f"127.0.0.1:{free_port()}"
    with Client(address, "shout") as client:
        start = time.monotonic()
        prefix = re.escape(f"{address}: model 'shout' cannot be reached now: ")
        with pytest.raises(errors.Unavailable, match=f"{prefix}.*Connection refused"):
            client.translate(["a"])
        assert time.monotonic() - start < 10
        with pytest.raises(ConnectionError):
            client.status()


def test_timeout_ends_a_call(client):
    start = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded) as caught:
        client.predict("slow", {"steps": [2**30]}, timeout=0.5)
    assert time.monotonic() - start < 10
    assert isinstance(caught.value, TimeoutError)


def test_timeout_ends_the_run_on_the_server(server):
    """A run that continued would block the next calls for minutes."""
    with Client(server.address, "shout") as client:
        for _ in range(3):
            with pytest.raises(errors.DeadlineExceeded):
                client.predict("slow", {"steps": [2**30]}, timeout=0.3)
        assert client.predict("slow", {"steps": [10]}, timeout=20)["steps"].tolist() == [10]


def test_status_and_metadata(client):
    (version,) = client.status()
    assert (version.version, version.state, version.error_code) == (1, "AVAILABLE", 0)
    metadata = client.metadata()
    assert (metadata.model, metadata.version) == ("shout", 1)
    translate = metadata.signatures["translate"]
    assert translate.inputs["text"].dtype == "string"
    assert translate.inputs["beam_size"].shape == (None,)
    assert translate.outputs["alignment"].shape == (None, None, None, None)
    assert translate.defaults["beam_size"].tolist() == [5]
    assert "text" not in translate.defaults


def test_wait_until_ready(client, server):
    assert client.wait_until_ready(5) == 1
    with (
        Client(server.address, "other") as client,
        pytest.raises(
            errors.DeadlineExceeded, match="not ready after 0.3 s: Could not find any"
        ) as e,
    ):
        client.wait_until_ready(0.3)
    assert isinstance(e.value.__cause__, errors.NotFound)
    with (
        Client(f"localhost:{free_port()}", "m") as client,
        pytest.raises(errors.DeadlineExceeded, match="not ready after 0.3 s: .*refused"),
    ):
        client.wait_until_ready(0.3)


def test_client_does_not_import_tensorflow(server):
    code = (
        "import sys\n"
        "from keras_s2s.serving import Client, RowError, ServingError\n"
        f"with Client({server.address!r}, 'shout') as client:\n"
        "    client.wait_until_ready()\n"
        "    print(client.translate(['é version'])[0][0].text)\n"
        "    client.metadata()\n"
        "print([name for name in sys.modules\n"
        "       if name.split('.')[0] in ('tensorflow', 'tensorflow_serving', 'keras')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], capture_output=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines() == ["é 1", "[]"]


def test_public_names_of_the_package():
    assert keras_s2s.serving.__all__ == sorted(keras_s2s.serving._LAZY)
    assert set(keras_s2s.serving.__all__) <= set(dir(keras_s2s.serving))
    assert keras_s2s.serving.Client is Client
    with pytest.raises(AttributeError, match="has no attribute 'Clients'"):
        keras_s2s.serving.Clients  # noqa: B018
