"""Recovery from non-finite updates, and explanation of out-of-memory errors."""

import contextlib
import math
import re
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from keras_s2s import checkpoints
from keras_s2s.callbacks import NonFiniteGuard, NonFinitePolicy
from keras_s2s.data import find_lines
from keras_s2s.errors import UserError
from keras_s2s.signatures.json_text import dump_json
from keras_s2s.training.session import Session

__all__ = ["build_guard", "explain_failures"]

MAX_LINES = 5  # line numbers in a message


def build_guard(session: Session) -> NonFiniteGuard:
    """The callback that implements `training.on_nan`."""
    action, last = session.config.training.on_nan, session.run_dir / "last"
    if action == "roll_back" and not checkpoints.exists(last):
        checkpoints.save(session.model, last, session.progress.snapshot())
    policy = NonFinitePolicy(
        action, lambda: _locate_batch(session), lambda: _roll_back(session, last)
    )
    return NonFiniteGuard(session.progress, policy, max_loss=_max_loss(session), log=session.log)


def _max_loss(session: Session) -> float:
    """A loss that only diverged models exceed; infinite where losses have no known scale."""
    model, length = session.model, session.config.data.max_length
    if model.has_feature_targets or model.criterion is not None:
        return math.inf
    # A guess among all V tokens costs ln V.
    return 2 * math.log(model.vocabulary_size + length * model.head.is_pointer)


def _roll_back(session: Session, last: Path) -> int:
    """Restores the last checkpoint; the position in the data stays. Returns the step."""
    position = session.progress.state["position"]
    state = checkpoints.restore(session.model, last)
    session.model.reset_metrics()
    session.progress.resume({**state, "position": position})
    return session.progress.step


def _locate_batch(session: Session) -> str:
    """The corpus lines of the last update, also written to RUN/bad_batches.jsonl."""
    state, data = session.progress.state, session.config.data
    lines: dict[str, list[int]] = {}
    for index in range(state["position"] - session.progress.batches, state["position"]):
        located = find_lines(
            data.train,
            session.statistics["train"],
            index,
            batch_tokens=data.batch_tokens,
            seed=state["order"]["seed"],
        )
        for file, numbers in located.items():
            lines[file] = sorted({*lines.get(file, ()), *numbers})
    path = session.run_dir / "bad_batches.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write(dump_json({"step": state["step"], "lines": lines}) + "\n")
    text = "; ".join(f"{name}:{_format_numbers(numbers)}" for name, numbers in lines.items())
    return f"{text} (all in {path})"


def _format_numbers(numbers: list[int]) -> str:
    text = ",".join(map(str, numbers[:MAX_LINES]))
    hidden = len(numbers) - MAX_LINES
    return f"{text} and {hidden:,} more lines" if hidden > 0 else text


@contextlib.contextmanager
def explain_failures(session: Session) -> Iterator[None]:
    """Replaces errors of `fit` that the user can fix by a line that explains them.

    Raises:
        UserError: memory is used up, or a corpus changed while it was read.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise UserError(_describe_out_of_memory(session, error)) from error
    except tf.errors.OpError as error:
        # TensorFlow wraps an error of a reader and quotes its text.
        quoted = re.search(r"UserError: ([^\n]+)", str(error))
        if quoted is None:
            raise
        raise UserError(quoted[1]) from error


def _describe_out_of_memory(session: Session, error: Exception) -> str:
    data, training = session.config.data, session.config.training
    shape = re.search(r"shape\[[\d,]*\]", str(error))
    tensor = f" at a tensor of {shape[0]}" if shape else ""
    half = f"half of it with training.accumulate={2 * training.accumulate} learns the same"
    return (
        f"out of memory before update {session.progress.step + 1:,}{tensor};"
        f" lower data.batch_tokens ({data.batch_tokens:,}) ({half}),"
        f" data.max_length ({data.max_length:,}) or the model's sizes"
    )
