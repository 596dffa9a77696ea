"""Checkpoint directories: one `.keras` file and the manifest that commits it."""

import importlib
import json
import os
import shutil
import zipfile
import zlib
from pathlib import Path

import keras

from keras_s2s.errors import UserError
from keras_s2s.io import atomic_path, write_atomically

__all__ = ["IMPORTED", "MANIFEST", "copy", "exists", "load", "load_model", "restore", "save"]

MANIFEST = "checkpoint.json"
IMPORTED = "imported"  # of a run that an importer made: what its training begins with
# Keras finds a saved class by its registration, that is, once its room is imported.
ROOMS = (
    "models",
    "models.seq2seq",
    "encoders",
    "decoders",
    "heads",
    "layers.embeddings",
    "layers.features",
    "losses",
    "metrics",
    "schedules",
)


def save(model, directory, state: dict) -> Path:
    """Writes the model and commits it together with `state`.

    Args:
        model: a built Keras model; what `compile` gave it is saved with it.
        directory: the checkpoint directory, made when missing.
        state: JSON values to keep beside the weights; `step`, the number of updates, is required.

    Returns:
        The path of the new `.keras` file; the one before is gone.

    Raises:
        ValueError: `state` has no `step`.
    """
    directory = Path(directory)
    if "step" not in state:
        raise ValueError(f"state: expected a 'step', came {state!r}")
    directory.mkdir(parents=True, exist_ok=True)
    _build_optimizer(model)
    path = _free_path(directory, state["step"])
    with atomic_path(path) as beside:
        model.save(beside)
        _flush(beside)
    _commit(directory, path, {**state, "seeds": _seeds(model)})
    return path


def copy(source, directory) -> Path:
    """Makes the checkpoint in `source` the one in `directory` too, sharing the file if it can."""
    old, state = load(source)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    path = _free_path(directory, state["step"])
    with atomic_path(path) as beside:
        _link(old, beside)
    _commit(directory, path, {name: v for name, v in state.items() if name != "model"})
    return path


def exists(directory) -> bool:
    """Whether a checkpoint was committed in that directory."""
    return (Path(directory) / MANIFEST).is_file()


def load(directory) -> tuple[Path, dict]:
    """The committed `.keras` file of a directory, and the state saved with it.

    It may be called while training saves there: a checkpoint replaced meanwhile is read anew.

    Raises:
        UserError: naming the path: there is no checkpoint, or it is damaged.
    """
    path, state = _committed(directory)
    try:
        _check_archive(path)
    except UserError:
        if _committed(directory)[0] == path:
            raise
        return load(directory)
    return path, state


def load_model(directory) -> keras.Model:
    """The model of a checkpoint, not compiled; also while training saves there.

    Raises:
        UserError: naming the path: there is no checkpoint, it is damaged, or its classes are
            not known here.
    """
    for room in ROOMS:
        importlib.import_module(f"keras_s2s.{room}")
    path, _ = load(directory)
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        if _committed(directory)[0] != path:
            return load_model(directory)
        raise UserError(f"{path}: cannot be loaded: {_first_line(error)}") from error


def restore(model, directory) -> dict:
    """Puts a checkpoint's weights, optimizer and dropout seeds into a model; gives its state.

    Args:
        model: compiled and built like the one that was saved.

    Raises:
        UserError: naming the path: there is no checkpoint, it is damaged, or does not fit.
    """
    path, state = load(directory)
    _build_optimizer(model)
    try:
        model.load_weights(path)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise UserError(f"{path}: does not fit this model: {_first_line(error)}") from error
    seeds = _seed_variables(model)
    for variable, value in zip(seeds, state.get("seeds", []), strict=False):
        variable.assign(value)
    return state


def _committed(directory):
    manifest = Path(directory) / MANIFEST
    try:
        state = json.loads(manifest.read_text(encoding="utf-8"))
        path, _ = Path(directory) / state["model"], state["step"]
    except OSError:
        raise UserError(f"{directory}: expected a checkpoint, came no {MANIFEST}") from None
    except (ValueError, KeyError, TypeError) as error:
        problem = f"expected JSON with model and step, came: {error}"
        raise UserError(f"{manifest}: damaged checkpoint: {problem}") from None
    return path, state


def _commit(directory, path, state):
    write_atomically(
        directory / MANIFEST, json.dumps({**state, "model": path.name}, indent=1) + "\n"
    )
    for stale in directory.glob("*.keras"):
        if stale != path:
            stale.unlink()


def _free_path(directory, step):
    """A name that the committed checkpoint does not use, even when a step is saved again."""
    try:
        committed = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))["model"]
    except (OSError, ValueError, KeyError, TypeError):
        committed = None
    name = f"step-{step:05d}.keras"
    return directory / (name if name != committed else f"step-{step:05d}-again.keras")


def _build_optimizer(model):
    """Makes the variables that are made at the first update otherwise: both sides need them."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)


def _link(source, destination):
    destination.unlink(missing_ok=True)
    try:
        os.link(source, destination)
    except OSError:  # file systems without hard links
        shutil.copyfile(source, destination)
        _flush(destination)


def _flush(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _check_archive(path):
    if not path.is_file():
        raise UserError(f"{path}: damaged checkpoint: the file is missing")
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise UserError(f"{path}: damaged checkpoint: {error}") from None
    if broken:
        raise UserError(f"{path}: damaged checkpoint: {broken} inside it is broken")


def _seed_variables(model):
    # Keras keeps the state of dropout's generators out of its files.
    return [v for v in model.variables if v.path.endswith("seed_generator_state")]


def _seeds(model):
    return [[int(number) for number in v.numpy()] for v in _seed_variables(model)]


def _first_line(error):
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
