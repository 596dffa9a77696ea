"""A run -> one LiteRT file that holds all that a device needs, published as `DIR/<version>/`."""

import dataclasses
import importlib.util
import itertools
from pathlib import Path

import tensorflow as tf

from keras_s2s.config import Config, SpecialIds
from keras_s2s.data import read_pairs
from keras_s2s.errors import UserError
from keras_s2s.export.model_card import build_card, describe_training_run, save_card
from keras_s2s.export.publishing import check_version, publish
from keras_s2s.export.verification.request_corpus import (
    build_corpus,
    first_run_directory,
    load_validation_pairs,
)
from keras_s2s.tokenizers import (
    Factors,
    Features,
    Multilingual,
    Pointers,
    Sources,
    sentencepiece_model,
)
from keras_s2s.translator import Translator, load_run

__all__ = ["FILE", "export_litert", "export_litert_translator"]

FILE = "model.tflite"  # the name that TensorFlow Serving looks for
FORMAT = 1
LINES = 200  # of the validation data, to measure a quantised file by


def export_litert(
    run,
    directory,
    *,
    version=None,
    checkpoint="best",
    quantization="none",
    beam=None,
    max_length=None,
    text_operations=False,
) -> Path:
    """Exports a run's checkpoint as `model.tflite`.

    Built-in operations alone, with batches and lengths of any size; the tokenizers, the default
    options and the model card lie in its metadata. Signatures: `translate_ids`, a whole search;
    `encode`, `step`, `advance`, `wish`, `advance_wishes` and `trace`, the same search by steps;
    `score`; for texts of bytes or characters `translate`, text to text as numbers.
    `keras_s2s.serving.EdgeTranslator` makes text to text of any.

    Before it is published it answers, in a process without TensorFlow, the probes of every export:
    in float32 as the run does, to the id; quantised it may lose no more than
    `litert_proof.FALLS` says, on the run's validation data.

    Args:
        run: run directory, or several for their ensemble.
        directory: base path; its sub-directories are the versions.
        version: positive integer; the next free one when None.
        checkpoint: `"best"` or `"last"`.
        quantization: `"none"`, `"float16"`, `"dynamic_int8"`, `"weight_int8"` or `"int4"`.
        beam: widest beam that may be asked for; the run's cap when None.
        max_length: most target tokens; the run's cap when None.
        text_operations: for SentencePiece unigram models, `translate` from string to string, one
            at a time. It runs only where tf.text's operations are linked in; the other
            signatures run anywhere.

    Returns:
        The path of the published version. Until it is complete and proved it does not exist.

    Raises:
        UserError: naming the argument or file; a `NotProven` with the first difference between the
            file and the run, or where quantisation costs too much.
    """
    _check_package()
    check_version(directory, version)
    about, translator = (
        describe_training_run(run, checkpoint),
        load_run(run, checkpoint, prepare=False),
    )
    _check_texts(translator)
    translator = _capped(translator, beam, max_length)
    return export_litert_translator(
        translator,
        directory,
        version=version,
        quantization=quantization,
        about=about,
        pairs=load_validation_pairs(run),
        lines=_lines(run),
        metric=_metric(about),
        text_operations=text_operations,
    )


def export_litert_translator(
    translator,
    directory,
    *,
    version=None,
    quantization="none",
    about=None,
    pairs=(),
    lines=(),
    metric=None,
    text_operations=False,
) -> Path:
    """Exports a `Translator` that is not prepared; result and errors as for `export_litert`.

    Args:
        about: JSON values for the model card, see `cards.run_facts`.
        pairs: (source, target) texts to prove it by, beside odd ones.
        lines: (source, target) texts to measure a quantised file by.
        metric: of `lines`, one of `metrics.SCORERS`; None has the log-probabilities alone bound.
        text_operations: as for `export_litert`.
    """
    _check_package()
    _check_texts(translator)
    from keras_s2s.export.litert import converter, default_search, verification

    custom = _custom(translator) if text_operations else {}
    graphs = _graphs(translator, custom)
    content = converter.convert(graphs, translator.variables(), quantization, bool(custom))
    operations = converter.check_operations(content, sum(custom.values(), ()))
    entries = build_metadata(translator, graphs, custom)
    if default_search.NAME in graphs:
        content, entries[default_search.ENTRY] = default_search.put_first(content)
    material = _material(translator, pairs, custom)

    def write(path, beside):
        plain = beside / FILE
        plain.write_bytes(converter.add_metadata(content, entries))
        _check_whole(translator, plain, beside, graphs, custom, material.texts)
        figures = {"quantization": quantization, "operations": sum(operations.values())}
        figures |= {"custom_operations": custom} if custom else {}
        if quantization == "none":
            figures["proved_by"] = verification.verify_float32(translator, plain, beside, material)
        else:
            known = list(lines) or list(zip(material.texts, material.targets))
            known = [tuple(map(_text, pair)) for pair in known]
            figures |= verification.measure_quantization(
                translator, plain, beside, known, metric if lines else None, quantization
            )
        card = build_card(translator, (about or {}) | {"litert": figures}, len(content))
        made = converter.add_metadata(content, entries | {"keras_s2s.card": card})
        (path / FILE).write_bytes(made)
        path.chmod(0o755)
        save_card(path, card)

    return publish(directory, version, write)


def _custom(translator):
    """The operations that are none of LiteRT's own, by signature."""
    from keras_s2s.export.litert import sentencepiece_support, string_signature

    sentencepiece_support.require(translator)
    return {"translate": string_signature.OPERATIONS}


def _graphs(translator, custom):
    """The concrete function of each signature, by name."""
    from keras_s2s.export.litert import (
        default_search,
        signature_functions,
        string_signature,
        text_signature,
    )

    model = signature_functions.LiteRTSignatures(translator.model, translator.caps)
    graphs = model.concrete()
    if custom:
        graphs["translate"] = string_signature.StringSignature(model, translator).concrete()
    elif text_signature.supports_text_signature(translator):
        graphs["translate"] = text_signature.TextSignature(model, translator).concrete()
    if default_search.has_plain_search(translator):
        graphs[default_search.NAME] = default_search.ServingGraph(model, translator).concrete()
    return graphs


def _material(translator, pairs, custom):
    from keras_s2s.export.litert.string_signature import ODD_TEXTS

    made = build_corpus(translator, pairs)
    return dataclasses.replace(made, texts=(*made.texts, *ODD_TEXTS)) if custom else made


def _check_whole(translator, path, place, graphs, custom, texts):
    """Compares signatures that are a whole search with what they are made of."""
    from keras_s2s.export.litert import default_search, string_signature, text_signature

    if custom:
        string_signature.verify_string_signature(path, place, texts)
    elif "translate" in graphs:
        text_signature.verify_text_signature(translator, path, place, texts)
    if default_search.NAME in graphs:
        default_search.check_serving(translator, path, place)


def _check_package():
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise UserError(
            "format: litert needs the package ai-edge-litert, came none;"
            " pip install 'keras-s2s[litert]'"
        )


def _check_texts(translator):
    for side in ("source", "target"):
        kind = getattr(translator, f"{side}_tokenizer").kind
        if kind in (Factors.kind, Sources.kind):
            no = "whose ids a device has no code to make of a text"
            raise UserError(f"format: litert expected a {side} of one text, came {kind}, {no}")
        if kind in (Features.kind, Pointers.kind, Multilingual.kind):
            raise UserError(f"format: litert needs a {side} of texts, came {kind}")


def _capped(translator, beam, max_length):
    """The translator under other caps, and defaults within them."""
    caps = dict(translator.caps)
    caps |= {"beam_size": beam} if beam else {}
    caps |= {"max_length": max_length} if max_length else {}
    names = ("beam_size", "num_hypotheses", "max_length")
    most = {
        "beam_size": caps["beam_size"],
        "num_hypotheses": caps["beam_size"],
        "max_length": caps["max_length"],
    }
    old = translator.decoding
    new = {name: min(getattr(old, name), most[name]) for name in names}
    return Translator(
        translator.model,
        translator.source_tokenizer,
        translator.target_tokenizer,
        dataclasses.replace(old, **new),
        caps,
        translator.dictionary,
    )


def _lines(run):
    """The first pairs of a run's validation data; none where they are gone."""
    corpus = Config.from_run(first_run_directory(run)).data.valid
    try:
        return list(itertools.islice(read_pairs(corpus), LINES)) if corpus else []
    except UserError:
        return []


def _metric(about):
    """The metric that a run was chosen by, if it is one of texts, or the first that it reports."""
    from keras_s2s.metrics import SCORERS

    reported = about["configuration"]["training"].get("scores") or []
    names = [about.get("training", {}).get("metric"), *reported, "bleu"]
    return next(name for name in names if name in SCORERS)


def _text(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def build_metadata(translator, graphs, custom):
    """What the file's metadata holds, by name."""
    pair = translator.source_tokenizer, translator.target_tokenizer
    special = SpecialIds()
    about = {
        "format": FORMAT,
        "copies": translator.model.supports_copy,
        "caps": translator.caps,
        "defaults": translator.defaults(),
        "dictionary": translator.dictionary,
        "special_ids": {n: getattr(special, n) for n in ("pad", "unknown", "start", "end")},
        "signatures": {name: _described(graph) for name, graph in graphs.items()},
    }
    for name, operations in custom.items():
        about["signatures"][name]["operations"] = operations
    entries = {}
    for side, tokenizer in zip(("source", "target"), pair):
        if side == "target" and pair[0] is pair[1]:
            about[side] = {"same_as": "source"}
            continue
        about[side], files = describe_tokenizer(side, tokenizer)
        entries |= files
    return {"keras_s2s": about} | entries


def _described(graph):
    """Types and ranks of a concrete function's inputs and outputs."""
    given = tf.nest.flatten(graph.structured_input_signature)
    inputs = {spec.name: spec for spec in given if isinstance(spec, tf.TensorSpec)}
    parts = {"inputs": inputs, "outputs": graph.structured_outputs}
    return {
        part: {name: [x.dtype.name, x.shape.rank] for name, x in tensors.items()}
        for part, tensors in parts.items()
    }


def describe_tokenizer(side, tokenizer):
    suffix, content = tokenizer.model_file() or ("", b"")
    described = {
        "kind": tokenizer.kind,
        "size": tokenizer.size,
        "special_tokens": list(tokenizer.special_tokens),
        "model": suffix == "model",
    }
    files = {f"keras_s2s.{side}.vocabulary": list(tokenizer.vocabulary)}
    if described["model"]:
        described["leading_spaces"] = sentencepiece_model.leading_spaces(
            sentencepiece_model.parse_model(content)
        )
        files[f"keras_s2s.{side}.model"] = content
    return described, files
