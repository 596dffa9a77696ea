"""The dictionary of `replace_unknown`: RUN/dictionary.tsv, source token, tab, target."""

from pathlib import Path

import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.io import decode_lines, write_atomically

__all__ = ["load", "save", "table"]

NAME = "dictionary.tsv"


def load(run: Path | str, default: Path | str | None = None) -> dict[str, str] | None:
    """Loads the dictionary of a run.

    Args:
        run: the run directory.
        default: a file to read if the run has no dictionary of its own.

    Returns:
        {source token: target}, or None without a dictionary.

    Raises:
        UserError: naming the file and line.
    """
    path = Path(run) / NAME
    if not path.exists():
        if default is None:
            return None
        path = Path(default)
    try:
        with path.open("rb") as file:
            lines = list(decode_lines(file, path))
    except OSError as error:
        raise UserError(f"{path}: expected a dictionary, got: {error}") from None
    entries = {}
    for number, line in enumerate(lines, 1):
        source, tab, target = line.partition("\t")
        if not (source and tab and target):
            expected = "expected a source token, a tab and its target"
            raise UserError(f"{path}:{number}: {expected}, got {line!r}")
        entries[source] = target
    return entries


def save(run: Path | str, dictionary: dict[str, str] | None) -> None:
    """Writes a dictionary into a run directory; does nothing for None."""
    if dictionary is not None:
        text = "".join(f"{source}\t{target}\n" for source, target in dictionary.items())
        write_atomically(Path(run) / NAME, text)


def table(dictionary: dict[str, str] | None) -> tf.lookup.StaticHashTable | None:
    """Returns a table of strings that gives "" for a missing entry; None without a dictionary."""
    if not dictionary:
        return None
    initializer = tf.lookup.KeyValueTensorInitializer(
        tf.constant(list(dictionary)), tf.constant(list(dictionary.values()))
    )
    return tf.lookup.StaticHashTable(initializer, "")
