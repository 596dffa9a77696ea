"""Default decoding options: the section `decoding` of a configuration."""

from dataclasses import dataclass

from keras_s2s.config.validation import Section, setting
from keras_s2s.signatures.fields import CAPS, PENALTY

__all__ = ["Decoding"]


@dataclass(frozen=True)
class Decoding(Section):
    """Defaults of search, in Python and in the served model alike (see `signatures.TRANSLATE`).

    `steps` is how many frames a forecast has; left out, as many as the longest of the corpus.
    """

    beam_size: int = setting(5, low=1)
    num_hypotheses: int = setting(1, low=1)
    length_penalty: float = setting(0.6, low=-PENALTY, high=PENALTY)
    length_offset: float = setting(5.0, low=0.0, high=1000.0)
    coverage_penalty: float = setting(0.0, low=0.0, high=PENALTY)
    min_length: int = setting(0, low=0)
    min_length_ratio: float = setting(0.0, low=0.0, high=100.0)
    max_length: int = setting(256, low=1)
    max_length_ratio: float = setting(0.0, low=0.0, high=100.0)
    no_repeat_ngram: int = setting(0, low=0, high=CAPS["no_repeat_ngram"])
    repetition_penalty: float = setting(1.0, low=0.01, high=100.0)
    disallowed: list | None = None
    beam_groups: int = setting(1, low=1)
    diversity_penalty: float = setting(0.0, low=0.0, high=100.0)
    replace_unknown: bool = False
    steps: int | None = setting(None, low=1)
    dictionary: str | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.num_hypotheses > self.beam_size:
            most = f"expected at most beam_size, {self.beam_size}"
            self.refuse("num_hypotheses", f"{most}, came {self.num_hypotheses}")
        if self.beam_size % self.beam_groups:
            expected = f"expected a divisor of beam_size, {self.beam_size}"
            self.refuse("beam_groups", f"{expected}, came {self.beam_groups}")
        for text in self.disallowed or ():
            if not isinstance(text, str) or not text or "\n" in text:
                expected = "expected a list of texts without line feeds"
                self.refuse("disallowed", f"{expected}, came {text!r}")

    def default(self, name: str, otherwise):
        """The value of an option of a served signature; `otherwise` where no run sets it."""
        value = getattr(self, name, None)
        value = otherwise if value is None else value
        return "\n".join(value or ()) if name == "disallowed" else value

    def needs_alignment(self) -> bool:
        """Whether a search under these options has to know where the model looks."""
        return self.replace_unknown or self.coverage_penalty > 0

    def needs_extras(self) -> bool:
        """Whether they ask for more than the plain beam looks at."""
        return bool(
            self.coverage_penalty
            or self.no_repeat_ngram
            or self.repetition_penalty != 1
            or self.disallowed
            or self.beam_groups > 1
        )
