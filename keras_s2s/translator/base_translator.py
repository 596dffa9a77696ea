"""What every served model is: tokenizers, a model and the functions of its signatures."""

import contextlib
import logging
from pathlib import Path

import tensorflow as tf

from keras_s2s import checkpoints, tokenizers
from keras_s2s import models as catalog
from keras_s2s.config import Config, Decoding
from keras_s2s.errors import UserError
from keras_s2s.models.ensemble import Ensemble
from keras_s2s.signatures.caps import CAPS
from keras_s2s.signatures.fields import signatures_for
from keras_s2s.tokenizers import Features, Shortlist
from keras_s2s.translator import dictionary as dictionaries
from keras_s2s.translator import request_batches
from keras_s2s.translator.signature_functions import SignatureFunctions
from keras_s2s.translator.tracing import trace_function

__all__ = ["BaseTranslator"]

log = logging.getLogger(__name__)


class BaseTranslator:
    """A model with what reads its source and writes its target; see `Translator`, `Forecaster`.

    Attributes:
        signatures: `keras_s2s.signatures.Signature`s by name.
        tables: `tf.Module` of what an export must track besides the model's variables.
    """

    has_feature_targets = False  # whether targets are
    main = "translate"  # the signature whose defaults are the run's

    def __init__(
        self,
        model,
        source_tokenizer,
        target_tokenizer,
        decoding=None,
        caps=None,
        dictionary=None,
        shortlist=None,
    ):
        for name, tokenizer, size in (
            ("source_tokenizer", source_tokenizer, model.source.size),
            ("target_tokenizer", target_tokenizer, model.vocabulary_size),
        ):
            if tokenizer.size != size:
                raise ValueError(
                    f"{name}: expected {size} entries, the model's, came {tokenizer.size}"
                )
        frames = [isinstance(side, Features) for side in (source_tokenizer, target_tokenizer)]
        if frames[1] != self.has_feature_targets:
            which = "Translator" if self.has_feature_targets else "Forecaster"
            raise ValueError(f"target_tokenizer: such a target needs a {which}")
        self.signatures = signatures_for(*frames)
        self.model = model if isinstance(model, Ensemble) else catalog.with_policy(model)
        self.source_tokenizer, self.target_tokenizer = source_tokenizer, target_tokenizer
        self.decoding = decoding or Decoding()
        self.caps, self.dictionary = CAPS | (caps or {}), dictionary
        self.tables = tf.Module()
        self.tables.source, self.tables.target = source_tokenizer, target_tokenizer
        self.tables.dictionary = dictionaries.table(dictionary)
        self.shortlist = None if shortlist is None else Shortlist(target_tokenizer, shortlist)
        self.tables.shortlist = self.shortlist
        pair, table = (source_tokenizer, target_tokenizer), self.tables.dictionary
        self._graphs = SignatureFunctions(self.model, pair, self.caps, table, self.shortlist)
        self._compiled = {}
        if shortlist is not None:
            self.prepare()

    @classmethod
    def load(cls, run, checkpoint: str = "best", shortlist=None, prepare: bool = True):
        """The translator or forecaster of a run directory, or of several as one ensemble.

        Args:
            run: the directory that training or `save` wrote; a list of them is an ensemble, with
                the tokenizers and the options of the first.
            checkpoint: `"best"` or `"last"`.
            shortlist: as for `Translator`.
            prepare: whether to `prepare` it.

        Raises:
            UserError: naming the file that is missing or damaged, or the run whose vocabularies
                are not the first's.
        """
        runs = [Path(one) for one in (run if isinstance(run, list | tuple) else [run])]
        first, config = runs[0], Config.from_run(runs[0])
        pair = tokenizers.load_pair(first / "tokenizers")
        models = [checkpoints.load_model(one / checkpoint) for one in runs]
        for other in runs[1:]:
            _check_vocabularies(first, pair, other)
        if cls.has_feature_targets and len(models) > 1:
            raise UserError(f"{runs[1]}: expected one run, for forecasts are no ensemble")
        if cls.has_feature_targets and shortlist is not None:
            raise UserError("shortlist: expected none for forecasts, which have no tokens")
        try:
            model = models[0]
            if len(models) > 1:
                model = Ensemble([catalog.with_policy(one) for one in models])
            dictionary = dictionaries.load(first, config.decoding.dictionary)
            made = cls(model, *pair, config.decoding, config.export.caps(), dictionary, shortlist)
        except UserError:
            raise
        except ValueError as error:
            raise UserError(f"{first / 'tokenizers'}: {error}") from None
        if prepare:
            made.prepare()
        return made

    def prepare(self) -> None:
        """Lays weights out for speed; from here on the model's own must not change any more."""
        if not hasattr(self.tables, "search"):
            self._compiled.clear()  # what was traced before reads the model's own
        tokens = self.shortlist and self.shortlist.whole_ids
        self.tables.search = self.model.prepare_search(tokens=tokens)

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

    def predict(self, signature, inputs) -> dict:
        """Calls a signature as a served model is called; rows with an error have it in `error`.

        Args:
            signature: its name, such as `"translate"`.
            inputs: arrays [B] (features: [B, S, F]) by name, strings as bytes; an option left out
                has its default.

        Returns:
            Arrays by the outputs' names, shaped as `keras_s2s.signatures` says; strings as object
            arrays of bytes.

        Raises:
            ValueError: naming a signature or an input that there is not, or one that is missing.
        """
        if signature not in self.signatures:
            known = list(self.signatures)
            raise ValueError(f"signature: expected one of {known}, came {signature!r}")
        described = self.signatures[signature]
        fields = {field.name: field for field in described.inputs}
        given = {name: [value] for name, value in self.defaults(described).items()}
        given |= inputs
        if given.keys() != fields.keys():
            wrong = sorted(given.keys() ^ fields.keys())
            raise ValueError(f"inputs: expected {list(fields)}, came {wrong} too many or too few")
        columns = [tf.constant(given[name], field.dtype) for name, field in fields.items()]
        found = self._traced(described)(*columns)
        return {name: value.numpy() for name, value in found.items()}

    def variables(self) -> list:
        """Every `tf.Variable` that the signatures read: the model's, and those of `prepare`."""
        return [weight.value for weight in self.model.weights] + list(self.tables.variables)

    def defaults(self, signature=None) -> dict:
        """The value of each option of a signature (`main`) that a request leaves out."""
        signature = signature or self.signatures[self.main]
        return {
            name: self.decoding.default(name, field.default)
            for name, field in signature.options().items()
        }

    def signature_graph(self, signature: str):
        """The `tf.Graph` of a signature by its name, as calls of it run; traced when it is not."""
        return self._traced(self.signatures[signature]).graph

    def graphs(self) -> dict:
        """For each signature the function of tensors, in the order of its inputs."""
        return {name: self._function(signature) for name, signature in self.signatures.items()}

    @contextlib.contextmanager
    def searching(self, search):
        """Functions of `graphs` traced within search by `search`, which gives what
        `keras_s2s.search.search` does; None changes nothing."""
        before = self._graphs.search
        self._graphs.search = search or before
        try:
            yield
        finally:
            self._graphs.search = before

    def adopt(self, signature, concrete) -> None:
        """Calls `concrete` from here on: what an export traced of `graphs`, and holds."""
        self._compiled[signature.name] = concrete

    def specs(self, signature) -> list:
        """The `tf.TensorSpec`s of a signature's inputs, which only the frames' width F fixes."""
        fixed = {"F": self.source_tokenizer.size}
        return [
            tf.TensorSpec([fixed.get(axis) for axis in field.shape], field.dtype, field.name)
            for field in signature.inputs
        ]

    def _traced(self, signature):
        """The signature's function, traced for batches of any size."""
        if signature.name not in self._compiled:
            specs = self.specs(signature)
            self._compiled[signature.name] = trace_function(self._function(signature), specs)
        return self._compiled[signature.name]

    def _function(self, signature):
        if signature.name == "serving_default":
            return self.graph_default
        count = len(signature.inputs) - len(signature.options())

        def function(*columns):
            options = dict(zip(signature.options(), columns[count:], strict=True))
            return getattr(self._graphs, signature.name)(*columns[:count], **options)

        return function

    def graph_default(self, *source):
        """The `serving_default` signature as a function of tensors."""
        raise NotImplementedError(f"{type(self).__name__} has to define graph_default")

    def constants(self, signature):
        """The defaults of a signature's options as tensors [1], by name."""
        fields, values = signature.options(), self.defaults(signature)
        return {name: tf.constant([values[name]], fields[name].dtype) for name in fields}

    def _options(self, name, given):
        """The options of a call, with the defaults of those that are left out or None."""
        fields = self.signatures[name].options()
        for option in given:
            if option not in fields:
                known = ", ".join(sorted(fields))
                raise UserError(f"{option}: unknown option, expected one of {known}")
        options = {option: value for option, value in given.items() if value is not None}
        beam = options.get("beam_size")
        if name == "translate" and isinstance(beam, int) and "num_hypotheses" not in options:
            options["num_hypotheses"] = min(self.decoding.num_hypotheses, beam)
        return self.defaults(self.signatures[name]) | options

    def _rows(self, signature, texts, options, batch_size):
        signature = self.signatures[signature.name]
        run = self._traced(signature)
        given = self.defaults(signature) | {k: v for k, v in options.items() if v is not None}
        return request_batches.run(run, signature, texts, given, batch_size)

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
