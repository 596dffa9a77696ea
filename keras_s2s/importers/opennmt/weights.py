"""OpenNMT-tf's checkpoints: what model they hold, and its weights under our names."""

import re
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_s2s.config import UserError
from keras_s2s.importers.opennmt.model_types import Transformer

__all__ = [
    "OUTPUT",
    "TABLES",
    "Checkpoint",
    "head_weights",
    "infer_transformer",
    "transformer_weights",
]

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
INPUTTERS = "model/examples_inputter"
TABLES = {
    side: f"{INPUTTERS}/{name}_inputter/embedding"
    for side, name in (("source", "features"), ("target", "labels"))
}
OUTPUT = "model/decoder/output_layer"
RELATIVE = {"key": "relative_position_keys", "value": "relative_position_values"}
LOGIT_OFFSET = (
    30.0  # by how much the logit of a piece that they lack lies below that of the unknown
)


class Checkpoint:
    """The model's variables in a checkpoint; remembers which were read.

    Args:
        path: a model directory, whose latest checkpoint it is, or one's prefix (`DIR/ckpt-100`).

    Attributes:
        shapes: of each variable, by its name from `model/` on.
        step: updates of the training that wrote it.

    Raises:
        UserError: there is none, or one of OpenNMT-tf 1.
    """

    def __init__(self, path):
        prefix = tf.train.latest_checkpoint(path) if Path(path).is_dir() else str(path)
        try:
            self._reader = tf.train.load_checkpoint(prefix or str(path))
        except (tf.errors.OpError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}: expected an OpenNMT-tf checkpoint, got: {reason}") from None
        shapes = self._reader.get_variable_to_shape_map()
        self.shapes = {
            name.removesuffix(SUFFIX): list(shape)
            for name, shape in shapes.items()
            if name.startswith("model/")
            and name.endswith(SUFFIX)
            and "/.OPTIMIZER_SLOT/" not in name
        }
        self.path, self.read = prefix, set()
        if not any(name in self.shapes for name in TABLES.values()):
            raise UserError(
                f"{prefix}: expected a model of OpenNMT-tf 2 that reads text from one"
                " file, got other variables"
            )
        number = re.search(r"-(\d+)$", prefix)
        self.step = int(number[1]) if number else 0

    def __call__(self, name):
        """The float32 array of a variable.

        Raises:
            UserError: there is no such variable.
        """
        if name not in self.shapes:
            raise UserError(f"{self.path}: expected a variable {name}, got none")
        self.read.add(name)
        return np.asarray(self._reader.get_tensor(name + SUFFIX), np.float32)

    def get(self, name, default):
        """The array of a variable, or `otherwise` where there is none."""
        return self(name) if name in self.shapes else default

    def check_all_read(self) -> None:
        """Refuses a model that has more to it than was read.

        Raises:
            UserError: naming the first variable that nobody asked for.
        """
        unread = sorted(self.shapes.keys() - self.read)
        if unread:
            more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
            expected = "expected the variables of a Transformer, or of Luong's model"
            raise UserError(
                f"{self.path}: {expected}, got {unread[0]}{more}, for which there are no parts here"
            )


def infer_transformer(
    checkpoint: Checkpoint, *, heads: int, dropout=0.1, activation="relu"
) -> Transformer:
    """The Transformer that a checkpoint holds.

    Args:
        checkpoint: where the sizes are read.
        heads, dropout, activation: what the weights do not tell.

    Raises:
        UserError: it holds another kind of model, or heads that do not divide the width.
    """
    shapes = checkpoint.shapes
    layers = tuple(
        len({n.split("/")[3] for n in shapes if n.startswith(f"model/{part}/layers/")})
        for part in ("encoder", "decoder")
    )
    inner = "model/encoder/layers/0/ffn/layer/inner/kernel"
    if not all(layers) or inner not in shapes:
        raise UserError(
            f"{checkpoint.path}: expected a Transformer, got another model;"
            " there are no parts here for its weights"
        )
    units, hidden = shapes[inner]
    if heads < 1 or units % heads:
        raise UserError(f"--num-heads: expected a divisor of the width, {units}, got {heads}")
    has_output_kernel = f"{OUTPUT}/kernel" in shapes
    shared = TABLES["target"] not in shapes
    sharing = (
        ("source_target_input" if shared else "none")
        if has_output_kernel
        else ("all" if shared else "target")
    )
    post = "model/encoder/layers/0/ffn/output_layer_norm/gamma" in shapes
    distances = shapes.get(f"model/encoder/layers/0/self_attention/layer/{RELATIVE['key']}")
    return Transformer(
        layers,
        units,
        heads,
        hidden,
        "post" if post else "pre",
        activation,
        dropout,
        sharing,
        relative=distances and distances[0] // 2,
        biased=f"{OUTPUT}/bias" in shapes,
    )


def transformer_weights(checkpoint, model: Transformer, rows: dict) -> dict[str, np.ndarray]:
    """The weights of a `Seq2Seq` by the names of `checkpoints.named_weights`.

    Args:
        checkpoint: a `Checkpoint`, or another function of names with `get`.
        model: its sizes.
        rows: for `source` and `target` their row of each of our ids, -1 for a piece that they do
            not have.

    Raises:
        UserError: a variable is missing.
    """
    weights = {}
    for part, count in zip(("encoder", "decoder"), model.layers, strict=True):
        for layer in range(count):
            prefix, variable_prefix = f"{part}/layers/{layer}", f"model/{part}/layers/{layer}"
            weights |= _layer(checkpoint, prefix, variable_prefix, model, part == "decoder")
        if model.norm == "pre":
            weights |= _norm(checkpoint, f"{part}/final_norm", f"model/{part}/layer_norm")
    source = checkpoint(TABLES["source"])
    target = checkpoint.get(TABLES["target"], source)
    weights["source/table"] = source[rows["source"]]  # -1 is their last row, the unknown token
    if model.sharing != "all":
        weights["target/table"] = target[rows["target"]]
    return weights | head_weights(
        checkpoint, len(target), model.sharing, np.asarray(rows["target"])
    )


def _layer(checkpoint, prefix, variable_prefix, model, cross):
    name = "input_layer_norm" if model.norm == "pre" else "output_layer_norm"
    relative = model.relative is not None
    parts = [("self_attention", "self_attention", "self_norm")]
    parts += [("cross_attention", "attention/0", "cross_norm")] if cross else []
    weights = {}
    for part, variable_part, own_norm in parts:
        weights |= _attention(
            checkpoint,
            f"{prefix}/{part}",
            f"{variable_prefix}/{variable_part}/layer",
            part,
            relative,
        )
        weights |= _norm(
            checkpoint, f"{prefix}/{own_norm}", f"{variable_prefix}/{variable_part}/{name}"
        )
    for half in ("inner", "outer"):
        variable = f"{variable_prefix}/ffn/layer/{half}"
        weights |= _dense(f"{prefix}/feed_forward/{half}", [_pair(checkpoint, variable)])
    return weights | _norm(checkpoint, f"{prefix}/feed_norm", f"{variable_prefix}/ffn/{name}")


def _attention(checkpoint, prefix, variable_prefix, kind, relative):
    query, keys, values, output = (
        _pair(checkpoint, f"{variable_prefix}/linear_{name}")
        for name in ("queries", "keys", "values", "output")
    )
    if kind == "self_attention":
        weights = _dense(f"{prefix}/input_projection", [query, keys, values])
        weights |= {
            f"{prefix}/position/{part}_table": checkpoint(f"{variable_prefix}/{name}")
            for part, name in RELATIVE.items()
            if relative
        }
    else:
        weights = _dense(f"{prefix}/query_projection", [query])
        weights |= _dense(f"{prefix}/memory_projection", [keys, values])
    return weights | _dense(f"{prefix}/output_projection", [output])


def _pair(checkpoint, name):
    kernel = checkpoint(f"{name}/kernel")
    return kernel, checkpoint.get(f"{name}/bias", np.zeros(kernel.shape[1], np.float32))


def _dense(name, layers):
    """Several dense layers side by side as one."""
    kernels, biases = zip(*layers, strict=True)
    return {f"{name}/kernel": np.concatenate(kernels, 1), f"{name}/bias": np.concatenate(biases)}


def _norm(checkpoint, prefix, variable_prefix):
    return {
        f"{prefix}/{name}": checkpoint(f"{variable_prefix}/{name}") for name in ("gamma", "beta")
    }


def head_weights(checkpoint, size, sharing, rows):
    """Those of the output layer: `size` tokens of theirs, of which our ids are `rows`."""
    bias = checkpoint.get(f"{OUTPUT}/bias", np.zeros(size, np.float32))[rows]
    bias = np.where(rows < 0, bias - LOGIT_OFFSET, bias)
    if sharing in ("target", "all"):
        return {"head/bias": bias}
    kernel = checkpoint(f"{OUTPUT}/kernel")[:, rows]
    return {"head/projection/kernel": kernel, "head/projection/bias": bias}
