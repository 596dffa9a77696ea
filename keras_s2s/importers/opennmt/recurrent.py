"""Weights of OpenNMT-tf LSTM models with Luong attention under the names of this package."""

import numpy as np

from keras_s2s.errors import UserError
from keras_s2s.importers.opennmt.model_types import Recurrent
from keras_s2s.importers.opennmt.weights import OUTPUT, TABLES, Checkpoint, head_weights

__all__ = ["infer_recurrent", "is_recurrent", "recurrent_weights"]

MEMORY = "model/decoder/attention_mechanism/memory_layer/kernel"
READOUT = "model/decoder/cell/_attention_layers/0/kernel"
DECODER = "model/decoder/cell/_cell/cells"
ENCODER = "model/encoder/rnn/rnn/cell/cells"
FORGET_BIAS = 1.0  # which the cell of this package adds


def is_recurrent(checkpoint: Checkpoint) -> bool:
    """Whether the decoder of a checkpoint is an LSTM with Luong attention."""
    return MEMORY in checkpoint.shapes


def infer_recurrent(checkpoint: Checkpoint, dropout: float = 0.3) -> Recurrent:
    """Infers the sizes of a recurrent model from the shapes in a checkpoint.

    Raises:
        UserError: the encoder is not an RNNEncoder of one direction (OpenNMT-tf's CopyBridge
            refuses the states of an LSTMEncoder).
    """
    shapes = checkpoint.shapes
    layers = len({n.split("/")[5] for n in shapes if n.startswith(f"{DECODER}/")})
    encoder_layers = len({n.split("/")[6] for n in shapes if n.startswith(f"{ENCODER}/")})
    if encoder_layers != layers or READOUT not in shapes:
        expected = "expected an RNNEncoder of one direction and as many layers as the decoder"
        raise UserError(
            f"{checkpoint.path}: {expected}, got another model; there are no parts"
            " here for its weights"
        )
    units, embedding = shapes[READOUT][1], shapes[TABLES["source"]][1]
    return Recurrent(layers, units, False, dropout, embedding)


def recurrent_weights(
    checkpoint: Checkpoint, model: Recurrent, rows: dict
) -> dict[str, np.ndarray]:
    """Converts the weights of a recurrent model.

    Args:
        checkpoint: a `Checkpoint`.
        model: its sizes.
        rows: see `weights.transformer_weights`.

    Returns:
        Arrays by the names of `checkpoints.named_weights`.

    Raises:
        UserError: a variable is missing.
    """
    weights = {}
    for layer in range(model.layers):
        weights |= _cell(checkpoint, f"encoder/forward_cells/{layer}", f"{ENCODER}/{layer}")
        weights |= _cell(checkpoint, f"decoder/cells/{layer}", f"{DECODER}/{layer}")
    first = "decoder/cells/0/input_projection/kernel"  # inputs are [y; h~ of the previous position]
    weights[first], weights["decoder/feed_projection/kernel"] = np.split(
        weights[first], [-model.units]
    )
    weights["decoder/attention/key_projection/kernel"] = checkpoint(MEMORY)
    own_kernel, context_kernel = np.split(checkpoint(READOUT), [model.units])
    weights["decoder/readout/kernel"] = np.concatenate([context_kernel, own_kernel])
    weights["decoder/readout/bias"] = np.zeros(model.units, np.float32)
    for side, table in TABLES.items():
        weights[f"{side}/table"] = checkpoint(table)[rows[side]]
    size = checkpoint.shapes[f"{OUTPUT}/kernel"][1]
    return weights | head_weights(checkpoint, size, model.sharing, np.asarray(rows["target"]))


def _cell(checkpoint, prefix, variable_prefix):
    if f"{variable_prefix}/kernel" not in checkpoint.shapes:
        variable_prefix = f"{variable_prefix}/layer"  # dropout wraps it
    bias = checkpoint(f"{variable_prefix}/bias")
    bias[len(bias) // 4 : len(bias) // 2] -= FORGET_BIAS
    return {
        f"{prefix}/input_projection/kernel": checkpoint(f"{variable_prefix}/kernel"),
        f"{prefix}/input_projection/bias": bias,
        f"{prefix}/recurrent_projection/kernel": checkpoint(f"{variable_prefix}/recurrent_kernel"),
        f"{prefix}/recurrent_projection/bias": np.zeros_like(bias),
    }
