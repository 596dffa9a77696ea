"""Records of the attention of one pair of sentences, as bytes for event files and for the page.

Imports NumPy and the messages of TensorBoard only, because the process of TensorBoard starts
without TensorFlow.
"""

import dataclasses
import json
import math
import os
import socket
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.record_writer import RecordWriter

__all__ = [
    "PLUGIN",
    "AttentionRecord",
    "attention_maps",
    "label",
    "make_record",
    "metadata",
    "pack",
    "summary_value",
    "unpack",
    "write",
]

PLUGIN = "attention"
KINDS = {"cross": "target source", "self": "target target", "encoder": "source source"}
MAGIC = b"KSA1"
LEVELS = 255
MAX_HEADER_BYTES = 4 << 20
MAX_BODY_BYTES = 128 << 20  # uncompressed: 192 heads of all three kinds at 470 tokens
SPACE, END = "\N{LOWER ONE EIGHTH BLOCK}", "</s>"
LABEL = 120  # characters of the source in the label of a tag


@dataclasses.dataclass(frozen=True)
class AttentionRecord:
    """The attention of every head over one pair of sentences.

    Args:
        source_tokens: S strings.
        target_tokens: T strings.
        maps: kind -> (names, weights): "cross" with weights `[A, T, S]`, "self" `[A, T, T]`,
            "encoder" `[A, S, S]`; names are A strings, with the heads of a layer next to each
            other. Rows are queries, columns are keys. Weights are finite and not negative.
        reference: the reference translation, or None.
        text: the target as text, or None.
        score: a finite score of this target, or None.

    Raises:
        ValueError: if names, tokens and weights do not match, or a weight is negative or not
            finite.
    """

    source_tokens: tuple
    target_tokens: tuple
    maps: dict
    reference: str | None = None
    text: str | None = None
    score: float | None = None

    def __post_init__(self):
        set_field = object.__setattr__
        for name in ("source_tokens", "target_tokens"):
            set_field(self, name, _strings(name, getattr(self, name)))
        for name in ("reference", "text"):
            if not isinstance(getattr(self, name), str | None):
                raise ValueError(f"{name}: expected a string, got {getattr(self, name)!r}")
        if self.score is not None:
            set_field(self, "score", float(self.score))
            if not math.isfinite(self.score):
                raise ValueError(f"score: expected a finite number, got {self.score!r}")
        lengths = {"source": len(self.source_tokens), "target": len(self.target_tokens)}
        set_field(
            self, "maps", {kind: _check_maps(kind, *self.maps[kind], lengths) for kind in self.maps}
        )


def attention_maps(attention: Any) -> dict:
    """Returns the maps of an `Attention` by kind, as (names, weights); omits missing kinds."""
    maps = {
        "cross": (attention.names, attention.attention),
        "self": (attention.decoder_names, attention.decoder_attention),
        "encoder": (attention.encoder_names, attention.encoder_attention),
    }
    return {kind: pair for kind, pair in maps.items() if pair[1] is not None}


def make_record(
    attention: Any,
    target: str | None = None,
    reference: str | None = None,
    score: float | None = None,
) -> AttentionRecord:
    """Converts an `Attention` to a record for the attention tab and the standalone page.

    Args:
        attention: an `Attention` with maps `[A, T, S]`.
        target: the target text.
        reference: the reference text.
        score: a score of the target.

    Raises:
        ValueError: if a weight is not finite.
    """
    return AttentionRecord(
        attention.source_tokens,
        attention.tokens,
        attention_maps(attention),
        reference=reference,
        text=target,
        score=score,
    )


def pack(record: AttentionRecord) -> bytes:
    """Serializes a record: a JSON header, then the compressed weights of one byte each.

    Weights are quantized to 255 levels of the largest weight of their row, which is stored in
    float32. The error is at most 1/510 of the largest weight; zeros and the largest weight are
    exact, up to the rounding of float32.

    Raises:
        ValueError: if the record is larger than the limits of `unpack`.
    """
    kinds, scales, codes = [], [], []
    for kind, (names, weights) in record.maps.items():
        row_max = weights.max(axis=-1, keepdims=True, initial=0.0)  # [A, rows, 1]
        fractions = weights / np.where(row_max > 0.0, row_max, 1.0)
        kinds.append({"kind": kind, "names": names, "shape": weights.shape})
        scales.append(row_max.astype("<f4").tobytes())
        codes.append(np.rint(fractions * LEVELS).astype("u1").tobytes())
    body = b"".join(scales + codes)
    header = dataclasses.asdict(dataclasses.replace(record, maps={})) | {"maps": kinds}
    header = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode()
    if len(header) > MAX_HEADER_BYTES or len(body) > MAX_BODY_BYTES:
        raise ValueError(
            f"record: expected at most {MAX_HEADER_BYTES} bytes of text and {MAX_BODY_BYTES} of "
            f"weights, got {len(header)} and {len(body)}"
        )
    return MAGIC + struct.pack("<I", len(header)) + header + zlib.compress(body, 6)


def unpack(data: bytes) -> AttentionRecord:
    """Deserializes the bytes of `pack`.

    Raises:
        ValueError: if the bytes are not a record, are truncated, or uncompress to another size
            than the header states or to more than 128 MiB.
    """
    data = bytes(data)
    header, start = _header(data)
    try:
        shapes = [tuple(map(int, kind["shape"])) for kind in header["maps"]]
        names = {kind["kind"]: tuple(kind["names"]) for kind in header["maps"]}
        fields = {name: header[name] for name in ("source_tokens", "target_tokens")}
        fields |= {name: header[name] for name in ("reference", "text", "score")}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"attention record: expected the header of a record, {error!r}") from error
    if any(len(shape) != 3 or min(shape) < 0 for shape in shapes) or len(names) != len(shapes):
        raise ValueError(f"attention record: expected shapes [A, rows, columns], got {shapes}")
    body = _decompress(data[start:], sum(_size(shape) for shape in shapes))
    try:
        return AttentionRecord(maps=dict(zip(names, _weights(names, shapes, body))), **fields)
    except TypeError as error:
        raise ValueError(f"attention record: expected the fields of a record, {error}") from error


def metadata(record: AttentionRecord | None = None) -> SummaryMetadata:
    """Returns summary metadata for `tf.summary.write(tag, pack(record), step, metadata)`.

    The source text of the first record of a tag is the name of the sentence on the page.
    """
    content = {"version": 1, "source": label(record) if record else ""}
    return SummaryMetadata(
        plugin_data=SummaryMetadata.PluginData(
            plugin_name=PLUGIN, content=json.dumps(content).encode()
        ),
        data_class=DATA_CLASS_TENSOR,
    )


def label(record: AttentionRecord) -> str:
    """Returns the source as a short text, the name of the sentence on the page."""
    tokens = list(record.source_tokens)
    if tokens[1:] and tokens[-1] == END:
        tokens.pop()
    are_characters = all(len(token) == 1 for token in tokens)
    are_subwords = any(SPACE in token for token in tokens)
    text = ("" if are_characters or are_subwords else " ").join(tokens).replace(SPACE, " ")
    return text.strip()[:LABEL]


def summary_value(tag: str, record: AttentionRecord) -> Summary.Value:
    """Returns a record as the value of a TensorBoard summary, a string of no shape."""
    tensor = TensorProto(dtype=DT_STRING, string_val=[pack(record)])
    return Summary.Value(tag=tag, tensor=tensor, metadata=metadata(record))


def write(logdir: Path | str, tag: str, record: AttentionRecord, step: int) -> Path:
    """Writes a record to a new event file, without TensorFlow.

    A run with an open writer should pass `pack(record)` and `metadata(record)` to
    `tf.summary.write` instead: TensorBoard follows the newest event file of a folder.

    Args:
        logdir: log directory of the run, created if missing.

    Returns:
        The path of the event file.

    Raises:
        ValueError: if the record is too large.
        OSError: if the directory cannot be written.
    """
    now, folder = time.time(), Path(logdir)
    value = summary_value(tag, record)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"events.out.tfevents.{now:.6f}.{socket.gethostname()}.{os.getpid()}.{PLUGIN}"
    with open(folder / name, "xb") as file:
        writer = RecordWriter(file)
        version = Event(wall_time=now, file_version="brain.Event:2")
        event = Event(wall_time=now, step=step, summary=Summary(value=[value]))
        for message in (version, event):
            writer.write(message.SerializeToString())
    return folder / name


def _strings(name, values):
    """Returns a tuple of strings with lone surrogates, which UTF-8 cannot encode, replaced."""
    if isinstance(values, str | bytes) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name}: expected strings, got {values!r:.200}")
    return tuple(value.encode("utf-8", "replace").decode() for value in values)


def _check_maps(kind, names, weights, lengths):
    """Returns validated names and float32 weights of one kind."""
    if kind not in KINDS:
        raise ValueError(f"maps: expected the kinds {', '.join(KINDS)}, got {kind!r}")
    names, weights = _strings(f"maps[{kind!r}] names", names), np.asarray(weights, "float32")
    expected = (len(names), *(lengths[side] for side in KINDS[kind].split()))
    if weights.shape != expected:
        raise ValueError(
            f"maps[{kind!r}]: expected weights {list(expected)} for the names and tokens given, "
            f"got {list(weights.shape)}"
        )
    if not np.isfinite(weights).all() or (weights < 0.0).any():
        raise ValueError(f"maps[{kind!r}]: expected finite weights >= 0, got other values")
    return names, weights


def _header(data):
    """Returns the header of a record as a dict, and the offset of its body."""
    if data[:4] != MAGIC or len(data) < 8:
        raise ValueError(f"attention record: expected it to start with {MAGIC!r}, got {data[:4]!r}")
    (size,) = struct.unpack_from("<I", data, 4)
    if size > min(MAX_HEADER_BYTES, len(data) - 8):
        raise ValueError(f"attention record: expected a header of {size} bytes, got {len(data)}")
    try:
        header = json.loads(data[8 : 8 + size])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"attention record: expected a header in JSON, {error}") from error
    if not isinstance(header, dict):
        raise ValueError(f"attention record: expected a header, got {header!r:.200}")
    return header, 8 + size


def _size(shape):
    """Number of bytes of the scales and codes of one kind."""
    heads, rows, columns = shape
    return heads * rows * (4 + columns)


def _decompress(data, size):
    """Decompresses exactly `size` bytes, and never more."""
    if size > MAX_BODY_BYTES:
        raise ValueError(f"attention record: expected at most {MAX_BODY_BYTES} bytes, got {size}")
    engine = zlib.decompressobj()
    try:
        body = engine.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(f"attention record: expected deflated weights, {error}") from error
    if len(body) != size or not engine.eof or engine.unused_data:
        raise ValueError(f"attention record: expected {size} bytes of weights, got another number")
    return body


def _weights(names, shapes, body):
    """Yields (names, weights `[A, rows, columns]`) of every kind."""
    scale, code = 0, sum(heads * rows * 4 for heads, rows, _ in shapes)
    for kind_names, (heads, rows, columns) in zip(names.values(), shapes):
        row_max = np.frombuffer(body, "<f4", heads * rows, scale).reshape(heads, rows, 1)
        codes = np.frombuffer(body, "u1", heads * rows * columns, code)
        with np.errstate(invalid="ignore"):  # the record rejects values that are not finite
            weights = codes.reshape(heads, rows, columns) * (row_max / np.float32(LEVELS))
        yield kind_names, weights
        scale, code = scale + 4 * heads * rows, code + codes.size
