"""Options of an export that change how the model is stored or served."""

from dataclasses import dataclass

from keras_s2s.errors import UserError

__all__ = ["QUANTIZATIONS", "WEIGHT_TYPES", "Variant"]

QUANTIZATIONS = ("none", "float16", "dynamic_int8", "weight_int8", "int4")  # of a LiteRT file

# Types of stored matrices, with the largest accepted drift: the mean absolute change of a target
# token's log-probability, in nats. The limits are about four times the largest drift measured on
# small trained and random models: 0.00045, 0.003 and 0.013.
WEIGHT_TYPES = {"float16": 0.002, "bfloat16": 0.012, "int8": 0.05}


@dataclass(frozen=True)
class Variant:
    """Options of a SavedModel export.

    Attributes:
        weights: type of the stored matrices, `"float16"`, `"bfloat16"` or `"int8"` (see
            `weight_quantization`); None stores float32.
        batching: whether concurrent requests share batches, see `batching`.
        xla: whether searches of one row are compiled by XLA, see `compiled_search`.
        gpu: whether the server places the operations of loops itself; otherwise loops run as
            function calls on the CPU, see `loop_rewriting`.

    Raises:
        UserError: `weights` is none of the known types.

    Example:
        >>> from keras_s2s.export import Variant
        >>> Variant(weights="int8").batching
        False
    """

    weights: str | None = None
    batching: bool = False
    xla: bool = False
    gpu: bool = False

    def __post_init__(self) -> None:
        if self.weights not in (None, *WEIGHT_TYPES):
            expected = f"weights: expected one of {', '.join(WEIGHT_TYPES)}"
            raise UserError(f"{expected}, got {self.weights!r}")
