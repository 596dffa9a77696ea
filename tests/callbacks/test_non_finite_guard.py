"""When `NonFiniteGuard` lets training go on, goes back, or gives up."""

import math

import pytest

from keras_s2s.callbacks import NonFiniteGuard, NonFinitePolicy, TrainingProgress
from keras_s2s.errors import UserError


class Patient:
    """A model of which a guard sees the vitals alone."""

    stop_training = True

    def __init__(self):
        self.update_stats, self.last = self, (1.0, True)

    def read(self):
        return self.last


def guarded(how, **options):
    """(feed, said, backs): `feed(loss, made)` is one update."""
    course, said, backs, patient = TrainingProgress(1000), [], [], Patient()
    rescue = NonFinitePolicy(how, lambda: "train.tsv:7", lambda: backs.append(course.step) or 40)
    guard = NonFiniteGuard(course, rescue, say=said.append, **options)
    guard.set_model(patient)

    def feed(loss=1.0, made=True):
        course.state["step"] += 1
        patient.last = (loss, made)
        guard.on_train_batch_end(0)

    feed.guard, feed.patient = guard, patient
    return feed, said, backs


def test_stop_names_the_update_and_its_lines():
    feed, *_ = guarded("stop")
    feed()
    with pytest.raises(
        UserError, match=r"^update 2: a gradient is not finite; made of train.tsv:7"
    ):
        feed(1.0, False)


def test_updates_are_skipped_until_ten_in_a_row():
    feed, said, _ = guarded("skip")
    for _ in range(9):
        feed(math.nan, False)
    feed()
    for _ in range(9):
        feed(math.inf, False)
    assert len(said) == 18
    assert said[0] == "update 1: the loss is nan; made of train.tsv:7; skipped"
    with pytest.raises(UserError, match="the last 10 updates all were like that: lower training."):
        feed(math.inf, False)


def test_going_back_three_times_between_two_validations():
    feed, said, backs = guarded("roll_back")
    for _ in range(3):
        feed(math.nan, False)
    assert backs == [1, 2, 3]
    assert said[-1].endswith("back to update 40, and past this batch")
    assert feed.patient.stop_training is False
    feed.guard.on_epoch_end(0)
    feed(math.nan, False)
    for _ in range(2):
        feed(math.nan, False)
    with pytest.raises(UserError, match="3 times back to the last checkpoint: lower training.lea"):
        feed(math.nan, False)


def test_training_that_diverges_is_caught_though_every_update_is_finite():
    feed, said, backs = guarded("stop", hopeless=10.0)
    for _ in range(100):
        feed(4.0)
    feed(300.0)  # one bad batch is no divergence
    for _ in range(100):
        feed(4.0)
    with pytest.raises(
        UserError, match=r"training has diverged, a mean loss of 1\d.* after 4; low"
    ):
        for _ in range(100):
            feed(30.0)
    assert 201 < feed.guard.course.step < 240
    feed, said, backs = guarded("roll_back", hopeless=10.0)
    for loss in [4.0] * 50 + [40.0] * 15:
        feed(loss)
    assert len(backs) == 1
    assert "training has diverged" in said[0]


def test_an_untrained_model_has_not_diverged():
    feed, said, _ = guarded("stop", hopeless=10.0)
    for loss in (40.0, 60.0, 30.0, 20.0, 12.0, 8.0):
        feed(loss)
    assert said == []
