"""A file as LiteRT's compiled model: weights packed once, one model called again and again."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_s2s.serving import EdgeTranslator
from tests.serving.edge.test_examples import END, made

__all__ = ["made"]  # a fixture

PAGE = Path(__file__).resolve().parents[3] / "docs" / "edge.md"
TEXTS = ["a b c", "i", "b a d c f e h g i a", "a b c"]
ASK = """
import json, sys
import numpy as np
from ai_edge_litert.tensor_buffer import TensorBuffer

rows, most = json.loads(sys.argv[1]), 100
index = model.get_signature_index("translate_ids")
names = model.get_signature_by_index(index)
kinds = {"ids": np.int32, "lengths": np.int32, "score": np.float32}
options = {"beam_size": 4, "num_hypotheses": 1, "min_length": 0, "max_length": most}
options |= {"length_penalty": np.float32(0.6), "length_offset": np.float32(5)}
for ids in rows:
    given = {"ids": [ids], "lengths": [len(ids)]} | {k: [v] for k, v in options.items()}
    given = {k: np.array(v, getattr(v[0], "dtype", np.int32)) for k, v in given.items()}
    for name in names["inputs"]:
        model.resize_input_tensor_by_name("translate_ids", name, list(given[name].shape))
    taken = model.create_input_buffers(index)
    for name, buffer in zip(names["inputs"], taken):
        buffer.write(given[name])
    room = (most + 1) * len(ids)
    outputs = {name: TensorBuffer.create_from_host_memory(np.full(room, -1, kinds.get(name, "f")))
               for name in names["outputs"]}
    model.run_by_index(index, taken, list(outputs.values()))
    found = {name: outputs[name].read(room, kind) for name, kind in kinds.items()}
    length = int(found["lengths"][0])
    print("FOUND", json.dumps([found["ids"][:length].tolist(), float(found["score"][0])]))
"""


def test_weights_are_packed_into_a_file_and_calls_follow_each_other(made, tmp_path):
    translator, path = made
    (snippet,) = re.findall(
        r"```python\n(from ai_edge_litert.compiled.*?)```", PAGE.read_text(), re.DOTALL
    )
    (tmp_path / "model.tflite").write_bytes(path.read_bytes())
    names = translator.source_tokenizer.vocabulary
    rows = [[*map(names.index, text.split()), END] for text in TEXTS]
    expected = EdgeTranslator(path).decode(TEXTS)
    for _ in range(2):  # the second process maps what the first one packed
        command = [sys.executable, "-c", snippet + ASK, json.dumps(rows)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        lines = [line.split(" ", 1)[1] for line in done.stdout.splitlines() if "FOUND" in line]
        for line, (best,) in zip(lines, expected, strict=True):
            ids, score = json.loads(line)
            assert [translator.target_tokenizer.vocabulary[one] for one in ids] == best.tokens
            assert score == pytest.approx(best.score, abs=1e-4)
        assert (tmp_path / "model.packed").stat().st_size > 0
