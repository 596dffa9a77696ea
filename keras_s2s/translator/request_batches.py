"""Batches of rows with similar lengths, from Python values through a compiled signature."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.signatures.arrays import to_array
from keras_s2s.signatures.fields import Signature
from keras_s2s.signatures.requests import option_columns, source_inputs, source_rows

__all__ = ["run_batches"]


def run_batches(
    function_for: Callable,
    signature: Signature,
    texts: Iterable[Any],
    options: Mapping[str, Any],
    batch_size: int,
    num_features: int | None = None,
) -> list[dict[str, np.ndarray]]:
    """Runs a signature over texts.

    Args:
        function_for: options' columns [B] by name -> concrete function of one tensor for each
            input.
        signature: the signature.
        texts: list of strings, or of arrays [S, F] where the signature takes features.
        options: the other inputs by name, see `signatures.requests.option_columns`.
        batch_size: number of texts that run together; they have similar lengths.
        num_features: F where the signature takes features.

    Returns:
        for each text its row of every output, by name.

    Raises:
        UserError: an argument has another number or type of values; the message names it.
    """
    batch_size = _checked_batch_size(batch_size)
    rows = source_rows(texts, num_features, encoding_errors="replace")
    columns = option_columns(signature, options, len(rows), encoding_errors="replace")
    function = function_for(columns)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    outputs: list[dict[str, np.ndarray]] = [{}] * len(rows)
    for first in range(0, len(rows), batch_size):
        batch = order[first : first + batch_size]
        source = source_inputs([rows[i] for i in batch])
        inputs = source | {name: column[batch] for name, column in columns.items()}
        tensors = [tf.constant(inputs[field.name], field.dtype) for field in signature.inputs]
        batch_outputs = {name: x.numpy() for name, x in function(*tensors).items()}
        for place, row in enumerate(batch):
            outputs[row] = {name: x[place] for name, x in batch_outputs.items()}
    return outputs


def _checked_batch_size(batch_size: Any) -> int:
    array = to_array(batch_size, "batch_size", "int32")
    if array.ndim or array < 1:
        raise UserError(f"batch_size: expected an integer of at least 1, got {batch_size!r}")
    return int(array)
