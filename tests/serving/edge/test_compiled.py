"""A LiteRT file as a compiled model: weights packed once, one model for many calls."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_s2s.serving import EdgeTranslator
from tests.serving.edge.test_examples import END, model_file

__all__ = ["model_file"]  # a fixture

PAGE = Path(__file__).resolve().parents[3] / "docs" / "edge.md"
TEXTS = ["a b c", "i", "b a d c f e h g i a", "a b c"]
TRANSLATE = """
import json, sys
import numpy as np
from ai_edge_litert.tensor_buffer import TensorBuffer

rows, max_length = json.loads(sys.argv[1]), 100
index = model.get_signature_index("translate_ids")
names = model.get_signature_by_index(index)
dtypes = {"ids": np.int32, "lengths": np.int32, "score": np.float32}
options = {"beam_size": 4, "num_hypotheses": 1, "min_length": 0, "max_length": max_length}
options |= {"length_penalty": np.float32(0.6), "length_offset": np.float32(5)}
for ids in rows:
    inputs = {"ids": [ids], "lengths": [len(ids)]} | {k: [v] for k, v in options.items()}
    inputs = {k: np.array(v, getattr(v[0], "dtype", np.int32)) for k, v in inputs.items()}
    for name in names["inputs"]:
        model.resize_input_tensor_by_name("translate_ids", name, list(inputs[name].shape))
    buffers = model.create_input_buffers(index)
    for name, buffer in zip(names["inputs"], buffers):
        buffer.write(inputs[name])
    size = (max_length + 1) * len(ids)
    outputs = {name: TensorBuffer.create_from_host_memory(np.full(size, -1, dtypes.get(name, "f")))
               for name in names["outputs"]}
    model.run_by_index(index, buffers, list(outputs.values()))
    arrays = {name: outputs[name].read(size, dtype) for name, dtype in dtypes.items()}
    length = int(arrays["lengths"][0])
    print("RESULT", json.dumps([arrays["ids"][:length].tolist(), float(arrays["score"][0])]))
"""


def test_weights_are_packed_once_and_calls_repeat(model_file, tmp_path):
    translator, path = model_file
    (snippet,) = re.findall(
        r"```python\n(from ai_edge_litert.compiled.*?)```", PAGE.read_text(), re.DOTALL
    )
    (tmp_path / "model.tflite").write_bytes(path.read_bytes())
    names = translator.source_tokenizer.vocabulary
    rows = [[*map(names.index, text.split()), END] for text in TEXTS]
    expected = EdgeTranslator(path).decode(TEXTS)
    for _ in range(2):  # the second process maps the packed weights of the first
        command = [sys.executable, "-c", snippet + TRANSLATE, json.dumps(rows)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        lines = [line.split(" ", 1)[1] for line in done.stdout.splitlines() if "RESULT" in line]
        for line, (best,) in zip(lines, expected, strict=True):
            ids, score = json.loads(line)
            assert [
                translator.target_tokenizer.vocabulary[token_id] for token_id in ids
            ] == best.tokens
            assert score == pytest.approx(best.score, abs=1e-4)
        assert (tmp_path / "model.packed").stat().st_size > 0
