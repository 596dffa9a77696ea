"""Rows of an edge request through the signatures of its file.

A plain search is one call. One with special wishes, or one that is watched, is the same search a
step at a time: all that decides is in the file, the host only hands it on.
"""

import numpy as np

from keras_s2s.serving.edge_requests import in_use

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
        file: `EdgeFile`.
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
    wishes = _wishes(asked) if any(map(in_use, asked)) else None
    if follow:
        return _follow(file, read, options, wishes)
    if wishes is None:
        return _split(file.run("translate_ids", **read, **options))
    *_, last = _steps(file, read, options, wishes)
    return _split(last())


def _follow(file, read, options, wishes):
    before = None
    for current in _steps(file, read, options, wishes):
        if before is not None:
            yield _split(before(live=True))[0], False
        before = current
    yield _split(before())[0], True


def _steps(file, read, options, wishes):
    """After each step, a function that traces the hypotheses; `live` traces the one that lives."""
    begun = file.run("encode", **read, beam_size=options["beam_size"])
    kinds = {kind: _named(begun, kind) for kind in ("context_", "state_", "beam_")}
    context, state, beam = kinds.values()
    memory, packed, looks = None, [], []
    while not (packed and beam["beam_done"].all()):
        position = np.array([len(packed)], np.int32)
        seen = file.run(
            "step", beam_ids=beam["beam_ids"], position=position, **context, **state
        )
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
        yield _tracing(file, beam, packed, looks, options)


def _tracing(file, beam, packed, looks, options):
    def trace(live=False):
        ended = beam["beam_ended"]
        if live:  # as if its next token were the end
            last = packed[-1]
            place = np.float32((len(packed) * 64 + 0) * 2)
            ended = np.stack([last[:, :, 3], last[:, :, 3], np.full_like(last[:, :, 3], place)], 2)
        more = [1] * live  # a hypothesis of n tokens has n + 1 steps
        return file.run(
            "trace",
            beam_ended=ended,
            steps=np.stack([*packed, *packed[-1:] * len(more)]),
            looks=np.stack([*looks, *looks[-1:] * len(more)]),
            num_hypotheses=options["num_hypotheses"],
        )

    return trace


def _named(given, beginning):
    return {name: value for name, value in given.items() if name.startswith(beginning)}


def _chosen(leaf, parents):
    """A leaf [B, K, ...] of the state with each slot's parent's in its place."""
    return np.take_along_axis(leaf, parents.reshape(parents.shape + (1,) * (leaf.ndim - 2)), 1)


def _columns(rows, kinds):
    return {name: np.array([row.options[name] for row in rows], kind) for name, kind in
            kinds.items()}  # fmt: skip


def _wishes(rows):
    lists = {"constraints": [x.constraints for x in rows], "disallowed": [x.disallowed for x in rows]}
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
