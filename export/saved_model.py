"""A run -> a SavedModel that TF Serving loads, published by rename as `DIR/<version>/`."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_s2s.config import UserError
from keras_s2s.data.files import complaint
from keras_s2s.export.control_flow import settle_loops
from keras_s2s.signatures import SIGNATURES
from keras_s2s.translator import Translator

__all__ = ["export_saved_model", "export_translator"]

MAX_VERSION = 2**63 - 1  # TensorFlow Serving does not see a directory of a greater number


def export_saved_model(run, directory, *, version=None, checkpoint="best") -> Path:
    """Exports a run's checkpoint.

    Args:
        run: run directory.
        directory: base path of the served model; its sub-directories are the versions.
        version: positive integer; the next free one when None.
        checkpoint: `"best"` or `"last"`.

    Returns:
        The path of the published version. Until it is complete it does not exist.

    Raises:
        UserError: naming the file or argument: no such run, a version that exists already, a
            directory that cannot be written.
    """
    _check(directory, version)
    return export_translator(Translator.load(run, checkpoint), directory, version=version)


def export_translator(translator, directory, *, version=None) -> Path:
    """Exports a `Translator`; arguments, result and errors as for `export_saved_model`."""
    _check(directory, version)
    directory, beside = Path(directory), None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # No number, so a server that watches the directory does not see it.
        beside = Path(tempfile.mkdtemp(prefix=".export-", dir=directory))
        _write(translator, beside)
        return _publish(beside, directory, version)
    except OSError as error:
        came = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise UserError(f"directory {directory}: cannot be written: {came}") from None
    except tf.errors.OpError as error:
        came = complaint(error).rpartition("; ")[2]  # before it stands a path that is gone
        raise UserError(f"directory {directory}: cannot be written: {came}") from None
    finally:
        if beside:
            shutil.rmtree(beside, ignore_errors=True)


def _check(directory, version):
    if version is None:
        return
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise UserError(f"version: expected a positive integer, came {version!r}")
    if version > MAX_VERSION:
        raise UserError(f"version: expected at most {MAX_VERSION}, came {version}")
    if version in _versions(Path(directory)):
        raise UserError(f"version: expected one that is free, came {version}: {directory} has it")


def _write(translator, path):
    translator.prepare()
    archive = keras.export.ExportArchive()
    # The tables alone: tracking the model too would store every weight twice.
    archive.track(translator.tables)
    for name, function in translator.graphs().items():
        specs = [
            tf.TensorSpec([None], field.dtype, field.name) for field in SIGNATURES[name].inputs
        ]
        archive.add_endpoint(name, function, input_signature=specs)
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


def _publish(beside, directory, version):
    """Renames the finished export into place, under the next number when none was asked for."""
    while True:
        number = version or max(_versions(directory), default=0) + 1
        path = directory / str(number)
        try:
            os.rename(beside, path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise UserError(f"{path}: cannot be published: {error.strerror}") from None
            _check(directory, version)  # another export took the number meanwhile
        else:
            return path


def _versions(directory):
    """The numbers that are taken: 007 is 7 to a server."""
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return {n for n in map(int, filter(str.isdecimal, names)) if n <= MAX_VERSION}
