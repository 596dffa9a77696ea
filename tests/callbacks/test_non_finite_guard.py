"""When `NonFiniteGuard` continues, rolls back or stops."""

import math

import pytest

from keras_s2s.callbacks import NonFiniteGuard, NonFinitePolicy, TrainingProgress
from keras_s2s.errors import UserError


class FakeModel:
    """The part of a model that a guard reads: the result of the last update."""

    stop_training = True

    def __init__(self):
        self.update_stats, self.last = self, (1.0, True)

    def read(self):
        return self.last


class Simulation:
    """Updates of a fake model under a guard; `roll_backs` holds the updates rolled back from."""

    def __init__(self, action, **options):
        self.progress, self.messages, self.roll_backs = TrainingProgress(1000), [], []
        policy = NonFinitePolicy(action, lambda: "train.tsv:7", self._roll_back)
        self.guard = NonFiniteGuard(self.progress, policy, log=self.messages.append, **options)
        self.model = FakeModel()
        self.guard.set_model(self.model)

    def _roll_back(self):
        self.roll_backs.append(self.progress.step)
        return 40

    def update(self, loss=1.0, is_applied=True):
        self.progress.state["step"] += 1
        self.model.last = (loss, is_applied)
        self.guard.on_train_batch_end(0)


def test_stop_names_the_update_and_its_lines():
    simulation = Simulation("stop")
    simulation.update()
    expected = r"^update 2: a gradient is not finite; read from train.tsv:7"
    with pytest.raises(UserError, match=expected):
        simulation.update(1.0, False)


def test_updates_are_skipped_until_ten_in_a_row():
    simulation = Simulation("skip")
    for _ in range(9):
        simulation.update(math.nan, False)
    simulation.update()
    for _ in range(9):
        simulation.update(math.inf, False)
    assert len(simulation.messages) == 18
    expected = "update 1: the loss is nan; read from train.tsv:7; skipped"
    assert simulation.messages[0] == expected
    with pytest.raises(UserError, match="the last 10 updates are all non-finite: lower training."):
        simulation.update(math.inf, False)


def test_three_roll_backs_between_two_validations():
    simulation = Simulation("roll_back")
    for _ in range(3):
        simulation.update(math.nan, False)
    assert simulation.roll_backs == [1, 2, 3]
    assert simulation.messages[-1].endswith("rolled back to update 40, continuing after this batch")
    assert simulation.model.stop_training is False
    simulation.guard.on_epoch_end(0)
    for _ in range(3):
        simulation.update(math.nan, False)
    expected = "rolled back 3 times since the last validation: lower training.lea"
    with pytest.raises(UserError, match=expected):
        simulation.update(math.nan, False)


def test_divergence_is_detected_though_every_update_is_finite():
    simulation = Simulation("stop", max_loss=10.0)
    for _ in range(100):
        simulation.update(4.0)
    simulation.update(300.0)  # a single bad batch is not divergence
    for _ in range(100):
        simulation.update(4.0)
    expected = r"training has diverged, a mean loss of 1\d.* after 4; low"
    with pytest.raises(UserError, match=expected):
        for _ in range(100):
            simulation.update(30.0)
    assert 201 < simulation.progress.step < 240


def test_divergence_is_rolled_back():
    simulation = Simulation("roll_back", max_loss=10.0)
    for loss in [4.0] * 50 + [40.0] * 15:
        simulation.update(loss)
    assert len(simulation.roll_backs) == 1
    assert "training has diverged" in simulation.messages[0]


def test_an_untrained_model_has_not_diverged():
    simulation = Simulation("stop", max_loss=10.0)
    for loss in (40.0, 60.0, 30.0, 20.0, 12.0, 8.0):
        simulation.update(loss)
    assert simulation.messages == []
