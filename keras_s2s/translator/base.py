"""Strings -> strings: tokenizers, model and search as one."""

import logging
from pathlib import Path

import tensorflow as tf

from keras_s2s import catalog, checkpoints, tokenizers
from keras_s2s.config import Config, Decoding, UserError
from keras_s2s.ensembles import Ensemble
from keras_s2s.signatures import (
    ATTENTION,
    CAPS,
    SAMPLE,
    SCORE,
    SERVING_DEFAULT,
    SIGNATURES,
    TRANSLATE,
)
from keras_s2s.translator import batching, dictionaries, replies
from keras_s2s.translator.graphs import Graphs

__all__ = ["Translator"]

log = logging.getLogger(__name__)


class Translator:
    """A model with its tokenizers.

    Args:
        model: a `Seq2Seq` or an `Ensemble`; decoding runs in float32 whatever its policy.
        source_tokenizer, target_tokenizer: `Tokenizer`s of the model's vocabularies.
        decoding: default options of search; `Decoding()` when None.
        caps: what one text may cost, over `keras_s2s.signatures.CAPS`.
        dictionary: {source token: target}, for `replace_unknown`.

    Attributes:
        tables: `tf.Module` of what an export must track besides the model's variables.

    Raises:
        ValueError: when a vocabulary and the model differ in size.
    """

    def __init__(self, model, source_tokenizer, target_tokenizer, decoding=None, caps=None,
                 dictionary=None):  # fmt: skip
        for name, tokenizer, size in (
            ("source_tokenizer", source_tokenizer, model.source.vocabulary_size),
            ("target_tokenizer", target_tokenizer, model.vocabulary_size),
        ):
            if tokenizer.size != size:
                raise ValueError(
                    f"{name}: expected {size} entries, the model's, came {tokenizer.size}"
                )
        self.model = model if isinstance(model, Ensemble) else catalog.with_policy(model)
        self.source_tokenizer, self.target_tokenizer = source_tokenizer, target_tokenizer
        self.decoding = decoding or Decoding()
        self.caps, self.dictionary = CAPS | (caps or {}), dictionary
        self.tables = tf.Module()
        self.tables.source, self.tables.target = source_tokenizer, target_tokenizer
        self.tables.dictionary = dictionaries.table(dictionary)
        pair = source_tokenizer, target_tokenizer
        self._graphs = Graphs(self.model, pair, self.caps, self.tables.dictionary)
        self._compiled = {}

    @classmethod
    def load(cls, run, checkpoint: str = "best") -> "Translator":
        """The translator of a run directory, or of several as one ensemble.

        Args:
            run: the directory that training or `save` wrote; a list of them is an ensemble, with
                the tokenizers and the options of the first.
            checkpoint: `"best"` or `"last"`.

        Raises:
            UserError: naming the file that is missing or damaged, or the run whose vocabularies
                are not the first's.
        """
        runs = [Path(one) for one in (run if isinstance(run, list | tuple) else [run])]
        first, config = runs[0], Config.of_run(runs[0])
        pair = tokenizers.load_pair(first / "tokenizers")
        models = [checkpoints.load_model(one / checkpoint) for one in runs]
        for other in runs[1:]:
            _check_vocabularies(first, pair, other)
        try:
            model = models[0]
            if len(models) > 1:
                model = Ensemble([catalog.with_policy(one) for one in models])
            dictionary = dictionaries.load(first, config.decoding.dictionary)
            made = cls(model, *pair, config.decoding, config.export.caps(), dictionary)
        except UserError:
            raise
        except ValueError as error:
            raise UserError(f"{first / 'tokenizers'}: {error}") from None
        made.prepare()
        return made

    def prepare(self) -> None:
        """Lays weights out for speed; from here on the model's own must not change any more."""
        if not hasattr(self.tables, "search"):
            self._compiled.clear()  # what was traced before reads the model's own
        self.tables.search = self.model.prepare_search()

    def save(self, run) -> None:
        """Writes a run directory that `load` and every command read.

        Raises:
            ValueError: for an ensemble, which is several runs.
        """
        if isinstance(self.model, Ensemble):
            raise ValueError("model: expected one that is no ensemble, came an Ensemble")
        run = Path(run)
        tokenizers.save_pair(run / "tokenizers", self.source_tokenizer, self.target_tokenizer)
        checkpoints.save(self.model, run / "best", {"step": 0})
        dictionaries.save(run, self.dictionary)
        Config(decoding=self.decoding).save(run / "config.yml")

    def translate(self, texts, *, batch_size=32, **options):
        """The best target of each text.

        Args:
            texts: list of strings.
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
        options = self._options(TRANSLATE, options)
        return self._hypotheses(TRANSLATE, texts, options, batch_size, errors)

    def sample(self, texts, *, batch_size=32, errors="raise", **options):
        """Targets drawn for each text, the likeliest first; otherwise as `decode`.

        Args:
            **options: inputs of `keras_s2s.signatures.SAMPLE` such as `num_samples`, `top_p` and
                `seed`; equal seeds draw equal targets.
        """
        options = self._options(SAMPLE, options)
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
        found, problems = replies.split(rows, replies.score)
        return self._answer(texts, found, problems, errors)

    def attention(self, texts, targets=None, target_tokens=None, *, batch_size=8, errors="raise"):
        """What the model attends to; arguments as for `score`.

        With `errors="return"` a row with an error has no tokens.

        Returns:
            list of `Attention`.
        """
        given = {"target": targets, "target_tokens": target_tokens}
        rows = self._rows(ATTENTION, texts, given, batch_size)
        found, problems = replies.split(rows, replies.attention)
        return self._answer(texts, found, problems, errors)

    def predict(self, signature, inputs) -> dict:
        """Calls a signature as a served model is called; rows with an error have it in `error`.

        Args:
            signature: its name, such as `"translate"`.
            inputs: arrays [B] by name, strings as bytes; an option left out has its default.

        Returns:
            Arrays by the outputs' names, shaped as `keras_s2s.signatures` says; strings as object
            arrays of bytes.

        Raises:
            ValueError: naming a signature or an input that there is not, or one that is missing.
        """
        if signature not in SIGNATURES:
            raise ValueError(f"signature: expected one of {list(SIGNATURES)}, came {signature!r}")
        fields = {field.name: field for field in SIGNATURES[signature].inputs}
        given = {name: [value] for name, value in self.defaults(SIGNATURES[signature]).items()}
        given |= inputs
        if given.keys() != fields.keys():
            wrong = sorted(given.keys() ^ fields.keys())
            raise ValueError(f"inputs: expected {list(fields)}, came {wrong} too many or too few")
        columns = [tf.constant(given[name], field.dtype) for name, field in fields.items()]
        found = self._traced(SIGNATURES[signature])(*columns)
        return {name: value.numpy() for name, value in found.items()}

    def variables(self) -> list:
        """Every `tf.Variable` that the signatures read: the model's, and those of `prepare`."""
        return [weight.value for weight in self.model.weights] + list(self.tables.variables)

    def defaults(self, signature=TRANSLATE) -> dict:
        """The value of each option of a signature that a request leaves out."""
        return {
            name: self.decoding.default(name, field.default)
            for name, field in signature.options().items()
        }

    def graph_of(self, signature: str):
        """The `tf.Graph` of a signature by its name, as calls of it run; traced when it is not."""
        return self._traced(SIGNATURES[signature]).graph

    def graphs(self) -> dict:
        """For each signature the function of tensors, in the order of its inputs."""
        return {name: self._function(signature) for name, signature in SIGNATURES.items()}

    def adopt(self, signature, concrete) -> None:
        """Calls `concrete` from here on: what an export traced of `graphs`, and holds."""
        self._compiled[signature.name] = concrete

    def _traced(self, signature):
        """The signature's function, traced for batches of any size."""
        if signature.name not in self._compiled:
            specs = [tf.TensorSpec([None], field.dtype, field.name) for field in signature.inputs]
            made = tf.function(self._function(signature), input_signature=specs, autograph=False)
            self._compiled[signature.name] = made.get_concrete_function()
        return self._compiled[signature.name]

    def _function(self, signature):
        if signature is SERVING_DEFAULT:
            return self.graph_default

        def function(text, *columns):
            options = dict(zip(signature.options(), columns, strict=True))
            return getattr(self._graphs, signature.name)(text, **options)

        return function

    def graph(self, text, *columns, **options):
        """The signature `translate` as a function of tensors; what is left out has its default."""
        given = self._constants() | dict(zip(TRANSLATE.options(), columns)) | options
        return self._graphs.translate(text, **given)

    def graph_default(self, text):
        """The `serving_default` signature: `graph` under the default options, best hypothesis."""
        outputs = self._graphs.translate(
            text,
            alignment=self.decoding.needs_alignment(),
            extras=self.decoding.needs_extras(),
            **self._constants(),
        )
        return {"text": outputs["text"][:, 0], "score": outputs["score"][:, 0]}

    def _constants(self):
        fields, values = TRANSLATE.options(), self.defaults()
        return {name: tf.constant([values[name]], fields[name].dtype) for name in fields}

    def _options(self, signature, given):
        """The options of a call, with the defaults of those that are left out or None."""
        fields = signature.options()
        for name in given:
            if name not in fields:
                raise UserError(
                    f"{name}: unknown option, expected one of {', '.join(sorted(fields))}"
                )
        options = {name: value for name, value in given.items() if value is not None}
        beam = options.get("beam_size")
        if signature is TRANSLATE and isinstance(beam, int) and "num_hypotheses" not in options:
            options["num_hypotheses"] = min(self.decoding.num_hypotheses, beam)
        return self.defaults(signature) | options

    def _hypotheses(self, signature, texts, options, batch_size, errors):
        rows = self._rows(signature, texts, options, batch_size)
        found, problems = replies.split(rows, replies.hypotheses)
        return self._answer(texts, found, problems, errors)

    def _rows(self, signature, texts, options, batch_size):
        run = self._traced(signature)
        given = self.defaults(signature) | {k: v for k, v in options.items() if v is not None}
        return batching.run(run, signature, texts, given, batch_size)

    def _answer(self, texts, found, problems, errors):
        if errors == "return":
            return found, problems
        for row, problem in problems.items():
            if not problem.startswith("text"):
                raise UserError(problem)
            log.warning("%s: an empty target for %.40s", problem, texts[row])
        return found


def _check_vocabularies(first, pair, other):
    """Refuses a run of an ensemble that reads or writes other tokens than the first."""
    for side, one, two in zip(
        ("source", "target"), pair, tokenizers.load_pair(other / "tokenizers"), strict=True
    ):
        if one.vocabulary != two.vocabulary:
            raise UserError(
                f"{other / 'tokenizers'}: expected the {side} vocabulary of {first}, came another"
            )
