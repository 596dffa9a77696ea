"""How an export may differ from the plain one."""

from dataclasses import dataclass

from keras_s2s.errors import UserError

__all__ = ["QUANTIZATIONS", "WEIGHT_TYPES", "Variant"]

QUANTIZATIONS = ("none", "float16", "dynamic_int8", "weight_int8", "int4")  # of a LiteRT file

# How matrices may be stored, and how far the mean log-probability of a target token may then
# move, in nats: some four times the most that small trained and random models did,
# 0.00045, 0.003 and 0.013.
WEIGHT_TYPES = {"float16": 0.002, "bfloat16": 0.012, "int8": 0.05}


@dataclass(frozen=True)
class Variant:
    """How an export differs from the plain one.

    Attributes:
        weights: `"float16"`, `"bfloat16"` or `"int8"`, how matrices are stored, see `packing`;
            None is float32.
        batching: whether requests at the same time share batches, see `batching`.
        frozen: whether weights are constants of the graph, see `freezing`.
        xla: whether searches of one row are compiled, see `compiling`.
        gpu: whether loops are left to the server to place, and not settled as calls on a CPU, see
            `control_flow`.

    Raises:
        UserError: another name for `weights`, or `weights` beside `frozen`.
    """

    weights: str | None = None
    batching: bool = False
    frozen: bool = False
    xla: bool = False
    gpu: bool = False

    def __post_init__(self):
        if self.weights not in (None, *WEIGHT_TYPES):
            expected = f"weights: expected one of {', '.join(WEIGHT_TYPES)}"
            raise UserError(f"{expected}, came {self.weights!r}")
        if self.frozen and self.weights:
            expected = "expected float32, for what is unpacked is no constant"
            raise UserError(f"frozen: {expected}, came {self.weights}")
