"""Scores of a validation: the first lines are decoded and compared."""

import contextlib
import itertools
from collections.abc import Callable, Iterator

from keras_s2s.data import read_pairs
from keras_s2s.metrics import signatures
from keras_s2s.metrics.evaluation import evaluate
from keras_s2s.training.session import Session
from keras_s2s.training.validation_samples import ValidationSamples
from keras_s2s.translator import Translator

__all__ = ["build_scorer", "current_translator"]


def current_translator(session: Session) -> Callable:
    """A context manager function that yields a `Translator` with the current weights.

    They are the averaged weights if `training.ema` is set. All callers share one translator.
    """
    translator = Translator(session.model, *session.tokenizers, session.config.decoding)

    @contextlib.contextmanager
    def current() -> Iterator[Translator]:
        with session.model.averaged():
            # Under a mixed policy the translator has a float32 copy of the model.
            if translator.model is not session.model:
                translator.model.set_weights(session.model.get_weights())
            yield translator

    return current


def build_scorer(
    session: Session, samples: ValidationSamples, translator: Callable
) -> Callable[[], dict[str, float]]:
    """A function that decodes the first validation lines greedily and returns their scores.

    Args:
        session: the session.
        samples: prints the first translations.
        translator: the result of `current_translator`.
    """
    config = session.config
    pairs = list(itertools.islice(read_pairs(config.data.valid), config.training.validate_lines))
    # An untrained model seldom ends a sentence; decoding up to decoding.max_length takes too long.
    longest_target = session.statistics["valid"].longest_target
    max_length = min(config.decoding.max_length, 2 * longest_target + 10)
    session.log(f"scores: {', '.join(signatures(config.training.scores).values())}")

    def score() -> dict[str, float]:
        session.log(f"decoding {len(pairs):,} validation lines")
        with translator() as current:
            result = evaluate(
                current, pairs, config.training.scores, beam_size=1, max_length=max_length
            )
        samples.show(pairs, result.hypotheses)
        return result.scores

    return score
