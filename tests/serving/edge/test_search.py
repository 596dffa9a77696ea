"""Step-by-step search on the edge: signature names of today's files and of the first edition's."""

import numpy as np
import pytest

from keras_s2s.serving.edge.requests import RequestRow, RequestSource
from keras_s2s.serving.edge.search import FORMER_NAMES, decode_rows

OPTIONS = {
    "beam_size": 2,
    "num_hypotheses": 1,
    "length_penalty": 0.6,
    "length_offset": 5.0,
    "min_length": 0,
    "max_length": 4,
    "coverage_penalty": 0.0,
    "no_repeat_ngram": 2,
    "repetition_penalty": 1.0,
    "beam_groups": 1,
    "diversity_penalty": 0.0,
    "alternatives_at": -1,
}
STEPS = 3


class FakeFile:
    """A file of one row and two slots whose search is done after `STEPS` steps."""

    deadline = None

    def __init__(self, names):
        self.names, self.calls = names, []
        own = [names["initial_constrained_state"], names["advance_constrained"]]
        self.description = {
            "signatures": dict.fromkeys(["encode", "step", "advance", "trace", *own])
        }

    def run(self, signature, **inputs):
        self.calls.append(signature)
        return getattr(self, f"_{self._today(signature)}")(**inputs)

    def _today(self, name):
        return {own: today for today, own in self.names.items()}.get(name, name)

    def _beam(self, done):
        return {"beam_ids": np.zeros([1, 2], np.int32), "beam_done": np.array([done])} | {
            "beam_ended": np.full([1, 2, 5], len(self.calls), np.float32)
        }

    def _encode(self, **inputs):
        return self._beam(False) | {"state_0": np.arange(2)[None], "context_0": np.zeros([1, 1])}

    def _step(self, position, state_0, **inputs):
        alignment = np.full([1, 2, 3], position[0], np.float32)
        return {"logits": np.zeros([1, 2, 7]), "alignment": alignment, "state_0": state_0 + 10}

    def _initial_constrained_state(self, **inputs):
        assert {"constraints", "prefix", "lengths", "logits"} <= {*inputs}
        return {"history": np.zeros([1, 2, 1], np.int32)}

    def _advance_constrained(self, history, position, **inputs):
        assert history.shape[2] == position[0] + 1
        record = np.full([1, 2, 4], position[0], np.float32)
        return self._beam(position[0] == STEPS - 1) | {
            "history": np.pad(history, [[0, 0], [0, 0], [0, 1]]),
            "parents": np.array([[1, 0]], np.int32),
            self.names["step_record"]: record,
        }

    def _trace(self, beam_ended, num_hypotheses, **inputs):
        assert {*inputs} == {self.names["step_records"], self.names["attention_history"]}
        self.history = inputs
        return {"score": np.zeros([1, 1]), "ids": np.ones([1, 1, 2], np.int32)}


@pytest.mark.parametrize(
    "names", [{name: name for name in FORMER_NAMES}, FORMER_NAMES], ids=["today", "former"]
)
def test_a_constrained_search_uses_the_names_of_the_file(names):
    file, source = FakeFile(names), RequestSource(["a"], [5, 3], [5, 3], 1, "")
    (row,) = decode_rows(file, [(source, RequestRow(dict(OPTIONS), "", constraints=[[5]]))])
    advance = names["advance_constrained"]
    assert file.calls == [
        *("encode", "step", names["initial_constrained_state"], advance),
        *("step", advance) * (STEPS - 1),
        "trace",
    ]
    records = file.history[names["step_records"]]
    attention = file.history[names["attention_history"]]
    assert records[:, 0, 0, 0].tolist() == attention[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert row["ids"].tolist() == [[1, 1]]
