"""Random requests, and the properties that a translator guarantees for each of them.

`is_rejected` and `violations` decide in Python, from the meaning of the options alone, which rows a
served model of the texts in `mixed_requests` must reject, and what its hypotheses must satisfy.
"""

import itertools
import math

from hypothesis import strategies as st

from tests.search.mixed_requests import TEXTS

TARGET_WORDS = "abcdefg"  # words of the target vocabulary; that of the source has h and i too
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
SINGLE_OPTIONS = [
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
    """Every pair of `SINGLE_OPTIONS` in one row, with a text each."""
    pairs = itertools.combinations(SINGLE_OPTIONS, 2)
    rows = [{"max_length": OFF["max_length"]} | a | b for a, b in pairs]
    return rows, [TEXTS[number % len(TEXTS)] for number in range(len(rows))]


@st.composite
def random_rows(draw):
    """A text and any options, most of them in their ranges."""
    words = st.lists(st.sampled_from([*TARGET_WORDS, "zz", "h", "<unk>"]), min_size=1, max_size=3)
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
    names = draw(st.lists(st.sampled_from(list(values)), max_size=6, unique=True))
    options = {name: draw(values[name]) for name in names}
    return draw(st.sampled_from(TEXTS)), {"max_length": OFF["max_length"]} | options


class ParsedRow:
    """A row's text and options as a model reads them.

    Args:
        text: the source.
        options: options that differ from `OFF`.
        copies: whether the model copies.
    """

    def __init__(self, text, options, copies):
        self.options = OFF | options
        self.source, self.supports_copy = text.split(), copies
        prefix = [self.options["target_prefix"], *self.options["prefix_tokens"]]
        self.prefix = self.read(" ".join(prefix))
        self.constraints = [self.read(phrase) for phrase in self.options["constraints"]]
        words = " ".join(self.options["constraints"])
        self.has_unknown = words.split() != self.read(words)
        self.disallowed = [self.read(phrase) for phrase in self.options["disallowed"]]
        self.shortest, self.longest = self._lengths(len(self.source))

    def read(self, words):
        known = {*TARGET_WORDS, *(self.source if self.supports_copy else ())}
        return [word if word in known else "<unk>" for word in words.split()]

    def _lengths(self, size):
        options = self.options
        new_tokens, ratio = options["max_new_tokens"], options["max_length_ratio"]
        longest = [options["max_length"]]
        longest += [len(self.prefix) + new_tokens] if new_tokens else []
        longest += [math.ceil(ratio * size)] if ratio > 0 else []
        shortest = max(options["min_length"], math.ceil(options["min_length_ratio"] * size))
        return min(shortest, *longest), min(longest)

    def needed(self):
        """Tokens of the constraints that the prefix does not contain."""
        unmet = [phrase for phrase in self.constraints if not contains(self.prefix, phrase)]
        begun = [
            n for phrase in unmet for n in range(1, len(phrase)) if self.prefix[-n:] == phrase[:n]
        ]
        return sum(map(len, unmet)) - max(begun, default=0)


def contains(tokens, run):
    return any(tokens[i : i + len(run)] == run for i in range(len(tokens) - len(run) + 1))


def is_rejected(row):
    """Whether the options contradict each other, or leave their ranges."""
    options = row.options
    if not all(low <= options[name] <= high for name, (low, high) in RANGES.items()):
        return True
    has_alternatives, is_grouped = options["alternatives_at"] >= 0, options["beam_groups"] > 1
    return (
        options["num_hypotheses"] > options["beam_size"]
        or options["beam_size"] % options["beam_groups"] != 0
        or options["min_length"] > options["max_length"]
        or bool(options["target_prefix"] and options["prefix_tokens"])
        or len(row.prefix) > row.longest
        or (has_alternatives and (is_grouped or options["alternatives_at"] < len(row.prefix)))
        or (bool(row.constraints) and (has_alternatives or is_grouped))
        or row.has_unknown
        or row.needed() > row.longest - len(row.prefix)
        or any(contains(phrase, run) for phrase in row.constraints for run in row.disallowed)
    )


def violations(row, hypotheses):
    """Names of the properties that the hypotheses of a valid row do not have."""
    options, prefix = row.options, row.prefix
    scores = [h.score for h in hypotheses]
    if not 0 < len(hypotheses) <= options["num_hypotheses"]:
        yield "number"
    if scores != sorted(scores, reverse=True):
        yield "order"
    is_grouped, is_literal = options["beam_groups"] > 1, not options["replace_unknown"]
    keys = [tuple(h.tokens) for h in hypotheses]
    if len(set(keys)) < len(keys) and is_literal and not is_grouped:
        yield "duplicates"
    for h in hypotheses:
        yield from _hypothesis_violations(row, h)
        if is_literal:  # replaced unknown tokens read otherwise
            yield from _token_violations(row, h.tokens, prefix)
    position = options["alternatives_at"]
    if position >= 0 and is_literal:
        branches = [(*h.tokens, "</s>")[position : position + 1] for h in hypotheses]
        stems = {(*h.tokens,)[:position] for h in hypotheses}
        if len(stems) > 1 or len({*branches}) < len(branches):
            yield "branches"


def _hypothesis_violations(row, h):
    options, count = row.options, len(h.tokens)
    if not row.shortest <= count <= row.longest:
        yield "length"
    if abs(sum(h.token_log_probs) - h.log_prob) > 1e-3 or len(h.token_log_probs) != count + 1:
        yield "sum"
    if h.alignment.shape != (count, len(h.source_tokens)):
        yield "alignment"
    if not h.finished and count < row.longest:
        yield "finished"
    if options["coverage_penalty"] == 0 and options["repetition_penalty"] == 1:
        offset = options["length_offset"]
        penalty = ((offset + count + 1) / (offset + 1)) ** options["length_penalty"]
        if abs(h.score - h.log_prob / penalty) > 1e-3 * max(1, abs(h.score)):
            yield "score"


def _token_violations(row, tokens, prefix):
    if tokens[: len(prefix)] != prefix:
        yield "prefix"
    if not all(contains(tokens, phrase) for phrase in row.constraints):
        yield "constraints"
    size = row.options["no_repeat_ngram"]
    for end in range(len(prefix), len(tokens)):
        before, grown = tokens[:end], tokens[: end + 1]
        if size and end + 1 > size and contains(before, grown[-size:]):
            yield "repeats"
        if any(grown[-len(run) :] == run for run in row.disallowed):
            yield "disallowed"
