"""Rows of requests with every option somewhere, good and bad, to stand side by side."""

TEXTS = ["a b c", "i h g f e", "zz a", "c", "", "a a b b a", "h zz zz"]
LONGEST = 6  # what rows that say nothing else get as `max_length`

VALID_ROWS = [
    {},
    {"beam_size": 1},
    {"beam_size": 8, "num_hypotheses": 8},
    {"beam_size": 2, "num_hypotheses": 2, "length_penalty": 2.0},
    {"length_penalty": -1.0, "num_hypotheses": 2},
    {"length_penalty": 1.0, "length_offset": 0.0, "num_hypotheses": 3},
    {"coverage_penalty": 0.5, "num_hypotheses": 3},
    {"min_length": 4},
    {"min_length_ratio": 1.5, "num_hypotheses": 2},
    {"max_length": 2, "num_hypotheses": 2},
    {"max_length_ratio": 0.5, "num_hypotheses": 2},
    {"max_length": 0},
    {"no_repeat_ngram": 1, "min_length": 3, "num_hypotheses": 2},
    {"no_repeat_ngram": 2, "min_length": 6, "num_hypotheses": 3},
    {"repetition_penalty": 4.0, "min_length": 4, "num_hypotheses": 3},
    {"repetition_penalty": 0.3, "num_hypotheses": 3},
    {"target_prefix": "d e", "num_hypotheses": 2},
    {"prefix_tokens": ["g", "zz"], "max_new_tokens": 2, "num_hypotheses": 2},
    {"prefix_tokens": ["a"], "beam_size": 1},
    {"max_new_tokens": 3},
    {"constraints": ["e f"], "num_hypotheses": 2},
    {"constraints": ["g", "b a"], "beam_size": 1},
    {
        "constraints": ["d", "<unk>"],
        "disallowed": ["c", "a a"],
        "beam_size": 6,
        "num_hypotheses": 6,
    },
    {"constraints": ["e f", "f e"], "prefix_tokens": ["e", "f", "e"], "max_new_tokens": 1},
    {"constraints": ["d e f"], "target_prefix": "a d", "max_new_tokens": 2, "num_hypotheses": 2},
    {"disallowed": ["a", "b c", "<unk>"], "min_length": 2, "num_hypotheses": 4},
    {"beam_size": 6, "num_hypotheses": 6, "beam_groups": 3, "diversity_penalty": 0.7},
    {"beam_size": 4, "num_hypotheses": 4, "beam_groups": 4, "diversity_penalty": 5.0},
    {"alternatives_at": 0, "num_hypotheses": 4},
    {"alternatives_at": 2, "num_hypotheses": 3, "target_prefix": "a", "min_length": 3},
    {"replace_unknown": True, "prefix_tokens": ["b", "<unk>"], "num_hypotheses": 2},
    {
        "beam_size": 7,
        "num_hypotheses": 5,
        "length_penalty": 0.9,
        "length_offset": 1.0,
        "coverage_penalty": 0.2,
        "min_length": 2,
        "no_repeat_ngram": 2,
        "repetition_penalty": 1.3,
        "target_prefix": "f",
        "disallowed": ["c"],
        "constraints": ["d e"],
        "max_new_tokens": 5,
    },
]

BYTES = "a " * 9000
INVALID_ROWS = [
    ({"beam_size": 0}, "beam_size: expected 1 to 16, came 0"),
    ({"length_penalty": float("nan")}, "length_penalty: expected -10 to 10, came nan"),
    ({"coverage_penalty": float("inf")}, "coverage_penalty: expected 0 to 10, came inf"),
    ({"repetition_penalty": 0.0}, "repetition_penalty: expected 0.01 to 100, came 0"),
    ({"no_repeat_ngram": 17}, "no_repeat_ngram: expected 0 to 16, came 17"),
    ({"num_hypotheses": 4, "beam_size": 3}, "num_hypotheses: expected 1 to 3, came 4"),
    ({"min_length": 4, "max_length": 3}, "min_length: expected at most max_length, 3, came 4"),
    (
        {"prefix_tokens": ["a", "b", "a", "b"], "max_length": 3},
        "target_prefix: expected at most 3 tokens, the maximum, came 4",
    ),
    (
        {"target_prefix": "a", "prefix_tokens": ["a"]},
        "target_prefix: expected none beside prefix_tokens",
    ),
    ({"target_prefix": BYTES}, "target_prefix bytes: expected 0 to 16384, came 18000"),
    ({"prefix_tokens": BYTES.split()}, "prefix_tokens bytes: expected 0 to 16384, came 17999"),
    ({"constraints": [BYTES]}, "constraints bytes: expected 0 to 16384, came 18000"),
    ({"disallowed": [BYTES]}, "disallowed bytes: expected 0 to 16384, came 18000"),
    ({"constraints": ["a"] * 65}, "constraints tokens: expected 0 to 64, came 65"),
    (
        {"constraints": ["a b", "c d"], "target_prefix": "e e e"},
        "constraints: expected room for 4 tokens below the maximum of 6",
    ),
    (
        {"constraints": ["b", "a q", "r"]},
        "constraints: expected tokens that a target can hold, came q",
    ),
    (
        {"constraints": ["d e f"], "target_prefix": "a d", "max_new_tokens": 1},
        "constraints: expected room for 2 tokens below the maximum of 3",
    ),
    (
        {"constraints": ["a b c"], "disallowed": ["b c"]},
        "constraints: expected nothing that is disallowed",
    ),
    (
        {"constraints": ["a"], "beam_groups": 5},
        "constraints: expected none beside beam_groups or alternatives_at",
    ),
    (
        {"constraints": ["a"], "alternatives_at": 1},
        "constraints: expected none beside beam_groups or alternatives_at",
    ),
    (
        {"beam_groups": 2, "beam_size": 5},
        "beam_groups: expected a divisor of beam_size, 5, came 2",
    ),
    (
        {"alternatives_at": 1, "target_prefix": "a b"},
        "alternatives_at: expected at least the prefix's length, 2, came 1",
    ),
    (
        {"alternatives_at": 1, "beam_groups": 5},
        "alternatives_at: expected none beside beam_groups",
    ),
]

VALID_SAMPLES = [
    {},
    {"num_samples": 5, "seed": 1},
    {"num_samples": 3, "temperature": 0.5, "seed": 2},
    {"num_samples": 4, "temperature": 3.0, "seed": 2**31 - 1},
    {"num_samples": 3, "top_k": 2, "seed": -3},
    {"num_samples": 3, "top_p": 0.6, "seed": 4},
    {"num_samples": 3, "min_p": 0.3, "seed": 5},
    {"top_k": 1},
    {"num_samples": 2, "target_prefix": "d e", "seed": 6},
    {"num_samples": 2, "prefix_tokens": ["g", "zz"], "max_new_tokens": 2, "seed": 7},
    {"num_samples": 6, "temperature": 1.4, "top_k": 5, "top_p": 0.9, "min_p": 0.05, "seed": 8},
    {"max_length": 0},
]
INVALID_SAMPLES = [
    ({"num_samples": 17}, "num_samples: expected 1 to 16, came 17"),
    ({"temperature": 0.0}, "temperature: expected 0.01 to 100, came 0"),
    ({"top_p": float("nan")}, "top_p: expected 0 to 1, came nan"),
    ({"min_p": 1.5}, "min_p: expected 0 to 1, came 1.5"),
    ({"top_k": -1}, "top_k: expected 0 to 1073741824, came -1"),
    (
        {"target_prefix": "a b c", "max_length": 2},
        "target_prefix: expected at most 2 tokens, the maximum, came 3",
    ),
]


def mix_rows(good, bad, times=2):
    """Options of all rows, a text for each, and {row: message} of the bad ones."""
    rows = (
        [(options, "") for options in good]
        + bad
        + [(options, "") for options in good] * (times - 1)
    )
    messages = {place: message for place, (_, message) in enumerate(rows) if message}
    texts = [TEXTS[(place + place // len(TEXTS)) % len(TEXTS)] for place in range(len(rows))]
    return [{"max_length": LONGEST} | options for options, _ in rows], texts, messages


def option_columns(rows, signature, defaults):
    """{option: one value a row}, lists of strings as such."""
    lists = ("prefix_tokens", "constraints", "disallowed")
    found = {}
    for name in signature.options():
        default = [] if name in lists else defaults[name]
        found[name] = [row.get(name, default) for row in rows]
    return found


def request_inputs(rows, signature, defaults):
    """The same as the strings and numbers of a request."""
    given = option_columns(rows, signature, defaults)
    return {
        name: ["\n".join(x) if isinstance(x, list) else x for x in column]
        for name, column in given.items()
    }
