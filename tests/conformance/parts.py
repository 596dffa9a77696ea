"""The tiny parts of the conformance tests, and the combinations that are tested."""

import itertools

from keras_s2s.decoders import (
    ConditionalDecoder,
    ConvolutionalDecoder,
    FastTransformerDecoder,
    GNMTDecoder,
    LuongDecoder,
    NoAttentionDecoder,
    NoisyStatesDecoder,
    RecurrentDecoder,
    TransformerDecoder,
)
from keras_s2s.encoders import (
    ConvolutionalEncoder,
    GNMTEncoder,
    MeanEncoder,
    NoisyStatesEncoder,
    ParallelEncoder,
    PyramidalEncoder,
    RecurrentEncoder,
    SequentialEncoder,
    TransformerEncoder,
)
from keras_s2s.heads import (
    AdaptiveSoftmaxHead,
    PointerGeneratorHead,
    PointerNetworkHead,
    SoftmaxHead,
)

WIDTH, SOURCE_SIZE, TARGET_SIZE = 8, 13, 11
BUCKETS = {"kind": "t5", "num_buckets": 4, "max_distance": 3}

CORE_ENCODERS = {
    "bigru": lambda **k: RecurrentEncoder(WIDTH, **k),
    "gru": lambda **k: RecurrentEncoder(WIDTH, 2, bidirectional=False, **k),
    "bilstm": lambda **k: RecurrentEncoder(WIDTH, 2, "lstm", **k),
    "lstm": lambda **k: RecurrentEncoder(WIDTH, cell="lstm", bidirectional=False, **k),
    "pre": lambda **k: TransformerEncoder(WIDTH, 2, 2, 16, **k),
    "post": lambda **k: TransformerEncoder(
        WIDTH, 1, 2, norm="post", epsilon=1e-3, first_position=1, **k
    ),
}
CORE_DECODERS = {
    "gru": lambda **k: RecurrentDecoder(WIDTH, **k),
    "grus": lambda **k: RecurrentDecoder(WIDTH, 2, attention_units=6, bridge="zero", **k),
    "lstm": lambda **k: RecurrentDecoder(WIDTH, cell="lstm", **k),
    "lstms": lambda **k: RecurrentDecoder(WIDTH, 2, "lstm", **k),
    "pre": lambda **k: TransformerDecoder(WIDTH, 3, 2, 16, **k),
    "post": lambda **k: TransformerDecoder(
        WIDTH, 1, 2, norm="post", epsilon=1e-3, first_position=1, **k
    ),
}
CORE_HEADS = {
    "softmax": (SoftmaxHead, "none"),
    "tied": (SoftmaxHead, "output"),
    "pointer": (PointerGeneratorHead, "none"),
}
# Variants: MORE combines each with one other part.
MORE_ENCODERS = {
    "deep": lambda **k: RecurrentEncoder(WIDTH, 3, "layer_norm_lstm", residual=True, **k),
    "pyramid": lambda **k: PyramidalEncoder(WIDTH, 3, "layer_norm_gru", **k),
    "gnmt": lambda **k: GNMTEncoder(WIDTH, 4, **k),
    "mean": lambda **k: MeanEncoder(WIDTH, "sinusoidal", **k),
    "conv": lambda **k: ConvolutionalEncoder(6, 2, **k),
    "convs": lambda **k: ConvolutionalEncoder(WIDTH, 2, 2, "none", paired=1, normalized=True, **k),
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
    "noisy": lambda **k: NoisyStatesEncoder(WIDTH, 2, source_units=WIDTH, **k),
    "noisy_chain": lambda **k: NoisyStatesEncoder(WIDTH, recurrent=True, **k),
}
MORE_DECODERS = {
    "conv": lambda **k: ConvolutionalDecoder(WIDTH, 2, **k),
    "convs": lambda **k: ConvolutionalDecoder(WIDTH, 1, 1, "sinusoidal", normalized=True, **k),
    "lengths": lambda **k: ConvolutionalDecoder(WIDTH, 2, normalized=True, **k),
    "learned": lambda **k: TransformerDecoder(WIDTH, 1, 2, positions="learned", **k),
    "relative": lambda **k: TransformerDecoder(
        WIDTH, 1, 2, positions={"kind": "relative", "max_distance": 2}, **k
    ),
    "t5": lambda **k: TransformerDecoder(WIDTH, 2, 2, positions=BUCKETS, **k),
    "rotary": lambda **k: TransformerDecoder(WIDTH, 1, 2, positions="rotary", **k),
    "alibi": lambda **k: TransformerDecoder(WIDTH, 1, 2, positions="alibi", **k),
    "luong": lambda **k: LuongDecoder(WIDTH, 2, **k),
    "parallel": lambda **k: LuongDecoder(
        WIDTH, 2, "gru", {"kind": "multi_head", "num_heads": 2}, False, residual_from=2, **k
    ),
    "coverage": lambda **k: LuongDecoder(WIDTH, 1, "gru", "coverage", False, **k),
    "location": lambda **k: RecurrentDecoder(
        WIDTH, attention={"kind": "location", "filters": 2, "kernel_size": 3}, **k
    ),
    "local": lambda **k: LuongDecoder(WIDTH, 2, attention={"kind": "local", "window": 2}, **k),
    "walking": lambda **k: RecurrentDecoder(
        WIDTH, attention={"kind": "local", "predictive": False}, **k
    ),
    "monotonic": lambda **k: RecurrentDecoder(WIDTH, 2, attention="monotonic", **k),
    "gated": lambda **k: RecurrentDecoder(WIDTH, attention="gated", **k),
    "cgru": lambda **k: ConditionalDecoder(WIDTH, 2, residual_from=2, **k),
    "gnmt": lambda **k: GNMTDecoder(WIDTH, 3, bridge="dense", **k),
    "cho": lambda **k: RecurrentDecoder(WIDTH, attention="none", **k),
    "plain": lambda **k: NoAttentionDecoder(WIDTH, 2, **k),
    "noisy": lambda **k: NoisyStatesDecoder(WIDTH, 2, recurrent=True, read_context=True, **k),
    "written": lambda **k: NoisyStatesDecoder(WIDTH, attention="linear", **k),
    "average": lambda **k: FastTransformerDecoder(WIDTH, 2, 2, 16, "post", history="average", **k),
    "ssru": lambda **k: FastTransformerDecoder(WIDTH, 2, 2, 16, **k),
}
MORE_HEADS = {
    "adaptive": (lambda size: AdaptiveSoftmaxHead(size, [5, 8], 2), "none"),
    "network": (lambda size: PointerNetworkHead(attention_units=6), "points"),
}
MORE = [
    ("deep", "pre", "pointer"),
    ("pyramid", "gru", "pointer"),
    ("gnmt", "gnmt", "softmax"),
    ("mean", "convs", "tied"),
    ("conv", "conv", "pointer"),
    ("convs", "coverage", "adaptive"),
    ("convs", "lengths", "adaptive"),
    ("cascade", "pre", "pointer"),
    ("columns", "gru", "pointer"),
    ("depth", "lstm", "network"),
    ("learned", "learned", "softmax"),
    ("relative", "relative", "softmax"),
    ("t5", "t5", "softmax"),
    ("rotary", "rotary", "softmax"),
    ("alibi", "alibi", "softmax"),
    ("noisy", "noisy", "softmax"),
    ("noisy_chain", "written", "tied"),
    ("bigru", "luong", "network"),
    ("pre", "parallel", "pointer"),
    ("lstm", "location", "softmax"),
    ("gru", "monotonic", "tied"),
    ("bilstm", "local", "pointer"),
    ("lstm", "walking", "adaptive"),
    ("bilstm", "gated", "pointer"),
    ("bigru", "cgru", "adaptive"),
    ("post", "cho", "tied"),
    ("lstm", "plain", "adaptive"),
    ("pre", "average", "pointer"),
    ("post", "ssru", "network"),
]
ENCODERS = CORE_ENCODERS | MORE_ENCODERS
DECODERS = CORE_DECODERS | MORE_DECODERS
HEADS = CORE_HEADS | MORE_HEADS
WITHOUT_ATTENTION = ("cho", "plain")
SHORTER = ("pyramid", "cascade", "columns")
OF_PAIRS = ("written",)  # a step sees the token before alone: orders of the same pairs tie
SELF_MAPS = ("pre", "post", "learned", "relative", "t5", "rotary", "alibi")  # look at themselves


def possible(encoder, decoder, head):
    """Copying needs attention, and a pointer network a memory as long as its source."""
    return not (
        (head == "pointer" and decoder in WITHOUT_ATTENTION)
        or (head == "network" and encoder in SHORTER)
    )


def _pairwise():
    """For every encoder and decoder of the core one head, so that every pair of parts occurs."""
    heads = list(CORE_HEADS)
    rows = itertools.product(enumerate(CORE_ENCODERS), enumerate(CORE_DECODERS))
    return [(e, d, heads[(i + j) % len(heads)]) for (i, e), (j, d) in rows]


def _all():
    """The core in full; every other encoder with every decoder, every head in turn."""
    cases = {*itertools.product(CORE_ENCODERS, CORE_DECODERS, CORE_HEADS), *MORE}
    heads = itertools.cycle(HEADS)
    for encoder, decoder in itertools.product(ENCODERS, DECODERS):
        head = next(head for head in heads if possible(encoder, decoder, head))
        if encoder in MORE_ENCODERS or decoder in MORE_DECODERS:
            cases.add((encoder, decoder, head))
    return sorted(cases)


def _each_once(cases):
    """Cases in which every part of all cases occurs."""
    seen, chosen = set(), []
    for case in cases:
        places = set(enumerate(case))
        if places - seen:
            seen |= places
            chosen.append(case)
    return chosen


PAIRWISE, ALL = _pairwise(), _all()
EACH_ONCE = _each_once(PAIRWISE)
