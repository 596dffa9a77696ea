"""The weights of OpenNMT-tf's LSTM models with Luong's attention under our names."""

import numpy as np

from keras_s2s.errors import UserError
from keras_s2s.importers.opennmt.models import Recurrent
from keras_s2s.importers.opennmt.weights import OUTPUT, TABLES, head_weights

__all__ = ["is_recurrent", "recurrent_sizes", "recurrent_weights"]

MEMORY = "model/decoder/attention_mechanism/memory_layer/kernel"
READOUT = "model/decoder/cell/_attention_layers/0/kernel"
DECODER = "model/decoder/cell/_cell/cells"
ENCODER = "model/encoder/rnn/rnn/cell/cells"
FORGET_BIAS = 1.0  # which our cell adds


def is_recurrent(checkpoint) -> bool:
    """Whether a checkpoint's decoder is an LSTM with Luong's attention."""
    return MEMORY in checkpoint.shapes


def recurrent_sizes(checkpoint, dropout=0.3) -> Recurrent:
    """The model that a checkpoint holds.

    Raises:
        UserError: its encoder is another than an RNNEncoder of one direction (an LSTMEncoder's
            states their own CopyBridge refuses).
    """
    shapes = checkpoint.shapes
    layers = len({n.split("/")[5] for n in shapes if n.startswith(f"{DECODER}/")})
    read = len({n.split("/")[6] for n in shapes if n.startswith(f"{ENCODER}/")})
    if read != layers or READOUT not in shapes:
        expected = "expected an RNNEncoder of one direction and as many layers as the decoder"
        raise UserError(
            f"{checkpoint.path}: {expected}, came another model; there are no parts"
            " here for its weights"
        )
    units, embedding = shapes[READOUT][1], shapes[TABLES["source"]][1]
    return Recurrent(layers, units, False, dropout, embedding)


def recurrent_weights(checkpoint, model: Recurrent, rows: dict) -> dict[str, np.ndarray]:
    """The weights of a `Seq2Seq` by the names of `checkpoints.named_weights`.

    Args:
        checkpoint, rows: as for `weights.transformer_weights`.
        model: its sizes.

    Raises:
        UserError: a variable is missing.
    """
    made = {}
    for layer in range(model.layers):
        made |= _cell(checkpoint, f"encoder/forward_cells/{layer}", f"{ENCODER}/{layer}")
        made |= _cell(checkpoint, f"decoder/cells/{layer}", f"{DECODER}/{layer}")
    first = "decoder/cells/0/input_projection/kernel"  # of [y; h~ of the position before]
    made[first], made["decoder/feed_projection/kernel"] = np.split(made[first], [-model.units])
    made["decoder/attention/key_projection/kernel"] = checkpoint(MEMORY)
    own, context = np.split(checkpoint(READOUT), [model.units])
    made["decoder/readout/kernel"] = np.concatenate([context, own])
    made["decoder/readout/bias"] = np.zeros(model.units, np.float32)
    for side, table in TABLES.items():
        made[f"{side}/table"] = checkpoint(table)[rows[side]]
    size = checkpoint.shapes[f"{OUTPUT}/kernel"][1]
    return made | head_weights(checkpoint, size, model.sharing, np.asarray(rows["target"]))


def _cell(read, ours, theirs):
    if f"{theirs}/kernel" not in read.shapes:
        theirs = f"{theirs}/layer"  # dropout wraps it
    bias = read(f"{theirs}/bias")
    bias[len(bias) // 4 : len(bias) // 2] -= FORGET_BIAS
    return {
        f"{ours}/input_projection/kernel": read(f"{theirs}/kernel"),
        f"{ours}/input_projection/bias": bias,
        f"{ours}/recurrent_projection/kernel": read(f"{theirs}/recurrent_kernel"),
        f"{ours}/recurrent_projection/bias": np.zeros_like(bias),
    }
