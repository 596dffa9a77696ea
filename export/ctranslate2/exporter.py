"""Export of runs with a Transformer as CTranslate2 model directories."""

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from keras_s2s import tokenizers
from keras_s2s.errors import UserError
from keras_s2s.export.ctranslate2 import model_spec, verification
from keras_s2s.translator import Translator

__all__ = ["export_ctranslate2"]

FLOAT32 = "float32"


def export_ctranslate2(
    run: Path | str,
    directory: Path | str,
    *,
    checkpoint: str = "best",
    quantization: str | None = None,
) -> Path:
    """Exports a run's checkpoint for CTranslate2, which then decodes to the same tokens.

    The directory holds `model.bin`, `config.json` and the vocabularies, which is all that
    CTranslate2 reads, and the run's `tokenizers/`. A source is given as its tokens; CTranslate2
    adds the end token if the model reads it. Sources and targets have at most 2048 tokens, or as
    many as the run's caps allow if that is more. CTranslate2 ranks hypotheses by
    log_prob / n^length_penalty, the run's score with `length_offset` 0. It does not exclude `<pad>`
    and `<s>` as the run's search does: if a model emits them, pass `suppress_sequences`.

    Before it is published, the model is compared with the run. In float32 it has to give the run's
    log-probabilities to 5e-4, and the same tokens in greedy search and with a beam of 5. With
    another type it is first verified in float32; then the mean difference of the log-probabilities
    may be 0.01 in float16, 0.05 in bfloat16 and int16, and 0.3 in int8.

    Args:
        run: run directory.
        directory: the model directory to create. It appears only after it is complete.
        checkpoint: `"best"` or `"last"`.
        quantization: type of the stored weights, one of CTranslate2's names such as `"int8"`;
            float32 when None.

    Returns:
        The path of the directory.

    Raises:
        UserError: the package is missing, the run does not exist, the directory exists or cannot be
            written, CTranslate2 does not support a part of the model, or its results differ from
            the run's. The message names the argument, file, part or first difference.

    Reference: Klein et al. 2020, The OpenNMT Neural Machine Translation Toolkit: 2020 Edition.
    """
    directory, staging = Path(directory), None
    _check_arguments(directory, quantization)
    translator = Translator.load(run, checkpoint)
    model_spec.check_parts(translator.model)
    if translator.target_tokenizer.prefix_tokens:
        kind = translator.target_tokenizer.kind
        expected = "expected one that forces no piece, as CTranslate2 does not"
        raise UserError(f"target_tokenizer: {expected}, got {kind}")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".export-", dir=directory.parent))
        path = _write_and_verify(translator, staging, quantization or FLOAT32)
        _check_free(directory)
        os.rename(path, directory)
        return directory
    except OSError as error:
        raise UserError(f"directory {directory}: cannot be written: {error.strerror}") from None
    finally:
        if staging:
            shutil.rmtree(staging, ignore_errors=True)


def _check_arguments(directory: Path, quantization: str | None) -> None:
    if importlib.util.find_spec("ctranslate2") is None:
        raise UserError(
            "ctranslate2: expected the package to be installed, got none;"
            " pip install 'keras-s2s[ctranslate2]'"
        )
    from ctranslate2.specs.model_spec import ACCEPTED_MODEL_TYPES

    if quantization is not None and quantization not in list(ACCEPTED_MODEL_TYPES):
        expected = f"expected one of {', '.join(ACCEPTED_MODEL_TYPES)}"
        raise UserError(f"quantization: {expected}, got {quantization!r}")
    _check_free(directory)


def _check_free(directory: Path) -> None:
    if os.path.lexists(directory):
        raise UserError(f"directory {directory}: expected a free name, got one that exists")


def _write_and_verify(translator: Translator, staging: Path, quantization: str) -> Path:
    """Writes and verifies the model in float32 and with its type; the path of the latter."""
    expected = verification.compute_expected(translator)
    for kind in dict.fromkeys((FLOAT32, quantization)):
        path = staging / kind
        _write(translator, path, kind)
        verification.verify_model(expected, path, kind)
    return path


def _write(translator: Translator, path: Path, quantization: str) -> None:
    path.mkdir()
    spec = model_spec.make_spec(translator)
    model_spec.optimize(spec, quantization)
    spec.save(str(path))
    pair = translator.source_tokenizer, translator.target_tokenizer
    tokenizers.save_pair(path / "tokenizers", *pair)
