"""Export of runs and translators as SavedModels for TensorFlow Serving."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from keras_s2s.data.line_files import tensorflow_message
from keras_s2s.errors import UserError
from keras_s2s.export.model_card import describe_training_run, read_card, save_card, write_card
from keras_s2s.export.publishing import check_version, publish
from keras_s2s.export.saved_model.batching import batch_requests
from keras_s2s.export.saved_model.compiled_search import (
    SEARCHES,
    XLA_SERVER_FLAG,
    build_compiled_search,
    compilation_requests,
)
from keras_s2s.export.saved_model.graph_file import edit_graph
from keras_s2s.export.saved_model.loop_rewriting import rewrite_loops
from keras_s2s.export.saved_model.quantized_storage import store_quantized_weights
from keras_s2s.export.saved_model.verification import verify_export
from keras_s2s.export.saved_model.warmup import WARMUP, warmup_requests, write_requests
from keras_s2s.export.saved_model.weight_quantization import (
    QuantizedWeight,
    check_drift,
    measure_drift,
    quantized_weights,
)
from keras_s2s.export.shortlist import load_shortlist
from keras_s2s.export.variant import WEIGHT_TYPES, Variant
from keras_s2s.export.verification.probe_requests import RequestCorpus
from keras_s2s.export.verification.request_corpus import build_corpus, load_validation_pairs
from keras_s2s.search import CompiledSearch
from keras_s2s.tokenizers import Features
from keras_s2s.translator import Translator, load_run, traced

__all__ = ["export_saved_model", "export_translator"]


def export_saved_model(
    run: Path | str | Sequence,
    directory: Path | str,
    *,
    version: int | None = None,
    checkpoint: str = "best",
    shortlist: str | None = None,
    **variant: Any,
) -> Path:
    """Exports a run's checkpoint as a SavedModel.

    The version appears in `directory` only after it is complete and verified.

    Args:
        run: run directory, or a list of them for their ensemble.
        directory: base path of the served model; its sub-directories are the versions.
        version: positive integer; the next free one when None.
        checkpoint: `"best"` or `"last"`.
        shortlist: target tokens that a search may emit, see `shortlist.load_shortlist`; all when
            None.
        **variant: fields of `Variant`.

    Returns:
        The path of the published version.

    Raises:
        UserError: the run does not exist, the version exists already, or the directory cannot be
            written; the message names the file or argument.
        VerificationError: the export, in a separate process, differs from the model, or
            quantization moves log-probabilities too far. The message shows the first difference.
    """
    check_version(directory, version)
    if shortlist is not None and isinstance(run, list | tuple):
        raise UserError("shortlist: expected none for an ensemble, whose mean needs all columns")
    pairs = load_validation_pairs(run)
    description = describe_training_run(run, checkpoint)
    tokens = None if shortlist is None else load_shortlist(run, shortlist)
    translator = load_run(run, checkpoint, tokens)
    return export_translator(
        translator, directory, version=version, pairs=pairs, about=description, **variant
    )


def export_translator(
    translator: Translator,
    directory: Path | str,
    *,
    version: int | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    about: dict[str, Any] | None = None,
    **variant: Any,
) -> Path:
    """Exports a translator as a SavedModel.

    Args:
        translator: a `Translator` or a `Forecaster`.
        directory, version: as for `export_saved_model`.
        pairs: (source, target) texts for the verification requests.
        about: JSON values for the model card, see `model_card.describe_training_run`.
        **variant: fields of `Variant`.

    Returns:
        The path of the published version.

    Raises:
        UserError, VerificationError: as for `export_saved_model`.
    """
    variant = Variant(**variant)
    _check_variant(variant, translator)
    corpus = build_corpus(translator, pairs)
    search = build_compiled_search(translator) if variant.xla else None
    to_compile = compilation_requests(translator, search) if variant.xla else []

    def write(path: Path, scratch: Path) -> None:
        with _stored_weights(translator, variant, corpus) as (quantized, figures):
            try:
                _write(translator, path, variant, quantized, search)
                write_requests(path / WARMUP, [*to_compile, *warmup_requests(corpus)])
                write_card(path, translator, (about or {}) | {"variant": figures})
            except tf.errors.OpError as error:
                # The part before the semicolon names a file in the staging directory.
                raise OSError(0, tensorflow_message(error).rpartition("; ")[2]) from None
            seconds = verify_export(translator, path, scratch, corpus, variant.xla)
            if variant.xla:
                _add_xla_to_card(path, search, sum(seconds[: len(to_compile)]))

    return publish(directory, version, write)


def _check_variant(variant: Variant, translator: Translator) -> None:
    if variant.batching and isinstance(translator.source_tokenizer, Features):
        raise UserError(
            "batching: expected none for a source of frames, whose requests differ in width"
        )
    if variant.weights and translator.has_feature_targets:
        expected = "expected none for forecasts, whose drift has no log-probabilities"
        raise UserError(f"weights: {expected}, got {variant.weights}")
    if variant.xla and translator.has_feature_targets:
        raise UserError("xla: expected none for forecasts, which search nothing")


@contextlib.contextmanager
def _stored_weights(
    translator: Translator, variant: Variant, corpus: RequestCorpus
) -> Iterator[tuple[dict[str, QuantizedWeight], dict[str, Any]]]:
    """Yields the quantized weights and the card's section on the variant."""
    figures = {"batching": variant.batching}
    if translator.shortlist is not None:
        figures["shortlist"] = translator.shortlist.size
    if variant.weights is None:
        yield {}, figures
        return
    drift = measure_drift(translator, list(zip(corpus.texts, corpus.targets)))
    with quantized_weights(translator, variant.weights) as quantized:
        limit = WEIGHT_TYPES[variant.weights]
        measured = {"weights": variant.weights, "drift": drift(), "limit": limit}
        check_drift(**measured)
        yield quantized, figures | measured


def _add_xla_to_card(path: Path, search: CompiledSearch, seconds: float) -> None:
    card = read_card(path)
    card["variant"]["xla"] = {
        "server_flag": XLA_SERVER_FLAG,
        "rows": 1,
        "source_lengths": search.sizes,
        "beam_sizes": search.widths,
        "seconds_to_compile": round(seconds, 1),
    }
    save_card(path, card)


def _write(
    translator: Translator,
    path: Path,
    variant: Variant,
    quantized: dict[str, QuantizedWeight],
    search: CompiledSearch | None,
) -> None:
    translator.prepare()
    archive = keras.export.ExportArchive()
    # Only the tables: tracking the model as well would store every weight twice.
    archive.track(translator.tables)
    functions = {}
    with translator.use_search(search):
        for name, function in translator.functions().items():
            specs = translator.input_specs(translator.signatures[name])
            function = batch_requests(function) if variant.batching else function
            # The archive and its writer would each trace a plain function once more.
            functions[name] = traced(function, specs, loops_as_calls=not variant.gpu)
            archive.add_endpoint(name, functions[name].__call__, input_signature=specs)
        archive.write_out(str(path), verbose=False)
    with edit_graph(path) as graph:
        _set_defaults(graph, translator)
        if not variant.gpu:
            rewrite_loops(graph)
        store_quantized_weights(path, graph, quantized)
    path.chmod(0o755)
    if not variant.batching:  # tracing takes longest; verification reuses the traced functions
        for name in functions.keys() - (SEARCHES if search else ()):
            translator.set_function(translator.signatures[name], functions[name])


def _set_defaults(graph: meta_graph_pb2.MetaGraphDef, translator: Translator) -> None:
    """Makes options optional: ExportArchive cannot write the defaults of a signature."""
    for name, signature in translator.signatures.items():
        signature_def = graph.signature_def[name]
        defaults = translator.defaults(signature)
        for option, field in signature.options().items():
            value = tf.make_tensor_proto([defaults[option]], field.dtype)
            signature_def.defaults[option].CopyFrom(value)
