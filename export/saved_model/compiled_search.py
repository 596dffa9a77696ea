"""XLA compilation of single-row searches in an export."""

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.export.verification.probe_requests import ProbeRequest, build_request
from keras_s2s.search import CompiledSearch
from keras_s2s.tokenizers import RESERVED_TOKENS, Features, Tokenizer
from keras_s2s.translator import Translator

__all__ = [
    "SEARCHES",
    "XLA_ATTRIBUTE",
    "XLA_SERVER_FLAG",
    "build_compiled_search",
    "compilation_requests",
]

XLA_SERVER_FLAG = "--xla_cpu_compilation_enabled"  # tensorflow_model_server needs it to compile
XLA_ATTRIBUTE = "_XlaMustCompile"  # of compiled functions and of their calls
SEARCHES = ("serving_default", "translate")  # signatures with a compiled search
SIZES = (16, 32, 64, 128)  # source lengths, end token included
SHORT_LENGTH = 8  # target tokens of a request that only triggers compilation


def build_compiled_search(translator: Translator) -> CompiledSearch:
    """The search of an export: compiled for greedy search and the default beam size.

    Args:
        translator: the exported `Translator`.
    """
    caps, has_features = translator.caps, isinstance(translator.source_tokenizer, Features)
    longest = caps["frames"] if has_features else caps["source_length"] + 1
    sizes = [size for size, smaller in zip(SIZES, (0, *SIZES)) if smaller < longest]
    return CompiledSearch({1, translator.decoding.beam_size}, sizes, caps["max_length"] + 1)


def compilation_requests(translator: Translator, search: CompiledSearch) -> list[ProbeRequest]:
    """Requests that make a server compile the search for every source length and beam size.

    Args:
        translator: the exported `Translator`.
        search: its compiled search.
    """
    requests = []
    for size, smaller in zip(search.sizes, (0, *search.sizes)):
        source = _make_source(translator.source_tokenizer, size, smaller)
        for width in search.widths:
            options = {"beam_size": width, "num_hypotheses": 1, "max_length": SHORT_LENGTH}
            requests.append(build_request("translate", [source], [options]))
    return requests


def _make_source(tokenizer: Tokenizer | Features, size: int, smaller: int) -> bytes | np.ndarray:
    """A source longer than `smaller` and at most `size`, so that it is padded to `size`."""
    if isinstance(tokenizer, Features):
        return np.random.default_rng(size).normal(size=(size, tokenizer.size)).astype(np.float32)
    tokens = tokenizer.vocabulary[len(RESERVED_TOKENS) :] or ("a",)
    for count in range(size - 1, 0, -1):  # the tokenizer may split the text in another way
        text = tokenizer.detokenize(tf.constant([np.resize(tokens, count).tolist()]))
        if smaller < int(tokenizer.tokenize(text).row_lengths()[0]) + 1 <= size:
            return text.numpy()[0]
    raise UserError(f"xla: expected a vocabulary for texts of {smaller} to {size} tokens")
