"""Search for rows of an edge request by the signatures of a LiteRT file.

Plain beam search is one call. A search with constraints, with a deadline or with partial results
runs the same search one step at a time: all decisions are made by the file, the host only passes
tensors on.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_s2s.serving.edge.requests import needs_constraints

__all__ = ["decode_rows"]

BEAM_OPTIONS = {
    "beam_size": np.int32,
    "num_hypotheses": np.int32,
    "length_penalty": np.float32,
    "length_offset": np.float32,
    "min_length": np.int32,
    "max_length": np.int32,
}
CONSTRAINT_OPTIONS = {
    "coverage_penalty": np.float32,
    "no_repeat_ngram": np.int32,
    "repetition_penalty": np.float32,
    "beam_groups": np.int32,
    "diversity_penalty": np.float32,
    "alternatives_at": np.int32,
}
# Names of signatures, inputs and outputs in files of the first edition, by today's names.
FORMER_NAMES = {
    "initial_constrained_state": "wish",
    "advance_constrained": "advance_wishes",
    "step_record": "packed",
    "step_records": "steps",
    "attention_history": "looks",
}


def decode_rows(file: Any, rows: list[tuple], follow: bool = False) -> list[dict] | Iterator[tuple]:
    """Searches for the best targets of rows.

    Args:
        file: `EdgeFile`, with or without a deadline. A search in one call cannot be stopped, so one
            with a deadline runs step by step.
        rows: pairs of `Source` and `Row`, at least one.
        follow: whether to return partial results, for one row.

    Returns:
        For each row a dict of arrays [K, ...], named as the outputs of the signature
        `translate_ids`. With `follow` an iterator of pairs: such a dict after each step, and
        whether it is the last.
    """
    sources, requests = zip(*rows)
    inputs = {
        "ids": _pad([source.ids for source in sources]),
        "copy_ids": _pad([source.copy_ids for source in sources]),
        "lengths": np.array([len(source.ids) for source in sources], np.int32),
    }
    options = _columns(requests, BEAM_OPTIONS)
    constraints = _constraints(requests) if any(map(needs_constraints, requests)) else None
    if follow:
        return _partial_results(file, inputs, options, constraints)
    if constraints is None and file.deadline is None:
        return _split_rows(file.run("translate_ids", **inputs, **options))
    *_, last = _search_steps(file, inputs, options, constraints)
    return _split_rows(last.trace())


def _partial_results(file, inputs, options, constraints):
    for search in _search_steps(file, inputs, options, constraints):
        if search.done:
            yield _split_rows(search.trace())[0], True
        else:
            yield search.best_live(), False


def _search_steps(file, inputs, options, constraints):
    """Runs a search step by step; yields a `_Search` after each step."""
    names = _names(file)
    encoded = file.run("encode", **inputs, beam_size=options["beam_size"])
    context, state, beam = (_with_prefix(encoded, x) for x in ("context_", "state_", "beam_"))
    carry, records, attention = None, [], []
    while not (records and beam["beam_done"].all()):
        position = np.array([len(records)], np.int32)
        step = file.run("step", beam_ids=beam["beam_ids"], position=position, **context, **state)
        scores = {"logits": step["logits"], "alignment": step["alignment"], **options}
        if constraints is None:
            advanced = file.run("advance", **scores, **beam, position=position)
        else:
            scores |= constraints | {"lengths": inputs["lengths"]}
            carry = carry or file.run(names["initial_constrained_state"], **scores)
            advance = names["advance_constrained"]
            advanced = file.run(advance, **scores, **beam, **carry, position=position)
            carry = {name: advanced[name] for name in carry}
        beam, parents = _with_prefix(advanced, "beam_"), advanced["parents"]
        state = {name: _reorder(x, parents) for name, x in _with_prefix(step, "state_").items()}
        records = [*records, advanced[names["step_record"]]]
        attention = [*attention, step["alignment"]]
        yield _Search(file, names, beam, records, attention, options)


def _names(file):
    """The names that a file has for `FORMER_NAMES`."""
    if "wish" in file.description["signatures"]:
        return FORMER_NAMES
    return {name: name for name in FORMER_NAMES}


class _Search:
    """The state of a search after a step: its beam, and the records and attention of all steps."""

    def __init__(self, file, names, beam, records, attention, options):
        self._file, self._names, self._beam, self._options = file, names, beam, options
        self._records, self._attention = records, attention
        self.done = bool(beam["beam_done"].all())

    def trace(self):
        """Returns the result of all rows."""
        history = {
            self._names["step_records"]: np.stack(self._records),
            self._names["attention_history"]: np.stack(self._attention),
        }
        return self._file.run(
            "trace",
            beam_ended=self._beam["beam_ended"],
            num_hypotheses=self._options["num_hypotheses"],
            **history,
        )

    def best_live(self):
        """Returns the best live hypothesis of a single row as its result, without an end."""
        tokens, _, _, sums = np.stack(self._records)[:, 0, 0].T
        return {
            "ids": tokens.astype(np.int32)[None],
            "lengths": np.array([len(tokens)]),
            "score": sums[-1:],
            "log_prob": sums[-1:],
            "token_log_probs": np.diff(sums, prepend=np.float32(0))[None],
            "finished": np.array([False]),
            "alignment": np.stack(self._attention)[:, 0, :1].swapaxes(0, 1),
        }


def _with_prefix(tensors, prefix):
    return {name: value for name, value in tensors.items() if name.startswith(prefix)}


def _reorder(leaf, parents):
    """Gathers a leaf of the state [B, K, ...] by the parent of each slot."""
    return np.take_along_axis(leaf, parents.reshape(parents.shape + (1,) * (leaf.ndim - 2)), 1)


def _columns(rows, dtypes):
    return {
        name: np.array([row.options[name] for row in rows], dtype) for name, dtype in dtypes.items()
    }


def _constraints(rows):
    lists = {name: [getattr(row, name) for row in rows] for name in ("constraints", "disallowed")}
    return _columns(rows, CONSTRAINT_OPTIONS) | {
        "prefix": _pad([row.prefix for row in rows]),
        "prefix_length": np.array([len(row.prefix) for row in rows], np.int32),
        **{name: _pad_lists(column) for name, column in lists.items()},
    }


def _pad(rows, width=1):
    """Lists of ids as int32 [B, N], padded with 0, N of 1 at least."""
    width = max([width, *map(len, rows)])
    return np.array([[*row, *[0] * (width - len(row))] for row in rows], np.int32)


def _pad_lists(rows):
    """Lists of lists of ids as int32 [B, N, L]."""
    count = max([1, *map(len, rows)])
    longest = max([1, *(len(ids) for row in rows for ids in row)])
    return np.stack([_pad([*row, *[[]] * (count - len(row))], longest) for row in rows])


def _split_rows(outputs):
    rows = len(outputs["score"])
    return [{name: value[i] for name, value in outputs.items()} for i in range(rows)]
