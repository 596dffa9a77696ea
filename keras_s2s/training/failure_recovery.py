"""What to do, and whom to blame, when an update goes wrong."""

import contextlib
import json
import math
import re

import tensorflow as tf

from keras_s2s import checkpoints
from keras_s2s.callbacks import NonFiniteGuard, NonFinitePolicy
from keras_s2s.data import find_lines
from keras_s2s.errors import UserError

__all__ = ["build_guard", "explain_build_failures", "explain_failures"]

SHOWN = 5  # lines named in a message


def build_guard(session) -> NonFiniteGuard:
    """The callback that does what `training.on_nan` says."""
    how = session.config.training.on_nan
    last = session.run_dir / "last"
    if how == "roll_back" and not checkpoints.exists(last):
        checkpoints.save(session.model, last, session.course.snapshot())
    rescue = NonFinitePolicy(how, lambda: _blame(session), lambda: _roll_back(session, last))
    hopeless = _hopeless(session)
    return NonFiniteGuard(session.course, rescue, hopeless=hopeless, say=session.progress.say)


def _hopeless(session):
    """A loss that only a model that went astray has; infinite where losses may be of any size."""
    model, length = session.model, session.config.data.max_length
    if model.has_feature_targets or model.criterion is not None:
        return math.inf
    # A guess among all V tokens costs ln V.
    return 2 * math.log(model.vocabulary_size + length * model.head.is_pointer)


def _roll_back(session, last):
    position = session.course.state["position"]
    state = checkpoints.restore(session.model, last)
    session.model.reset_metrics()
    session.course.resume({**state, "position": position})
    return session.course.step


def _blame(session):
    """Names the lines of the last update's batches, and writes all of them to a file."""
    state, data = session.course.state, session.config.data
    lines = {}
    for number in range(state["position"] - session.course.batches, state["position"]):
        found = find_lines(
            data.train,
            session.surveys["train"],
            number,
            batch_tokens=data.batch_tokens,
            seed=state["order"]["seed"],
        )
        for file, numbers in found.items():
            lines[file] = sorted({*lines.get(file, ()), *numbers})
    path = session.run_dir / "bad_batches.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": state["step"], "lines": lines}) + "\n")
    shown = "; ".join(f"{file}:{_some(numbers)}" for file, numbers in lines.items())
    return f"{shown} (all in {path})"


def _some(numbers):
    shown = ",".join(map(str, numbers[:SHOWN]))
    return shown if len(numbers) <= SHOWN else f"{shown} and {len(numbers) - SHOWN:,} more lines"


@contextlib.contextmanager
def explain_failures(session):
    """Says in one line what went wrong below `fit` where that is the user's to mend.

    Raises:
        UserError: memory ran out, or a corpus changed while it was read.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise UserError(_out_of_memory(session, error)) from error
    except tf.errors.OpError as error:
        # what a reader raises within the pipeline arrives as TensorFlow's, its text in the middle
        found = re.search(r"UserError: ([^\n]+)", str(error))
        if found is None:
            raise
        raise UserError(found[1]) from error


@contextlib.contextmanager
def explain_build_failures():
    """Says in one line that a model does not fit.

    Raises:
        UserError: memory ran out.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        lower = "lower the model's sizes or the tokenizers'"
        raise UserError(f"model: out of memory as it was made; {lower}") from error


def _out_of_memory(session, error):
    data, training = session.config.data, session.config.training
    shape = re.search(r"shape\[[\d,]*\]", str(error))
    wanted = f" at a tensor of {shape[0]}" if shape else ""
    lower = [f"data.batch_tokens ({data.batch_tokens:,})", f"data.max_length ({data.max_length:,})"]
    half = f"half of it with training.accumulate={2 * training.accumulate} learns the same"
    return (
        f"out of memory before update {session.course.step + 1:,}{wanted}; lower {lower[0]}"
        f" ({half}), {lower[1]} or the model's sizes"
    )
