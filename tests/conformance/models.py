"""Every encoder under every decoder under every head, tiny, and inputs for them."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.decoders import RecurrentDecoder, TransformerDecoder
from keras_s2s.embeddings import PointerEmbedding, TokenEmbedding
from keras_s2s.encoders import RecurrentEncoder, TransformerEncoder
from keras_s2s.heads import (
    AdaptiveSoftmaxHead,
    PointerGeneratorHead,
    PointerNetworkHead,
    SoftmaxHead,
)
from keras_s2s.model import Seq2Seq

WIDTH, SOURCE_SIZE, TARGET_SIZE = 8, 13, 11
BATCH, SOURCE, TARGET = 4, 5, 6

ENCODERS = {
    "bigru": lambda **k: RecurrentEncoder(WIDTH, **k),
    "gru": lambda **k: RecurrentEncoder(WIDTH, 2, bidirectional=False, **k),
    "bilstm": lambda **k: RecurrentEncoder(WIDTH, 2, "lstm", **k),
    "lstm": lambda **k: RecurrentEncoder(WIDTH, cell="lstm", bidirectional=False, **k),
    "pre": lambda **k: TransformerEncoder(WIDTH, 2, 2, 16, **k),
    "post": lambda **k: TransformerEncoder(
        WIDTH, 1, 2, norm="post", epsilon=1e-3, first_position=1, **k
    ),
}
DECODERS = {
    "gru": lambda **k: RecurrentDecoder(WIDTH, **k),
    "grus": lambda **k: RecurrentDecoder(WIDTH, 2, attention_units=6, bridge="zero", **k),
    "lstm": lambda **k: RecurrentDecoder(WIDTH, cell="lstm", **k),
    "lstms": lambda **k: RecurrentDecoder(WIDTH, 2, "lstm", **k),
    "pre": lambda **k: TransformerDecoder(WIDTH, 3, 2, 16, **k),
    "post": lambda **k: TransformerDecoder(
        WIDTH, 1, 2, norm="post", epsilon=1e-3, first_position=1, **k
    ),
}
HEADS = {
    "softmax": (SoftmaxHead, "none"),
    "tied": (SoftmaxHead, "output"),
    "pointer": (PointerGeneratorHead, "none"),
    "adaptive": (lambda size: AdaptiveSoftmaxHead(size, [5, 8], 2), "none"),
    "network": (lambda size: PointerNetworkHead(attention_units=6), "points"),
}
ALL = list(itertools.product(ENCODERS, DECODERS, HEADS))


def _pairwise():
    """For every encoder and decoder one head, so that every pair of parts occurs."""
    heads = list(HEADS)
    rows = itertools.product(enumerate(ENCODERS), enumerate(DECODERS))
    return [(e, d, heads[(i + j) % len(heads)]) for (i, e), (j, d) in rows]


PAIRWISE = _pairwise()


def over_models(function):
    """Runs a test over the pairwise list, and in the slow tier over the full product."""
    cases = [
        pytest.param(*case, id="-".join(case), marks=[] if case in PAIRWISE else pytest.mark.slow)
        for case in ALL
    ]
    return pytest.mark.parametrize(("encoder", "decoder", "head"), cases)(function)


def make(encoder, decoder, head, policy="float32"):
    """A built model with weights large enough that every part matters."""
    keras.utils.set_random_seed(3)
    kind, tie = HEADS[head]
    encoder, target = ENCODERS[encoder](dtype=policy), TokenEmbedding(TARGET_SIZE, WIDTH)
    if tie == "points":
        target, tie = PointerEmbedding(WIDTH, encoder.width), "none"
    model = Seq2Seq(
        TokenEmbedding(SOURCE_SIZE, WIDTH),
        encoder,
        target,
        DECODERS[decoder](dtype=policy),
        kind(TARGET_SIZE),
        tie,
        dtype=policy,
    )
    model.build()
    random = np.random.default_rng(5)
    for weight in model.trainable_variables:
        weight.assign_add(random.normal(0, 0.25, weight.shape))
    return model


def source(lengths=(SOURCE, 3, 1, 2), width=SOURCE, seed=7):
    """A source dict of those lengths, padded to `width`; padding ids are odd on purpose."""
    random = np.random.default_rng(seed)
    real = np.arange(width) < np.asarray(lengths, int).reshape(-1, 1)
    ids = random.integers(4, SOURCE_SIZE, (BATCH, SOURCE))[: len(lengths), :width]
    ids = np.pad(ids, [(0, 0), (0, width - ids.shape[1])])
    outside = TARGET_SIZE + np.arange(width)  # copies that the vocabulary lacks
    copy_ids = np.where(ids % 2 == 0, outside, np.minimum(ids, TARGET_SIZE - 1))
    return {
        "ids": tf.constant(np.where(real, ids, 0), tf.int32),
        "mask": tf.constant(real),
        "copy_ids": tf.constant(np.where(real, copy_ids, 0), tf.int32),
    }


def fitted(model, x):
    """A source for this model: a pointer network's copies are its own positions."""
    if not model.head.points:
        return x
    places = 4 + tf.range(tf.shape(x["mask"])[1])
    return {**x, "copy_ids": tf.where(x["mask"], places, 0)}


def target(batch=BATCH, length=TARGET, seed=11):
    """Target ids [B, T] that begin with the start; some are copies beyond the vocabulary."""
    ids = np.random.default_rng(seed).integers(4, TARGET_SIZE + 1, (batch, length))
    if length:
        ids[:, 0] = 2
    return tf.constant(ids, tf.int32)


def whole(model, x, ids, maps="alignment"):
    """Log-probabilities [B, T, V'] and attention maps of the teacher-forced call."""
    outputs = model({"source": fitted(model, x), "target": ids}, maps=maps)
    return tf.nn.log_softmax(outputs["logits"]).numpy(), outputs["attention"]


def stepped(model, x, ids, max_length=None):
    """The same from `begin` and `next`: ids [B, K, T] -> [B, K, T, V'], [B, K, T, S]."""
    context, state = model.begin(fitted(model, x), ids.shape[1], max_length)
    rows, maps = [], []
    for position in range(ids.shape[2]):
        here = tf.constant(position)
        log_probs, state, alignment = model.next(ids[:, :, position], here, context, state)
        rows.append(log_probs.numpy())
        maps.append(alignment.numpy())
    return np.stack(rows, 2), np.stack(maps, 2)
