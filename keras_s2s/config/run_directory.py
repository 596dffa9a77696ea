"""Files of a run directory: the lock of the process that trains, and files of the user's."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from keras_s2s.config.config import Config
from keras_s2s.errors import UserError
from keras_s2s.io import acquire_lock

__all__ = ["LOCK", "check_own_files", "check_unlocked", "lock_run", "save_config"]

_CHOSEN = ("policy", "learning_rate", "schedule", "warmup")
LOCK = ".lock"  # in the run directory, as long as a process trains


@contextlib.contextmanager
def lock_run(run_dir: Path | str) -> Iterator[None]:
    """Locks a run directory for the process that trains in it.

    The directory is created when missing, and removed at the end if it is still empty. A killed
    process leaves the file of its lock, but not the lock.

    Args:
        run_dir: the run directory.

    Raises:
        UserError: another process has the lock; the process, its host and its start are named.
        OSError: the directory cannot be written.

    Example:

    >>> import tempfile
    >>> from keras_s2s.config.run_directory import lock_run
    >>> with tempfile.TemporaryDirectory() as run_dir, lock_run(run_dir):
    ...     pass
    """
    path = Path(run_dir) / LOCK
    is_new = not path.parent.exists()
    descriptor = _lock(path)
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
    path.write_text(json.dumps(holder) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before the lock ends: the file may be another's after it
        os.close(descriptor)
        if is_new:
            with contextlib.suppress(OSError):
                path.parent.rmdir()


def check_unlocked(run_dir: Path | str) -> None:
    """Checks that no process trains in a run directory; nothing is written.

    Raises:
        UserError: as `lock_run`.
    """
    path = Path(run_dir) / LOCK
    if not path.exists():
        return
    descriptor = acquire_lock(path, allow_unlocked=True)
    if descriptor is not None:
        os.close(descriptor)
    elif path.exists():
        raise _locked_error(path)


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z")


def _lock(path: Path) -> int:
    """The descriptor of the lock; the file is the one that `path` names once it is locked."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        descriptor = acquire_lock(path, allow_unlocked=True)
        if descriptor is None:
            if path.exists():
                raise _locked_error(path)
            continue  # the holder has just removed it
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        os.close(descriptor)


def _locked_error(path: Path) -> UserError:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        process = f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        process = "another process"
    remedy = "wait for it or stop it, or choose another --run-dir"
    return UserError(
        f"{path.parent}: expected a run directory that no other process trains,"
        f" got one in use by {process}; {remedy}"
    )


def check_own_files(run_dir: Path | str, config: Config | None = None) -> None:
    """Checks that training replaces no file of the user's in a run directory.

    A `config.yml` in the form that `Config.save` writes belongs to the run, and is replaced when
    the configuration changes. A file with comments, another layout or keys left out is the
    user's, and may stay only if it has every value of `config`. `metrics.jsonl` belongs to the
    run when `config.yml` exists.

    Args:
        run_dir: the run directory, which may be missing.
        config: the complete configuration of the run; None when it is not known yet.

    Raises:
        UserError: a file is the user's; the file and the remedy are named.
    """
    path, metrics = Path(run_dir) / "config.yml", Path(run_dir) / "metrics.jsonl"
    if path.is_file():
        if not _is_own_form(path):
            stored = Config.load(path)
            if _is_incomplete(stored) if config is None else stored != config:
                raise _not_own_error(path)
    elif metrics.exists() and metrics.stat().st_size:
        raise _not_own_error(metrics)


def _is_incomplete(config: Config) -> bool:
    """Whether training has to choose values, which the `config.yml` of a run has."""
    chosen = (getattr(config.training, key) for key in _CHOSEN)
    return any(value is None for value in chosen) or not config.model.encoder


def _is_own_form(path: Path) -> bool:
    """Whether a file has every section, and the form that `Config.save` gives it."""
    text = path.read_bytes()
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError):
        return False
    if not isinstance(raw, dict) or set(Config.__dataclass_fields__) - raw.keys():
        return False
    return Config.dump(raw).encode() == text


def _not_own_error(path: Path) -> UserError:
    elsewhere = f"{path.parent}{path.suffix}"
    return UserError(
        f"{path}: expected a file that train has written, got one of your own, which training"
        f" would replace; move it out of the run directory, such as to {elsewhere}, and run again"
    )


def save_config(config: Config, run_dir: Path | str) -> None:
    """Writes the `config.yml` of a run, unless the file has every value already.

    Raises:
        UserError: as `check_own_files`.
    """
    check_own_files(run_dir, config)
    path = Path(run_dir) / "config.yml"
    if _is_own_form(path) if path.is_file() else True:
        config.save(path)
