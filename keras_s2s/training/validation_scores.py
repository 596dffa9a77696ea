"""The scores of a validation: decode the first lines and compare."""

import contextlib
import itertools

from keras_s2s.data import read_pairs
from keras_s2s.metrics import signatures
from keras_s2s.metrics.evaluation import evaluate
from keras_s2s.translator import Translator

__all__ = ["build_scorer", "current_translator"]


def current_translator(session):
    """A function that gives, in a `with` block, a `Translator` by the weights of now.

    They are the running means where training keeps any. All that asks shares one translator.
    """
    translator = Translator(session.model, *session.tokenizers, session.config.decoding)

    @contextlib.contextmanager
    def current():
        with session.model.averaged():
            # under a mixed policy it has a model of its own, in float32
            if translator.model is not session.model:
                translator.model.set_weights(session.model.get_weights())
            yield translator

    return current


def build_scorer(session, samples, current):
    """A function that decodes the first lines of the validation corpus greedily and scores them.

    `samples` (see `Samples`) gets to show them; `current` is a `current_translator`.
    """
    config, found = session.config, session.surveys["valid"]
    pairs = list(itertools.islice(read_pairs(config.data.valid), config.training.validate_lines))
    # an untrained model seldom ends a sentence: no need to wait for all of decoding.max_length
    longest = min(config.decoding.max_length, 2 * found.longest_target + 10)
    session.progress.say(f"scores: {', '.join(signatures(config.training.scores).values())}")

    def score():
        session.progress.say(f"decoding {len(pairs):,} validation lines")
        with current() as translator:
            found = evaluate(
                translator, pairs, config.training.scores, beam_size=1, max_length=longest
            )
        samples.show(pairs, found.hypotheses)
        return found.scores

    return score
