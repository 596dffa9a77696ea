"""Recurrent systems of the papers in their sizes, and Transformers with fast decoders.

Where a preset differs from its paper its function says so. Which optimizer a paper used, and
whether it read sources reversed, is for the configuration to say.
"""

__all__ = ["SYSTEMS"]


def _recurrent(cell, units, layers=1, dropout=0.0, bidirectional=True, **decoder):
    """An encoder of cells, and a decoder of the same sizes with what it has of its own."""
    sizes = {"cell": cell, "units": units, "num_layers": layers, "dropout": dropout}
    return {
        "embedding": units,
        "encoder": {"kind": "recurrent", **sizes, "bidirectional": bidirectional},
        "decoder": {**sizes, **decoder},
        "head": {"kind": "softmax"},
    }


def rnnsearch():
    """Bahdanau et al. 2015, arXiv:1409.0473, appendix A.2.3.

    Here: tanh of width 1000 in place of maxout of width 500; the first state from both directions'
    ends, there from the backward one's.
    """
    return {**_recurrent("gru", 1000, kind="recurrent", attention_units=1000), "embedding": 620}


def luong(attention="general"):
    """Luong et al. 2015, arXiv:1508.04025, section 4.1: input feeding, global attention.

    With `"local"` the best single model's attention. There sources are read reversed.
    """
    return _recurrent("lstm", 1000, 4, 0.2, False, kind="luong", attention=attention, bridge="copy")


def sutskever():
    """Sutskever et al. 2014, arXiv:1409.3215, section 3.4; it reads sources reversed."""
    return _recurrent("lstm", 1000, 4, 0.0, False, kind="plain", bridge="copy")


def cho():
    """Cho et al. 2014, arXiv:1406.1078, section 4.1: the summary at every position.

    Here: tanh of width 1000 in place of maxout of width 500, and the summary is the last state as
    it is, there through a layer.
    """
    found = _recurrent("gru", 1000, bidirectional=False, kind="recurrent", attention="none")
    return {**found, "embedding": 100}


def nematus():
    """Sennrich et al. 2016, arXiv:1606.02891, section 2.1: the conditional GRU.

    Here: the first state from both directions' ends, there from the mean of the memory; the width
    of the output layer is the cells', there the embeddings'; dropout there only for Romanian.
    """
    found = _recurrent("gru", 1024, dropout=0.1, kind="conditional")
    return {**found, "embedding": 500}


def listen_attend_spell():
    """Chan et al. 2015, arXiv:1508.01211, section 4: eight frames become a place.

    Four listening layers of 256 a direction, of which three halve the length, and two of 512 that
    spell. Here: additive attention, there a dot product of two layers' outputs.
    """
    found = _recurrent("lstm", 512, 2, kind="recurrent")
    encoder = {"kind": "pyramidal", "cell": "lstm", "units": 256, "num_layers": 4}
    return {**found, "encoder": encoder}


def noisy(attention):
    """The introductory article's model in one of its forms; as written it has neither
    `recurrent` nor `read_context`, without which the source cannot reach the output."""
    attention = {"kind": attention, "source_units": "embedding"}
    encoder = {"kind": "noisy", "units": 256, "num_layers": 2, "source_units": "embedding"}
    decoder = {"kind": "noisy", "units": 256, "num_layers": 2, "attention": attention}
    return {
        "embedding": 256,
        "encoder": {**encoder, "recurrent": True},
        "decoder": {**decoder, "recurrent": True, "read_context": True},
        "head": {"kind": "softmax"},
    }


def fast(history, layers):
    """A base Transformer (Vaswani et al. 2017) under a fast decoder of so many layers.

    Its output is tied to the target's embedding; the papers share the source's too.
    """
    side = {"units": 512, "num_heads": 8, "hidden_units": 2048, "norm": "post", "dropout": 0.1}
    return {
        "embedding": 512,
        "tie": "output",
        "encoder": {"kind": "transformer", "num_layers": 6, **side},
        "decoder": {"kind": "fast_transformer", "num_layers": layers, "history": history, **side},
        "head": {"kind": "softmax"},
    }


SYSTEMS = {
    "rnnsearch": rnnsearch(),
    "luong": luong(),
    "luong_local": luong("local"),
    "sutskever": sutskever(),
    "cho": cho(),
    "nematus": nematus(),
    "listen_attend_spell": listen_attend_spell(),
    "noisy_gated": noisy("gated"),
    "noisy_linear": noisy("linear"),
    "transformer_aan": fast("average", 6),  # Zhang et al. 2018, arXiv:1805.00631, section 4
    "transformer_ssru": fast("ssru", 2),  # Kim et al. 2019, D19-5632, a shallow student
}
