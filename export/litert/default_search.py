"""What TensorFlow Serving's `--prefer_tflite_model` reads of a LiteRT file: experimental.

That server looks at the file's first subgraph alone, finds its signatures in an entry of metadata
that no converter writes any more, and copies what a request holds to wherever the interpreter
points: a shape that cannot be allocated would end it at the second request. So the first subgraph
is a search of one input, by the run's default options, that takes ids of any shape.
"""

import numpy as np
import tensorflow as tf
from flatbuffers import flexbuffers
from tensorflow.core.protobuf import meta_graph_pb2

from keras_s2s.config import SpecialIds
from keras_s2s.export.litert.model_serialization import parse_model, serialize_model
from keras_s2s.export.litert.signature_functions import copy_output
from keras_s2s.export.litert.signature_specs import OPTIONS
from keras_s2s.export.litert.verification import run_file
from keras_s2s.export.verification.comparison import NotProven
from keras_s2s.export.verification.probe_requests import ProbeRequest
from keras_s2s.layers import loop_backend
from keras_s2s.signatures.fields import TRANSLATE

__all__ = [
    "ENTRY",
    "NAME",
    "ServingGraph",
    "check_serving",
    "default_options",
    "fill_options",
    "has_plain_search",
    "put_first",
    "read_entry",
]

ENTRY = "signature_defs_metadata"
NAME = "serving_ids"  # of the signature in the file; the server calls it `serving_default`
METHOD = "tensorflow/serving/predict"
SPECIAL = SpecialIds()
SHAPES = ((1, 5), (3, 4))  # of ids that a file is proved by


def has_plain_search(translator) -> bool:
    """Whether a translator's source is ids alone, and its default options a plain search's."""
    defaults, usual = translator.defaults(), TRANSLATE.options()
    return not translator.model.supports_copy and all(
        name in OPTIONS or defaults[name] == field.default for name, field in usual.items()
    )


def default_options(translator) -> dict:
    """The options of a plain search, one hypothesis of it, as numbers by name."""
    defaults = translator.defaults() | {"num_hypotheses": 1}
    return {name: defaults[name] for name in OPTIONS}


class ServingGraph:
    """The signature `serving_ids`: source ids alone -> the best target of each row.

    Args:
        graphs: `litert_graphs.Graphs` of the model.
        translator: one that `has_plain_search`.
    """

    def __init__(self, graphs, translator):
        self._search = graphs.translate_ids
        self.options = default_options(translator)

    def concrete(self):
        """The concrete function of ids [B, S], padded by 0 on the right, their end included."""
        with loop_backend.growing():
            traced = tf.function(self.translate, autograph=False)
            return traced.get_concrete_function(ids=tf.TensorSpec([None, None], tf.int32, "ids"))

    def translate(self, ids):
        """`found` [B, T], `lengths` [B] of these, and their `score` [B]."""
        shape = tf.concat([tf.shape(ids), [1]], 0)  # of a scalar too
        asked = shape[0]
        rows = tf.maximum(asked, 1)
        width = tf.size(ids) // rows
        ids = tf.pad(tf.reshape(ids, tf.stack([asked, width])), [[0, rows - asked], [0, 1]])
        place = tf.expand_dims(tf.range(width + 1), 0)
        lengths = tf.reduce_max(tf.where(tf.equal(ids, SPECIAL.pad), 0, place + 1), 1)
        found = self._search(ids, lengths, **fill_options(self.options, rows))
        return {
            "found": copy_output(found["ids"][:asked, 0]),
            "lengths": copy_output(found["lengths"][:asked, 0]),
            "score": copy_output(found["score"][:asked, 0]),
        }


def fill_options(options, rows) -> dict:
    """Options by name as columns [B] of `rows` equal values, as a search takes them."""
    return {
        name: tf.fill([rows], tf.cast(value, OPTIONS[name][0])) for name, value in options.items()
    }


def put_first(content) -> tuple[bytes, bytes]:
    """A file whose first subgraph is `serving_ids`, and the entry that describes it.

    Args:
        content: a file that has the signature.
    """
    model = parse_model(content)
    (known,) = (one for one in model.signatureDefs if _said(one.signatureKey) == NAME)
    number, graphs = known.subgraphIndex, model.subgraphs
    graphs[0], graphs[number] = graphs[number], graphs[0]
    places = {0: number, number: 0}
    for one in model.signatureDefs:
        one.subgraphIndex = places.get(one.subgraphIndex, one.subgraphIndex)
    for options in (one.builtinOptions for graph in graphs for one in graph.operators or ()):
        for name in vars(options) if options is not None else ():
            if name.endswith("SubgraphIndex") or name == "subgraph":
                old = getattr(options, name)
                setattr(options, name, places.get(old, old))
    entry = _entry(known, graphs[0])
    return serialize_model(model), entry


def _entry(known, graph):
    described = meta_graph_pb2.SignatureDef(method_name=METHOD)
    types = {2: tf.int32, 0: tf.float32}  # by LiteRT's numbers
    for maps, infos, prefix in (
        (known.inputs, described.inputs, ""),
        (known.outputs, described.outputs, "given_"),
    ):
        for one in maps:
            name, tensor = _said(one.name), graph.tensors[one.tensorIndex]
            tensor.name = f"{prefix}{name}".encode()  # the converter's end in `:0`
            infos[name].name = tensor.name.decode()
            infos[name].dtype = types[tensor.type].as_datatype_enum
            for _ in tensor.shape:
                infos[name].tensor_shape.dim.add(size=-1)
    content = described.SerializeToString(deterministic=True)
    if b"\0" in content:  # the server reads up to the first one
        raise ValueError(f"{ENTRY}: expected a message without NUL bytes, came {content!r}")
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("serving_default")
        # Builder.String takes text alone, and a message of sizes -1 is no UTF-8.
        builder._WriteBlob(content, append_zero=True, type_=flexbuffers.Type.STRING)
    return bytes(builder.Finish())


def _said(name):
    return name.decode() if isinstance(name, bytes) else name


def read_entry(content) -> dict:
    """The signatures of an `ENTRY`, by name, as that server reads them."""
    found = {}
    known = flexbuffers.GetRoot(content).AsMap
    for key, value in zip(known.Keys, known.Values, strict=True):
        found[key.AsKey] = meta_graph_pb2.SignatureDef.FromString(bytes(value.AsStringBytes))
    return found


def check_serving(translator, path, place):
    """Compares `serving_ids` with `translate_ids` under the default options.

    Args:
        path, place: as for `litert_proof.ask_file`.

    Raises:
        NotProven: with the first ids that they answer otherwise.
    """
    generator, most = np.random.default_rng(1), translator.source_tokenizer.size
    asked = []
    for rows, width in SHAPES:
        ids = generator.integers(SPECIAL.end + 1, most, [rows, width]).astype(np.int32)
        lengths = np.full(rows, width, np.int32)
        lengths[0] = width - 1
        ids[0, -1] = SPECIAL.pad
        options = {
            name: np.full(rows, value, OPTIONS[name][0].as_numpy_dtype)
            for name, value in default_options(translator).items()
        }
        whole = {"ids": ids, "lengths": lengths} | options
        asked += [ProbeRequest(NAME, {"ids": ids}), ProbeRequest("translate_ids", whole)]
    found = run_file(path, place, asked)
    for probe, short, whole in zip(asked[::2], found[::2], found[1::2], strict=True):
        for name, one, other in (
            ("found", short["found"], whole["ids"][:, 0]),
            ("lengths", short["lengths"], whole["lengths"][:, 0]),
        ):
            if not np.array_equal(one, other):
                ids = probe.inputs["ids"].tolist()
                raise NotProven(
                    f"signature {NAME}, {name} of ids {ids}: expected"
                    f" {other.tolist()}, came {one.tolist()}"
                )
