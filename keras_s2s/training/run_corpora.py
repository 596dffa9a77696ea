"""The corpora of a run: their statistics, and a check that they do not change."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_s2s import checkpoints
from keras_s2s.config import Config
from keras_s2s.data import CorpusStatistics, scan_corpora
from keras_s2s.data.batching import require_pairs
from keras_s2s.errors import UserError
from keras_s2s.training.compilation import head_class
from keras_s2s.training.messages import PairCounter
from keras_s2s.training.run_config import config_differences, reject_differences

__all__ = ["check_corpora", "collect_statistics", "corpus_fingerprint"]


def collect_statistics(
    config: Config, tokenizers: tuple, keep: str | None, log: Callable[[str], None]
) -> dict[str, CorpusStatistics]:
    """Reads both corpora before the model is built, and reports the pairs that are skipped.

    Args:
        config: a complete configuration.
        tokenizers: the source tokenizer and the target tokenizer.
        keep: a directory to store the statistics of the training corpora in; None for none.
        log: takes a line for the user.

    Returns:
        The statistics by `train` and `valid`.

    Raises:
        UserError: a corpus is damaged, or no pair is left.
    """
    statistics = {}
    for name in ("train", "valid"):
        corpus = getattr(config.data, name)
        if corpus is None:
            continue
        counter = PairCounter(f"data.{name}", log)
        options = _train_options(config, keep) if name == "train" else {}
        statistics[name] = scan_corpora(
            corpus, *tokenizers, config.data.max_length, counter, **options
        )
        for line in statistics[name].describe():
            log(f"data.{name}: {line}")
        require_pairs(corpus, statistics[name])
    if "valid" not in statistics:
        log("data.valid: none, so best/ is always the latest checkpoint")
    return statistics


def _train_options(config: Config, keep: str | None) -> dict[str, Any]:
    storage = {"cache": config.data.cache, "copy": head_class(config).supports_copy, "keep": keep}
    return config.data.filters() | storage


def check_corpora(
    config: Config, run_dir: Path | str, statistics: dict[str, CorpusStatistics]
) -> None:
    """Checks that the corpora have the content that they had when the run began.

    Their paths may change.

    Args:
        config: a complete configuration.
        run_dir: the run directory.
        statistics: the statistics of `data.train` and `data.valid`, by `train` and `valid`.

    Raises:
        UserError: a corpus differs; the keys are named.
    """
    run_dir = Path(run_dir)
    if not checkpoints.exists(run_dir / "last"):
        return
    fingerprints = checkpoints.load(run_dir / "last")[1].get("corpora")
    if fingerprints is None:
        return
    path = run_dir / "config.yml"
    stored = Config.load(path).to_dict()["data"]
    for name in ("train", "valid"):
        actual = corpus_fingerprint(statistics[name]) if name in statistics else None
        if actual == fingerprints.get(name):
            continue
        key, given = f"data.{name}", config.to_dict()["data"][name]
        reject_differences(path, config_differences({key: stored[name]}, {key: given}))
        raise UserError(
            f"{key}: the files changed since {run_dir} began;"
            " expected the same, or another run directory"
        )


def corpus_fingerprint(statistics: CorpusStatistics) -> int:
    """A checksum of the number of tokens and of the length of every pair."""
    tokens = [statistics.source_tokens, statistics.target_tokens]
    weights = [str(index.weight) for index in statistics.indexes]
    checksum = zlib.crc32(json.dumps([*tokens, *weights]).encode())
    for index in statistics.indexes:
        checksum = zlib.crc32(index.buckets.tobytes(), checksum)
    return checksum
