"""A run -> a SavedModel that TF Serving loads, published by rename as `DIR/<version>/`."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_s2s.config import UserError
from keras_s2s.data.files import complaint
from keras_s2s.export.batching import batched
from keras_s2s.export.cards import run_facts, write_card
from keras_s2s.export.control_flow import settle_loops
from keras_s2s.export.materials import material_of, run_pairs
from keras_s2s.export.packing import KINDS, check_drift, drift, packed
from keras_s2s.export.proving import prove
from keras_s2s.export.publishing import check_version, publish
from keras_s2s.export.storing import store
from keras_s2s.export.warmup import WARMUP, warmup_requests, write_requests
from keras_s2s.signatures import SIGNATURES
from keras_s2s.translator import Translator

__all__ = ["Variant", "export_saved_model", "export_translator"]


@dataclass(frozen=True)
class Variant:
    """How an export differs from the plain one.

    Attributes:
        weights: `"float16"`, `"bfloat16"` or `"int8"`, how matrices are stored, see `packing`;
            None is float32.
        batching: whether requests at the same time share batches, see `batching`.
    """

    weights: str | None = None
    batching: bool = False

    def __post_init__(self):
        if self.weights not in (None, *KINDS):
            expected = f"weights: expected one of {', '.join(KINDS)}"
            raise UserError(f"{expected}, came {self.weights!r}")


def export_saved_model(run, directory, *, version=None, checkpoint="best", **variant) -> Path:
    """Exports a run's checkpoint.

    Args:
        run: run directory.
        directory: base path of the served model; its sub-directories are the versions.
        version: positive integer; the next free one when None.
        checkpoint: `"best"` or `"last"`.
        **variant: fields of `Variant`.

    Returns:
        The path of the published version. Until it is complete and proved it does not exist.

    Raises:
        UserError: naming the file or argument: no such run, a version that exists already, a
            directory that cannot be written; a `NotProven` with the first difference between the
            export, in a fresh process, and the model, or where packing moved it too far.
    """
    check_version(directory, version)
    pairs, about = run_pairs(run), run_facts(run, checkpoint)
    translator = Translator.load(run, checkpoint)
    return export_translator(
        translator, directory, version=version, pairs=pairs, about=about, **variant
    )


def export_translator(
    translator, directory, *, version=None, pairs=(), about=None, **variant
) -> Path:
    """Exports a `Translator`; result and errors as for `export_saved_model`.

    Args:
        translator: what to export.
        directory, version: as for `export_saved_model`.
        pairs: (source, target) texts to prove it by, beside odd ones.
        about: JSON values for the model card, see `cards.run_facts`.
        **variant: fields of `Variant`.
    """
    variant, about = Variant(**variant), about or {}
    material = material_of(translator, pairs)

    def write(path, beside):
        with _packed(translator, variant, material) as (stored, figures):
            try:
                _write(translator, path, variant.batching)
                store(path, stored)
                write_requests(path / WARMUP, warmup_requests(material))
                write_card(path, translator, about | {"variant": figures})
            except tf.errors.OpError as error:
                came = complaint(error).rpartition("; ")[2]  # before it stands a path that is gone
                raise OSError(0, came) from None
            prove(translator, path, beside, material)

    return publish(directory, version, write)


@contextlib.contextmanager
def _packed(translator, variant, material):
    """What to store of each weight, and what the card says of the variant."""
    figures = {"batching": variant.batching}
    if variant.weights is None:
        yield {}, figures
        return
    moved = drift(translator, list(zip(material.texts, material.targets)))
    with packed(translator, variant.weights) as stored:
        limits = {"weights": variant.weights, "drift": moved(), "limit": KINDS[variant.weights]}
        check_drift(**limits)
        yield stored, figures | limits


def _write(translator, path, batching=False):
    translator.prepare()
    archive = keras.export.ExportArchive()
    # The tables alone: tracking the model too would store every weight twice.
    archive.track(translator.tables)
    made = {}
    for name, function in translator.graphs().items():
        specs = [
            tf.TensorSpec([None], field.dtype, field.name) for field in SIGNATURES[name].inputs
        ]
        function = batched(function) if batching else function
        made[name] = archive.add_endpoint(name, function, input_signature=specs)
    archive.write_out(str(path), verbose=False)
    _set_defaults(path / "saved_model.pb", translator)
    settle_loops(path / "saved_model.pb")
    path.chmod(0o755)
    if not batching:  # tracing takes longer than all else; a proof asks the same functions
        for name, function in made.items():
            translator.adopt(SIGNATURES[name], function.get_concrete_function())


def _set_defaults(path, translator):
    """Lets a request leave options out: ExportArchive cannot write a signature's defaults."""
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for name, signature in SIGNATURES.items():
        written = model.meta_graphs[0].signature_def[name]
        defaults = translator.defaults(signature)
        for option, field in signature.options().items():
            value = tf.make_tensor_proto([defaults[option]], field.dtype)
            written.defaults[option].CopyFrom(value)
    path.write_bytes(model.SerializeToString(deterministic=True))
