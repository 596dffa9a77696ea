"""Export of runs and translators as LiteRT files for devices."""

import dataclasses
import importlib.util
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_s2s.config import Config
from keras_s2s.data import read_pairs
from keras_s2s.errors import UserError
from keras_s2s.export.litert.metadata import build_metadata
from keras_s2s.export.model_card import build_card, describe_training_run, save_card
from keras_s2s.export.publishing import check_version, publish
from keras_s2s.export.verification.probe_requests import RequestCorpus
from keras_s2s.export.verification.request_corpus import (
    build_corpus,
    first_run_directory,
    load_validation_pairs,
)
from keras_s2s.signatures.litert_digest import DIGEST_KEY, NO_DIGEST, insert_digest
from keras_s2s.tokenizers import Factors, Features, Multilingual, Pointers, Sources
from keras_s2s.translator import Translator, load_run

__all__ = ["FILE", "export_litert", "export_litert_translator"]

FILE = "model.tflite"  # the name that TensorFlow Serving looks for
MAX_LINES = 200  # of the validation data, for measuring a quantized file


def export_litert(
    run: Path | str | Sequence,
    directory: Path | str,
    *,
    version: int | None = None,
    checkpoint: str = "best",
    quantization: str = "none",
    beam: int | None = None,
    max_length: int | None = None,
    text_operations: bool = False,
) -> Path:
    """Exports a run's checkpoint as `model.tflite`.

    The file consists of built-in operations only and takes batches and lengths of any size. Its
    metadata holds the tokenizers, the default options and the model card. Its signatures are
    `translate_ids`, a whole search; the signatures of the same search step by step, see
    `signature_functions`; `score`; and `translate`, from text to text as numbers, for texts of
    bytes or characters. `keras_s2s.serving.EdgeTranslator` translates any text with them.

    Before it is published, the file answers the probe requests in a process without TensorFlow.
    Its answers have to be those of the run if it is float32. If it is quantized, its quality on
    the run's validation data has to stay within `verification.QUANTIZATION_LIMITS`.

    Args:
        run: run directory, or a list of them for their ensemble.
        directory: base path; its sub-directories are the versions.
        version: positive integer; the next free one when None.
        checkpoint: `"best"` or `"last"`.
        quantization: `"none"`, `"float16"`, `"dynamic_int8"`, `"weight_int8"` or `"int4"`.
        beam: largest beam size of a request; the run's cap when None.
        max_length: largest number of target tokens; the run's cap when None.
        text_operations: for SentencePiece unigram models, makes `translate` a signature from
            string to string, one text a call. It runs only where tf.text's operations are linked
            in; the other signatures run anywhere.

    Returns:
        The path of the published version.

    Raises:
        UserError: an argument or file is invalid; the message names it.
        VerificationError: the file differs from the run, or quantization costs too much quality.
            The message shows the first difference.
    """
    _check_package()
    check_version(directory, version)
    description = describe_training_run(run, checkpoint)
    translator = load_run(run, checkpoint, prepare=False)
    _check_tokenizers(translator)
    return export_litert_translator(
        _with_caps(translator, beam, max_length),
        directory,
        version=version,
        quantization=quantization,
        about=description,
        pairs=load_validation_pairs(run),
        lines=_load_lines(run),
        metric=_select_metric(description),
        text_operations=text_operations,
    )


def export_litert_translator(
    translator: Translator,
    directory: Path | str,
    *,
    version: int | None = None,
    quantization: str = "none",
    about: dict[str, Any] | None = None,
    pairs: Sequence[tuple[str, str]] = (),
    lines: Sequence[tuple[str, str]] = (),
    metric: str | None = None,
    text_operations: bool = False,
) -> Path:
    """Exports a translator as `model.tflite`.

    Args:
        translator: a `Translator` that is not prepared.
        directory, version, quantization, text_operations: as for `export_litert`.
        about: JSON values for the model card, see `model_card.describe_training_run`.
        pairs: (source, target) texts for the verification requests.
        lines: (source, target) texts for measuring a quantized file.
        metric: metric of `lines`, one of `metrics.SCORERS`; None limits the drift of
            log-probabilities only.

    Returns:
        The path of the published version.

    Raises:
        UserError, VerificationError: as for `export_litert`.
    """
    _check_package()
    _check_tokenizers(translator)
    from keras_s2s.export.litert import converter

    custom = _custom_operations(translator) if text_operations else {}
    graphs = _trace_signatures(translator, custom)
    content = converter.convert(graphs, translator.variables(), quantization, bool(custom))
    operations = converter.check_operations(content, sum(custom.values(), ()))
    metadata = build_metadata(translator, graphs, custom)
    corpus = _build_corpus(translator, pairs, custom)

    def write(path: Path, scratch: Path) -> None:
        file = scratch / FILE
        file.write_bytes(converter.add_metadata(content, metadata))
        _verify_translate(translator, file, scratch, graphs, custom, corpus.texts)
        figures = {"quantization": quantization, "operations": sum(operations.values())}
        figures |= {"custom_operations": custom} if custom else {}
        figures |= _verify(translator, file, scratch, corpus, lines, metric, quantization)
        figures |= {DIGEST_KEY: NO_DIGEST}
        card = build_card(translator, (about or {}) | {"litert": figures}, len(content))
        entries = metadata | {"keras_s2s.card": card}
        complete, digest = insert_digest(converter.add_metadata(content, entries))
        (path / FILE).write_bytes(complete)
        card["litert"][DIGEST_KEY] = digest
        path.chmod(0o755)
        save_card(path, card)

    return publish(directory, version, write)


def _verify(translator, file, scratch, corpus, lines, metric, quantization):
    """Verifies a file with its metadata; figures for the model card."""
    from keras_s2s.export.litert import verification

    if quantization == "none":
        count = verification.verify_float32(translator, file, scratch, corpus)
        return {"proved_by": count}
    pairs = list(lines) or list(zip(corpus.texts, corpus.targets))
    pairs = [tuple(map(_decode, pair)) for pair in pairs]
    metric = metric if lines else None
    return verification.measure_quantization(translator, file, scratch, pairs, metric, quantization)


def _custom_operations(translator: Translator) -> dict[str, tuple[str, ...]]:
    """Names of operations that LiteRT does not have built in, by signature."""
    from keras_s2s.export.litert import sentencepiece_support, string_signature

    sentencepiece_support.require(translator)
    return {"translate": string_signature.OPERATIONS}


def _trace_signatures(translator: Translator, custom: dict) -> dict[str, Any]:
    """The concrete function of each signature, by name."""
    from keras_s2s.export.litert import signature_functions, string_signature, text_signature

    functions = signature_functions.LiteRTSignatures(translator.model, translator.caps)
    graphs = functions.concrete()
    if custom:
        graphs["translate"] = string_signature.StringSignature(functions, translator).concrete()
    elif text_signature.supports_text_signature(translator):
        graphs["translate"] = text_signature.TextSignature(functions, translator).concrete()
    return graphs


def _build_corpus(translator: Translator, pairs: Sequence, custom: dict) -> RequestCorpus:
    from keras_s2s.export.litert.string_signature import ODD_TEXTS

    corpus = build_corpus(translator, pairs)
    if not custom:
        return corpus
    return dataclasses.replace(corpus, texts=(*corpus.texts, *ODD_TEXTS))


def _verify_translate(translator, path, scratch, graphs, custom, texts):
    """Compares the signature `translate` with the signatures that it is composed of."""
    from keras_s2s.export.litert import string_signature, text_signature

    if custom:
        string_signature.verify_string_signature(path, scratch, texts)
    elif "translate" in graphs:
        text_signature.verify_text_signature(translator, path, scratch, texts)


def _check_package() -> None:
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise UserError(
            "format: litert needs the package ai-edge-litert, got none;"
            " pip install 'keras-s2s[litert]'"
        )


def _check_tokenizers(translator: Translator) -> None:
    for side in ("source", "target"):
        kind = getattr(translator, f"{side}_tokenizer").kind
        if kind in (Factors.kind, Sources.kind):
            reason = "which devices have no tokenizer for"
            raise UserError(f"format: litert expected a {side} of one text, got {kind}, {reason}")
        if kind in (Features.kind, Pointers.kind, Multilingual.kind):
            raise UserError(f"format: litert needs a {side} of texts, got {kind}")


def _with_caps(translator: Translator, beam: int | None, max_length: int | None) -> Translator:
    """The translator with other caps, and with defaults within them."""
    caps = dict(translator.caps)
    caps |= {"beam_size": beam} if beam else {}
    caps |= {"max_length": max_length} if max_length else {}
    limits = {
        "beam_size": caps["beam_size"],
        "num_hypotheses": caps["beam_size"],
        "max_length": caps["max_length"],
    }
    decoding = translator.decoding
    defaults = {name: min(getattr(decoding, name), limit) for name, limit in limits.items()}
    return Translator(
        translator.model,
        translator.source_tokenizer,
        translator.target_tokenizer,
        dataclasses.replace(decoding, **defaults),
        caps,
        translator.dictionary,
    )


def _load_lines(run: Path | str | Sequence) -> list[tuple[str, str]]:
    """The first pairs of a run's validation data; an empty list if it is not available."""
    corpus = Config.from_run(first_run_directory(run)).data.valid
    try:
        return list(itertools.islice(read_pairs(corpus), MAX_LINES)) if corpus else []
    except UserError:
        return []


def _select_metric(description: dict[str, Any]) -> str:
    """The metric that selected the best checkpoint, if it scores texts, or the first reported."""
    from keras_s2s.metrics import SCORERS

    reported = description["configuration"]["training"].get("scores") or []
    names = [description.get("training", {}).get("metric"), *reported, "bleu"]
    return next(name for name in names if name in SCORERS)


def _decode(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
