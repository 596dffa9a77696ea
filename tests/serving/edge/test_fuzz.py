"""Random requests to a LiteRT file, its translator and its server: answered or rejected."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_s2s.serving import Client, EdgeTranslator, Server, ServingError
from keras_s2s.signatures.fields import SCORE, SERVING_DEFAULT, TRANSLATE
from tests.serving.edge.fuzz_texts import values

ROOT = Path(__file__).resolve().parents[3]
SIGNATURES = (SERVING_DEFAULT, TRANSLATE, SCORE)
DTYPES = ("int32", "int64", "float32", "float64", "bool", "uint8", "string")
TEXTS = (b"", b"a b", b"\xff\xfe", b"a\0b", b"\n\n", "\U0001f600".encode(), b"zz " * 40)


@pytest.fixture(scope="module")
def path(copying_file):
    return copying_file[1] / "model.tflite"


@pytest.mark.parametrize("seed", [1, 2])
def test_process_survives_random_inputs(path, seed):
    command = [sys.executable, "-m", "tests.serving.edge.fuzz_texts", path, str(seed), "150"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr.splitlines()[-1:]
    num_answered, num_rejected = map(int, done.stdout.split())
    assert num_answered + num_rejected == 150
    assert min(num_answered, num_rejected) > 20


def test_random_texts_are_answered(path):
    edge, generator = EdgeTranslator(path), np.random.default_rng(3)
    codes = [*range(0xD800), *range(0xE000, 0x110000)]
    texts = ["".join(map(chr, generator.choice(codes, size))) for size in (1, 3, 9, 200)]
    texts += [generator.bytes(size).decode("latin-1") for size in (1, 30)]
    raw = np.array([generator.bytes(size) for size in (1, 2, 5, 40)], np.object_)
    for beam in (1, 4):
        assert len(edge.translate(texts, beam_size=beam)) == len(texts)
    assert len(edge.predict("translate", {"text": raw})["text"]) == len(raw)
    assert len(edge.predict("score", {"text": raw, "target": raw[::-1].copy()})["error"]) == 4


def random_array(generator, field):
    """A small array for an input, of its type or another, of any rank."""
    is_right_type = generator.random() < 0.8
    dtype = field.dtype if is_right_type else DTYPES[generator.integers(len(DTYPES))]
    shape = [2] if generator.random() < 0.7 else generator.integers(0, 4, generator.integers(4))
    if dtype != "string":
        return values(generator, dtype, shape)
    texts = np.empty(shape, np.object_)
    texts.reshape(-1)[:] = [TEXTS[i] for i in generator.integers(0, len(TEXTS), texts.size)]
    return texts


def test_server_survives_random_requests(path):
    generator, counts = np.random.default_rng(4), {"answered": 0, "rejected": 0}
    server = Server("edge", path.parents[1], 0, host="127.0.0.1", prefer_tflite_model=True)
    with server, Client(server.address, "edge", timeout=60) as client:
        for _ in range(150):
            signature = SIGNATURES[generator.integers(len(SIGNATURES))]
            options = [field for field in signature.inputs if field.name != "text"]
            chosen = [field for field in options if generator.random() < 2 / len(options)]
            inputs = {field.name: random_array(generator, field) for field in chosen}
            text = next(field for field in signature.inputs if field.name == "text")
            inputs = {"text": random_array(generator, text)} | inputs
            try:
                outputs = client.predict(signature.name, inputs)
                assert all(np.all(np.isfinite(x)) for x in outputs.values() if x.dtype.kind == "f")
                counts["answered"] += 1
            except ServingError as error:
                assert type(error).__name__ == "InvalidArgument"
                counts["rejected"] += 1
        assert client.predict("serving_default", {"text": ["a b"]})["text"].shape == (1,)
    assert min(counts.values()) > 20
