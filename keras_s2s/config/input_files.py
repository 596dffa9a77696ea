"""Checks of the files that a configuration names, before TensorFlow starts and work begins."""

import dataclasses
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from keras_s2s.config.config import Config
from keras_s2s.config.corpus import Corpus
from keras_s2s.config.formats import is_feature_file
from keras_s2s.config.parsing import join_keys
from keras_s2s.config.tokenizer import TokenizerConfig
from keras_s2s.config.validation import Section
from keras_s2s.errors import UserError
from keras_s2s.io import check_rereadable, naming_file, open_text

__all__ = ["check_input_files"]

_OUTPUTS = ("data.cache",)
_DIRECTORIES = ("training.init_from",)


def check_input_files(config: Config, run_dir: Path | str, *, only_data: bool = False) -> None:
    """Checks that the files of a configuration exist and are of a kind that can be read.

    Corpora are read several times, so none of them may be a pipe; nor may another file that two
    keys name. Of a text the start is read, which shows how it is compressed and encoded. Remote
    paths are not checked, and neither are files that a run has read already.

    Args:
        config: the configuration.
        run_dir: the run directory. With a checkpoint only its corpora are read, and with tokenizers
            no file of theirs.
        only_data: whether to check the files of the section `data` alone.

    Raises:
        UserError: a file is missing, or of another kind; the key and the file are named.

    Example:

    >>> from keras_s2s.config import Config
    >>> from keras_s2s.config.input_files import check_input_files
    >>> config = Config.from_dict({"data": {"train": {"pairs": "gs://bucket/pairs.tsv"}}})
    >>> check_input_files(config, "runs/new")
    """
    files = [file for file in _files(config, "") if "://" not in file[2]]
    uses = Counter(path for _, _, path in files)
    for owner, key, path in files:
        if not _is_read(owner, key, Path(run_dir)) or (only_data and not key.startswith("data.")):
            continue
        try:
            if isinstance(owner, Corpus) or uses[path] > 1:
                check_rereadable(path)
            _check_start(owner, key, path)
        except UserError as error:
            raise UserError(f"{key}: {error}") from None


def _files(section: Section, path: str) -> Iterator[tuple[Section, str, str]]:
    """The owner, the dotted key and the value of every path in a section."""
    for field in dataclasses.fields(section):
        value, key = getattr(section, field.name), join_keys(path, field.name)
        if isinstance(value, Section):
            yield from _files(value, key)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Section):
                    yield from _files(item, join_keys(key, index))
        elif field.metadata.get("is_path") and value is not None:
            yield section, key, value


def _is_read(owner: Section, key: str, run_dir: Path) -> bool:
    """Whether training in a run directory reads a file."""
    if isinstance(owner, Corpus) or key in _OUTPUTS:
        return key not in _OUTPUTS
    if (run_dir / "last" / "checkpoint.json").exists():
        return False
    has_tokenizers = (run_dir / "tokenizers" / "target.json").exists()
    return not (isinstance(owner, TokenizerConfig) and has_tokenizers)


def _check_start(owner: Section, key: str, path: str) -> None:
    """Checks that a path exists; of a regular text file also its encoding."""
    is_binary = is_feature_file(path) or (
        isinstance(owner, TokenizerConfig) and owner.kind == "sentencepiece"
    )
    if key in _DIRECTORIES:
        if not os.path.exists(path):
            raise UserError(f"{path}: expected a run directory or a checkpoint, got neither")
        return
    with naming_file(path):
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return  # opening a pipe would wait for its writer
        with open(path, "rb") as file:
            if not is_binary:
                open_text(file, path)
