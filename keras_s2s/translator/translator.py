"""Strings -> strings: tokenizers, model and search as one."""

from keras_s2s.signatures.fields import ATTENTION, SAMPLE, SCORE, TRANSLATE
from keras_s2s.translator import responses
from keras_s2s.translator.base_translator import BaseTranslator

__all__ = ["Translator"]


class Translator(BaseTranslator):
    """A model with its tokenizers.

    Args:
        model: a `Seq2Seq` or an `Ensemble`; decoding runs in float32 whatever its policy.
        source_tokenizer, target_tokenizer: `Tokenizer`s of the model's vocabularies; `Frames`
            for a source of vectors, whose "texts" are then float arrays [S, F].
        decoding: default options of search; `Decoding()` when None.
        caps: what one text may cost, over `keras_s2s.signatures.CAPS`.
        dictionary: {source token: target}, for `replace_unknown`.
        shortlist: the target tokens that a search may give; None is all. Every other one is unknown
            to it, while `score` and `attention` know them all. No other translator may share the
            model.

    Attributes:
        tables: `tf.Module` of what an export must track besides the model's variables.

    Raises:
        ValueError: when a vocabulary and the model differ in size, or for a `shortlist` of an
            ensemble or of tokens that there are not.
    """

    def translate(self, texts, *, batch_size=32, **options):
        """The best target of each text.

        Args:
            texts: list of strings, or of float arrays [S, F].
            batch_size: texts decoded together.
            **options: inputs of `keras_s2s.signatures.TRANSLATE` such as `beam_size` or
                `constraints`: one value, or a list with one for each text. The lists among them
                (`constraints`, `disallowed`, `prefix_tokens`) are lists of strings, or strings
                with one item a line. None takes the run's default.

        Returns:
            list of strings, one for every text, also for an empty one.

        Raises:
            UserError: a ValueError, naming an option that is out of its range.
        """
        found = self.decode(texts, batch_size=batch_size, **options)
        return [hypotheses[0].text if hypotheses else "" for hypotheses in found]

    def decode(self, texts, *, batch_size=32, errors="raise", **options):
        """All hypotheses of each text; arguments as for `translate`.

        Args:
            errors: `"raise"`, or `"return"` to get {row: message} beside the result, in which
                such a row has no hypothesis.

        Returns:
            for each text a list of `Hypothesis`, best first.
        """
        options = self._options("translate", options)
        return self._hypotheses(TRANSLATE, texts, options, batch_size, errors)

    def sample(self, texts, *, batch_size=32, errors="raise", **options):
        """Targets drawn for each text, the likeliest first; otherwise as `decode`.

        Args:
            **options: inputs of `keras_s2s.signatures.SAMPLE` such as `num_samples`, `top_p` and
                `seed`; equal seeds draw equal targets.
        """
        options = self._options("sample", options)
        return self._hypotheses(SAMPLE, texts, options, batch_size, errors)

    def score(self, texts, targets=None, target_tokens=None, *, batch_size=32, errors="raise"):
        """How likely the model holds given targets.

        Args:
            texts: list of strings.
            targets: as many strings.
            target_tokens: or as many lists of tokens, as a `Hypothesis` has them.

        Returns:
            list of `Score`.
        """
        given = {"target": targets, "target_tokens": target_tokens}
        rows = self._rows(SCORE, texts, given, batch_size)
        found, problems = responses.split(rows, responses.score)
        return self._answer(texts, found, problems, errors)

    def attention(self, texts, targets=None, target_tokens=None, *, batch_size=8, errors="raise"):
        """What the model attends to; arguments as for `score`.

        With `errors="return"` a row with an error has no tokens.

        Returns:
            list of `Attention`.
        """
        given = {"target": targets, "target_tokens": target_tokens}
        rows = self._rows(ATTENTION, texts, given, batch_size)
        found, problems = responses.split(rows, responses.attention)
        return self._answer(texts, found, problems, errors)

    def graph(self, *inputs, **options):
        """The signature `translate` as a function of tensors; what is left out has its default."""
        described = self.signatures["translate"]
        count = len(described.inputs) - len(described.options())
        given = self.constants(described) | dict(zip(described.options(), inputs[count:]))
        given |= options
        return self._graphs.translate(*inputs[:count], **given)

    def graph_default(self, *source):
        """The `serving_default` signature: `graph` under the default options, best hypothesis."""
        outputs = self._graphs.translate(
            *source,
            alignment=self.decoding.needs_alignment(),
            extras=self.decoding.needs_extras() or bool(self.target_tokenizer.prefix_tokens),
            **self.constants(self.signatures["translate"]),
        )
        return {"text": outputs["text"][:, 0], "score": outputs["score"][:, 0]}

    def _hypotheses(self, signature, texts, options, batch_size, errors):
        rows = self._rows(signature, texts, options, batch_size)
        found, problems = responses.split(rows, responses.hypotheses)
        return self._answer(texts, found, problems, errors)
