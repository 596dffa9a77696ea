"""The signatures of a LiteRT file: the model and its search as functions of tensors of ids.

Every function is traced with tensors that grow in place of arrays, and takes what it is given with
care: an interpreter checks neither ids nor lengths before it reads memory by them.

`translate_ids` is a whole search. `encode`, `step`, `advance` and `trace` are the same search by a
host that wants to see every step: it encodes, then steps, advances and gathers the state of the
parents until all rows are done, and traces. `wish` and `advance_wishes` take the place of
`advance` alone where it has special wishes.

No interpreter in Python hands out a tensor without elements: what grows with the position begins
with one column that says nothing, and targets have one column at least.
"""

import tensorflow as tf

from keras_s2s import search
from keras_s2s.config import SpecialIds
from keras_s2s.layers import loop_backend
from keras_s2s.search import backtrace, beam_state, loop, strategies

__all__ = ["LiteRTSignatures", "copy_output"]

SPECIAL = SpecialIds()
WHOLE, REAL = tf.int32, tf.float32
OPTIONS = {
    "beam_size": (WHOLE, "B"),
    "num_hypotheses": (WHOLE, "B"),
    "length_penalty": (REAL, "B"),
    "length_offset": (REAL, "B"),
    "min_length": (WHOLE, "B"),
    "max_length": (WHOLE, "B"),
}
EXTRAS = {
    "coverage_penalty": (REAL, "B"),
    "no_repeat_ngram": (WHOLE, "B"),
    "repetition_penalty": (REAL, "B"),
    "prefix": (WHOLE, "BP"),
    "prefix_length": (WHOLE, "B"),
    "disallowed": (WHOLE, "BDL"),
    "constraints": (WHOLE, "BCL"),
    "beam_groups": (WHOLE, "B"),
    "diversity_penalty": (REAL, "B"),
    "alternatives_at": (WHOLE, "B"),
}
BEAM = {
    "beam_ids": (WHOLE, "BK"),
    "beam_totals": (REAL, "BK"),
    "beam_done": (tf.bool, "B"),
    "beam_ended": (REAL, "BK3"),
}
MEMORY = {
    "history": (WHOLE, "BKT"),
    "log_probs": (REAL, "BK"),
    "met": (tf.bool, "BKC"),
    "group": (WHOLE, "BK"),
    "coverage": (REAL, "BKS"),
}
TRACE = {"beam_ended": BEAM["beam_ended"], "steps": (REAL, "NBK4"), "looks": (REAL, "NBKS")}


class LiteRTSignatures:
    """The signatures of one model.

    Args:
        model: a `Seq2Seq` or an `Ensemble`, in float32.
        caps: the most that the options `beam_size` and `max_length` may be.
    """

    def __init__(self, model, caps):
        self.model, self.caps = model, caps
        names = ["ids", "copy_ids"] if model.supports_copy else ["ids"]
        self.source = _specs(dict.fromkeys(names, (WHOLE, "BS")) | {"lengths": (WHOLE, "B")})

    def concrete(self, names=None) -> dict:
        """Each signature's concrete function, by name; of those in `names` if any are given."""
        with loop_backend.growing():
            whole = self._whole(_specs(OPTIONS))
            made = {name: _trace(*parts) for name, parts in whole.items() if _in(name, names)}
            return made | (self._by_steps(_specs(OPTIONS)) if names is None else {})

    def _whole(self, options):
        """Functions, and specs, of signatures that know of no others."""
        targets = _specs({"targets": (WHOLE, "BT"), "target_lengths": (WHOLE, "B")})
        noted = _specs(TRACE) | {"num_hypotheses": options["num_hypotheses"]}
        return {
            "translate_ids": (self.translate_ids, self.source | options),
            "score": (self.score, self.source | targets),
            "trace": (self.trace, noted),
        }

    def _by_steps(self, options):
        """The signatures that take what others give."""
        size = {"beam_size": options["beam_size"]}
        made = {"encode": _trace(self.encode, self.source | size)}
        begun = _given(made["encode"])
        kept = {k: v for k, v in begun.items() if k.startswith(("context_", "state_"))}
        beam, position = _specs(BEAM), _specs({"position": (WHOLE, "1")})
        made["step"] = _trace(self.step, {"beam_ids": beam["beam_ids"]} | position | kept)
        seen = _given(made["step"])
        looks = {name: seen[name] for name in ("logits", "alignment")} | options
        wishes = looks | _specs(EXTRAS) | {"lengths": self.source["lengths"]}
        made["advance"] = _trace(self.advance, beam | position | looks)
        made["wish"] = _trace(self.wish, wishes)
        given = beam | position | wishes | _specs(MEMORY)
        made["advance_wishes"] = _trace(self.advance_wishes, given)
        return made

    def translate_ids(self, ids, lengths, copy_ids=None, **options):
        """Source ids [B, S] -> the K best targets of each row, as `search.Hypotheses` has them."""
        source = self._source(ids, lengths, copy_ids)
        found = search.search(self.model.begin, self.model.next, source, self._options(options))
        return as_outputs(found)

    def score(self, ids, lengths, targets, target_lengths, copy_ids=None):
        """Target ids [B, T] without an end -> log-probabilities [B, T + 1], the end's the last."""
        source = self._source(ids, lengths, copy_ids)
        targets = _known(targets, self._columns(source))
        place = tf.expand_dims(tf.range(tf.shape(targets)[1] + 1), 0)
        length = tf.expand_dims(target_lengths, 1)
        after = tf.pad(targets, [[0, 0], [0, 1]])  # [B, T + 1]
        after = tf.where(tf.equal(place, length), SPECIAL.end, after)
        before = tf.pad(targets, [[0, 0], [1, 0]], constant_values=SPECIAL.start)
        logits = self.model({"source": source, "target": before}, training=False)
        each = tf.gather(tf.nn.log_softmax(logits), after, batch_dims=2)
        real = place <= length
        return {
            "log_prob": tf.reduce_sum(tf.where(real, each, 0.0), 1),
            "token_log_probs": tf.where(real, each, search.NEG_INF),
        }

    def encode(self, ids, lengths, beam_size, copy_ids=None):
        """All that a search begins with: context, state and beam, whose first slots alone live."""
        source = self._source(ids, lengths, copy_ids)
        beam_size = tf.clip_by_value(beam_size, 1, self.caps["beam_size"])
        width = tf.reduce_max(tf.concat([beam_size, [1]], 0))
        context, state = self.model.begin(source, width)
        self._nests = context, state
        self._growing = {
            n: list(x.shape).index(0) for n, x in _named("state", state).items() if 0 in x.shape
        }
        own = tf.expand_dims(tf.range(width), 0) < tf.expand_dims(beam_size, 1)
        alive = own & tf.equal(tf.range(width), 0)
        beam = beam_state.start(alive, SPECIAL.start, width)
        return _named("context", context) | self._closed(state) | _of_beam(beam)

    def step(self, beam_ids, position, **nests):
        """Logits [B, K, V'], alignment [B, K, S] and the new state."""
        for name, axis in self._growing.items():
            nests[name] = _without_first(nests[name], axis)
        context, state = (
            _packed(nest, nests, name) for name, nest in zip(("context", "state"), self._nests)
        )
        logits, state, alignment = self.model.next(
            beam_ids, position[0], context, state, maps="alignment", normalize=False
        )
        return {"logits": logits, "alignment": alignment} | self._closed(state)

    def _closed(self, state):
        leaves = _named("state", state)
        return leaves | {
            name: _with_first(leaves[name], axis) for name, axis in self._growing.items()
        }

    def advance(self, logits, alignment, position, **given):
        """The beam after a step, and what to keep of it: `packed` [B, K, 4], `parents` [B, K]."""
        options = self._options(_taken(given, OPTIONS))
        way = strategies.BeamSearch(beam_state.limits(options, tf.shape(logits)[1]), SPECIAL)
        return _update(way, given, logits, alignment, position, {})

    def wish(self, logits, alignment, lengths, **given):
        """What a search with special wishes remembers before its first `advance_wishes`."""
        way, source = self._wishes(logits, alignment, lengths, given)
        return _remembered(way.start(source, True)[1])

    def advance_wishes(self, logits, alignment, position, lengths, **given):
        """As `advance`, for `search.Extras`, with all that hypotheses have to remember."""
        way, source = self._wishes(logits, alignment, lengths, given)
        way.start(source, True)
        memory = _taken(given, MEMORY)
        memory["history"] = _without_first(memory["history"], 2)
        return _remembered(_update(way, given, logits, alignment, position, memory))

    def trace(self, beam_ended, steps, looks, num_hypotheses):
        """`search.Hypotheses` of the `packed` and `alignment` of N steps."""
        width = tf.shape(beam_ended)[1]
        beam_ended, steps = _within(beam_ended, tf.shape(steps)[0]), _noted(steps, width)
        num_hypotheses = tf.clip_by_value(num_hypotheses, 0, width)
        zeros = tf.zeros(tf.shape(num_hypotheses))
        whole = tf.cast(zeros, WHOLE)
        options = search.Options(whole, num_hypotheses, zeros, zeros, whole, whole)
        return as_outputs(backtrace.trace(beam_ended, steps, looks, options))

    def _wishes(self, logits, alignment, lengths, given):
        options = self._options(_taken(given, OPTIONS))
        limits = beam_state.limits(options, tf.shape(logits)[1])
        extras = search.ConstraintOptions(**_taken(given, EXTRAS))
        places = tf.expand_dims(tf.range(tf.shape(alignment)[2]), 0)
        mask = places < tf.expand_dims(lengths, 1)
        return strategies.ConstrainedBeamSearch(limits, SPECIAL, options, extras), {"mask": mask}

    def _source(self, ids, lengths, copy_ids):
        """The model's source dict; an id that there is not becomes `unknown`."""
        missing = [[0, 0], [0, tf.maximum(1 - tf.shape(ids)[1], 0)]]
        ids = tf.pad(ids, missing)
        width = tf.shape(ids)[1]
        mask = tf.expand_dims(tf.range(width), 0) < tf.expand_dims(lengths, 1)
        made = {"ids": _known(ids, self.model.source.vocabulary_size), "mask": mask}
        if copy_ids is not None:
            made["copy_ids"] = _known(tf.pad(copy_ids, missing), self._columns(made))
        return made

    def _columns(self, source):
        """Number of ids that a target may hold."""
        copies = tf.shape(source["mask"])[1] if self.model.supports_copy else 0
        return self.model.vocabulary_size + copies

    def _options(self, given):
        beam = tf.clip_by_value(given["beam_size"], 1, self.caps["beam_size"])
        made = {
            "beam_size": beam,
            "num_hypotheses": tf.clip_by_value(given["num_hypotheses"], 1, beam),
            "max_length": tf.clip_by_value(given["max_length"], 0, self.caps["max_length"]),
        }
        return search.Options(**(given | made))


def _in(name, names):
    return names is None or name in names


def _specs(table):
    """Specs of a table of types and letters; a figure is a size that is known."""
    return {
        name: tf.TensorSpec([int(x) if x.isdecimal() else None for x in letters], dtype, name)
        for name, (dtype, letters) in table.items()
    }


def _given(concrete):
    """Specs of what a function gives, by name."""
    return {
        name: tf.TensorSpec(x.shape, x.dtype, name)
        for name, x in concrete.structured_outputs.items()
    }


def _trace(function, specs):
    return tf.function(function, autograph=False).get_concrete_function(**specs)


def _named(name, nest):
    leaves = [x for x in tf.nest.flatten(nest) if x is not None]
    return {f"{name}_{number}": leaf for number, leaf in enumerate(leaves)}


def _packed(nest, given, name):
    """A nest as `nest` of the leaves that `_named` named."""
    count = iter(range(len(given)))
    whole = [None if x is None else given[f"{name}_{next(count)}"] for x in tf.nest.flatten(nest)]
    return tf.nest.pack_sequence_as(nest, whole)


def _taken(given, table):
    return {name: given[name] for name in table}


def _of_beam(beam):
    return {f"beam_{name}": value for name, value in beam._asdict().items()}


def _update(way, given, logits, alignment, position, memory):
    beam = beam_state.Beam(*(given[name] for name in BEAM))
    beam, packed, memory = loop.update(way, beam, logits, alignment, position[0], memory)
    kept = {"packed": packed, "parents": tf.cast(packed[:, :, 1], WHOLE)}
    return _of_beam(beam) | kept | memory


def _with_first(x, axis):
    """A tensor with one more column, of zeros, before its first."""
    return tf.pad(x, [[int(i == axis), 0] for i in range(x.shape.rank)])


def _without_first(x, axis):
    return x[(*[slice(None)] * axis, slice(1, None))]


def _remembered(given):
    return given | {"history": _with_first(given["history"], 2)}


def as_outputs(found):
    """`Hypotheses` as a dict, with one column of tokens at least."""
    missing = tf.maximum(1 - tf.shape(found.ids)[2], 0)
    more = [[0, 0], [0, 0], [0, missing]]
    made = {"ids": tf.pad(found.ids, more)}
    if found.alignment is not None:
        made["alignment"] = tf.pad(found.alignment, [*more, [0, 0]])
    return {name: copy_output(x) for name, x in (found._asdict() | made).items() if x is not None}


def copy_output(x):
    """The same tensor, from an operation that writes into the buffer of a compiled model's host.

    Those whose size depends on values write into memory of their own.
    """
    if x.dtype.is_bool:
        return x
    lowest = -float("inf") if x.dtype.is_floating else x.dtype.min  # in float16 too
    return tf.maximum(x, tf.constant(lowest, x.dtype))


def _known(ids, size):
    return tf.where((ids >= 0) & (ids < size), ids, SPECIAL.unknown)


def _within(ended, count):
    """The ended of a beam, none longer than the steps that there are."""
    most = tf.cast(2 * beam_state.SPAN * count - 1, REAL)
    score, log_prob, place = tf.unstack(ended, num=3, axis=2)
    return tf.stack([score, log_prob, tf.where(place > 0, tf.minimum(place, most), 0.0)], 2)


def _noted(steps, width):
    """Steps whose parents are slots that there are."""
    tokens, parents, totals, sums = tf.unstack(steps, num=4, axis=3)
    most = tf.cast(width - 1, REAL)
    return tf.stack([tokens, tf.clip_by_value(parents, 0.0, most), totals, sums], 3)
