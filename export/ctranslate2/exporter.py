"""A run's Transformer -> a model directory of CTranslate2, published by rename."""

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

EXACT = "float32"


def export_ctranslate2(run, directory, *, checkpoint="best", quantization=None) -> Path:
    """Writes a run's checkpoint for CTranslate2, which then decodes to the same tokens.

    The directory holds `model.bin`, `config.json` and the vocabularies, all that CTranslate2 reads,
    and the run's `tokenizers/`. A source is its tokens, to which CTranslate2 adds the end if the
    model reads it; sources and targets have at most 2048 tokens, or what the run's caps say if
    that is more. CTranslate2 ranks hypotheses by log_prob / n^length_penalty, the run's score with
    `length_offset` 0, and does not bar `<pad>` and `<s>` as the run's search does: where a model
    has not learnt that, there is its option `suppress_sequences`.

    Before it is published the model is run on probes: in float32 it has to give the run's
    log-probabilities to 5e-4 and the same tokens, greedily and from a beam of 5. One in another
    type is proved in float32 first, and then its log-probabilities have to come near in the mean:
    to 0.01 in float16, 0.05 in bfloat16 and int16, 0.3 in int8.

    Args:
        run: run directory.
        directory: the model directory to make. Until it is complete it does not exist.
        checkpoint: `"best"` or `"last"`.
        quantization: type of the stored weights, one of CTranslate2's names such as `"int8"`;
            float32 when None.

    Returns:
        The path of the directory.

    Raises:
        UserError: naming the argument, the file or the part of the model: the package is missing,
            there is no such run, the directory exists or cannot be written, CTranslate2 cannot
            run such a part, or it gives other results than the run, with the first of them.

    Reference: Klein et al. 2020, The OpenNMT Neural Machine Translation Toolkit: 2020 Edition.
    """
    directory, beside = Path(directory), None
    _check(directory, quantization)
    translator = Translator.load(run, checkpoint)
    model_spec.check_parts(translator.model)
    if translator.target_tokenizer.prefix_tokens:
        expected, came = "expected one that forces no piece", translator.target_tokenizer.kind
        raise UserError(f"target_tokenizer: {expected}, as CTranslate2 does not, came {came}")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".export-", dir=directory.parent))
        path = _write_and_prove(translator, beside, quantization or EXACT)
        _check_free(directory)
        os.rename(path, directory)
        return directory
    except OSError as error:
        raise UserError(f"directory {directory}: cannot be written: {error.strerror}") from None
    finally:
        if beside:
            shutil.rmtree(beside, ignore_errors=True)


def _check(directory, quantization):
    if importlib.util.find_spec("ctranslate2") is None:
        raise UserError(
            "ctranslate2: expected the package to be installed, came none;"
            " pip install 'keras-s2s[ctranslate2]'"
        )
    from ctranslate2.specs.model_spec import ACCEPTED_MODEL_TYPES as types

    if quantization is not None and quantization not in list(types):
        expected = f"expected one of {', '.join(types)}"
        raise UserError(f"quantization: {expected}, came {quantization!r}")
    _check_free(directory)


def _check_free(directory):
    if os.path.lexists(directory):
        raise UserError(f"directory {directory}: expected a free name, came one that exists")


def _write_and_prove(translator, beside, quantization):
    """The path of the model, which lies in the directory `beside`."""
    expected = verification.compute_expected(translator)
    for kind in dict.fromkeys((EXACT, quantization)):
        path = beside / kind
        _write(translator, path, kind)
        verification.verify_model(expected, path, kind)
    return path


def _write(translator, path, quantization):
    path.mkdir()
    spec = model_spec.make_spec(translator)
    model_spec.optimize(spec, quantization)
    spec.save(str(path))
    pair = translator.source_tokenizer, translator.target_tokenizer
    tokenizers.save_pair(path / "tokenizers", *pair)
