"""A run -> a SavedModel that TF Serving loads, published by rename as `DIR/<version>/`."""

from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_s2s.data.files import complaint
from keras_s2s.export.cards import run_facts, write_card
from keras_s2s.export.control_flow import settle_loops
from keras_s2s.export.materials import material_of, run_pairs
from keras_s2s.export.proving import prove
from keras_s2s.export.publishing import check_version, publish
from keras_s2s.export.warmup import WARMUP, warmup_requests, write_requests
from keras_s2s.signatures import SIGNATURES
from keras_s2s.translator import Translator

__all__ = ["export_saved_model", "export_translator"]


def export_saved_model(run, directory, *, version=None, checkpoint="best") -> Path:
    """Exports a run's checkpoint.

    Args:
        run: run directory.
        directory: base path of the served model; its sub-directories are the versions.
        version: positive integer; the next free one when None.
        checkpoint: `"best"` or `"last"`.

    Returns:
        The path of the published version. Until it is complete and proved it does not exist.

    Raises:
        UserError: naming the file or argument: no such run, a version that exists already, a
            directory that cannot be written; a `NotProven` with the first difference between the
            export, in a fresh process, and the model.
    """
    check_version(directory, version)
    pairs, about = run_pairs(run), run_facts(run, checkpoint)
    translator = Translator.load(run, checkpoint)
    return export_translator(translator, directory, version=version, pairs=pairs, about=about)


def export_translator(translator, directory, *, version=None, pairs=(), about=None) -> Path:
    """Exports a `Translator`; result and errors as for `export_saved_model`.

    Args:
        translator: what to export.
        directory, version: as for `export_saved_model`.
        pairs: (source, target) texts to prove it by, beside odd ones.
        about: JSON values for the model card, see `cards.run_facts`.
    """
    material = material_of(translator, pairs)

    def write(path, beside):
        _write_all(translator, path, material, about or {})
        prove(translator, path, beside, material)

    return publish(directory, version, write)


def _write_all(translator, path, material, about):
    try:
        _write(translator, path)
        write_requests(path / WARMUP, warmup_requests(material))
        write_card(path, translator, about)
    except tf.errors.OpError as error:
        came = complaint(error).rpartition("; ")[2]  # before it stands a path that is gone
        raise OSError(0, came) from None


def _write(translator, path):
    translator.prepare()
    archive = keras.export.ExportArchive()
    # The tables alone: tracking the model too would store every weight twice.
    archive.track(translator.tables)
    for name, signature in SIGNATURES.items():
        archive.add_endpoint(name, translator.traced(signature))
    archive.write_out(str(path), verbose=False)
    _set_defaults(path / "saved_model.pb", translator)
    settle_loops(path / "saved_model.pb")
    path.chmod(0o755)


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
