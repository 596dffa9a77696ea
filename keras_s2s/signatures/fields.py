"""Signatures of served models: names, shapes, dtypes, defaults and bounds of their tensors.

The exporter builds its endpoints from these tables; the client, the server and the command line
read them without TensorFlow. Letters of shapes: B batch, S source length, K hypotheses (the largest
`num_hypotheses` or `num_samples` of the batch), T target length, U = T + 1 (the tokens and the
end), W words, A, E and D attention maps, F numbers per frame.

Every tensor has the batch as its first dimension and none is a scalar, so that a batching server
can merge requests; requests with different options share a batch. A list, such as the tokens of a
prefix, is one string per row with its items separated by line feeds. A model whose source is
real-valued features takes `features` and `length` in place of `text`; a model whose target is
features has the signatures `serving_default` and `forecast` alone.
"""

from dataclasses import dataclass, replace

from keras_s2s.signatures.caps import CAPS, resolve_bound
from keras_s2s.signatures.decoding_option import DecodingOption
from keras_s2s.signatures.option_groups import signature_options

__all__ = [
    "ATTENTION",
    "FORECAST",
    "LIST_INPUTS",
    "MISSING_SCORE",
    "SAMPLE",
    "SCORE",
    "SERVING_DEFAULT",
    "SIGNATURES",
    "TRANSLATE",
    "Field",
    "Signature",
    "signature_fields",
    "signatures_for",
]

MISSING_SCORE = -1e9  # pads `score` and `log_prob` where a row has fewer hypotheses than K


@dataclass(frozen=True)
class Field:
    """One tensor of a signature.

    Attributes:
        name: the alias in requests and responses.
        dtype: TensorFlow's name of the element type, such as `"string"` or `"int32"`.
        shape: the letters of its dimensions, the batch first: `("B", "K")`.
        default: for an input, the value of every row of a request that leaves it out; None if the
            input is required.
        description: one line for people.
        low, high: for an input with numbers, the inclusive bounds; `high` may be the name of one
            of `CAPS`.
        is_optional: for an output, whether some models do not have it.
        is_list: for an input, whether a row is a list: one string, its items separated by line
            feeds.
    """

    name: str
    dtype: str
    shape: tuple[str, ...]
    default: int | float | str | bool | None = None
    description: str = ""
    low: float | None = None
    high: float | str | None = None
    is_optional: bool = False
    is_list: bool = False

    def bounds(self, caps: dict[str, int] = CAPS) -> tuple[float | None, float | None]:
        """Returns the lower and the upper bound as numbers."""
        return self.low, resolve_bound(self.high, caps)


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of one entry of a served model, in a fixed order.

    Example:

    >>> from keras_s2s.signatures import TRANSLATE
    >>> TRANSLATE.options()["beam_size"].default
    5
    """

    name: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]

    def input_names(self) -> list[str]:
        """Returns the names of all inputs."""
        return [field.name for field in self.inputs]

    def output_names(self) -> list[str]:
        """Returns the names of all outputs."""
        return [field.name for field in self.outputs]

    def options(self) -> dict[str, Field]:
        """Returns the inputs that a request may leave out, by name."""
        return {field.name: field for field in self.inputs if field.default is not None}

    def sources(self) -> tuple[Field, ...]:
        """Returns the inputs that a request must have: text, or features and length."""
        return tuple(field for field in self.inputs if field.default is None)


def _input(
    name: str,
    dtype: str,
    default: int | float | str | bool | None,
    description: str,
    is_list: bool = False,
) -> Field:
    return Field(name, dtype, ("B",), default, description, is_list=is_list)


def _output(name: str, dtype: str, axes: str, description: str, is_optional: bool = False) -> Field:
    return Field(name, dtype, tuple(axes), None, description, is_optional=is_optional)


def _option_inputs(signature: str) -> tuple[Field, ...]:
    return tuple(map(_option_input, signature_options(signature)))


def _option_input(option: DecodingOption) -> Field:
    return Field(
        option.name,
        option.dtype,
        ("B",),
        option.default,
        option.description,
        option.low,
        option.high,
        is_list=option.is_list,
    )


_TEXT = (_input("text", "string", None, "source text, UTF-8"),)
_FEATURES = (
    Field("features", "float32", ("B", "S", "F"), None, "frames of the source, padded at the end"),
    _input("length", "int32", None, "number of real frames of each row"),
)
_TARGET = (
    _input("target", "string", "", "target text"),
    _input(
        "target_tokens",
        "string",
        "",
        "the target as tokens in place of text, one a line, as the output `tokens` has them",
        is_list=True,
    ),
)
_ERROR = _output("error", "string", "B", 'error message of the row\'s request, or ""')
_SOURCE_TOKENS = _output(
    "source_tokens", "string", "BS", 'source tokens and the end, padded with ""'
)
_TOKENS_AND_END = _output("tokens", "string", "BT", 'target tokens and the end, padded with ""')
_HYPOTHESES = (
    _output("text", "string", "BK", "hypotheses, best first"),
    _output("score", "float32", "BK", "score by which hypotheses are ranked"),
    _output("log_prob", "float32", "BK", "sum of token log-probabilities, end included"),
    _output("tokens", "string", "BKT", 'target tokens, padded with ""'),
    _output(
        "token_log_probs",
        "float32",
        "BKU",
        "log-probability of each token, then of the end; padded with -1e9",
    ),
    _output("lengths", "int32", "BK", "number of target tokens, the end not counted"),
    _output("finished", "bool", "BK", "False where a limit truncated the hypothesis"),
    _SOURCE_TOKENS,
    _output("alignment", "float32", "BKTS", "attention of each target token over the source"),
    _ERROR,
)

TRANSLATE = Signature("translate", (*_TEXT, *_option_inputs("translate")), _HYPOTHESES)

SAMPLE = Signature("sample", (*_TEXT, *_option_inputs("sample")), _HYPOTHESES)

SCORE = Signature(
    "score",
    inputs=(*_TEXT, *_TARGET),
    outputs=(
        _output("log_prob", "float32", "B", "sum of token log-probabilities, end included"),
        _TOKENS_AND_END,
        _output("token_log_probs", "float32", "BT", "log-probability of each; padded with -1e9"),
        _output("words", "string", "BW", 'words of the target and the end, padded with ""'),
        _output("word_log_probs", "float32", "BW", "log-probability of each; padded with -1e9"),
        _ERROR,
    ),
)

ATTENTION = Signature(
    "attention",
    inputs=(*_TEXT, *_TARGET),
    outputs=(
        _SOURCE_TOKENS,
        _TOKENS_AND_END,
        _output("attention", "float32", "BATS", "attention of each target token over the source"),
        _output("names", "string", "BA", "names of the maps of `attention`"),
        _output(
            "encoder_attention",
            "float32",
            "BESS",
            "attention of source tokens over the source",
            True,
        ),
        _output("encoder_names", "string", "BE", "names of the encoder's maps", True),
        _output(
            "decoder_attention",
            "float32",
            "BDTT",
            "attention of target positions over the target",
            True,
        ),
        _output("decoder_names", "string", "BD", "names of the decoder's maps", True),
        _ERROR,
    ),
)

SERVING_DEFAULT = Signature(
    "serving_default",
    inputs=_TEXT,
    outputs=(
        _output("text", "string", "B", "the best hypothesis under the default options"),
        _output("score", "float32", "B", "score by which it was ranked"),
    ),
)

_FRAMES = (
    _output("values", "float32", "BTF", "frames, padded with zeros; a Gaussian's means"),
    _output("variances", "float32", "BTF", "variance of each number given the frames before", True),
)
FORECAST = Signature(
    "forecast",
    inputs=(*_FEATURES, *_option_inputs("forecast")),
    outputs=(*_FRAMES, _output("lengths", "int32", "B", "number of frames of each row"), _ERROR),
)

SIGNATURES: dict[str, Signature] = {
    signature.name: signature
    for signature in (SERVING_DEFAULT, TRANSLATE, SAMPLE, SCORE, ATTENTION)
}

LIST_INPUTS = frozenset(
    field.name for signature in SIGNATURES.values() for field in signature.inputs if field.is_list
)


def signatures_for(source_is_features: bool, target_is_features: bool) -> dict[str, Signature]:
    """Returns the signatures of a model by name.

    Args:
        source_is_features, target_is_features: whether that side is a sequence of features rather
            than text.

    Example:

    >>> from keras_s2s.signatures import signatures_for
    >>> list(signatures_for(True, True))
    ['serving_default', 'forecast']
    """
    source: tuple[Field, ...] | None
    if target_is_features:
        signatures = {
            "serving_default": Signature("serving_default", _FEATURES, _FRAMES),
            FORECAST.name: FORECAST,
        }
        source = None if source_is_features else _TEXT
    else:
        signatures, source = SIGNATURES, _FEATURES if source_is_features else None
    if source is None:
        return signatures
    return {name: _with_source(signature, source) for name, signature in signatures.items()}


def signature_fields(name: str) -> tuple[dict[str, Field], list[str]]:
    """Returns all inputs by name, and the names of all outputs, of a signature of any model."""
    kinds = [signatures_for(i, o) for i in (False, True) for o in (False, True)]
    variants = [kind[name] for kind in kinds if name in kind]
    inputs = {field.name: field for variant in variants for field in variant.inputs}
    return inputs, list(dict.fromkeys(n for variant in variants for n in variant.output_names()))


def _with_source(signature: Signature, source: tuple[Field, ...]) -> Signature:
    """A signature with another source; a frame is no token that could replace an unknown one."""
    options = (field for field in signature.options().values() if field.name != "replace_unknown")
    return replace(signature, inputs=(*source, *options))
