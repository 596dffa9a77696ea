"""What a served model takes and gives: names, shapes, dtypes, defaults and ranges.

The exporter builds its endpoints from these tables, the client, the server and the command line
read them, and none of them needs TensorFlow to do so. Letters: B batch, S source length, K
hypotheses (the largest `num_hypotheses` or `num_samples` of the batch), T target length, U = T + 1
(the tokens and the end), W words, A, E and D attention maps.

Every tensor has the batch as its first dimension and none is a scalar, so that a batching
server can merge requests; requests with different options share a batch. A list, such as the
tokens of a prefix, is one string a row with its items parted by line feeds. A model whose source
is real vectors takes `features` and `length` in place of `text`, F numbers in a frame; one whose
target is has the signature `forecast` alone.
"""

from dataclasses import dataclass, replace

__all__ = [
    "ATTENTION",
    "CAPS",
    "FORECAST",
    "MAX_PENALTY",
    "MISSING_SCORE",
    "SAMPLE",
    "SCORE",
    "SERVING_DEFAULT",
    "SIGNATURES",
    "TRANSLATE",
    "Attention",
    "Field",
    "Forecast",
    "Hypothesis",
    "Score",
    "Signature",
    "hard_alignment",
    "signature_fields",
    "signatures_for",
]

MISSING_SCORE = -1e9  # pads `score` and `log_prob` where a row has fewer hypotheses than K

# What one row may cost; a row beyond them gets an `error` and no hypothesis. An export may set
# others for the first two.
CAPS = {
    "beam_size": 16,
    "max_length": 256,
    "source_length": 1024,  # tokens
    "frames": 8192,  # of a source of vectors
    "text_bytes": 65536,  # cutting text into pieces can take time quadratic in its length
    "list_bytes": 16384,  # of a prefix, of constraints, of disallowed tokens
    "no_repeat_ngram": 16,
    "constraints": 64,  # tokens of all constraints of a row
}
MAX_PENALTY = 10.0  # beyond it lies a mistaken request; its powers stay within float32


@dataclass(frozen=True)
class Field:
    """One tensor of a signature.

    Attributes:
        name: the alias that requests and replies use.
        dtype: TensorFlow's name of the element type, such as `"string"` or `"int32"`.
        shape: the letters of its dimensions, the batch first: `("B", "K")`.
        default: for an input, the value of every row of a request that leaves it out; None when
            the input must be given.
        meaning: one line for people.
        low, high: for an input with numbers, the least and the greatest that are taken; `high`
            may be the name of one of `CAPS`.
        optional: for an output, that some models do not have it.
    """

    name: str
    dtype: str
    shape: tuple[str, ...]
    default: int | float | str | bool | None = None
    meaning: str = ""
    low: float | None = None
    high: float | str | None = None
    optional: bool = False


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of one entry of a served model, in a fixed order."""

    name: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]

    def input_names(self) -> list[str]:
        return [field.name for field in self.inputs]

    def output_names(self) -> list[str]:
        return [field.name for field in self.outputs]

    def options(self) -> dict[str, Field]:
        """The inputs that a request may leave out, by name."""
        return {field.name: field for field in self.inputs if field.default is not None}


def _input(name, dtype, default, meaning, low=None, high=None):
    return Field(name, dtype, ("B",), default, meaning, low, high)


def _output(name, dtype, shape, meaning, optional=False):
    return Field(name, dtype, tuple(shape), None, meaning, optional=optional)


_TEXT = _input("text", "string", None, "source text, UTF-8")
_MAX_LENGTH = _input(
    "max_length", "int32", 256, "most target tokens, the end not counted", 0, "max_length"
)
_PREFIXES = (
    _input("target_prefix", "string", "", "text that every hypothesis begins with"),
    _input("prefix_tokens", "string", "", "the same as tokens, one a line, as `tokens` gives them"),
    _input(
        "max_new_tokens",
        "int32",
        0,
        "most tokens after the prefix; 0: up to max_length",
        0,
        "max_length",
    ),
)
_FOUND = (
    _output("text", "string", "BK", "hypotheses, best first"),
    _output("score", "float32", "BK", "what they are ranked by"),
    _output("log_prob", "float32", "BK", "sum of token log-probabilities, end included"),
    _output("tokens", "string", "BKT", 'target tokens, padded with ""'),
    _output(
        "token_log_probs", "float32", "BKU", "of each token, then of the end; padded with -1e9"
    ),
    _output("lengths", "int32", "BK", "number of target tokens, the end not counted"),
    _output("finished", "bool", "BK", "False where a limit cut the hypothesis"),
    _output("source_tokens", "string", "BS", 'source tokens and the end, padded with ""'),
    _output("alignment", "float32", "BKTS", "attention of each target token"),
    _output("error", "string", "B", 'what was wrong with that row\'s request, or ""'),
)

TRANSLATE = Signature(
    "translate",
    inputs=(
        _TEXT,
        _input(
            "beam_size",
            "int32",
            5,
            "hypotheses kept at each step; 1 is greedy search",
            1,
            "beam_size",
        ),
        _input(
            "num_hypotheses", "int32", 1, "hypotheses returned, at most beam_size", 1, "beam_size"
        ),
        _input(
            "length_penalty",
            "float32",
            0.6,
            "exponent of the length penalty; above 0 favours long targets",
            -MAX_PENALTY,
            MAX_PENALTY,
        ),
        _input(
            "length_offset",
            "float32",
            5.0,
            "c of the length penalty; 5 is GNMT's, 0 gives the mean",
            0,
            1000,
        ),
        _input(
            "coverage_penalty",
            "float32",
            0.0,
            "weight of source tokens that got no attention",
            0,
            MAX_PENALTY,
        ),
        _input("min_length", "int32", 0, "fewest target tokens", 0, "max_length"),
        _input("min_length_ratio", "float32", 0.0, "fewest, for each source token", 0, 100),
        _MAX_LENGTH,
        _input(
            "max_length_ratio",
            "float32",
            0.0,
            "most, for each source token; 0: no such limit",
            0,
            100,
        ),
        _input(
            "no_repeat_ngram",
            "int32",
            0,
            "so many tokens never occur twice in a row; 0: off",
            0,
            "no_repeat_ngram",
        ),
        _input(
            "repetition_penalty",
            "float32",
            1.0,
            "multiplies the log-probability of tokens used before; 1: off",
            0.01,
            100,
        ),
        *_PREFIXES[:2],
        _input("constraints", "string", "", "texts that the target must hold, one a line"),
        _input("disallowed", "string", "", "tokens or texts that it must not hold, one a line"),
        _input(
            "beam_groups",
            "int32",
            1,
            "groups of the beam that keep apart; divides beam_size",
            1,
            "beam_size",
        ),
        _input(
            "diversity_penalty",
            "float32",
            0.0,
            "taken from tokens that an earlier group chose at the same step",
            0,
            100,
        ),
        _input(
            "alternatives_at",
            "int32",
            -1,
            "position at which num_hypotheses different tokens branch off; -1: off",
            -1,
            "max_length",
        ),
        _input(
            "replace_unknown",
            "bool",
            False,
            "unknown tokens become the source token they look at, or its dictionary entry",
        ),
        _PREFIXES[2],
    ),
    outputs=_FOUND,
)

SAMPLE = Signature(
    "sample",
    inputs=(
        _TEXT,
        _input("num_samples", "int32", 1, "targets drawn", 1, "beam_size"),
        _input("temperature", "float32", 1.0, "divides the logits", 0.01, 100),
        _input("top_k", "int32", 0, "draw among so many of the likeliest tokens; 0: all", 0, 2**30),
        _input(
            "top_p", "float32", 1.0, "among the likeliest that make up this probability", 0.0, 1.0
        ),
        _input(
            "min_p",
            "float32",
            0.0,
            "among those of at least this share of the likeliest's",
            0.0,
            1.0,
        ),
        _input("seed", "int32", 0, "draws are a function of it"),
        _MAX_LENGTH,
        *_PREFIXES,
    ),
    outputs=_FOUND,
)

_TARGET = (
    _input("target", "string", "", "target text"),
    _input("target_tokens", "string", "", "the same as tokens, one a line, as `tokens` gives them"),
)

SCORE = Signature(
    "score",
    inputs=(_TEXT, *_TARGET),
    outputs=(
        _output("log_prob", "float32", "B", "sum of token log-probabilities, end included"),
        _output("tokens", "string", "BT", 'target tokens and the end, padded with ""'),
        _output("token_log_probs", "float32", "BT", "of each; padded with -1e9"),
        _output("words", "string", "BW", 'words of the target and the end, padded with ""'),
        _output("word_log_probs", "float32", "BW", "of each; padded with -1e9"),
        _output("error", "string", "B", 'what was wrong with that row\'s request, or ""'),
    ),
)

ATTENTION = Signature(
    "attention",
    inputs=(_TEXT, *_TARGET),
    outputs=(
        _output("source_tokens", "string", "BS", 'source tokens and the end, padded with ""'),
        _output("tokens", "string", "BT", 'target tokens and the end, padded with ""'),
        _output("attention", "float32", "BATS", "of each target token over the source"),
        _output("names", "string", "BA", "of the maps of `attention`"),
        _output("encoder_attention", "float32", "BESS", "of source tokens over the source", True),
        _output("encoder_names", "string", "BE", "of its maps", True),
        _output("decoder_attention", "float32", "BDTT", "of target places over the target", True),
        _output("decoder_names", "string", "BD", "of its maps", True),
        _output("error", "string", "B", 'what was wrong with that row\'s request, or ""'),
    ),
)

SERVING_DEFAULT = Signature(
    "serving_default",
    inputs=(_TEXT,),
    outputs=(
        _output("text", "string", "B", "the best hypothesis under the default options"),
        _output("score", "float32", "B", "what it was ranked by"),
    ),
)

_FEATURES = (
    Field("features", "float32", ("B", "S", "F"), None, "frames of the source, padded at the end"),
    _input("length", "int32", None, "number of real frames of each row"),
)
_FORECAST = (
    _output("values", "float32", "BTF", "frames, padded with zeros; a Gaussian's means"),
    _output("variances", "float32", "BTF", "of each number, given the frames before it", True),
)
FORECAST = Signature(
    "forecast",
    inputs=(*_FEATURES, _input("steps", "int32", 1, "frames wanted", 1, "max_length")),
    outputs=(
        *_FORECAST,
        _output("lengths", "int32", "B", "number of frames of each row"),
        _output("error", "string", "B", 'what was wrong with that row, or ""'),
    ),
)

SIGNATURES = {
    signature.name: signature
    for signature in (SERVING_DEFAULT, TRANSLATE, SAMPLE, SCORE, ATTENTION)
}


def signatures_for(frames_in: bool, frames_out: bool) -> dict[str, Signature]:
    """The signatures of a model by name, as its sides are texts or sequences of vectors."""
    if frames_out:
        plain = Signature("serving_default", _FEATURES, _FORECAST)
        found = {one.name: one for one in (plain, FORECAST)}
        return found if frames_in else {n: _reading(one, (_TEXT,)) for n, one in found.items()}
    if not frames_in:
        return SIGNATURES
    return {name: _reading(one, _FEATURES) for name, one in SIGNATURES.items()}


def signature_fields(name: str) -> tuple[dict[str, Field], list[str]]:
    """Every input, by name, and every output's name that a signature of that name can have."""
    kinds = [signatures_for(i, o) for i in (False, True) for o in (False, True)]
    found = [kind[name] for kind in kinds if name in kind]
    inputs = {field.name: field for one in found for field in one.inputs}
    return inputs, list(dict.fromkeys(n for one in found for n in one.output_names()))


def _reading(signature, fields):
    """A signature with another source; a frame is no token that could replace an unknown one."""
    dropped = ("text", "features", "length", "replace_unknown")
    kept = (field for field in signature.inputs if field.name not in dropped)
    return replace(signature, inputs=(*fields, *kept))


@dataclass(frozen=True)
class Hypothesis:
    """One target that a search found.

    Attributes:
        text: the target.
        score: what hypotheses are ranked by: `log_prob` over the length penalty, with what other
            options take from it.
        log_prob: sum of the tokens' log-probabilities in nats, the end's included.
        tokens: the T target tokens, without the end.
        source_tokens: the S source tokens, with the end's mark.
        alignment: float array [T, S], attention of each target token over the source; None when
            it was not asked for.
        finished: False where a limit such as `max_length` cut the target.
        token_log_probs: log-probabilities of the tokens and of the end, T + 1 of them.
    """

    text: str
    score: float
    log_prob: float
    tokens: list[str]
    source_tokens: list[str]
    alignment: object
    finished: bool
    token_log_probs: list[float] = ()


@dataclass(frozen=True)
class Score:
    """How likely a model holds a given target.

    Attributes:
        log_prob: sum of the tokens' log-probabilities in nats, the end's included.
        tokens, token_log_probs: the target's tokens and the end, and the log-probability of each.
        words, word_log_probs: its words and the end, and the sum of the tokens of each.
    """

    log_prob: float
    tokens: list[str]
    token_log_probs: list[float]
    words: list[str]
    word_log_probs: list[float]


@dataclass(frozen=True)
class Attention:
    """What a model attends to while it reads a source and writes a target.

    Attributes:
        source_tokens, tokens: S and T strings, with the end's mark.
        attention: float array [A, T, S], and `names`, A strings.
        encoder_attention, decoder_attention: arrays [E, S, S] and [D, T, T] of a Transformer with
            `encoder_names` and `decoder_names`; None and empty where a model has no such maps.
    """

    source_tokens: list[str]
    tokens: list[str]
    attention: object
    names: list[str]
    encoder_attention: object = None
    encoder_names: list[str] = ()
    decoder_attention: object = None
    decoder_names: list[str] = ()


@dataclass(frozen=True)
class Forecast:
    """What a model of vectors expects to come.

    Attributes:
        values: float32 array [T, F].
        variances: float32 array [T, F] of a Gaussian, else None; each of its own step, as if the
            frames before it were right, so that later frames are less sure than theirs say.
    """

    values: object
    variances: object = None


def hard_alignment(alignment) -> list[tuple[int, int]]:
    """The hard alignment of a hypothesis, as (source, target) places in the order of the target.

    Each target token is aligned to the source token that it looks at most; the end's mark, the
    last of the S columns, is none.

    Args:
        alignment: float array [T, S] of a `Hypothesis`.
    """
    return [(int(row[:-1].argmax()), place) for place, row in enumerate(alignment) if len(row) > 1]
