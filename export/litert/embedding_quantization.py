"""Embedding tables in quantized LiteRT files: int8 rows, each with its own scale."""

from collections.abc import Iterable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from keras_s2s.export.litert.table_lookups import FLOAT32, INT8, TableLookups

__all__ = ["quantize_embeddings", "share_tied_embeddings"]


def share_tied_embeddings(model: schema.ModelT) -> None:
    """Replaces int8 embedding tables by the weights of the layer that is tied to them.

    The converter writes a tied table twice: with a single scale for lookups, and with one scale
    per row for the matrix product. The second one replaces the first with a smaller error: a row
    that was looked up is multiplied by its scale. Tables with other uses stay.

    Args:
        model: the model, changed in place.
    """
    row_scaled = _row_scaled_tables(model)
    for buffer, (scale, *others) in list(_int8_tables(model)):
        if others:
            continue
        values = _int8_values(model, buffer)
        for tied, scales in row_scaled.items():
            if _are_equal(values, scale, _int8_values(model, tied), scales):
                lookups = TableLookups(model, buffer)
                if lookups.are_replaceable():
                    lookups.replace(tied, scales)
                break


def quantize_embeddings(model: schema.ModelT) -> None:
    """Replaces float32 embedding tables by int8 rows with one scale per row.

    The weights of a layer that is tied to a table are reused. Tables with other uses stay.

    Args:
        model: the model, changed in place.
    """
    row_scaled = _row_scaled_tables(model)
    for buffer, shape in list(_float_tables(model)):
        lookups = TableLookups(model, buffer)
        if not lookups.are_replaceable():
            continue
        values = model.buffers[buffer].data.view(np.float32)
        for tied, scales in row_scaled.items():
            if _are_equal(values, 0, _int8_values(model, tied), scales):
                break
        else:
            rows, scales = _quantize_rows(values.reshape(shape))
            tied = len(model.buffers)
            model.buffers.append(schema.BufferT(data=rows.view(np.uint8).ravel()))
        lookups.replace(tied, scales)


def _quantize_rows(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Float32 [V, D] -> int8 [V, D] and the scales [V] of the rows."""
    largest = np.abs(values).max(1)
    scales = (np.where(largest > 0, largest, 1) / 127).astype(np.float32)
    return np.round(values / scales[:, None]).astype(np.int8), scales


def _row_scaled_tables(model: schema.ModelT) -> dict[int, np.ndarray]:
    """Scales of the int8 matrices with one scale per row, by buffer index."""
    return {buffer: scales for buffer, scales in _int8_tables(model) if len(scales) > 1}


def _float_tables(model: schema.ModelT) -> Iterable[tuple[int, tuple[int, int]]]:
    """(buffer index, shape) of the float32 matrices."""
    tables = {}
    for tensor in _all_tensors(model):
        data = model.buffers[tensor.buffer].data
        if tensor.type == FLOAT32 and data is not None and len(data) and len(tensor.shape) == 2:
            tables[tensor.buffer] = tuple(tensor.shape)
    return tables.items()


def _int8_tables(model: schema.ModelT) -> Iterable[tuple[int, np.ndarray]]:
    """(buffer index, scales) of the int8 matrices with a single scale or one per row."""
    tables = {}
    for tensor in _all_tensors(model):
        info = tensor.quantization
        if tensor.type == INT8 and info and info.scale is not None and len(tensor.shape) == 2:
            data = model.buffers[tensor.buffer].data
            by_row = len(info.scale) in (1, tensor.shape[0]) and info.quantizedDimension == 0
            if by_row and data is not None and len(data) and not np.any(info.zeroPoint):
                tables[tensor.buffer] = info.scale
    return tables.items()


def _all_tensors(model):
    return [tensor for graph in model.subgraphs for tensor in graph.tensors]


def _int8_values(model, buffer):
    return model.buffers[buffer].data.view(np.int8)


def _are_equal(values: np.ndarray, scale: float, rows: np.ndarray, scales: np.ndarray) -> bool:
    """Whether two matrices are the same except for rounding.

    Args:
        values: of the first, flat.
        scale: its only scale; 0 if it is not rounded.
        rows: int8 values of the second, flat.
        scales: its scale for each row.
    """
    if len(values) != len(rows) or len(values) % len(scales):
        return False
    values, rows = (x.reshape(len(scales), -1).astype(np.float32) for x in (values, rows))
    error = np.abs(values * (scale or 1) - rows * scales[:, None])
    return bool((error <= 0.505 * (scale + scales[:, None])).all())
