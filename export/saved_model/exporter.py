"""A run -> a SavedModel that TF Serving loads, published by rename as `DIR/<version>/`."""

import contextlib
from pathlib import Path

import keras
import tensorflow as tf

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
from keras_s2s.export.saved_model.freezing import check_size, freeze
from keras_s2s.export.saved_model.graph_file import edit_graph
from keras_s2s.export.saved_model.loop_rewriting import rewrite_loops
from keras_s2s.export.saved_model.quantized_storage import store_quantized_weights
from keras_s2s.export.saved_model.verification import verify_export
from keras_s2s.export.saved_model.warmup import WARMUP, warmup_requests, write_requests
from keras_s2s.export.saved_model.weight_quantization import (
    check_drift,
    measure_drift,
    quantized_weights,
)
from keras_s2s.export.shortlist import load_shortlist
from keras_s2s.export.variant import WEIGHT_TYPES, Variant
from keras_s2s.export.verification.request_corpus import build_corpus, load_validation_pairs
from keras_s2s.tokenizers import Features
from keras_s2s.translator import load_run, trace_function

__all__ = ["export_saved_model", "export_translator"]


def export_saved_model(
    run, directory, *, version=None, checkpoint="best", shortlist=None, **variant
) -> Path:
    """Exports a run's checkpoint.

    Args:
        run: run directory, or several for their ensemble.
        directory: base path of the served model; its sub-directories are the versions.
        version: positive integer; the next free one when None.
        checkpoint: `"best"` or `"last"`.
        shortlist: which target tokens a search may give, see `shortlists.shortlist_of`; None is
            all.
        **variant: fields of `Variant`.

    Returns:
        The path of the published version. Until it is complete and proved it does not exist.

    Raises:
        UserError: naming the file or argument: no such run, a version that exists already, a
            directory that cannot be written; a `NotProven` with the first difference between the
            export, in a fresh process, and the model, or where packing moved it too far.
    """
    check_version(directory, version)
    if shortlist is not None and isinstance(run, list | tuple):
        raise UserError("shortlist: expected none for an ensemble, whose mean needs all columns")
    pairs, about = load_validation_pairs(run), describe_training_run(run, checkpoint)
    tokens = None if shortlist is None else load_shortlist(run, shortlist)
    translator = load_run(run, checkpoint, tokens)
    return export_translator(
        translator, directory, version=version, pairs=pairs, about=about, **variant
    )


def export_translator(
    translator, directory, *, version=None, pairs=(), about=None, **variant
) -> Path:
    """Exports a `Translator` or a `Forecaster`; result and errors as for `export_saved_model`.

    Args:
        translator: what to export.
        directory, version: as for `export_saved_model`.
        pairs: (source, target) texts to prove it by, beside odd ones.
        about: JSON values for the model card, see `cards.run_facts`.
        **variant: fields of `Variant`.
    """
    variant, about = Variant(**variant), about or {}
    _check_variant(variant, translator)
    material = build_corpus(translator, pairs)
    if variant.frozen:
        translator.prepare()
        check_size(translator.variables())

    search = build_compiled_search(translator) if variant.xla else None
    sized = compilation_requests(translator, search) if variant.xla else []

    def write(path, beside):
        with _packed(translator, variant, material) as (stored, figures):
            try:
                _write(translator, path, variant, stored, search)
                write_requests(path / WARMUP, [*sized, *warmup_requests(material)])
                write_card(path, translator, about | {"variant": figures})
            except tf.errors.OpError as error:
                came = tensorflow_message(error).rpartition("; ")[
                    2
                ]  # before it stands a path that is gone
                raise OSError(0, came) from None
            seconds = verify_export(translator, path, beside, material, variant.xla)
            if variant.xla:
                _add_to_card(path, search, sum(seconds[: len(sized)]))

    return publish(directory, version, write)


def _check_variant(variant, translator):
    if variant.batching and isinstance(translator.source_tokenizer, Features):
        expected = "expected none for a source of frames, whose requests differ in width"
        raise UserError(f"batching: {expected}")
    if variant.weights and translator.has_feature_targets:
        expected = "expected none for forecasts, whose drift has no log-probabilities"
        raise UserError(f"weights: {expected}, came {variant.weights}")
    if variant.xla and translator.has_feature_targets:
        raise UserError("xla: expected none for forecasts, which search nothing")


@contextlib.contextmanager
def _packed(translator, variant, material):
    """What to store of each weight, and what the card says of the variant."""
    figures = {"batching": variant.batching, "frozen": variant.frozen}
    if translator.shortlist is not None:
        figures["shortlist"] = translator.shortlist.size
    if variant.weights is None:
        yield {}, figures
        return
    moved = measure_drift(translator, list(zip(material.texts, material.targets)))
    with quantized_weights(translator, variant.weights) as stored:
        limits = {
            "weights": variant.weights,
            "drift": moved(),
            "limit": WEIGHT_TYPES[variant.weights],
        }
        check_drift(**limits)
        yield stored, figures | limits


def _add_to_card(path, search, seconds):
    """Tells what is compiled, what the server must be told, and how long it then takes to load."""
    card = read_card(path)
    card["variant"]["xla"] = {
        "server_flag": XLA_SERVER_FLAG,
        "rows": 1,
        "source_lengths": search.sizes,
        "beam_sizes": search.widths,
        "seconds_to_compile": round(seconds, 1),
    }
    save_card(path, card)


def _write(translator, path, variant, stored, search):
    translator.prepare()
    archive = keras.export.ExportArchive()
    # The tables alone: tracking the model too would store every weight twice.
    archive.track(translator.tables)
    made = {}
    with translator.use_search(search):
        for name, function in translator.functions().items():
            specs = translator.input_specs(translator.signatures[name])
            function = batch_requests(function) if variant.batching else function
            made[name] = trace_function(function, specs, loops_as_calls=not variant.gpu)
            # traced once: the archive and the writer would each trace the function itself
            archive.add_endpoint(name, made[name].__call__, input_signature=specs)
        archive.write_out(str(path), verbose=False)
    with edit_graph(path) as graph:
        _set_defaults(graph, translator)
        if not variant.gpu:
            rewrite_loops(graph)
        store_quantized_weights(path, graph, stored)
        if variant.frozen:
            freeze(path, graph)
    path.chmod(0o755)
    if not variant.batching:  # tracing takes longer than all else; a proof asks the same functions
        for name in made.keys() - (SEARCHES if search else ()):
            translator.set_function(translator.signatures[name], made[name])


def _set_defaults(graph, translator):
    """Lets a request leave options out: ExportArchive cannot write a signature's defaults."""
    for name, signature in translator.signatures.items():
        written = graph.signature_def[name]
        defaults = translator.defaults(signature)
        for option, field in signature.options().items():
            value = tf.make_tensor_proto([defaults[option]], field.dtype)
            written.defaults[option].CopyFrom(value)
