"""The sections about what training minimises, and about noise on what it reads."""

from dataclasses import dataclass

from keras_s2s.config.validation import Section, setting

__all__ = ["Noise", "Objectives"]

SCHEDULES = ("constant", "linear", "exponential", "inverse_sigmoid")


@dataclass(frozen=True)
class Objectives(Section):
    """What is minimised in training: each number is the weight of one objective, 0 leaves it out.

    `cross_entropy` is the loss of the target's tokens. `guided_alignment` draws the attention to
    `data.train.alignments`, by cross_entropy or squared differences. `coverage` (See et al. 2017)
    keeps it from where it was before. `l2` is lambda beta of lambda beta ||Theta||^2. `r_drop` is
    the alpha of R-Drop: two passes with dropout that agree, at twice the time. `max_margin` makes
    a target likelier by `max_margin_eta` nats than one with a word left out; with
    `cross_entropy: 0` as in the paper.

    `scheduled_sampling` feeds the decoder tokens of its own (constant, linear, exponential or
    inverse_sigmoid; see `losses.read_probability` for `sampling_k` and `sampling_probability`), at
    the cost of one more pass. All of it holds in training alone: a validation's loss is the
    cross-entropy.
    """

    cross_entropy: float = setting(1.0, low=0.0)
    guided_alignment: float = setting(0.0, low=0.0)
    guided_alignment_kind: str = setting("cross_entropy", among=("cross_entropy", "squared"))
    coverage: float = setting(0.0, low=0.0)
    l2: float = setting(0.0, low=0.0)
    r_drop: float = setting(0.0, low=0.0)
    max_margin: float = setting(0.0, low=0.0)
    max_margin_eta: float = setting(0.1, low=0.0)
    scheduled_sampling: str | None = setting(None, among=SCHEDULES)
    sampling_k: float | None = setting(None, above=0.0)
    sampling_probability: float = setting(0.0, low=0.0, high=1.0)

    def __post_init__(self):
        super().__post_init__()
        if not self.cross_entropy and not self.max_margin:
            expected = "expected more than 0 where max_margin is 0"
            self.fail("cross_entropy", f"{expected}, came {self.cross_entropy}")
        if self.r_drop and not self.cross_entropy:
            self.fail("r_drop", f"expected 0 where cross_entropy is 0, came {self.r_drop}")
        self._check_sampling()

    def _check_sampling(self):
        schedule, k = self.scheduled_sampling, self.sampling_k
        if schedule in (None, "constant"):
            if k is not None:
                came = f"{schedule or 'no scheduled_sampling'}"
                self.fail("sampling_k", f"expected none for {came}, came {k}")
            return
        bounds = {
            "linear": (0.0, "above 0"),
            "exponential": (0.0, "above 0 and below 1"),
            "inverse_sigmoid": (1.0, "of at least 1"),
        }
        least, words = bounds[schedule]
        if k is None or k < least or (schedule == "exponential" and k >= 1.0):
            self.fail("sampling_k", f"expected a number {words} for {schedule}, came {k}")

    @property
    def is_cross_entropy_only(self) -> bool:
        """Whether this is the cross-entropy alone."""
        return self == Objectives()

    @property
    def uses_attention(self) -> bool:
        """Whether an objective looks at the attention."""
        return bool(self.guided_alignment or self.coverage)


@dataclass(frozen=True)
class Noise(Section):
    """What is done to the words of training sources, anew each time they are read.

    `drop` is the share left out, `replace` the share that becomes the unknown token, and `permute`
    how many places a word may be away from its own (0: none). A word is what
    the tokenizer begins with one. Lample et al. 2018, arXiv 1711.00043, section 2.3 (drop 0.1,
    permute 3); replace: Edunov et al. 2018, arXiv 1808.09381, section 3.
    """

    drop: float = setting(0.0, low=0.0, below=1.0)
    permute: int = setting(0, low=0)
    replace: float = setting(0.0, low=0.0, below=1.0)

    @property
    def changes_word_order(self) -> bool:
        """Whether words are not where they were."""
        return bool(self.drop or self.permute)
