"""Requests of any options side by side, and what a translator promises of each of them.

`is_rejected` and `violations` say from an option's meaning alone, in Python, which rows a served
model of the texts in `mixed_rows` has to refuse, and what its hypotheses have to be.
"""

import itertools
import math

from hypothesis import strategies as st

from tests.search.mixed_requests import TEXTS

KNOWN = "abcdefg"  # words that a target may have; a source has h and i too
OFF = {
    "beam_size": 5,
    "num_hypotheses": 1,
    "length_penalty": 0.6,
    "length_offset": 5.0,
    "coverage_penalty": 0.0,
    "min_length": 0,
    "min_length_ratio": 0.0,
    "max_length": 6,
    "max_length_ratio": 0.0,
    "no_repeat_ngram": 0,
    "repetition_penalty": 1.0,
    "target_prefix": "",
    "prefix_tokens": [],
    "constraints": [],
    "disallowed": [],
    "beam_groups": 1,
    "diversity_penalty": 0.0,
    "alternatives_at": -1,
    "replace_unknown": False,
    "max_new_tokens": 0,
}
RANGES = {
    "beam_size": (1, 16),
    "num_hypotheses": (1, 16),
    "length_penalty": (-10, 10),
    "length_offset": (0, 1000),
    "coverage_penalty": (0, 10),
    "min_length": (0, 256),
    "min_length_ratio": (0, 100),
    "max_length": (0, 256),
    "max_length_ratio": (0, 100),
    "no_repeat_ngram": (0, 16),
    "repetition_penalty": (0.01, 100),
    "beam_groups": (1, 16),
    "diversity_penalty": (0, 100),
    "alternatives_at": (-1, 256),
    "max_new_tokens": (0, 256),
}
ALONE = [
    {"beam_size": 1},
    {"beam_size": 16},
    {"num_hypotheses": 4},
    {"length_penalty": 2.0},
    {"length_penalty": -1.0},
    {"length_offset": 0.0},
    {"coverage_penalty": 0.7},
    {"min_length": 4},
    {"min_length_ratio": 1.5},
    {"max_length": 1},
    {"max_length": 0},
    {"max_length_ratio": 0.5},
    {"no_repeat_ngram": 1},
    {"no_repeat_ngram": 2},
    {"repetition_penalty": 3.0},
    {"repetition_penalty": 0.3},
    {"target_prefix": "d e"},
    {"prefix_tokens": ["g", "zz", "g"]},
    {"constraints": ["e f", "b"]},
    {"disallowed": ["a", "c b"]},
    {"beam_groups": 5},
    {"diversity_penalty": 0.8},
    {"alternatives_at": 0},
    {"alternatives_at": 3},
    {"replace_unknown": True},
    {"max_new_tokens": 2},
]


def option_pairs():
    """Every two of `ALONE` in one row, with a text each."""
    random_rows = [
        {"max_length": OFF["max_length"]} | a | b for a, b in itertools.combinations(ALONE, 2)
    ]
    return random_rows, [TEXTS[place % len(TEXTS)] for place in range(len(random_rows))]


@st.composite
def random_rows(pick):
    """A text and any options, most of them in their ranges."""
    words = st.lists(st.sampled_from([*KNOWN, "zz", "h", "<unk>"]), min_size=1, max_size=3)
    phrases = st.lists(words.map(" ".join), max_size=3)
    values = {
        "beam_size": st.integers(0, 17),
        "num_hypotheses": st.integers(0, 6),
        "length_penalty": st.sampled_from([0.0, 1.0, -2.0, 10.0, float("nan"), 11.0]),
        "length_offset": st.sampled_from([0.0, 1.0, 1000.0, -1.0]),
        "coverage_penalty": st.sampled_from([0.2, 10.0, float("inf")]),
        "min_length": st.integers(0, 7),
        "min_length_ratio": st.sampled_from([0.3, 1.0, 100.0, -1.0]),
        "max_length": st.integers(-1, 8),
        "max_length_ratio": st.sampled_from([0.1, 0.5, 1.0, 3.0]),
        "no_repeat_ngram": st.integers(0, 4) | st.just(17),
        "repetition_penalty": st.sampled_from([0.01, 0.5, 1.7, 100.0, 0.0]),
        "target_prefix": words.map(" ".join),
        "prefix_tokens": words,
        "constraints": phrases,
        "disallowed": phrases,
        "beam_groups": st.integers(1, 6),
        "diversity_penalty": st.sampled_from([0.4, 3.0, 100.0]),
        "alternatives_at": st.integers(-1, 4),
        "replace_unknown": st.just(True),
        "max_new_tokens": st.integers(0, 5),
    }
    names = pick(st.lists(st.sampled_from(list(values)), max_size=6, unique=True))
    options = {name: pick(values[name]) for name in names}
    return pick(st.sampled_from(TEXTS)), {"max_length": OFF["max_length"]} | options


class ParsedRow:
    """A row's text and options as a model reads them, that copies or does not."""

    def __init__(self, text, options, copies):
        self.options = OFF | options
        self.source, self.supports_copy = text.split(), copies
        given = self.options
        self.prefix = self.read(" ".join([given["target_prefix"], *given["prefix_tokens"]]))
        self.constraints = [self.read(one) for one in given["constraints"]]
        words = " ".join(given["constraints"])
        self.strange = words.split() != self.read(words)
        self.disallowed = [self.read(one) for one in given["disallowed"]]
        self.shortest, self.longest = self._lengths(len(self.source))

    def read(self, words):
        known = {*KNOWN, *(self.source if self.supports_copy else ())}
        return [word if word in known else "<unk>" for word in words.split()]

    def _lengths(self, size):
        given, (new, share) = (
            self.options,
            (self.options[x] for x in ("max_new_tokens", "max_length_ratio")),
        )
        most = [given["max_length"]]
        most += [len(self.prefix) + new] if new else []
        most += [math.ceil(share * size)] if share > 0 else []
        least = max(given["min_length"], math.ceil(given["min_length_ratio"] * size))
        return min(least, *most), min(most)

    def needed(self):
        """Tokens of the constraints that do not stand in the prefix."""
        left = [one for one in self.constraints if not holds(self.prefix, one)]
        begun = [n for one in left for n in range(len(one)) if self.prefix[-n:] == one[:n] and n]
        return sum(map(len, left)) - max(begun, default=0)


def holds(tokens, run):
    return any(tokens[i : i + len(run)] == run for i in range(len(tokens) - len(run) + 1))


def is_rejected(asked):
    """Whether the options contradict each other, or leave their ranges."""
    given = asked.options
    if not all(low <= given[name] <= high for name, (low, high) in RANGES.items()):
        return True
    apart, grouped = given["alternatives_at"] >= 0, given["beam_groups"] > 1
    return (
        given["num_hypotheses"] > given["beam_size"]
        or given["beam_size"] % given["beam_groups"] != 0
        or given["min_length"] > given["max_length"]
        or bool(given["target_prefix"] and given["prefix_tokens"])
        or len(asked.prefix) > asked.longest
        or (apart and (grouped or given["alternatives_at"] < len(asked.prefix)))
        or (bool(asked.constraints) and (apart or grouped))
        or asked.strange
        or asked.needed() > asked.longest - len(asked.prefix)
        or any(holds(one, never) for one in asked.constraints for never in asked.disallowed)
    )


def violations(asked, hypotheses):
    """What is wrong with the hypotheses of a row that is not refused, in words."""
    given, prefix = asked.options, asked.prefix
    scores = [h.score for h in hypotheses]
    if not 0 < len(hypotheses) <= given["num_hypotheses"]:
        yield "number"
    if scores != sorted(scores, reverse=True):
        yield "order"
    grouped, plainly = given["beam_groups"] > 1, not given["replace_unknown"]
    keys = [tuple(h.tokens) for h in hypotheses]
    if len(set(keys)) < len(keys) and plainly and not grouped:
        yield "twice the same"
    for h in hypotheses:
        yield from _broken(asked, h, prefix if plainly else None)
    at = given["alternatives_at"]
    if at >= 0 and plainly:
        branches = [(*h.tokens, "</s>")[at : at + 1] for h in hypotheses]
        if len({(*h.tokens,)[:at] for h in hypotheses}) > 1 or len({*branches}) < len(branches):
            yield "branches"


def _broken(asked, h, prefix):
    given, count = asked.options, len(h.tokens)
    if not asked.shortest <= count <= asked.longest:
        yield "length"
    if abs(sum(h.token_log_probs) - h.log_prob) > 1e-3 or len(h.token_log_probs) != count + 1:
        yield "sum"
    if h.alignment.shape != (count, len(h.source_tokens)):
        yield "alignment"
    if not h.finished and count < asked.longest:
        yield "finished"
    if given["coverage_penalty"] == 0 and given["repetition_penalty"] == 1:
        offset = given["length_offset"]
        penalty = ((offset + count + 1) / (offset + 1)) ** given["length_penalty"]
        if abs(h.score - h.log_prob / penalty) > 1e-3 * max(1, abs(h.score)):
            yield "score"
    if prefix is None:  # what was unknown reads otherwise
        return
    if h.tokens[: len(prefix)] != prefix:
        yield "prefix"
    if not all(holds(h.tokens, one) for one in asked.constraints):
        yield "constraints"
    size, behind = given["no_repeat_ngram"], range(len(prefix), count)
    for end in behind:
        before, tokens = h.tokens[:end], h.tokens[: end + 1]
        if size and end + 1 > size and holds(before, tokens[-size:]):
            yield "repeats"
        if any(tokens[-len(never) :] == never for never in asked.disallowed):
            yield "disallowed"
