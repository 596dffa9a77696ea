"""Training: configuration -> session -> fit."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import keras
import tensorflow as tf

from keras_s2s.callbacks import (
    BestTracker,
    JSONLLogger,
    PeriodicCheckpoint,
    SwapEMAWeights,
    TensorBoardLogger,
    Validation,
)
from keras_s2s.config import Config
from keras_s2s.config.run_directory import lock_run
from keras_s2s.data import batches
from keras_s2s.metrics import SCORERS, higher_is_better
from keras_s2s.training.checkpoint_writer import CheckpointWriter
from keras_s2s.training.failure_recovery import build_guard, explain_failures
from keras_s2s.training.profiler import ProfilerCallback
from keras_s2s.training.session import Session, build_session
from keras_s2s.training.tensorboard_callbacks import tensorboard_callbacks
from keras_s2s.training.validation_samples import ValidationSamples
from keras_s2s.training.validation_scores import build_scorer, current_translator

__all__ = ["train"]

Export = Callable[[Path, int], Any]


def train(
    config: Config,
    run_dir: Path | str,
    *,
    export: Export | None = None,
    stream: TextIO | None = None,
    profile: bool = False,
) -> dict[str, Any]:
    """Trains a model into a run directory, or resumes from the run's last checkpoint.

    An interruption at any moment (a kill, or KeyboardInterrupt, which is not caught) leaves a
    valid run directory; the updates since the last checkpoint are lost. A resumed session makes
    the same updates as one that was not interrupted: weights, optimizer, dropout, position in the
    data and the best result so far are restored.

    Args:
        config: a configuration; values that it leaves out are chosen and printed.
        run_dir: directory of config.yml, tokenizers/, best/, last/, logs/ and metrics.jsonl.
        export: `export(run_dir, step)` publishes RUN/best when `config.export.when` says so.
        stream: text stream for messages and progress, `sys.stderr` by default.
        profile: whether to trace some updates into RUN/logs and print the top operations.

    Returns:
        dict of the figures of the last validation, with `step`, `best_step`, `metric` and `best`.

    Raises:
        UserError: bad data, a model that cannot be built, a run directory of other data, another
            model or other tokenizers, a run directory in use by another process, a damaged
            checkpoint, a non-finite update (depending on `training.on_nan`), or insufficient
            memory. The key or the file and line are named.
    """
    with lock_run(run_dir):
        session = build_session(config, Path(run_dir), stream)
        return _train(session, export, profile)


def _train(session: Session, export: Export | None, profile: bool) -> dict[str, Any]:
    """Makes the updates that are left, and returns the figures of the last validation."""
    reason = _reason_to_stop(session)
    if reason:
        session.log(f"{session.run_dir}: {reason}")
        return _result(session)
    profiler = ProfilerCallback(session.run_dir / "logs", session.progress, session.log)
    try:
        with explain_failures(session):
            _fit(session, export, [profiler] if profile else [])
    finally:
        profiler.close()
        session.progress_bar.close()
    if export and session.config.export.when == "end":
        export(session.run_dir, session.progress.state["best_step"])
    return _result(session)


def _reason_to_stop(session: Session) -> str:
    """The reason why no update is left to make, or ""."""
    training, state = session.config.training, session.progress.state
    if session.progress.is_finished:
        more = "raise training.updates to go on"
        return f"{state['step']:,} of {training.updates:,} updates are done; {more}"
    if training.patience and state["waited"] >= training.patience:
        waited = f"stopped at update {state['step']:,} after {state['waited']} validations"
        return f"{waited} without a better {training.metric}; raise training.patience to go on"
    return ""


def _fit(session: Session, export: Export | None, more: list[keras.callbacks.Callback]) -> None:
    state = session.progress.state
    train_batches = _batches(
        session,
        "train",
        seed=state["order"]["seed"],
        start=state["position"],
        noise=session.config.data.noise,
    )
    session.model.fit(
        train_batches,
        validation_data=_batches(session, "valid", training=False),
        initial_epoch=state["validations"],
        # `Validation` ends every epoch, and `TrainingProgress` the last one.
        epochs=sys.maxsize,
        steps_per_epoch=sys.maxsize,
        callbacks=[*_callbacks(session, export), *more],
        verbose=0,
        shuffle=False,
    )


def _batches(session: Session, name: str, **options: Any) -> tf.data.Dataset | None:
    data, corpus = session.config.data, getattr(session.config.data, name)
    if corpus is None:
        return None
    return batches(
        corpus,
        *session.tokenizers,
        batch_tokens=data.batch_tokens,
        max_length=data.max_length,
        copy=session.model.supports_copy,
        statistics=session.statistics[name],
        **options,
    )


def _callbacks(session: Session, export: Export | None) -> list[keras.callbacks.Callback]:
    """The callbacks, in the order that `keras_s2s.callbacks` describes."""
    training, progress, run_dir = session.config.training, session.progress, session.run_dir
    checkpoint_writer = CheckpointWriter(session, export)
    text_metric = next((name for name in training.scores if name in SCORERS), None)
    samples = ValidationSamples(training.samples, session.log, text_metric)
    needs_translator = training.scores or training.tensorboard.attention
    translator = current_translator(session) if needs_translator else None
    metric = f"val_{training.metric}" if session.config.data.valid is not None else None
    validation = Validation(
        progress,
        training.validate_every,
        checkpoint_writer.save_validated,
        tracker=BestTracker(metric, higher_is_better(training.metric), training.patience),
        score=build_scorer(session, samples, translator) if training.scores else None,
        log=session.log,
    )
    callbacks = [progress, build_guard(session), session.progress_bar, validation]
    if training.ema is not None:
        callbacks.append(SwapEMAWeights())
    if training.checkpoint_every:
        save, every = checkpoint_writer.save_last, training.checkpoint_every
        callbacks.append(PeriodicCheckpoint(progress, every, save))
    curves = TensorBoardLogger(run_dir / "logs", progress, texts=samples.page)
    return [
        *callbacks,
        JSONLLogger(run_dir / "metrics.jsonl", progress),
        *tensorboard_callbacks(session, curves, translator),
        curves,
    ]


def _result(session: Session) -> dict[str, Any]:
    state, metric = session.progress.state, session.config.training.metric
    best = {name: state[name] for name in ("step", "best_step", "best")}
    return {**state["figures"], **best, "metric": metric}
