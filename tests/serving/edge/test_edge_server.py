"""The server of a `model.tflite`: the same client, checks and errors, without TensorFlow."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from keras_s2s.serving import Client, RowError, Server, StartError, errors
from keras_s2s.serving.server.edge_model import EdgeModel
from keras_s2s.serving.server.status import StatusError
from keras_s2s.signatures.fields import SCORE, SERVING_DEFAULT, TRANSLATE

ROOT = Path(__file__).resolve().parents[3]
TEXTS = ["a b c", "", "c zz", "i h g f e d", "zz yy", "b"]


@pytest.fixture(scope="module")
def translator(copying_file):
    return copying_file[0]


@pytest.fixture(scope="module")
def version_path(copying_file):
    return copying_file[1]


@pytest.fixture(scope="module")
def server(version_path):
    with serving(version_path.parent) as server:
        yield server


def serving(path):
    return Server("edge", path, 0, host="127.0.0.1", poll_seconds=0.05, prefer_tflite_model=True)


@pytest.fixture
def client(server):
    with Client(server.address, "edge", timeout=60) as client:
        yield client


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam_size": 4, "num_hypotheses": [1, 3, 2, 4, 1, 1], "length_penalty": 0.0},
        {"prefix_tokens": ["a", "b"], "no_repeat_ngram": 2, "min_length": 5},
        {"constraints": ["c", "d e"], "repetition_penalty": 2.0, "beam_size": 4},
        {"disallowed": [["a"], [], ["b", "c d"], [], ["g"], []], "replace_unknown": True},
    ],
    ids=["defaults", "beam", "prefix", "constraints", "disallowed"],
)
def test_client_and_translator_agree(client, translator, options):
    rows, expected = client.translate(TEXTS, **options), translator.decode(TEXTS, **options)
    assert [len(row) for row in rows] == [len(row) for row in expected]
    for one, other in zip(sum(rows, []), sum(expected, [])):
        for name in ("text", "tokens", "source_tokens", "finished"):
            assert getattr(one, name) == getattr(other, name)
        for name in ("score", "log_prob", "token_log_probs", "alignment"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-4)


def test_scores_and_serving_default_agree(client, translator):
    targets = ["a", "", "zz c", "g", "yy", "b c"]
    for one, other in zip(client.score(TEXTS, targets), translator.score(TEXTS, targets)):
        assert (one.tokens, one.words) == (other.tokens, other.words)
        np.testing.assert_allclose(one.token_log_probs, other.token_log_probs, atol=1e-4)
    outputs = client.predict("serving_default", {"text": TEXTS})
    assert outputs["text"].tolist() == translator.translate(TEXTS)
    assert outputs["score"].dtype == np.float32


def test_error_rejects_only_its_row(client, translator):
    texts, beams = ["a", "b " * 1100, "c", "d"], [1, 1, 99, 2]
    _, expected = translator.decode(texts, beam_size=beams, errors="return")
    with pytest.raises(RowError) as caught:
        client.translate(texts, beam_size=beams)
    assert caught.value.errors == expected
    assert list(expected) == [1, 2]
    assert [len(row) for row in caught.value.results] == [1, 0, 0, 1]
    both = client.predict("score", {"text": ["a"], "target": ["a"], "target_tokens": ["a"]})
    assert both["error"].tolist() == ["target: expected none beside target_tokens"]


def test_empty_batch_is_answered(client):
    outputs = client.predict("translate", {"text": np.zeros(0, object)})
    assert {name: len(value) for name, value in outputs.items()} == dict.fromkeys(
        TRANSLATE.output_names(), 0
    )


def vector(value, dtype=None):
    return np.array([value], dtype)


INVALID_REQUESTS = [
    ("sample", {}, errors.FailedPrecondition, 'Serving signature key "sample" not found.'),
    ("attention", {}, errors.FailedPrecondition, 'Serving signature key "attention" not found.'),
    (
        "translate",
        {"text": vector(b"a", object)[None]},
        errors.InvalidArgument,
        "text: expected a vector, got the shape [1, 1]",
    ),
    (
        "translate",
        {"text": np.array(b"a", object)},
        errors.InvalidArgument,
        "text: expected a vector, got the shape []",
    ),
    (
        "serving_default",
        {"text": vector(1.0, np.float32)},
        errors.InvalidArgument,
        "Expects arg[0] to be string but float is provided",
    ),
    (
        "translate",
        {"beam_size": vector(2, np.int64)},
        errors.InvalidArgument,
        "Expects arg[2] to be int32 but int64 is provided",
    ),
    (
        "translate",
        {"beam_size": vector(2)[[0, 0]].astype(np.int32)},
        errors.InvalidArgument,
        "beam_size: expected one value or one for each of 1 rows, got the shape [2]",
    ),
    (
        "translate",
        {"beam_size": vector(2, np.int32)[None]},
        errors.InvalidArgument,
        "beam_size: expected one value or one for each of 1 rows, got the shape [1, 1]",
    ),
    (
        "translate",
        {"beam": vector(2, np.int32)},
        errors.InvalidArgument,
        "Inputs contains invalid name. Used request inputs: text, request input: beam,text",
    ),
    ("score", {"other": vector(2)}, errors.InvalidArgument, "Inputs contains invalid name."),
]


@pytest.mark.parametrize(
    "signature, inputs, error_class, message", INVALID_REQUESTS, ids=lambda x: str(x)[:40]
)
def test_invalid_request_is_rejected(client, signature, inputs, error_class, message):
    with pytest.raises(error_class) as caught:
        client.predict(signature, {"text": ["a"]} | inputs)
    assert caught.value.details.startswith(message)


def test_options_may_be_scalars_or_vectors_of_one(client):
    for count in (np.int32(2), vector(2, np.int32), vector(2, np.int32)[[0, 0, 0]]):
        outputs = client.predict("translate", {"text": ["a", "b", "c"], "num_hypotheses": count})
        assert outputs["text"].shape == (3, 2)


def test_metadata_and_status(client, translator):
    signatures = client.metadata().signatures
    assert signatures.keys() == {"serving_default", "translate", "score"}
    for signature in (SERVING_DEFAULT, TRANSLATE, SCORE):
        served = signatures[signature.name]
        for fields, infos in (
            (signature.inputs, served.inputs),
            (signature.outputs, served.outputs),
        ):
            assert {f.name: (f.dtype, len(f.shape)) for f in fields} == {
                name: (info.dtype, len(info.shape)) for name, info in infos.items()
            }
    served_defaults = {
        name: value.tolist() for name, value in signatures["translate"].defaults.items()
    }
    defaults = translator.defaults()
    assert served_defaults.keys() == TRANSLATE.options().keys()
    assert served_defaults == {name: pytest.approx([defaults[name]]) for name in served_defaults}
    assert [(one.version, one.state) for one in client.status()] == [(1, "AVAILABLE")]


def test_concurrent_calls_get_their_own_results(server, translator):
    texts = [" ".join("abcdefghi"[: 1 + i % 9]) for i in range(36)]
    expected = translator.translate(texts, beam_size=2)

    def translate(text):
        with Client(server.address, "edge", timeout=60) as client:
            return client.translate([text], beam_size=2)[0][0].text

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(translate, texts)) == expected


def test_search_ends_at_the_deadline(version_path, server):
    model = EdgeModel(version_path)
    feeds = {"serving_default_text:0": np.array([b"a b c d e"] * 20_000, object)}
    start = time.monotonic()
    with pytest.raises(StatusError, match="Timed out waiting for notification") as caught:
        model.run(feeds, ["serving_default/text"], timeout=1)
    assert caught.value.code == 4
    assert time.monotonic() - start < 20  # all rows would take minutes
    with Client(server.address, "edge") as client:
        texts = ["a b c d e"] * 20_000
        with pytest.raises(errors.DeadlineExceeded):
            client.translate(texts, timeout=1)
        assert client.translate(["a"], timeout=30)


def test_search_stops_between_steps(version_path):
    from keras_s2s.serving.edge.translator import EdgeTranslator

    edge = EdgeTranslator(version_path / "model.tflite")
    edge.decode(["a"])  # the first call creates the signature runners
    calls = []
    run = edge._file.run_within

    def run_slowly(seconds, signature, inputs):
        calls.append(signature)
        time.sleep(1.0)
        return run(seconds, signature, inputs)

    edge._file.run_within = run_slowly
    with pytest.raises(TimeoutError):
        edge.decode(["a b c d e"], timeout=3.4, min_length=8)
    assert calls[:2] == ["encode", "step"]
    assert len(calls) <= 4


def test_wait_for_an_interpreter_ends_at_the_deadline(version_path):
    from keras_s2s.serving.edge.translator import EdgeTranslator

    edge = EdgeTranslator(version_path / "model.tflite")
    with edge._file._interpreters.borrow(), pytest.raises(TimeoutError):
        edge.decode(["a"], timeout=0.2)
    assert edge.translate(["a"])


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def publish(path, number, content):
    """Writes a version and renames it into place, as exports do."""
    unfinished = path / f".{number}"
    unfinished.mkdir()
    (unfinished / "model.tflite").write_bytes(content)
    unfinished.rename(path / str(number))


def test_valid_version_takes_over_and_damaged_one_does_not(version_path, tmp_path):
    content = (version_path / "model.tflite").read_bytes()
    publish(tmp_path, 1, content)
    with serving(tmp_path) as server, Client(server.address, "edge", timeout=60) as client:
        stop, failures = threading.Event(), []

        def call_repeatedly():
            while not stop.is_set():
                try:
                    client.translate(["a b"])
                except Exception as error:
                    failures.append(error)

        caller = threading.Thread(target=call_repeatedly)
        caller.start()
        publish(tmp_path, 2, content[: len(content) // 2])
        wait_for(lambda: client.status()[0].version == 2 and client.status()[0].error_code)
        broken, old = client.status()
        assert "expected a LiteRT file, got a damaged one" in broken.error_message
        assert (broken.state, old.state) == ("LOADING", "AVAILABLE")
        publish(tmp_path, 3, content)
        wait_for(lambda: client.status()[0].state == "AVAILABLE")
        wait_for(lambda: client.status()[2].state == "END")
        assert client.metadata().version == 3
        stop.set()
        caller.join()
        assert not failures


def test_version_without_the_file_is_served_by_its_saved_model(base_path, version_path):
    with serving(base_path) as server, Client(server.address, "edge", timeout=60) as client:
        assert client.translate(["a version"])[0][0].text == "A 1"
    with pytest.raises(StartError, match=r"\(prefer_tflite_model would serve its model.tflite\)"):
        Server("edge", version_path.parent, 0).start()


SERVE = """
import sys
class ImportBlocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "tensorflow_text", "tensorflow_serving"):
            raise ImportError(name)
sys.meta_path.insert(0, ImportBlocker())
from keras_s2s import cli
words = ["--model_name=edge", "--prefer_tflite_model", "--port=0"]
sys.exit(cli.main(["serve", *words, "--model_base_path", sys.argv[1]]))
"""


def test_process_without_tensorflow_serves_and_ends(version_path, translator):
    command = [sys.executable, "-c", SERVE, version_path.parent]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            words = process.stdout.readline().split()
            assert words[:5] == ["serving", "edge", "version", "1", "at"]
            with Client(words[5], "edge", timeout=60) as client:
                rows = client.translate(TEXTS, beam_size=2)
                assert [row[0].text for row in rows] == translator.translate(TEXTS, beam_size=2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
