"""Presets of recurrent systems of the papers, and of Transformers with fast decoders.

Where a preset differs from its paper, its function says so. The optimizer of a paper, and whether
it reversed its sources, is up to the configuration.
"""

from typing import Any

__all__ = ["SYSTEMS"]


def recurrent_system(
    cell: str,
    units: int,
    layers: int = 1,
    dropout: float = 0.0,
    bidirectional: bool = True,
    **decoder: Any,
) -> dict[str, Any]:
    """A recurrent encoder, and a decoder of the same sizes with arguments of its own."""
    sizes = {"cell": cell, "units": units, "num_layers": layers, "dropout": dropout}
    return {
        "embedding": units,
        "encoder": {"kind": "recurrent", **sizes, "bidirectional": bidirectional},
        "decoder": {**sizes, **decoder},
        "head": {"kind": "softmax"},
    }


def rnnsearch() -> dict[str, Any]:
    """Bahdanau et al. 2015, arXiv:1409.0473, appendix A.2.3.

    Here: tanh of width 1000 in place of maxout of width 500; the initial state from the final
    states of both directions, there from that of the backward one.
    """
    preset = recurrent_system("gru", 1000, kind="recurrent", attention_units=1000)
    return {**preset, "embedding": 620}


def luong(attention: str = "general") -> dict[str, Any]:
    """Luong et al. 2015, arXiv:1508.04025, section 4.1: input feeding, global attention.

    With `"local"` the attention of the best single model. There sources are reversed.
    """
    return recurrent_system(
        "lstm", 1000, 4, 0.2, False, kind="luong", attention=attention, bridge="copy"
    )


def sutskever() -> dict[str, Any]:
    """Sutskever et al. 2014, arXiv:1409.3215, section 3.4; there sources are reversed."""
    return recurrent_system("lstm", 1000, 4, 0.0, False, kind="plain", bridge="copy")


def cho() -> dict[str, Any]:
    """Cho et al. 2014, arXiv:1406.1078, section 4.1: the summary at every position.

    Here: tanh of width 1000 in place of maxout of width 500, and the summary is the final state
    itself, there a projection of it.
    """
    preset = recurrent_system("gru", 1000, bidirectional=False, kind="recurrent", attention="none")
    return {**preset, "embedding": 100}


def nematus() -> dict[str, Any]:
    """Sennrich et al. 2016, arXiv:1606.02891, section 2.1: the conditional GRU.

    Here: the initial state from the final states of both directions, there from the mean of the
    memory; the width of the output layer is that of the cells, there of the embeddings; dropout
    there only for Romanian.
    """
    preset = recurrent_system("gru", 1024, dropout=0.1, kind="conditional")
    return {**preset, "embedding": 500}


def listen_attend_spell() -> dict[str, Any]:
    """Chan et al. 2015, arXiv:1508.01211, section 4: eight frames become one memory position.

    Four encoder layers of 256 per direction, three of which halve the length, and two decoder
    layers of 512. Here: additive attention, there a dot product of the outputs of two layers.
    """
    preset = recurrent_system("lstm", 512, 2, kind="recurrent")
    encoder = {"kind": "pyramidal", "cell": "lstm", "units": 256, "num_layers": 4}
    return {**preset, "encoder": encoder}


def noisy(attention: str) -> dict[str, Any]:
    """The model of an introductory article, with one of its forms of attention.

    As written it has neither `recurrent` nor `read_context`, without which the source cannot reach
    the output.
    """
    attention = {"kind": attention, "source_units": "embedding"}
    encoder = {"kind": "noisy", "units": 256, "num_layers": 2, "source_units": "embedding"}
    decoder = {"kind": "noisy", "units": 256, "num_layers": 2, "attention": attention}
    return {
        "embedding": 256,
        "encoder": {**encoder, "recurrent": True},
        "decoder": {**decoder, "recurrent": True, "read_context": True},
        "head": {"kind": "softmax"},
    }


def fast_transformer(history: str, layers: int) -> dict[str, Any]:
    """A base Transformer (Vaswani et al. 2017) with a fast decoder of `layers` layers.

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
    # Zhang et al. 2018, arXiv:1805.00631, section 4
    "transformer_aan": fast_transformer("average", 6),
    # Kim et al. 2019, D19-5632, a shallow student
    "transformer_ssru": fast_transformer("ssru", 2),
}
