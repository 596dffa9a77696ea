"""Searches of single rows compiled by XLA: what such an export needs, of a server too."""

import numpy as np
import tensorflow as tf

from keras_s2s.errors import UserError
from keras_s2s.export.verification.probe_requests import build_request
from keras_s2s.search import CompiledSearch
from keras_s2s.tokenizers import RESERVED_TOKENS, Features

__all__ = [
    "SEARCHES",
    "XLA_ATTRIBUTE",
    "XLA_SERVER_FLAG",
    "build_compiled_search",
    "compilation_requests",
]

XLA_SERVER_FLAG = (
    "--xla_cpu_compilation_enabled"  # of tensorflow_model_server, which refuses to compile else
)
XLA_ATTRIBUTE = "_XlaMustCompile"  # of functions that are compiled, and of their calls
SEARCHES = ("serving_default", "translate")
SIZES = (16, 32, 64, 128)  # of sources, the end of a text included
SHORT = 8  # target tokens of a request that is there for its shape


def build_compiled_search(translator) -> CompiledSearch:
    """The search of a `Translator`'s export: greedy, and up to its default beam size."""
    caps, framed = translator.caps, isinstance(translator.source_tokenizer, Features)
    longest = caps["frames"] if framed else caps["source_length"] + 1
    sizes = [size for size, smaller in zip(SIZES, (0, *SIZES)) if smaller < longest]
    return CompiledSearch({1, translator.decoding.beam_size}, sizes, caps["max_length"] + 1)


def compilation_requests(translator, search) -> list:
    """A `probes.Probe` for each size and width of a search, for which a server compiles it."""
    found = []
    for size, smaller in zip(search.sizes, (0, *search.sizes)):
        source = _source(translator.source_tokenizer, size, smaller)
        for width in search.widths:
            options = {"beam_size": width, "num_hypotheses": 1, "max_length": SHORT}
            found.append(build_request("translate", [source], [options]))
    return found


def _source(tokenizer, size, smaller):
    """A source that is padded to `size`, for it is longer than `smaller`."""
    if isinstance(tokenizer, Features):
        return np.random.default_rng(size).normal(size=(size, tokenizer.size)).astype(np.float32)
    own = tokenizer.vocabulary[len(RESERVED_TOKENS) :] or ("a",)
    for count in range(size - 1, 0, -1):  # a text of so many pieces may be cut otherwise
        text = tokenizer.detokenize(tf.constant([np.resize(own, count).tolist()]))
        if smaller < int(tokenizer.tokenize(text).row_lengths()[0]) + 1 <= size:
            return text.numpy()[0]
    raise UserError(f"xla: expected a vocabulary for texts of {smaller} to {size} tokens")
