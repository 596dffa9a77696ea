"""Base class of translators and forecasters: tokenizers, a model and its signature functions."""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

from keras_s2s import checkpoints, tokenizers
from keras_s2s import models as catalog
from keras_s2s.config import Config, Decoding
from keras_s2s.config.run_directory import check_own_files, lock_run, save_config
from keras_s2s.errors import UserError
from keras_s2s.models.ensemble import Ensemble
from keras_s2s.models.search_weights import SearchWeights
from keras_s2s.signatures.arrays import to_array
from keras_s2s.signatures.caps import CAPS
from keras_s2s.signatures.fields import Signature, signatures_for
from keras_s2s.signatures.requests import limit_hypotheses, needs_constraints
from keras_s2s.signatures.responses import read_rows
from keras_s2s.tokenizers import Features, Shortlist
from keras_s2s.translator import dictionary as dictionaries
from keras_s2s.translator.request_batches import run_batches
from keras_s2s.translator.signature_functions import SignatureFunctions
from keras_s2s.translator.tracing import trace_function

__all__ = ["BaseTranslator"]

log = logging.getLogger(__name__)

PLAIN = "translate without constraints"  # key of its concrete function


class BaseTranslator:
    """A model with the tokenizers of its sides; see `Translator` and `Forecaster`.

    Attributes:
        signatures: `keras_s2s.signatures.Signature`s by name.
        tables: `tf.Module` of what an export must track besides the model's variables.
    """

    has_feature_targets = False
    main = "translate"  # the signature whose defaults are the run's

    def __init__(
        self,
        model: Any,
        source_tokenizer: Any,
        target_tokenizer: Any,
        decoding: Decoding | None = None,
        caps: dict[str, int] | None = None,
        dictionary: dict[str, str] | None = None,
        shortlist: Any = None,
    ):
        _check_size("source_tokenizer", source_tokenizer, model.source.size)
        _check_size("target_tokenizer", target_tokenizer, model.vocabulary_size)
        is_features = [isinstance(side, Features) for side in (source_tokenizer, target_tokenizer)]
        if is_features[1] != self.has_feature_targets:
            needed = "Translator" if self.has_feature_targets else "Forecaster"
            raise ValueError(f"target_tokenizer: such a target needs a {needed}")
        self.signatures = signatures_for(*is_features)
        self.model = model if isinstance(model, Ensemble) else catalog.with_policy(model)
        self.source_tokenizer, self.target_tokenizer = source_tokenizer, target_tokenizer
        self.decoding = decoding or Decoding()
        self.caps, self.dictionary = CAPS | (caps or {}), dictionary
        self.shortlist = None if shortlist is None else Shortlist(target_tokenizer, shortlist)
        self.tables = tf.Module()
        self.tables.source, self.tables.target = source_tokenizer, target_tokenizer
        self.tables.dictionary = dictionaries.table(dictionary)
        self.tables.shortlist = self.shortlist
        self._functions = SignatureFunctions(
            self.model,
            (source_tokenizer, target_tokenizer),
            self.caps,
            self.tables.dictionary,
            self.shortlist,
        )
        self._traced: dict[str, Callable] = {}  # concrete functions, most by signature
        self._is_prepared = False
        if shortlist is not None:
            self.prepare()

    @classmethod
    def load(
        cls,
        run: Path | str | Sequence[Path | str],
        checkpoint: str = "best",
        shortlist: Any = None,
        prepare: bool = True,
    ) -> Self:
        """Loads the translator or forecaster of a run directory, or of several as one ensemble.

        Args:
            run: the directory that training or `save` wrote; a list of them is an ensemble, with
                the tokenizers and the options of the first.
            checkpoint: `"best"` or `"last"`.
            shortlist: as for `Translator`.
            prepare: whether to `prepare` it.

        Raises:
            UserError: naming the file that is missing or damaged, or the run whose vocabularies
                differ from the first's.
        """
        runs = [Path(path) for path in (run if isinstance(run, list | tuple) else [run])]
        first, config = runs[0], Config.from_run(runs[0])
        pair = tokenizers.load_pair(first / "tokenizers")
        models = [checkpoints.load_model(path / checkpoint) for path in runs]
        for other in runs[1:]:
            _check_vocabularies(first, pair, other)
        if cls.has_feature_targets and len(models) > 1:
            raise UserError(f"{runs[1]}: expected one run, for forecasts are no ensemble")
        if cls.has_feature_targets and shortlist is not None:
            raise UserError("shortlist: expected none for forecasts, which have no tokens")
        try:
            model = models[0]
            if len(models) > 1:
                model = Ensemble([catalog.with_policy(part) for part in models])
            dictionary = dictionaries.load(first, config.decoding.dictionary)
            caps = config.export.caps()
            translator = cls(model, *pair, config.decoding, caps, dictionary, shortlist)
        except UserError:
            raise
        except ValueError as error:
            raise UserError(f"{first / 'tokenizers'}: {error}") from None
        if prepare:
            translator.prepare()
        return translator

    def prepare(self) -> None:
        """Lays out weights for speed; the model's own weights must not change afterwards."""
        if self._is_prepared:
            if self.search_weights is not None:
                self.search_weights.update(self.model)
            return
        self._traced.clear()  # earlier traces read the model's own weights
        tokens = self.shortlist and self.shortlist.whole_ids
        self._functions.search_weights = self.model.make_search_weights(tokens=tokens)
        self.tables.search = self.search_weights  # an export tracks it
        self._is_prepared = True

    @property
    def search_weights(self) -> SearchWeights | None:
        """The `SearchWeights` after `prepare`; None before, and for an ensemble."""
        return self._functions.search_weights

    def save(self, run: Path | str) -> None:
        """Writes a run directory that `load` and every command read.

        Raises:
            ValueError: for an ensemble, which is several runs.
            UserError: a process trains in the directory, or a file of the user's would be replaced.
        """
        if isinstance(self.model, Ensemble):
            raise ValueError("model: expected one that is no ensemble, got an Ensemble")
        run, config = Path(run), Config(decoding=self.decoding)
        with lock_run(run):
            check_own_files(run, config)
            tokenizers.save_pair(run / "tokenizers", self.source_tokenizer, self.target_tokenizer)
            checkpoints.save(self.model, run / "best", {"step": 0})
            dictionaries.save(run, self.dictionary)
            save_config(config, run)

    def predict(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Calls a signature as a served model is called; rows with an error have it in `error`.

        Args:
            signature: its name, such as `"translate"`.
            inputs: arrays [B] (features: [B, S, F]) by name, strings as bytes; an option left out
                has its default.

        Returns:
            Arrays by the outputs' names, shaped as `keras_s2s.signatures` says; strings as object
            arrays of bytes.

        Raises:
            ValueError: naming an unknown signature, or an input that is unknown or missing.
        """
        if signature not in self.signatures:
            known = list(self.signatures)
            raise ValueError(f"signature: expected one of {known}, got {signature!r}")
        described = self.signatures[signature]
        fields = {field.name: field for field in described.inputs}
        values = {name: [value] for name, value in self.defaults(described).items()} | inputs
        if values.keys() != fields.keys():
            wrong = sorted(values.keys() ^ fields.keys())
            raise ValueError(f"inputs: expected {list(fields)}, got {wrong} too many or too few")
        columns = [
            tf.constant(to_array(values[name], name, field.dtype), field.dtype)
            for name, field in fields.items()
        ]
        outputs = self._trace(described)(*columns)
        return {name: value.numpy() for name, value in outputs.items()}

    def variables(self) -> list[tf.Variable]:
        """Returns every variable that the signatures read: the model's, and those of `prepare`."""
        return [weight.value for weight in self.model.weights] + list(self.tables.variables)

    def defaults(self, signature: Signature | None = None) -> dict[str, Any]:
        """Returns the value of each option of a signature (`main`) that a request leaves out."""
        signature = signature or self.signatures[self.main]
        return {
            name: self.decoding.default(name, field.default)
            for name, field in signature.options().items()
        }

    def constants(self, signature: Signature) -> dict[str, tf.Tensor]:
        """Returns the defaults of a signature's options as tensors [1], by name."""
        fields, values = signature.options(), self.defaults(signature)
        return {name: tf.constant([values[name]], fields[name].dtype) for name in fields}

    def signature_graph(self, signature: str) -> tf.Graph:
        """Returns the graph of a signature by its name, traced at the first call."""
        return self._trace(self.signatures[signature]).graph

    def functions(self) -> dict[str, Callable]:
        """Returns for each signature the function of tensors, in the order of its inputs."""
        return {name: self._function(signature) for name, signature in self.signatures.items()}

    @contextlib.contextmanager
    def use_search(self, search: Callable | None) -> Iterator[None]:
        """Replaces `keras_s2s.search.search` in functions that are traced within this context.

        Args:
            search: a function with the same arguments and result; None changes nothing.
        """
        previous = self._functions.search
        self._functions.search = search or previous
        try:
            yield
        finally:
            self._functions.search = previous

    def set_function(self, signature: Signature, concrete: Callable) -> None:
        """Sets the concrete function of a signature, such as one that an export has traced."""
        self._traced[signature.name] = concrete

    def input_specs(self, signature: Signature) -> list[tf.TensorSpec]:
        """Returns the specs of a signature's inputs, all sizes unknown but the width of frames."""
        sizes = {"F": self.source_tokenizer.size}
        return [
            tf.TensorSpec([sizes.get(axis) for axis in field.shape], field.dtype, field.name)
            for field in signature.inputs
        ]

    def serving_default(self, *source: tf.Tensor) -> dict[str, tf.Tensor]:
        """The signature `serving_default` as a function of tensors."""
        raise NotImplementedError(f"{type(self).__name__} has to define serving_default")

    def _trace(self, signature: Signature):
        """The signature's concrete function for batches of any size."""
        if signature.name not in self._traced:
            specs = self.input_specs(signature)
            self._traced[signature.name] = trace_function(self._function(signature), specs)
        return self._traced[signature.name]

    def _function_for(self, signature: Signature, columns: Mapping[str, np.ndarray]):
        """The concrete function for a request's options.

        A graph without constrained beam search is traced in a third of the time. It is used until
        a request needs the complete one.
        """
        is_plain = signature.name == "translate" and not self.target_tokenizer.prefix_tokens
        if signature.name in self._traced or not is_plain or needs_constraints(columns):
            return self._trace(signature)
        if PLAIN not in self._traced:
            function = self._function(signature, constrained=False)
            self._traced[PLAIN] = trace_function(function, self.input_specs(signature))
        return self._traced[PLAIN]

    def _function(self, signature: Signature, **arguments: Any) -> Callable:
        if signature.name == "serving_default":
            return self.serving_default
        count = len(signature.sources())

        def function(*columns):
            options = dict(zip(signature.options(), columns[count:], strict=True))
            function = getattr(self._functions, signature.name)
            return function(*columns[:count], **options, **arguments)

        return function

    def _with_defaults(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a call, and the defaults of those that are left out or None."""
        options = {option: value for option, value in options.items() if value is not None}
        if name == "translate":
            options = limit_hypotheses(options, self.decoding.num_hypotheses)
        return self.defaults(self.signatures[name]) | options

    def _run(
        self,
        signature: Signature,
        texts: Iterable[Any],
        options: Mapping[str, Any],
        batch_size: int,
        errors: str,
    ):
        """The results of rows, with their errors where `errors` is "return"."""
        signature = self.signatures[signature.name]
        texts = texts if isinstance(texts, str) else list(texts)
        values = self.defaults(signature) | {k: v for k, v in options.items() if v is not None}
        num_features = None
        if signature.inputs[0].name == "features":
            num_features = self.source_tokenizer.size
        function_for = functools.partial(self._function_for, signature)
        rows = run_batches(function_for, signature, texts, values, batch_size, num_features)
        results, messages = read_rows(signature.name, rows)
        if errors == "return":
            return results, messages
        for row, message in messages.items():
            if not message.startswith("text"):
                raise UserError(message)
            log.warning("%s: an empty target for %.40s", message, texts[row])
        return results


def _check_size(name: str, tokenizer, size: int) -> None:
    if tokenizer.size != size:
        raise ValueError(f"{name}: expected {size} entries, the model's, got {tokenizer.size}")


def _check_vocabularies(first: Path, pair, other: Path) -> None:
    """Refuses a run of an ensemble whose vocabularies differ from the first's."""
    for side, one, two in zip(
        ("source", "target"), pair, tokenizers.load_pair(other / "tokenizers"), strict=True
    ):
        if one.vocabulary != two.vocabulary:
            raise UserError(
                f"{other / 'tokenizers'}: expected the {side} vocabulary of {first}, got another"
            )
