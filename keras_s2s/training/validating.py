"""The scores of a validation: decode the first lines and compare."""

import itertools

from keras_s2s.data import read_pairs
from keras_s2s.evaluation import evaluate
from keras_s2s.metrics import signatures
from keras_s2s.translator import Translator

__all__ = ["scorer"]


def scorer(session, samples):
    """A function that decodes the first lines of the validation corpus greedily and scores them.

    `samples` (see `Samples`) gets to show them.
    """
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
        found = evaluate(
            translator, pairs, config.training.scores, beam_size=1, max_length=longest
        )
        samples.show(pairs, found.hypotheses)
        return found.scores

    def averaged():
        with session.model.averaged():
            return score()

    return averaged
