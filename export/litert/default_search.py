"""Plain search of a LiteRT file with a translator's default options."""

import tensorflow as tf

from keras_s2s.export.litert.signature_functions import LiteRTSignatures
from keras_s2s.export.litert.signature_specs import OPTIONS
from keras_s2s.signatures.fields import TRANSLATE
from keras_s2s.translator import Translator

__all__ = ["DefaultSearch", "has_plain_search"]


def has_plain_search(translator: Translator) -> bool:
    """Whether source ids alone determine a translator's default search.

    The model must not copy, and every option that `translate_ids` does not take must have its
    neutral value by default.
    """
    defaults = translator.defaults()
    return not translator.model.supports_copy and all(
        name in OPTIONS or defaults[name] == field.default
        for name, field in TRANSLATE.options().items()
    )


class DefaultSearch:
    """Function from source ids to one hypothesis per row, with a translator's default options.

    Args:
        graphs: signature functions of the model.
        translator: a translator that passes `has_plain_search`.
    """

    def __init__(self, graphs: LiteRTSignatures, translator: Translator) -> None:
        self._search = graphs.translate_ids
        defaults = translator.defaults() | {"num_hypotheses": 1}
        self.options = {name: defaults[name] for name in OPTIONS}

    def __call__(self, ids: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        """Searches.

        Args:
            ids: int32 [B, S], the end token included.
            lengths: int32 [B].

        Returns:
            The outputs of `translate_ids`, with K = 1: `ids` [B, 1, T], `lengths` [B, 1],
            `score` [B, 1] and others.
        """
        batch_size = tf.shape(lengths)[0]
        options = {
            name: tf.fill([batch_size], tf.cast(value, OPTIONS[name][0]))
            for name, value in self.options.items()
        }
        return self._search(ids, lengths, **options)
