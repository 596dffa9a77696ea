"""Every encoder under every decoder under every head, tiny, and inputs for them."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.decoders import ConvolutionalDecoder, RecurrentDecoder, TransformerDecoder
from keras_s2s.embeddings import TokenEmbedding
from keras_s2s.encoders import (
    ConvolutionalEncoder,
    GNMTEncoder,
    MeanEncoder,
    ParallelEncoder,
    PyramidalEncoder,
    RecurrentEncoder,
    SequentialEncoder,
    TransformerEncoder,
)
from keras_s2s.heads import PointerGeneratorHead, SoftmaxHead
from keras_s2s.model import Seq2Seq

WIDTH, SOURCE_SIZE, TARGET_SIZE = 8, 13, 11
BATCH, SOURCE, TARGET = 4, 5, 6

BUCKETS = {"kind": "t5", "num_buckets": 4, "max_distance": 3}
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
# Each of these stands under one decoder or over one encoder, and under one head: MORE has them.
MORE_ENCODERS = {
    "deep": lambda **k: RecurrentEncoder(WIDTH, 3, "layer_norm_lstm", residual=True, **k),
    "pyramid": lambda **k: PyramidalEncoder(WIDTH, 3, "layer_norm_gru", **k),
    "gnmt": lambda **k: GNMTEncoder(WIDTH, 4, **k),
    "mean": lambda **k: MeanEncoder(WIDTH, "sinusoidal", **k),
    "conv": lambda **k: ConvolutionalEncoder(6, 2, **k),
    "convs": lambda **k: ConvolutionalEncoder(WIDTH, 2, 2, "none", paired=1, **k),
    "cascade": lambda **k: SequentialEncoder(
        [
            TransformerEncoder(WIDTH, 1, 2, **k),
            PyramidalEncoder(4, 2, **k),
            PyramidalEncoder(4, 2, **k),
        ],
        **k,
    ),
    "columns": lambda **k: ParallelEncoder(
        [
            RecurrentEncoder(4, **k),
            SequentialEncoder([PyramidalEncoder(4, 2, **k), RecurrentEncoder(4, **k)], **k),
        ],
        **k,
    ),
    "depth": lambda **k: ParallelEncoder(
        [RecurrentEncoder(4, **k), TransformerEncoder(WIDTH, 1, 2, **k)], "depth", **k
    ),
    "learned": lambda **k: TransformerEncoder(WIDTH, 1, 2, positions="learned", **k),
    "relative": lambda **k: TransformerEncoder(
        WIDTH, 1, 2, positions={"kind": "relative", "max_distance": 2}, **k
    ),
    "t5": lambda **k: TransformerEncoder(WIDTH, 2, 2, positions=BUCKETS, **k),
    "rotary": lambda **k: TransformerEncoder(WIDTH, 1, 2, positions="rotary", **k),
    "alibi": lambda **k: TransformerEncoder(WIDTH, 1, 2, positions="alibi", **k),
}
MORE_DECODERS = {
    "conv": lambda **k: ConvolutionalDecoder(WIDTH, 2, **k),
    "convs": lambda **k: ConvolutionalDecoder(WIDTH, 1, 1, "sinusoidal", **k),
    "learned": lambda **k: TransformerDecoder(WIDTH, 1, 2, positions="learned", **k),
    "relative": lambda **k: TransformerDecoder(
        WIDTH, 1, 2, positions={"kind": "relative", "max_distance": 2}, **k
    ),
    "t5": lambda **k: TransformerDecoder(WIDTH, 2, 2, positions=BUCKETS, **k),
    "rotary": lambda **k: TransformerDecoder(WIDTH, 1, 2, positions="rotary", **k),
    "alibi": lambda **k: TransformerDecoder(WIDTH, 1, 2, positions="alibi", **k),
}
HEADS = {
    "softmax": (SoftmaxHead, "none"),
    "tied": (SoftmaxHead, "output"),
    "pointer": (PointerGeneratorHead, "none"),
}
MORE = [
    ("deep", "pre", "pointer"),
    ("pyramid", "gru", "pointer"),
    ("gnmt", "lstms", "softmax"),
    ("mean", "convs", "tied"),
    ("conv", "conv", "pointer"),
    ("convs", "conv", "softmax"),
    ("cascade", "pre", "pointer"),
    ("columns", "gru", "pointer"),
    ("depth", "lstm", "softmax"),
    ("learned", "learned", "softmax"),
    ("relative", "relative", "softmax"),
    ("t5", "t5", "softmax"),
    ("rotary", "rotary", "softmax"),
    ("alibi", "alibi", "softmax"),
]
FAST_OF_MORE = ("test_steps_equal_the_whole", "test_padding_changes_nothing")
CORE = list(itertools.product(ENCODERS, DECODERS, HEADS))


def _pairwise():
    """For every encoder and decoder one head, so that every pair of parts occurs."""
    heads = list(HEADS)
    rows = itertools.product(enumerate(ENCODERS), enumerate(DECODERS))
    return [(e, d, heads[(i + j) % len(heads)]) for (i, e), (j, d) in rows]


def _more():
    """What else there is with every other part, heads in turn; what MORE names is among it."""
    rows = [(e, d) for e in MORE_ENCODERS for d in [*DECODERS]]
    rows += [(e, d) for d in MORE_DECODERS for e in ENCODERS if e not in MORE_ENCODERS]
    heads = itertools.cycle(HEADS)
    return sorted({*MORE, *((e, d, head) for (e, d), head in zip(rows, heads))})


PAIRWISE = [*_pairwise(), *MORE]
ENCODERS |= MORE_ENCODERS
DECODERS |= MORE_DECODERS
ALL = [*CORE, *_more()]
SELF_MAPS = ("pre", "post", "learned", "relative", "t5", "rotary", "alibi")  # look at themselves


def has_maps(encoder):
    """Whether an encoder of the table has self-attention maps."""
    return bool(ENCODERS[encoder]().attention_names)


def over_models(function):
    """Runs a test over the pairwise list, and in the slow tier over the full product."""
    fast = PAIRWISE if function.__name__ in FAST_OF_MORE else PAIRWISE[: -len(MORE)]
    cases = [
        pytest.param(*case, id="-".join(case), marks=[] if case in fast else pytest.mark.slow)
        for case in ALL
    ]
    return pytest.mark.parametrize(("encoder", "decoder", "head"), cases)(function)


def make(encoder, decoder, head, policy="float32"):
    """A built model with weights large enough that every part matters."""
    keras.utils.set_random_seed(3)
    kind, tie = HEADS[head]
    model = Seq2Seq(
        TokenEmbedding(SOURCE_SIZE, WIDTH),
        ENCODERS[encoder](dtype=policy),
        TokenEmbedding(TARGET_SIZE, WIDTH),
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


def target(batch=BATCH, length=TARGET, seed=11):
    """Target ids [B, T] that begin with the start; some are copies beyond the vocabulary."""
    ids = np.random.default_rng(seed).integers(4, TARGET_SIZE + 1, (batch, length))
    if length:
        ids[:, 0] = 2
    return tf.constant(ids, tf.int32)


def whole(model, x, ids, maps="alignment"):
    """Log-probabilities [B, T, V'] and attention maps of the teacher-forced call."""
    outputs = model({"source": x, "target": ids}, maps=maps)
    return tf.nn.log_softmax(outputs["logits"]).numpy(), outputs["attention"]


def stepped(model, x, ids, max_length=None):
    """The same from `begin` and `next`: ids [B, K, T] -> [B, K, T, V'], [B, K, T, S]."""
    context, state = model.begin(x, ids.shape[1], max_length)
    rows, maps = [], []
    for position in range(ids.shape[2]):
        here = tf.constant(position)
        log_probs, state, alignment = model.next(ids[:, :, position], here, context, state)
        rows.append(log_probs.numpy())
        maps.append(alignment.numpy())
    return np.stack(rows, 2), np.stack(maps, 2)
