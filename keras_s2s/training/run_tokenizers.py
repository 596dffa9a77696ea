"""The tokenizers of a run."""

import itertools
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from keras_s2s import checkpoints, tokenizers
from keras_s2s.config import Config, Corpus, TokenizerConfig
from keras_s2s.data import feature_size, read_pairs, read_side
from keras_s2s.data.corpus_readers import check_files
from keras_s2s.errors import UserError
from keras_s2s.io import write_atomically
from keras_s2s.training.compilation import uses_pointer_network
from keras_s2s.training.messages import write_to_stderr
from keras_s2s.training.run_config import (
    config_differences,
    reject_differences,
    tokenizer_settings,
)

__all__ = ["train_tokenizers", "training_corpus"]

MADE_WITH = "made_with.yml"  # in RUN/tokenizers: the settings they were trained with
SIDES = ("source", "target")


def train_tokenizers(
    config: Config,
    run_dir: Path | str,
    log: Callable[[str], None] | None = None,
    *,
    write: bool = True,
) -> tuple[Any, Any]:
    """Loads the tokenizers of a run, or trains them on `data.train` if there are none.

    Until the first checkpoint, other settings replace them; after it, other settings are an error.

    Args:
        config: a configuration with a `data` section.
        run_dir: the run directory; created when missing.
        log: takes a line for the user; by default lines go to `sys.stderr`.
        write: whether to save the tokenizers.

    Returns:
        (source, target), one object if they are shared.

    Raises:
        UserError: the training corpus is missing or damaged, the tokenizers are damaged, or the
            directory has vocabularies that are not of this run.
    """
    corpus, log = training_corpus(config), log or write_to_stderr
    directory = Path(run_dir) / "tokenizers"
    if _are_reusable(config, run_dir, directory):
        source, target = tokenizers.load_pair(directory)
        log(f"tokenizers: {_describe(source, target)}, from {directory}")
        return source, target
    for checked in filter(None, (corpus, config.data.valid)):
        check_files(checked)
        for _ in read_pairs(checked):  # reports damaged lines before any file is written
            pass
    source, target = _train(config, corpus)
    if uses_pointer_network(config):
        target = tokenizers.Pointers(source)
    if write:
        _save(config, directory, source, target)
    log(f"tokenizers: {_describe(source, target)}, trained")
    return source, target


def training_corpus(config: Config) -> Corpus | list[Corpus]:
    """`data.train`.

    Raises:
        UserError: it is missing.
    """
    if config.data.train is None:
        raise UserError("data.train: expected source and target, or pairs, got nothing")
    return config.data.train


def _are_reusable(config: Config, run_dir: Path | str, directory: Path) -> bool:
    """Whether the saved tokenizers have the settings of the configuration.

    Raises:
        UserError: they have other settings, and the run has a checkpoint.
    """
    if not (directory / "target.json").is_file():
        return False
    path = directory / MADE_WITH
    if not path.is_file():  # a run that `Translator.save` wrote
        return True
    stored = tokenizer_settings(Config.load(path))
    differences = list(config_differences(stored, tokenizer_settings(config)))
    if checkpoints.exists(Path(run_dir) / "last"):
        reject_differences(path, differences)
    return not differences and uses_pointer_network(config) == _has_pointers(directory)


def _has_pointers(directory: Path) -> bool:
    description = json.loads((directory / "target.json").read_text())
    return description.get("kind") == tokenizers.Pointers.kind


def _save(config: Config, directory: Path, source: Any, target: Any) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    _check_own(directory)
    data = config.to_dict()["data"]
    sections = {key: section for key, section in data.items() if key.endswith("tokenizer")}
    # target.json is written last: a directory without it is an incomplete one.
    (directory / "target.json").unlink(missing_ok=True)
    write_atomically(directory / MADE_WITH, yaml.safe_dump({"data": sections}, sort_keys=False))
    tokenizers.save_pair(directory, source, target)


def _check_own(directory: Path) -> None:
    """Checks that the directory has no vocabulary of the user's, which would be replaced."""
    if (directory / MADE_WITH).is_file() or (directory / "target.json").is_file():
        return
    for path in sorted(directory.iterdir()):
        if path.name.startswith(tuple(f"{side}." for side in SIDES)):
            expected = f"expected no file of this name in a run without {MADE_WITH}, got one"
            raise UserError(f"{path}: {expected}; move it out of the run directory")


def _train(config: Config, corpus: Corpus | list[Corpus]) -> tuple[Any, Any]:
    source_config, target_config = config.data.tokenizers()
    if any(config.data.has_features):
        source, target = (_train_side(config, corpus, side) for side in SIDES)
        return source, target
    source_lines, target_lines = (read_side(corpus, side) for side in SIDES)
    if source_config.shared:
        lines = itertools.chain(source_lines, target_lines)
        shared = _train_one("data.tokenizer", source_config, lines)
        return shared, shared
    source_key, target_key = (_tokenizer_key(config, side) for side in SIDES)
    if uses_pointer_network(config):
        if source_config.parts:
            expected = "expected no factors and no several sources for a pointer network"
            raise UserError(f"{source_key}: {expected}, got {source_config.kind}")
        shared = _train_one(source_key, source_config, source_lines)
        return shared, shared
    source = _train_one(source_key, source_config, source_lines)
    return source, _train_one(target_key, target_config, target_lines)


def _tokenizer_key(config: Config, side: str) -> str:
    own = f"{side}_tokenizer"
    return f"data.{own if getattr(config.data, own) else 'tokenizer'}"


def _train_side(config: Config, corpus: Corpus | list[Corpus], side: str) -> Any:
    """The tokenizer of a side where one of the two sides is features."""
    index = SIDES.index(side)
    if config.data.has_features[index]:
        return tokenizers.Features(feature_size(getattr(config.data.train_corpora[0], side)))
    own = config.data.tokenizers()[index]
    return _train_one(_tokenizer_key(config, side), own, read_side(corpus, side))


def _train_one(key: str, config: TokenizerConfig, lines: Iterable[str]) -> Any:
    try:
        return tokenizers.train(config, lines)
    except UserError as error:
        text = str(error)
        if text.startswith("expected"):
            raise UserError(f"{key}: {text}") from None
        names_field = text.startswith(("size:", "kind:", "special_tokens:", "parts."))
        raise UserError(f"{key}.{text}" if names_field else text) from None


def _describe(source: Any, target: Any) -> str:
    if source is target:
        return f"{source.kind} {source.size:,} shared"
    return f"source {source.kind} {source.size:,}, target {target.kind} {target.size:,}"
