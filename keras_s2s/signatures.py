"""What a served model takes and gives: names, shapes, dtypes and defaults.

The exporter builds its endpoints from these tables, the client and the server read them, and
none of them needs TensorFlow to do so. Letters: B batch, S source length, K hypotheses (the
largest `num_hypotheses` of the batch), T target length.

Every tensor has the batch as its first dimension and none is a scalar, so that a batching
server can merge requests; requests with different options share a batch.
"""

from dataclasses import dataclass

__all__ = [
    "CAPS",
    "MISSING_SCORE",
    "PENALTY",
    "SERVING_DEFAULT",
    "SIGNATURES",
    "TRANSLATE",
    "Field",
    "Hypothesis",
    "Signature",
]

MISSING_SCORE = -1e9  # pads `score` and `log_prob` where a row has fewer hypotheses than K


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
    """

    name: str
    dtype: str
    shape: tuple[str, ...]
    default: int | float | str | None = None
    meaning: str = ""


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


_TEXT = Field("text", "string", ("B",), None, "source text, UTF-8")

TRANSLATE = Signature(
    "translate",
    inputs=(
        _TEXT,
        Field("beam_size", "int32", ("B",), 5, "hypotheses kept at each step; 1 is greedy search"),
        Field("num_hypotheses", "int32", ("B",), 1, "hypotheses returned, at most beam_size"),
        Field(
            "length_penalty", "float32", ("B",), 0.6, "exponent of the length penalty; 0 is none"
        ),
        Field("max_length", "int32", ("B",), 256, "most target tokens, the end not counted"),
    ),
    outputs=(
        Field("text", "string", ("B", "K"), None, "hypotheses, best first"),
        Field("score", "float32", ("B", "K"), None, "log_prob over the length penalty"),
        Field(
            "log_prob", "float32", ("B", "K"), None, "sum of token log-probabilities, end included"
        ),
        Field("tokens", "string", ("B", "K", "T"), None, 'target tokens, padded with ""'),
        Field("lengths", "int32", ("B", "K"), None, "number of target tokens, the end not counted"),
        Field("finished", "bool", ("B", "K"), None, "False where max_length cut the hypothesis"),
        Field(
            "source_tokens", "string", ("B", "S"), None, 'source tokens and the end, padded with ""'
        ),
        Field("alignment", "float32", ("B", "K", "T", "S"), None, "attention of each target token"),
        Field("error", "string", ("B",), None, 'what was wrong with that row\'s request, or ""'),
    ),
)

SERVING_DEFAULT = Signature(
    "serving_default",
    inputs=(_TEXT,),
    outputs=(
        Field("text", "string", ("B",), None, "the best hypothesis under the default options"),
        Field("score", "float32", ("B",), None, "its log_prob over the length penalty"),
    ),
)

SIGNATURES = {signature.name: signature for signature in (SERVING_DEFAULT, TRANSLATE)}

# What one row may cost; a row beyond them gets an `error` and no hypothesis.
CAPS = {
    "beam_size": 16,
    "num_hypotheses": 16,
    "max_length": 256,
    "source_length": 1024,  # tokens
    "text_bytes": 65536,  # cutting text into pieces can take time quadratic in its length
}
PENALTY = 10.0  # beyond it lies a mistaken request; its powers stay within float32


@dataclass(frozen=True)
class Hypothesis:
    """One target that a search found.

    Attributes:
        text: the target.
        score: `log_prob` over the length penalty; hypotheses are ranked by it.
        log_prob: sum of the tokens' log-probabilities in nats, the end's included.
        tokens: the T target tokens, without the end.
        source_tokens: the S source tokens, with the end's mark.
        alignment: float array [T, S], attention of each target token over the source; None when
            it was not asked for.
        finished: False where `max_length` cut the target.
    """

    text: str
    score: float
    log_prob: float
    tokens: list[str]
    source_tokens: list[str]
    alignment: object
    finished: bool
