"""Rows of an edge request through the signatures of its file.

A plain search is one call. One with special wishes, or one that is watched, is the same search a
step at a time: all that decides is in the file, the host only hands it on.
"""

import numpy as np

from keras_s2s.serving.edge.requests import needs_constraints

__all__ = ["decode_rows"]

PLAIN = {
    "beam_size": np.int32,
    "num_hypotheses": np.int32,
    "length_penalty": np.float32,
    "length_offset": np.float32,
    "min_length": np.int32,
    "max_length": np.int32,
}
WISHES = {
    "coverage_penalty": np.float32,
    "no_repeat_ngram": np.int32,
    "repetition_penalty": np.float32,
    "beam_groups": np.int32,
    "diversity_penalty": np.float32,
    "alternatives_at": np.int32,
}


def decode_rows(file, rows, follow=False):
    """Searches for rows of (`Source`, `Row`).

    Args:
        file: `EdgeFile`, with a deadline or without: a search that is whole in the graph cannot be
            stopped, so one with a deadline goes by steps.
        rows: at least one.
        follow: gives an iterator of (the answer so far of the only row, whether it is the last).

    Returns:
        For each row a dict of arrays, as the signature `translate_ids` names them, [K, ...].
    """
    sources = [source for source, _ in rows]
    read = {
        "ids": _padded([source.ids for source in sources]),
        "copy_ids": _padded([source.copy_ids for source in sources]),
        "lengths": np.array([len(source.ids) for source in sources], np.int32),
    }
    asked = [row for _, row in rows]
    options = _columns(asked, PLAIN)
    wishes = _wishes(asked) if any(map(needs_constraints, asked)) else None
    if follow:
        return _follow(file, read, options, wishes)
    if wishes is None and file.deadline is None:
        return _split(file.run("translate_ids", **read, **options))
    *_, last = _steps(file, read, options, wishes)
    return _split(last.trace())


def _follow(file, read, options, wishes):
    for current in _steps(file, read, options, wishes):
        if current.done:
            yield _split(current.trace())[0], True
        else:
            yield current.alive(), False


def _steps(file, read, options, wishes):
    """What there is after each step, a `_Steps`."""
    begun = file.run("encode", **read, beam_size=options["beam_size"])
    kinds = {kind: _named(begun, kind) for kind in ("context_", "state_", "beam_")}
    context, state, beam = kinds.values()
    memory, packed, looks = None, [], []
    while not (packed and beam["beam_done"].all()):
        position = np.array([len(packed)], np.int32)
        seen = file.run("step", beam_ids=beam["beam_ids"], position=position, **context, **state)
        given = {"logits": seen["logits"], "alignment": seen["alignment"], **options}
        if wishes is None:
            found = file.run("advance", **given, **beam, position=position)
        else:
            given |= wishes | {"lengths": read["lengths"]}
            memory = memory or file.run("wish", **given)
            found = file.run("advance_wishes", **given, **beam, **memory, position=position)
            memory = {name: found[name] for name in memory}
        beam, parents = _named(found, "beam_"), found["parents"]
        state = {name: _chosen(x, parents) for name, x in _named(seen, "state_").items()}
        packed, looks = [*packed, found["packed"]], [*looks, seen["alignment"]]
        yield _Steps(file, beam, packed, looks, options)


class _Steps:
    """A search so far: its beam, and what each step noted."""

    def __init__(self, file, beam, packed, looks, options):
        self._file, self._beam, self._options = file, beam, options
        self._packed, self._looks = packed, looks
        self.done = bool(beam["beam_done"].all())

    def trace(self):
        """The answer of all rows."""
        return self._file.run(
            "trace",
            beam_ended=self._beam["beam_ended"],
            steps=np.stack(self._packed),
            looks=np.stack(self._looks),
            num_hypotheses=self._options["num_hypotheses"],
        )

    def alive(self):
        """The answer of the only row if it ended here: its one hypothesis, without an end."""
        tokens, _, _, sums = np.stack(self._packed)[:, 0, 0].T
        return {
            "ids": tokens.astype(np.int32)[None],
            "lengths": np.array([len(tokens)]),
            "score": sums[-1:],
            "log_prob": sums[-1:],
            "token_log_probs": np.diff(sums, prepend=np.float32(0))[None],
            "finished": np.array([False]),
            "alignment": np.stack(self._looks)[:, 0, :1].swapaxes(0, 1),
        }


def _named(given, beginning):
    return {name: value for name, value in given.items() if name.startswith(beginning)}


def _chosen(leaf, parents):
    """A leaf [B, K, ...] of the state with each slot's parent's in its place."""
    return np.take_along_axis(leaf, parents.reshape(parents.shape + (1,) * (leaf.ndim - 2)), 1)


def _columns(rows, kinds):
    return {
        name: np.array([row.options[name] for row in rows], kind) for name, kind in kinds.items()
    }


def _wishes(rows):
    lists = {name: [getattr(row, name) for row in rows] for name in ("constraints", "disallowed")}
    return _columns(rows, WISHES) | {
        "prefix": _padded([row.prefix for row in rows]),
        "prefix_length": np.array([len(row.prefix) for row in rows], np.int32),
        **{name: _padded_twice(column) for name, column in lists.items()},
    }


def _padded(rows, width=1):
    """Lists of ids as int32 [B, N], padded with 0, N of 1 at least."""
    width = max([width, *map(len, rows)])
    return np.array([[*row, *[0] * (width - len(row))] for row in rows], np.int32)


def _padded_twice(rows):
    """Lists of lists of ids as int32 [B, N, L]."""
    count = max([1, *map(len, rows)])
    longest = max([1, *(len(one) for row in rows for one in row)])
    filled = [_padded([*row, *[[]] * (count - len(row))], longest) for row in rows]
    return np.stack(filled)


def _split(answer):
    rows = len(answer["score"])
    return [{name: value[i] for name, value in answer.items()} for i in range(rows)]
