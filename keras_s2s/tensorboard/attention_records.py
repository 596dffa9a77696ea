"""What attention looked like for one pair of sentences, as bytes of an event file and of the page.

Needs NumPy and TensorBoard's messages only: TensorBoard's process starts without TensorFlow.
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
LARGEST_HEADER = 4 << 20
LARGEST_BODY = 128 << 20  # bytes unpacked: 192 heads of all three kinds at 470 tokens
SPACE, END = "\N{LOWER ONE EIGHTH BLOCK}", "</s>"
LABEL = 120  # characters of the source in the label of a tag


@dataclasses.dataclass(frozen=True)
class AttentionRecord:
    """The attention of every head over one pair of sentences.

    Args:
        source_tokens: S strings.
        target_tokens: T strings.
        maps: kind -> (names, weights): "cross" with weights `[A, T, S]`, "self" `[A, T, T]`,
            "encoder" `[A, S, S]`; names are A strings, heads of a layer next to each other.
            Rows look at columns. Weights are finite and not negative; what is empty is left out.
        reference: the translation wanted, or None.
        text: the target as text, or None.
        score: a finite number for this target, or None.

    Raises:
        ValueError: names, tokens and weights do not fit one another, or a weight is not finite
            or is negative.
    """

    source_tokens: tuple
    target_tokens: tuple
    maps: dict
    reference: str | None = None
    text: str | None = None
    score: float | None = None

    def __post_init__(self):
        put = object.__setattr__
        for name in ("source_tokens", "target_tokens"):
            put(self, name, _strings(name, getattr(self, name)))
        for name in ("reference", "text"):
            if not isinstance(getattr(self, name), str | None):
                raise ValueError(f"{name}: expected a string, came {getattr(self, name)!r}")
        if self.score is not None:
            put(self, "score", float(self.score))
            if not math.isfinite(self.score):
                raise ValueError(f"score: expected a finite number, came {self.score!r}")
        lengths = {"source": len(self.source_tokens), "target": len(self.target_tokens)}
        put(self, "maps", {kind: _checked(kind, *self.maps[kind], lengths) for kind in self.maps})


def attention_maps(attention) -> dict:
    """Of an `Attention` {kind: (names, weights)} as a record has them, only what there is."""
    found = {
        "cross": (attention.names, attention.attention),
        "self": (attention.decoder_names, attention.decoder_attention),
        "encoder": (attention.encoder_names, attention.encoder_attention),
    }
    return {kind: one for kind, one in found.items() if one[1] is not None}


def make_record(attention, target=None, reference=None, score=None) -> AttentionRecord:
    """An `Attention` as what the tab "Attention", and its page in one file, show.

    Args:
        attention: `Attention`, with maps `[A, T, S]`.
        target: the target's text.
        reference: the one that was wanted.
        score: a number for the target.

    Raises:
        ValueError: a weight is not finite.
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
    """A record as bytes: a header in JSON, then weights in one byte each, deflated.

    A weight is kept as a 255th of the greatest of its row, which is kept in float32: it comes
    back within a 510th of that greatest weight, zeros and the greatest weight come back exactly
    (all but for the rounding of float32).

    Raises:
        ValueError: the record is larger than `unpack` takes.
    """
    kinds, scales, codes = [], [], []
    for kind, (names, weights) in record.maps.items():
        greatest = weights.max(axis=-1, keepdims=True, initial=0.0)  # [A, rows, 1]
        parts = weights / np.where(greatest > 0.0, greatest, 1.0)
        kinds.append({"kind": kind, "names": names, "shape": weights.shape})
        scales.append(greatest.astype("<f4").tobytes())
        codes.append(np.rint(parts * LEVELS).astype("u1").tobytes())
    body = b"".join(scales + codes)
    header = dataclasses.asdict(dataclasses.replace(record, maps={})) | {"maps": kinds}
    header = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode()
    if len(header) > LARGEST_HEADER or len(body) > LARGEST_BODY:
        raise ValueError(
            f"record: expected at most {LARGEST_HEADER} bytes of text and {LARGEST_BODY} of "
            f"weights, came {len(header)} and {len(body)}"
        )
    return MAGIC + struct.pack("<I", len(header)) + header + zlib.compress(body, 6)


def unpack(data: bytes) -> AttentionRecord:
    """The record that `pack` made these bytes of, within the error that it names.

    Raises:
        ValueError: the bytes are no record, are cut off, or would unpack to more than they say
            or to more than 128 MiB.
    """
    data = bytes(data)
    header, start = _header(data)
    try:
        shapes = [tuple(map(int, kind["shape"])) for kind in header["maps"]]
        names = {kind["kind"]: tuple(kind["names"]) for kind in header["maps"]}
        fields = {name: header[name] for name in ("source_tokens", "target_tokens")}
        fields |= {name: header[name] for name in ("reference", "text", "score")}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"attention record: expected the header of one, {error!r}") from error
    if any(len(shape) != 3 or min(shape) < 0 for shape in shapes) or len(names) != len(shapes):
        raise ValueError(f"attention record: expected shapes [A, rows, columns], came {shapes}")
    body = _inflated(data[start:], sum(_size(shape) for shape in shapes))
    try:
        return AttentionRecord(maps=dict(zip(names, _weights(names, shapes, body))), **fields)
    except TypeError as error:
        raise ValueError(f"attention record: expected the fields of one, {error}") from error


def metadata(record: AttentionRecord | None = None) -> SummaryMetadata:
    """What makes a summary this plugin's: `tf.summary.write(tag, pack(record), step, metadata)`.

    The source text of the first record of a tag becomes the name of the tag on the page.
    """
    content = {"version": 1, "source": label(record) if record else ""}
    return SummaryMetadata(
        plugin_data=SummaryMetadata.PluginData(
            plugin_name=PLUGIN, content=json.dumps(content).encode()
        ),
        data_class=DATA_CLASS_TENSOR,
    )


def label(record: AttentionRecord) -> str:
    """The source as a short line of text: the name of a sentence on the page."""
    tokens = list(record.source_tokens)
    if tokens[1:] and tokens[-1] == END:
        tokens.pop()
    letters = all(len(token) == 1 for token in tokens)
    pieces = any(SPACE in token for token in tokens)
    text = ("" if letters or pieces else " ").join(tokens).replace(SPACE, " ")
    return text.strip()[:LABEL]


def summary_value(tag: str, record: AttentionRecord) -> Summary.Value:
    """One record as a value of a TensorBoard summary: the packed bytes, of no shape."""
    tensor = TensorProto(dtype=DT_STRING, string_val=[pack(record)])
    return Summary.Value(tag=tag, tensor=tensor, metadata=metadata(record))


def write(logdir, tag: str, record: AttentionRecord, step: int) -> Path:
    """Writes one record as an event file of its own, without TensorFlow.

    A run that already has an open writer should pass `pack(record)` and `metadata(record)` to
    `tf.summary.write` instead: TensorBoard follows the newest event file of a folder.

    Args:
        logdir: folder of the run, made if need be.

    Returns:
        The path of the event file.

    Raises:
        ValueError: the record is too large.
        OSError: the folder cannot be written.
    """
    now, folder = time.time(), Path(logdir)
    value = summary_value(tag, record)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"events.out.tfevents.{now:.6f}.{socket.gethostname()}.{os.getpid()}.{PLUGIN}"
    with open(folder / name, "xb") as file:
        writer = RecordWriter(file)
        first = Event(wall_time=now, file_version="brain.Event:2")
        event = Event(wall_time=now, step=step, summary=Summary(value=[value]))
        for message in (first, event):
            writer.write(message.SerializeToString())
    return folder / name


def _strings(name, values):
    """A tuple of strings, of which none has half a surrogate pair (UTF-8 cannot say it)."""
    if isinstance(values, str | bytes) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name}: expected strings, came {values!r:.200}")
    return tuple(value.encode("utf-8", "replace").decode() for value in values)


def _checked(kind, names, weights, lengths):
    """Names and weights of one kind, float32, after every check."""
    if kind not in KINDS:
        raise ValueError(f"maps: expected the kinds {', '.join(KINDS)}, came {kind!r}")
    names, weights = _strings(f"maps[{kind!r}] names", names), np.asarray(weights, "float32")
    expected = (len(names), *(lengths[side] for side in KINDS[kind].split()))
    if weights.shape != expected:
        raise ValueError(
            f"maps[{kind!r}]: expected weights {list(expected)} for the names and tokens given, "
            f"came {list(weights.shape)}"
        )
    if not np.isfinite(weights).all() or (weights < 0.0).any():
        raise ValueError(f"maps[{kind!r}]: expected finite weights of 0 or more, came others")
    return names, weights


def _header(data):
    """The header of a record as a dict, and where its body starts."""
    if data[:4] != MAGIC or len(data) < 8:
        raise ValueError(
            f"attention record: expected it to start with {MAGIC!r}, came {data[:4]!r}"
        )
    (size,) = struct.unpack_from("<I", data, 4)
    if size > min(LARGEST_HEADER, len(data) - 8):
        raise ValueError(f"attention record: expected a header of {size} bytes, came {len(data)}")
    try:
        header = json.loads(data[8 : 8 + size])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"attention record: expected a header in JSON, {error}") from error
    if not isinstance(header, dict):
        raise ValueError(f"attention record: expected a header, came {header!r:.200}")
    return header, 8 + size


def _size(shape):
    """Bytes of the scales and codes of one kind."""
    heads, rows, columns = shape
    return heads * rows * (4 + columns)


def _inflated(data, size):
    """Exactly `size` bytes out of deflated ones; never more are made than that."""
    if size > LARGEST_BODY:
        raise ValueError(f"attention record: expected at most {LARGEST_BODY} bytes, came {size}")
    engine = zlib.decompressobj()
    try:
        body = engine.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(f"attention record: expected deflated weights, {error}") from error
    if len(body) != size or not engine.eof or engine.unused_data:
        raise ValueError(f"attention record: expected {size} bytes of weights, came others")
    return body


def _weights(names, shapes, body):
    """(names, weights `[A, rows, columns]`) of every kind."""
    scale, code = 0, sum(heads * rows * 4 for heads, rows, _ in shapes)
    for given, (heads, rows, columns) in zip(names.values(), shapes):
        greatest = np.frombuffer(body, "<f4", heads * rows, scale).reshape(heads, rows, 1)
        codes = np.frombuffer(body, "u1", heads * rows * columns, code)
        with np.errstate(invalid="ignore"):  # what is not finite is refused by the record
            weights = codes.reshape(heads, rows, columns) * (greatest / np.float32(LEVELS))
        yield given, weights
        scale, code = scale + 4 * heads * rows, code + codes.size
