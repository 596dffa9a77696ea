"""The training itself: corpora and model in, checkpoints, curves and figures out."""

import sys
from pathlib import Path

from keras_s2s.callbacks import (
    BestTracker,
    JSONLLogger,
    PeriodicCheckpoint,
    SwapEMAWeights,
    TensorBoardLogger,
    Validation,
)
from keras_s2s.config import Config
from keras_s2s.data import batches
from keras_s2s.metrics import SCORERS, higher_is_better
from keras_s2s.training.checkpoint_writer import keeper, saver
from keras_s2s.training.failure_recovery import build_guard, explain_failures
from keras_s2s.training.profiler import ProfilerCallback
from keras_s2s.training.session import build_session
from keras_s2s.training.tensorboard_callbacks import tensorboard_callbacks
from keras_s2s.training.validation_samples import ValidationSamples
from keras_s2s.training.validation_scores import build_scorer, current_translator

__all__ = ["train"]


def train(config: Config, run_dir, *, export=None, stream=None, profile: bool = False) -> dict:
    """Trains a model into a run directory, or goes on from the run's last checkpoint.

    Interrupted at any moment (killed, or by KeyboardInterrupt, which passes through) the run
    directory stays whole; the updates since the last checkpoint are lost. A session that goes on
    makes the same updates as one that was never interrupted: weights, optimizer, dropout, place
    in the data and the best so far all come back.

    Args:
        config: a configuration; what it leaves out is chosen and printed.
        run_dir: directory for config.yml, tokenizers/, best/, last/, logs/ and metrics.jsonl.
        export: `export(run_dir, step)` publishes RUN/best when `config.export.when` says so.
        stream: text stream for messages and progress, `sys.stderr` unless given.
        profile: whether to trace some updates into RUN/logs and to say the top operations.

    Returns:
        dict of the last validation's figures with `step`, `best_step`, `metric` and `best`.

    Raises:
        UserError: naming the key or the file and line: bad data, a model that cannot be built, a
            run directory of other data, another model or tokenizers, a damaged checkpoint, an
            update that is not finite (as `training.on_nan` says), memory that does not suffice.
    """
    session = build_session(config, Path(run_dir), stream)
    done = _done(session)
    if done:
        session.progress.say(f"{run_dir}: {done}")
        return _figures(session)
    tracing = ProfilerCallback(session.run_dir / "logs", session.course, session.progress.say)
    try:
        with explain_failures(session):
            _fit(session, export, [tracing] if profile else [])
    finally:
        tracing.close()
        session.progress.close()
    if export and session.config.export.when == "end":
        export(session.run_dir, session.course.state["best_step"])
    return _figures(session)


def _done(session):
    """Why there is nothing left to do, or ""."""
    training, state = session.config.training, session.course.state
    if session.course.finished:
        more = "raise training.updates to go on"
        return f"{state['step']:,} of {training.updates:,} updates are done; {more}"
    if training.patience and state["waited"] >= training.patience:
        waited = f"stopped at update {state['step']:,} after {state['waited']} validations"
        return f"{waited} without a better {training.metric}; raise training.patience to go on"
    return ""


def _fit(session, export, more):
    state = session.course.state
    session.model.fit(
        _examples(
            session,
            "train",
            seed=state["order"]["seed"],
            start=state["position"],
            noise=session.config.data.noise,
        ),
        validation_data=_examples(session, "valid", training=False),
        initial_epoch=state["validations"],
        # `Validation` ends every epoch, and `Course` the last one
        epochs=sys.maxsize,
        steps_per_epoch=sys.maxsize,
        callbacks=[*_callbacks(session, export), *more],
        verbose=0,
        shuffle=False,
    )


def _examples(session, name, **options):
    data, corpus = session.config.data, getattr(session.config.data, name)
    if corpus is None:
        return None
    return batches(
        corpus,
        *session.tokenizers,
        batch_tokens=data.batch_tokens,
        max_length=data.max_length,
        copy=session.model.supports_copy,
        statistics=session.surveys[name],
        **options,
    )


def _callbacks(session, export):
    training, course, run_dir = session.config.training, session.course, session.run_dir
    metric = f"val_{training.metric}" if session.config.data.valid is not None else None
    searched = [name for name in training.scores if name in SCORERS]
    samples = ValidationSamples(training.samples, session.progress.say, next(iter(searched), None))
    looks = training.scores or training.tensorboard.attention
    current = current_translator(session) if looks else None
    validate = Validation(
        course,
        training.validate_every,
        saver(session, export),
        goal=BestTracker(metric, higher_is_better(training.metric), training.patience),
        score=build_scorer(session, samples, current) if training.scores else None,
        say=session.progress.say,
    )
    found = [course, build_guard(session), session.progress, validate]
    if training.ema is not None:
        found.append(SwapEMAWeights())
    if training.checkpoint_every:
        found.append(PeriodicCheckpoint(course, training.checkpoint_every, keeper(session)))
    curves = TensorBoardLogger(run_dir / "logs", course, texts=samples.page)
    return [
        *found,
        JSONLLogger(run_dir / "metrics.jsonl", course),
        *tensorboard_callbacks(session, curves, current),
        curves,
    ]


def _figures(session):
    state, metric = session.course.state, session.config.training.metric
    kept = {name: state[name] for name in ("step", "best_step", "best")}
    return {**state["figures"], **kept, "metric": metric}
