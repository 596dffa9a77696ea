"""The section `training.objectives`: weights of the training objectives."""

from dataclasses import dataclass

from keras_s2s.config.validation import Section, setting

__all__ = ["Objectives"]

SAMPLING_SCHEDULES = ("constant", "linear", "exponential", "inverse_sigmoid")


@dataclass(frozen=True)
class Objectives(Section):
    """Weights of the training objectives; a weight of 0 leaves an objective out.

    Objectives apply to training only: the loss of a validation is the cross-entropy.

    Args:
        cross_entropy: weight of the cross-entropy of the target tokens.
        guided_alignment: weight of the distance between the attention and
            `data.train.alignments`.
        guided_alignment_kind: that distance, `cross_entropy` or `squared` differences.
        coverage: weight of the coverage loss, which penalizes attention to source positions that
            earlier steps attended to (See et al. 2017).
        l2: lambda * beta of the penalty lambda * beta * ||Theta||^2.
        r_drop: alpha of R-Drop: two passes with different dropout whose predictions should agree.
            Doubles the time of an update.
        max_margin: weight of the margin loss, which makes a target likelier than the same target
            with a word omitted. Use it with `cross_entropy: 0`, as in the paper.
        max_margin_eta: the margin in nats.
        scheduled_sampling: the schedule by which the decoder reads its own tokens in place of the
            target's: constant, linear, exponential or inverse_sigmoid. Costs one more pass.
        sampling_k, sampling_probability: parameters of that schedule, see
            `losses.read_probability`.

    Example:

    >>> from keras_s2s.config import Objectives
    >>> Objectives(r_drop=5.0).is_cross_entropy_only
    False
    """

    cross_entropy: float = setting(1.0, low=0.0)
    guided_alignment: float = setting(0.0, low=0.0)
    guided_alignment_kind: str = setting("cross_entropy", choices=("cross_entropy", "squared"))
    coverage: float = setting(0.0, low=0.0)
    l2: float = setting(0.0, low=0.0)
    r_drop: float = setting(0.0, low=0.0)
    max_margin: float = setting(0.0, low=0.0)
    max_margin_eta: float = setting(0.1, low=0.0)
    scheduled_sampling: str | None = setting(None, choices=SAMPLING_SCHEDULES)
    sampling_k: float | None = setting(None, above=0.0)
    sampling_probability: float = setting(0.0, low=0.0, high=1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.cross_entropy and not self.max_margin:
            expected = "expected more than 0 where max_margin is 0"
            self.fail("cross_entropy", f"{expected}, got {self.cross_entropy}")
        if self.r_drop and not self.cross_entropy:
            self.fail("r_drop", f"expected 0 where cross_entropy is 0, got {self.r_drop}")
        self._check_sampling()

    def _check_sampling(self) -> None:
        schedule, k = self.scheduled_sampling, self.sampling_k
        if schedule is None or schedule == "constant":
            if k is not None:
                name = schedule or "no scheduled_sampling"
                self.fail("sampling_k", f"expected none for {name}, got {k}")
            return
        bounds = {
            "linear": (0.0, "above 0"),
            "exponential": (0.0, "above 0 and below 1"),
            "inverse_sigmoid": (1.0, "of at least 1"),
        }
        minimum, words = bounds[schedule]
        if k is None or k < minimum or (schedule == "exponential" and k >= 1.0):
            self.fail("sampling_k", f"expected a number {words} for {schedule}, got {k}")

    @property
    def is_cross_entropy_only(self) -> bool:
        """Whether the cross-entropy is the only objective."""
        return self == Objectives()

    @property
    def uses_attention(self) -> bool:
        """Whether an objective reads the attention."""
        return bool(self.guided_alignment or self.coverage)
