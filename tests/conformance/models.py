"""Tiny models of all parts, and inputs for them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.layers.pointer_embedding import PointerEmbedding
from keras_s2s.layers.token_embedding import TokenEmbedding
from keras_s2s.models.seq2seq import Seq2Seq
from tests.conformance.parts import (
    ALL,
    DECODERS,
    EACH_ONCE,
    ENCODERS,
    HEADS,
    MORE,
    PAIRWISE,
    SOURCE_SIZE,
    TARGET_SIZE,
    WIDTH,
)

BATCH, SOURCE, TARGET = 4, 5, 6
FAST_OF_MORE = ("test_steps_equal_the_call", "test_padding_changes_nothing")


def over_models(function):
    """Runs a test over every part, those of `FAST_OF_MORE` over pairs; all are in the slow tier."""
    fast = PAIRWISE + MORE if function.__name__ in FAST_OF_MORE else EACH_ONCE
    cases = [
        pytest.param(*case, id="-".join(case), marks=[] if case in fast else pytest.mark.slow)
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


def adapt_source(model, x):
    """A source for this model: a pointer network's copies are its own positions."""
    if not model.head.is_pointer:
        return x
    places = 4 + tf.range(tf.shape(x["mask"])[1])
    return {**x, "copy_ids": tf.where(x["mask"], places, 0)}


def target(batch=BATCH, length=TARGET, seed=11):
    """Target ids [B, T] that begin with the start; some are copies beyond the vocabulary."""
    ids = np.random.default_rng(seed).integers(4, TARGET_SIZE + 1, (batch, length))
    if length:
        ids[:, 0] = 2
    return tf.constant(ids, tf.int32)


def call_model(model, x, ids, maps="alignment"):
    """Log-probabilities [B, T, V'] and attention maps of the teacher-forced call."""
    outputs = model({"source": adapt_source(model, x), "target": ids}, maps=maps)
    return tf.nn.log_softmax(outputs["logits"]).numpy(), outputs["attention"]


def run_steps(model, x, ids, max_length=None):
    """The same from `begin` and `next`: ids [B, K, T] -> [B, K, T, V'], [B, K, T, S]."""
    context, state = model.begin(adapt_source(model, x), ids.shape[1], max_length)
    rows, maps = [], []
    for position in range(ids.shape[2]):
        here = tf.constant(position)
        log_probs, state, alignment = model.next(ids[:, :, position], here, context, state)
        rows.append(log_probs.numpy())
        maps.append(alignment.numpy())
    return np.stack(rows, 2), np.stack(maps, 2)
