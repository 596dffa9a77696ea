"""The dictionary of `replace_unknown`: RUN/dictionary.tsv, source token, tab, target."""

from pathlib import Path

import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.io import write_atomically

__all__ = ["load", "save", "table"]

NAME = "dictionary.tsv"


def load(run, given=None):
    """The dictionary of a run: its own, or else the file `given`.

    Returns:
        {source token: target}, or None where there is none.

    Raises:
        UserError: naming the file and line.
    """
    path = Path(run) / NAME
    if not path.exists():
        if given is None:
            return None
        path = Path(given)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: expected a dictionary, came: {error}") from None
    found = {}
    for number, line in enumerate(lines, 1):
        source, tab, target = line.partition("\t")
        if not (source and tab and target):
            raise UserError(
                f"{path}:{number}: expected a source token, a tab and its target, came {line!r}"
            )
        found[source] = target
    return found


def save(run, dictionary) -> None:
    """Writes it into a run directory; does nothing for None."""
    if dictionary is not None:
        text = "".join(f"{source}\t{target}\n" for source, target in dictionary.items())
        write_atomically(Path(run) / NAME, text)


def table(dictionary):
    """A table of strings that gives "" for what it lacks; None without a dictionary."""
    if not dictionary:
        return None
    initializer = tf.lookup.KeyValueTensorInitializer(
        tf.constant(list(dictionary)), tf.constant(list(dictionary.values()))
    )
    return tf.lookup.StaticHashTable(initializer, "")
