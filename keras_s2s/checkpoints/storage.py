"""Checkpoint directories: a `.keras` file and the manifest that commits it."""

import contextlib
import importlib
import os
import re
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras

from keras_s2s.errors import UserError
from keras_s2s.io import atomic_path, flush_file, write_atomically
from keras_s2s.signatures.json_text import dump_json, load_json

__all__ = [
    "IMPORTED",
    "MANIFEST",
    "copy",
    "exists",
    "load",
    "load_model",
    "remove",
    "restore",
    "save",
]

MANIFEST = "checkpoint.json"
IMPORTED = "imported"  # in an imported run, the checkpoint that its training starts from
# Files that this module names; `atomic_path` prefixes the one that a killed process left.
_OWN_FILE = re.compile(r"(\.new-\d+-)?step-\d{5,}(-again)?\.keras")
# Keras finds a saved class by its registration, which happens when its module is imported.
_MODULES_WITH_REGISTERED_CLASSES = ("models", "losses", "metrics", "schedules")


def save(model: keras.Model, directory: Path | str, state: dict[str, Any]) -> Path:
    """Writes a model and commits it together with `state`.

    Args:
        model: a built Keras model; its optimizer is saved with it.
        directory: the checkpoint directory; created when missing.
        state: JSON values to store with the weights. `step`, the number of updates, is required.

    Returns:
        The path of the new `.keras` file. The previous file is deleted, files of other names stay.

    Raises:
        ValueError: `state` has no `step`.
    """
    directory = Path(directory)
    if "step" not in state:
        raise ValueError(f"state: expected a 'step', got {state!r}")
    directory.mkdir(parents=True, exist_ok=True)
    _build_optimizer(model)
    path = _unused_path(directory, state["step"])
    with atomic_path(path) as temporary:
        model.save(temporary)
        flush_file(temporary)
    _commit(directory, path, {**state, "seeds": _seeds(model)})
    return path


def copy(source: Path | str, directory: Path | str) -> Path:
    """Copies the checkpoint of `source` to `directory`, as a hard link where possible."""
    source_path, state = load(source)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    path = _unused_path(directory, state["step"])
    with atomic_path(path) as temporary:
        _link(source_path, temporary)
    _commit(directory, path, {name: v for name, v in state.items() if name != "model"})
    return path


def remove(directory: Path | str) -> None:
    """Deletes the checkpoint of a directory, and the directory unless it has other files.

    Without its manifest, which goes first, an incompletely removed directory is no checkpoint.
    """
    directory = Path(directory)
    if not directory.is_dir():
        return
    (directory / MANIFEST).unlink(missing_ok=True)
    for path in _own_files(directory):
        path.unlink()
    with contextlib.suppress(OSError):
        directory.rmdir()


def exists(directory: Path | str) -> bool:
    """Whether the directory contains a committed checkpoint."""
    return (Path(directory) / MANIFEST).is_file()


def load(directory: Path | str) -> tuple[Path, dict[str, Any]]:
    """The `.keras` file of a checkpoint and the state saved with it.

    Safe to call while training saves to the directory: a checkpoint that is replaced during the
    call is read again.

    Raises:
        UserError: there is no checkpoint, or it is damaged; the path is named.
    """
    path, state = _read_manifest(directory)
    try:
        _check_archive(path)
    except UserError:
        if _read_manifest(directory)[0] == path:
            raise
        return load(directory)
    return path, state


def load_model(directory: Path | str) -> keras.Model:
    """The model of a checkpoint, not compiled. Safe to call while training saves.

    Raises:
        UserError: there is no checkpoint, it is damaged, or it contains an unknown class; the path
            is named.
    """
    for module in _MODULES_WITH_REGISTERED_CLASSES:
        importlib.import_module(f"keras_s2s.{module}")
    path, _ = load(directory)
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as error:
        if _read_manifest(directory)[0] != path:
            return load_model(directory)
        raise UserError(f"{path}: cannot be loaded: {_first_line(error)}") from error


def restore(model: keras.Model, directory: Path | str) -> dict[str, Any]:
    """Loads weights, optimizer variables and dropout seeds of a checkpoint into a model.

    Args:
        model: a built and compiled model with the weights of the saved one.
        directory: the checkpoint directory.

    Returns:
        The state saved with the checkpoint.

    Raises:
        UserError: there is no checkpoint, it is damaged, or it does not fit; the path is named.
    """
    path, state = load(directory)
    _build_optimizer(model)
    try:
        model.load_weights(path)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise UserError(f"{path}: does not fit this model: {_first_line(error)}") from error
    for variable, value in zip(_seed_variables(model), state.get("seeds", []), strict=False):
        variable.assign(value)
    return state


def _read_manifest(directory: Path | str) -> tuple[Path, dict[str, Any]]:
    manifest = Path(directory) / MANIFEST
    try:
        state = load_json(manifest.read_text(encoding="utf-8"))
        path, _ = Path(directory) / state["model"], state["step"]
    except OSError:
        raise UserError(f"{directory}: expected a checkpoint, got no {MANIFEST}") from None
    except (ValueError, KeyError, TypeError) as error:
        problem = f"expected JSON with model and step, got: {error}"
        raise UserError(f"{manifest}: damaged checkpoint: {problem}") from None
    return path, state


def _commit(directory: Path, path: Path, state: dict[str, Any]) -> None:
    text = dump_json({**state, "model": path.name}, indent=1) + "\n"
    write_atomically(directory / MANIFEST, text)
    for stale in _own_files(directory):
        if stale != path:
            stale.unlink()


def _own_files(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if _OWN_FILE.fullmatch(path.name)]


def _unused_path(directory: Path, step: int) -> Path:
    """A file name that the committed checkpoint does not use, even when a step is saved twice."""
    try:
        committed = load_json((directory / MANIFEST).read_text(encoding="utf-8"))["model"]
    except (OSError, ValueError, KeyError, TypeError):
        committed = None
    name = f"step-{step:05d}.keras"
    return directory / (name if name != committed else f"step-{step:05d}-again.keras")


def _build_optimizer(model: keras.Model) -> None:
    """Creates the optimizer's variables, which Keras creates at the first update."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and not optimizer.built:
        optimizer.build(model.trainable_variables)


def _link(source: Path, destination: Path) -> None:
    destination.unlink(missing_ok=True)
    try:
        os.link(source, destination)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, destination)
        flush_file(destination)


def _check_archive(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path}: damaged checkpoint: the file is missing")
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise UserError(f"{path}: damaged checkpoint: {error}") from None
    if broken:
        raise UserError(f"{path}: damaged checkpoint: {broken} inside it is broken")


def _seed_variables(model: keras.Model) -> list[keras.Variable]:
    # Keras does not save the states of dropout's seed generators.
    return [v for v in model.variables if v.path.endswith("seed_generator_state")]


def _seeds(model: keras.Model) -> list[list[int]]:
    return [[int(number) for number in v.numpy()] for v in _seed_variables(model)]


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
