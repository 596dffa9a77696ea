"""The training itself: corpora and model in, checkpoints, curves and figures out."""

import itertools
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import keras

from keras_s2s import catalog, checkpoints, schedules
from keras_s2s.callbacks import Journal, Progress, Summaries, TargetTokens, Validate
from keras_s2s.config import Config, UserError
from keras_s2s.data import Survey, batches, read_pairs, survey
from keras_s2s.evaluation import evaluate
from keras_s2s.metrics import Perplexity, TokenAccuracy, higher_is_better, signatures
from keras_s2s.training.defaults import complete, describe_choices
from keras_s2s.training.runs import adopt, check_same, train_tokenizers, training_corpus
from keras_s2s.translator import Translator

__all__ = ["train"]


@dataclass
class _Session:
    """What one call of `train` works with, once everything was checked."""

    config: Config
    run_dir: Path
    tokenizers: tuple
    surveys: dict[str, Survey]
    model: keras.Model
    state: dict
    progress: Progress


def train(config: Config, run_dir, *, export=None, stream=None) -> dict:
    """Trains a model into a run directory, or goes on from the run's last checkpoint.

    Interrupted at any moment (KeyboardInterrupt passes through) the run directory stays whole;
    the updates since the last validation are lost.

    Args:
        config: a configuration; what it leaves out is chosen and printed.
        run_dir: directory for config.yml, tokenizers/, best/, last/, logs/ and metrics.jsonl.
        export: `export(run_dir, step)` publishes RUN/best when `config.export.when` says so.
        stream: text stream for messages and progress, `sys.stderr` unless given.

    Returns:
        dict of the last validation's figures with `step`, `best_step`, `metric` and `best`.

    Raises:
        UserError: naming the key or the file and line: bad data, a model that cannot be built, a
            run directory of another model or tokenizers, a damaged checkpoint, a loss that is
            not a number any more.
    """
    session = _prepare(config, Path(run_dir), stream)
    done = _done(session)
    if done:
        session.progress.say(f"{run_dir}: {done}")
        return _figures(session)
    try:
        _fit(session, export)
    finally:
        session.progress.close()
    if export and session.config.export.when == "end":
        export(session.run_dir, session.state["best_step"])
    return _figures(session)


def _prepare(given, run_dir, stream):
    config = complete(adopt(given, run_dir))
    check_same(config, run_dir)
    training_corpus(config)
    keras.utils.set_random_seed(config.training.seed)
    progress = Progress(config.training.updates, stream=stream or sys.stderr)
    pair = train_tokenizers(config, run_dir, progress.say)
    surveys = _surveys(config, pair, progress.say)
    model = _compiled(config, pair)
    chosen = describe_choices(given, config)
    progress.say(f"model: {model.count_params():,} weights" + (f"; {chosen}" if chosen else ""))
    state = {}
    if checkpoints.exists(run_dir / "last"):
        state = checkpoints.restore(model, run_dir / "last")
        progress.done = state["step"]
        progress.say(f"{run_dir}: going on from update {state['step']:,}")
    config.save(run_dir / "config.yml")
    return _Session(config, run_dir, pair, surveys, model, state, progress)


def _surveys(config, pair, say):
    """Counts both corpora before anything is built, and says what is skipped."""
    found = {}
    for name in ("train", "valid"):
        corpus = getattr(config.data, name)
        if corpus is not None:
            counting = _Counting(f"data.{name}", say)
            filters = config.data.filters() if name == "train" else {}
            found[name] = survey(corpus, *pair, config.data.max_length, counting, **filters)
            for line in found[name].describe():
                say(f"data.{name}: {line}")
    if "valid" not in found:
        say("data.valid: none, so best/ is always the latest checkpoint")
    return found


class _Counting:
    """Says every ten seconds how many pairs were read."""

    def __init__(self, name, say):
        self.name, self.say, self.said = name, say, time.monotonic()

    def __call__(self, pairs):
        if time.monotonic() - self.said > 10.0:
            self.said = time.monotonic()
            self.say(f"{self.name}: {pairs:,} pairs read")


def _compiled(config, pair):
    training = config.training
    model = catalog.build(
        config.model, pair[0].size, pair[1].size,
        label_smoothing=training.label_smoothing, policy=training.policy,
    )  # fmt: skip
    model.compile(
        _optimizer(training, config.model.decoder["units"]),
        weighted_metrics=[TokenAccuracy(), Perplexity(), TargetTokens()],
        jit_compile=False,
    )
    return model


def _optimizer(training, width):
    try:
        rate = schedules.get(
            training.schedule, training.learning_rate,
            warmup=training.warmup, updates=training.updates, width=width,
        )  # fmt: skip
    except ValueError as error:
        raise UserError(f"training.{error}") from None
    cls = type(keras.optimizers.get(training.optimizer))
    try:
        return cls(rate, global_clipnorm=training.clip_norm or None, **training.optimizer_options)
    except (TypeError, ValueError) as error:
        raise UserError(f"training.optimizer_options: {training.optimizer}: {error}") from None


def _done(session):
    """Why there is nothing left to do, or ""."""
    training, step = session.config.training, session.state.get("step", 0)
    if step >= training.updates:
        more = "raise training.updates to go on"
        return f"{step:,} of {training.updates:,} updates are done; {more}"
    if training.patience and session.state.get("waited", 0) >= training.patience:
        waited = f"stopped at update {step:,} after {session.state['waited']} validations"
        return f"{waited} without a better {training.metric}; raise training.patience to go on"
    return ""


def _fit(session, export):
    training, data = session.config.training, session.config.data
    options = {"batch_tokens": data.batch_tokens, "max_length": data.max_length,
               "copy": session.model.copies}  # fmt: skip
    step = session.state.get("step", 0)
    # another seed for each session, or it would begin with the batches of the first again
    examples = batches(data.train, *session.tokenizers, **options, seed=training.seed + step,
                       surveyed=session.surveys["train"])  # fmt: skip
    valid = None
    if data.valid is not None:
        valid = batches(data.valid, *session.tokenizers, **options, training=False,
                        surveyed=session.surveys["valid"])  # fmt: skip
    validate = _validate(session, export)
    first = session.state.get("validations", 0)
    session.model.fit(
        examples,
        validation_data=valid,
        initial_epoch=first,
        epochs=first + math.ceil((training.updates - step) / training.validate_every),
        steps_per_epoch=training.validate_every,
        callbacks=[session.progress, validate,
                   Journal(session.run_dir / "metrics.jsonl", start=step),
                   Summaries(session.run_dir / "logs", start=step)],
        verbose=0,
        shuffle=False,
    )  # fmt: skip
    session.state = validate.state


def _validate(session, export):
    training = session.config.training
    has_valid = session.config.data.valid is not None
    return Validate(
        training.updates,
        _saver(session, export),
        metric=f"val_{training.metric}" if has_valid else None,
        higher_is_better=higher_is_better(training.metric),
        score=_scorer(session) if training.scores else None,
        patience=training.patience,
        state=session.state,
        say=session.progress.say,
    )


def _saver(session, export):
    """Writes `last`, and `best` before it: a run cut between the two repeats a validation."""
    best, last = session.run_dir / "best", session.run_dir / "last"

    def save(state, is_best):
        if not is_best:
            checkpoints.save(session.model, last, state)
            return
        checkpoints.save(session.model, best, state)
        checkpoints.copy(best, last)
        if export and session.config.export.when == "best":
            _publish(session, export, state["step"])

    return save


def _publish(session, export, step):
    try:
        export(session.run_dir, step)
    except UserError as error:  # hours of training are worth more than one export
        session.progress.say(f"export of update {step:,} failed: {error}")


def _scorer(session):
    """Decodes the first lines of the validation corpus greedily and scores them."""
    config, found = session.config, session.surveys["valid"]
    pairs = list(itertools.islice(read_pairs(config.data.valid), config.training.validate_lines))
    translator = Translator(session.model, *session.tokenizers, config.decoding)
    # an untrained model seldom ends a sentence: no need to wait for all of decoding.max_length
    longest = min(config.decoding.max_length, 2 * found.longest_target + 10)

    session.progress.say(f"scores: {', '.join(signatures(config.training.scores).values())}")

    def score():
        if translator.model is not session.model:  # under a mixed policy it has its own, in float32
            translator.model.set_weights(session.model.get_weights())
        session.progress.say(f"decoding {len(pairs):,} validation lines")
        return evaluate(
            translator, pairs, config.training.scores, beam_size=1, max_length=longest
        ).scores

    return score


def _figures(session):
    state, metric = session.state, session.config.training.metric
    kept = {name: state[name] for name in ("step", "best_step", "best")}
    return {**state["figures"], **kept, "metric": metric}
