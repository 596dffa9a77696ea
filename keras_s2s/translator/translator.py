"""Translators: strings or features -> strings, with tokenizers, model and search as one object."""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from keras_s2s.signatures.fields import ATTENTION, SAMPLE, SCORE, TRANSLATE
from keras_s2s.translator.base_translator import BaseTranslator

__all__ = ["Translator"]


class Translator(BaseTranslator):
    """A model with its tokenizers.

    Args:
        model: a `Seq2Seq` or an `Ensemble`; decoding runs in float32 whatever its policy.
        source_tokenizer, target_tokenizer: `Tokenizer`s of the model's vocabularies; `Frames`
            for a source of features, whose "texts" are then float arrays [S, F].
        decoding: default options of search; `Decoding()` when None.
        caps: limits on the cost of a text, over `keras_s2s.signatures.CAPS`.
        dictionary: {source token: target}, for `replace_unknown`.
        shortlist: the target tokens that a search may use; None is all. Other tokens are unknown
            to a search, while `score` and `attention` use all of them. With a shortlist the
            constructor calls `prepare`, and no other translator may share the model.

    Attributes:
        tables: `tf.Module` of what an export must track besides the model's variables.

    Raises:
        ValueError: when a vocabulary and the model differ in size, or for a `shortlist` of an
            ensemble or of tokens that the vocabulary lacks.
    """

    def translate(self, texts: Iterable[Any], *, batch_size: int = 32, **options: Any) -> list[str]:
        """Returns the best target of each text.

        Args:
            texts: list of strings, or of float arrays [S, F].
            batch_size: texts decoded together.
            **options: inputs of `keras_s2s.signatures.TRANSLATE` such as `beam_size` or
                `constraints`: one value, or a list with one for each text. The lists among them
                (`constraints`, `disallowed`, `prefix_tokens`) are lists of strings, or strings
                with one item per line. None is the run's default.

        Returns:
            list of strings, one for every text, also for an empty one.

        Raises:
            UserError: a ValueError, naming an option that is out of bounds.
        """
        rows = self.decode(texts, batch_size=batch_size, **options)
        return [hypotheses[0].text if hypotheses else "" for hypotheses in rows]

    def decode(
        self, texts: Iterable[Any], *, batch_size: int = 32, errors: str = "raise", **options: Any
    ) -> Any:
        """Returns all hypotheses of each text; arguments as for `translate`.

        Args:
            errors: `"raise"`, or `"return"` to get {row: message} besides the result, in which
                such a row has no hypothesis.

        Returns:
            for each text a list of `Hypothesis`, best first.
        """
        options = self._with_defaults("translate", options)
        return self._run(TRANSLATE, texts, options, batch_size, errors)

    def sample(
        self, texts: Iterable[Any], *, batch_size: int = 32, errors: str = "raise", **options: Any
    ) -> Any:
        """Samples targets of each text, the likeliest first; otherwise as `decode`.

        Args:
            **options: inputs of `keras_s2s.signatures.SAMPLE` such as `num_samples`, `top_p` and
                `seed`; equal seeds give equal targets.
        """
        options = self._with_defaults("sample", options)
        return self._run(SAMPLE, texts, options, batch_size, errors)

    def score(
        self,
        texts: Iterable[Any],
        targets: Any = None,
        target_tokens: Any = None,
        *,
        batch_size: int = 32,
        errors: str = "raise",
    ) -> Any:
        """Returns the log-probabilities of given targets.

        Args:
            texts: list of strings.
            targets: as many strings.
            target_tokens: or as many lists of tokens, as a `Hypothesis` has them.

        Returns:
            list of `Score`.
        """
        options = {"target": targets, "target_tokens": target_tokens}
        return self._run(SCORE, texts, options, batch_size, errors)

    def attention(
        self,
        texts: Iterable[Any],
        targets: Any = None,
        target_tokens: Any = None,
        *,
        batch_size: int = 8,
        errors: str = "raise",
    ) -> Any:
        """Returns all attention maps of the model; arguments as for `score`.

        With `errors="return"` a row with an error has no tokens.

        Returns:
            list of `Attention`.
        """
        options = {"target": targets, "target_tokens": target_tokens}
        return self._run(ATTENTION, texts, options, batch_size, errors)

    def translate_tensors(self, *inputs: tf.Tensor, **options: tf.Tensor) -> dict[str, tf.Tensor]:
        """The signature `translate` as a function of tensors; left-out options have defaults."""
        signature = self.signatures["translate"]
        count = len(signature.sources())
        values = self.constants(signature) | dict(zip(signature.options(), inputs[count:]))
        return self._functions.translate(*inputs[:count], **(values | options))

    def serving_default(self, *source: tf.Tensor) -> dict[str, tf.Tensor]:
        """The signature `serving_default`: the best hypothesis under the default options."""
        outputs = self._functions.translate(
            *source,
            alignment=self.decoding.needs_alignment(),
            constrained=self.decoding.needs_constraints()
            or bool(self.target_tokenizer.prefix_tokens),
            **self.constants(self.signatures["translate"]),
        )
        return {"text": outputs["text"][:, 0], "score": outputs["score"][:, 0]}
