"""The session of one `train` call: checked configuration, data, model and progress."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import keras
import tensorflow as tf

from keras_s2s import checkpoints
from keras_s2s.callbacks import ProgressBar, TrainingProgress
from keras_s2s.config import Config
from keras_s2s.config.input_files import check_input_files
from keras_s2s.config.run_directory import check_own_files, save_config
from keras_s2s.data import CorpusStatistics
from keras_s2s.errors import UserError
from keras_s2s.training.batch_size_finder import find_batch_size
from keras_s2s.training.compilation import build_compiled_model, check_buildable, head_class
from keras_s2s.training.defaults import complete, describe_choices
from keras_s2s.training.initialization import initialize_weights
from keras_s2s.training.run_config import check_run_config, merge_run_config
from keras_s2s.training.run_corpora import check_corpora, collect_statistics
from keras_s2s.training.run_state import reset_best_if_changed, set_corpora, set_data_order
from keras_s2s.training.run_tokenizers import train_tokenizers, training_corpus

__all__ = ["Session", "build_session"]


@dataclass
class Session:
    """Everything that one call of `train` works with.

    Attributes:
        config: the complete configuration.
        run_dir: the run directory.
        tokenizers: the source tokenizer and the target tokenizer.
        statistics: the corpus statistics, by `train` and `valid`.
        model: the compiled model.
        progress: the progress of the run.
        progress_bar: the progress bar, which also takes messages.
    """

    config: Config
    run_dir: Path
    tokenizers: tuple
    statistics: dict[str, CorpusStatistics]
    model: keras.Model
    progress: TrainingProgress
    progress_bar: ProgressBar

    def log(self, text: str) -> None:
        """Writes a line for the user."""
        self.progress_bar.write(text)


def build_session(
    given: Config, run_dir: Path, stream: TextIO | None = None, *, write: bool = True
) -> Session:
    """Checks the configuration, builds what is missing and restores the run's last checkpoint.

    Args:
        given: a configuration, which may leave values out.
        run_dir: the run directory.
        stream: text stream for messages, `sys.stderr` by default.
        write: whether files may be written.

    Raises:
        UserError: an invalid value or bad data; the key or the file and line are named.
    """
    config = _check_config(given, run_dir, write)
    keras.utils.set_random_seed(config.training.seed)
    progress = TrainingProgress(config.training.updates, batches=config.training.accumulate)
    progress_bar = ProgressBar(progress, stream=stream or sys.stderr)
    log = progress_bar.write
    tokenizers = train_tokenizers(config, run_dir, log, write=write)
    statistics = collect_statistics(config, tokenizers, str(run_dir) if write else None, log)
    check_corpora(config, run_dir, statistics)
    config = _with_forecast_steps(config, statistics["train"])
    with _explain_build_failures():
        can_copy = head_class(config).supports_copy
        config = find_batch_size(config, tokenizers, statistics["train"], can_copy, log)
        model = build_compiled_model(config, tokenizers)
    session = Session(config, run_dir, tokenizers, statistics, model, progress, progress_bar)
    _log_model(session, given)
    _restore_or_initialize(session)
    set_data_order(session)
    set_corpora(session)
    reset_best_if_changed(session)
    if write:
        save_config(config, run_dir)
    return session


def _check_config(given: Config, run_dir: Path, write: bool) -> Config:
    """The complete configuration, checked against the run directory and the model's classes."""
    config = complete(merge_run_config(given, run_dir))
    check_own_files(run_dir, config)
    check_input_files(config, run_dir)
    check_run_config(config, run_dir)
    training_corpus(config)
    with _explain_build_failures():
        check_buildable(config)
    if not write:
        config = replace(config, data=replace(config.data, cache=None))
    return config


@contextlib.contextmanager
def _explain_build_failures() -> Iterator[None]:
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        advice = "lower the model's sizes or the tokenizers'"
        raise UserError(f"model: out of memory while it was built; {advice}") from error


def _with_forecast_steps(config: Config, statistics: CorpusStatistics) -> Config:
    """Sets `decoding.steps`, when left out, to the length of the longest target."""
    if not config.data.has_features[1] or config.decoding.steps is not None:
        return config
    steps = min(statistics.longest_target, config.data.max_length, config.export.max_length)
    return replace(config, decoding=replace(config.decoding, steps=steps))


def _log_model(session: Session, given: Config) -> None:
    config, model = session.config, session.model
    choices = describe_choices(given, config)
    suffix = f"; {choices}" if choices else ""
    session.log(f"model: {model.count_params():,} weights{suffix}")
    if config.training.label_smoothing and not (model.smoothing or model.has_feature_targets):
        kind, value = config.model.head["kind"], config.training.label_smoothing
        session.log(f"training.label_smoothing: {value} does not apply to the head {kind}")


def _restore_or_initialize(session: Session) -> None:
    last = session.run_dir / "last"
    if checkpoints.exists(last):
        session.progress.resume(checkpoints.restore(session.model, last))
        session.log(f"{session.run_dir}: going on from update {session.progress.step:,}")
    else:
        initialize_weights(session)
