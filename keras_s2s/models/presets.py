"""Presets: systems of the papers in their sizes, and their references."""

from typing import Any

from keras_s2s.models.paper_presets import SYSTEMS

__all__ = ["DEFAULT", "PAPERS", "PRESETS"]


def _recurrent(
    cell: str, units: int, layers: int = 1, dropout: float = 0.2, head: str = "softmax"
) -> dict[str, Any]:
    sizes = {"kind": "recurrent", "cell": cell, "units": units, "num_layers": layers}
    sizes["dropout"] = dropout
    return {
        "embedding": units,
        "encoder": {**sizes, "bidirectional": True},
        "decoder": sizes,
        "head": {"kind": head},
    }


def _transformer(
    units: int,
    layers: int,
    heads: int,
    hidden: int,
    dropout: float = 0.1,
    norm: str = "pre",
    head: str = "softmax",
    positions: str | dict[str, Any] = "sinusoidal",
) -> dict[str, Any]:
    """A Transformer whose output is tied to the target's embedding.

    Vaswani et al. share the source's embedding too: `tie: all` with a shared vocabulary.
    """
    side = {"kind": "transformer", "units": units, "num_layers": layers, "num_heads": heads}
    side |= {"hidden_units": hidden, "norm": norm, "dropout": dropout, "positions": positions}
    return {
        "embedding": units,
        "tie": "output",
        "encoder": side,
        "decoder": dict(side),
        "head": {"kind": head},
    }


def _gnmt(units: int, layers: int, dropout: float = 0.2) -> dict[str, Any]:
    sizes = {"cell": "lstm", "units": units, "num_layers": layers, "dropout": dropout}
    return {
        "embedding": units,
        "encoder": {"kind": "gnmt", **sizes},
        "decoder": {"kind": "gnmt", **sizes},
        "head": {"kind": "softmax"},
    }


def _convolutional(
    units: int, layers: int, kernel_size: int = 3, dropout: float = 0.2
) -> dict[str, Any]:
    """Gehring et al. 2017; here all weights but those of the vocabulary are normalised."""
    side = {"kind": "convolutional", "units": units, "num_layers": layers}
    side |= {"kernel_size": kernel_size, "dropout": dropout, "normalized": True}
    return {
        "embedding": units,
        "encoder": side,
        "decoder": dict(side),
        "head": {"kind": "softmax"},
    }


_BASE = {"units": 512, "layers": 6, "heads": 8, "hidden": 2048}


def _pointer_generator() -> dict[str, Any]:
    """See et al. 2017, arXiv:1704.04368, section 5, to train with `objectives.coverage: 1`.

    Adagrad at 0.15 with an initial accumulator of 0.1, gradients clipped to a norm of 2. Here: tanh
    in the bridge, there ReLU; a tanh layer below the vocabulary, there a linear one; coverage
    enters the attention with `decoder.attention: coverage` only.
    """
    preset = _recurrent("lstm", 256, dropout=0.0, head="pointer_generator")
    preset["decoder"] = {**preset["decoder"], "attention_units": 512}
    return {**preset, "embedding": 128}


def _pointer_network() -> dict[str, Any]:
    """Vinyals et al. 2015, arXiv:1506.03134, section 4.1; SGD at 1.0, gradients clipped to 2.

    Here the attended memory is an input of the decoder too.
    """
    preset = _recurrent("lstm", 256, dropout=0.0, head="pointer_network")
    preset["encoder"] = {**preset["encoder"], "bidirectional": False}
    preset["decoder"] = {**preset["decoder"], "bridge": "copy"}
    return preset


PRESETS = {
    "gru": _recurrent("gru", 256),
    "gru_small": _recurrent("gru", 128),
    "lstm": _recurrent("lstm", 256),
    "lstm_stacked": _recurrent("lstm", 256, layers=2, dropout=0.3),
    "gnmt": _gnmt(1024, 8),
    "convs2s": _convolutional(512, 20),
    "pointer_generator": _pointer_generator(),
    "pointer_network": _pointer_network(),
    "transformer_tiny": _transformer(128, 4, 4, 256, dropout=0.3),
    "transformer_small": _transformer(256, 4, 4, 1024),
    "transformer_base": _transformer(**_BASE, norm="post"),
    "transformer_big": _transformer(1024, 6, 16, 4096, dropout=0.3, norm="post"),
    "transformer_relative": _transformer(
        **_BASE, norm="post", positions={"kind": "relative", "max_distance": 16}
    ),
    "transformer_t5": _transformer(**_BASE, positions="t5"),
    "transformer_rotary": _transformer(**_BASE, positions="rotary"),
    "transformer_alibi": _transformer(**_BASE, positions="alibi"),
    "forecaster": _recurrent("gru", 64, head="regression", dropout=0.0),
    "transformer_pointer_generator": _transformer(256, 4, 4, 1024, head="pointer_generator"),
    **SYSTEMS,
}
DEFAULT = "gru"

_BAHDANAU = "Bahdanau et al. 2015, arXiv:1409.0473"
_VASWANI = "Vaswani et al. 2017, arXiv:1706.03762"
_SEE = "See et al. 2017, arXiv:1704.04368"
PAPERS = {
    "gru": f"after {_BAHDANAU}",
    "gru_small": f"after {_BAHDANAU}",
    "lstm": f"after {_BAHDANAU}",
    "lstm_stacked": f"after {_BAHDANAU}",
    "gnmt": "Wu et al. 2016, arXiv:1609.08144",
    "convs2s": "Gehring et al. 2017, arXiv:1705.03122, WMT'16 English-Romanian",
    "pointer_generator": f"{_SEE}, section 5",
    "pointer_network": "Vinyals et al. 2015, arXiv:1506.03134, section 4.1",
    "transformer_tiny": f"after {_VASWANI}",
    "transformer_small": f"after {_VASWANI}",
    "transformer_base": f"{_VASWANI}, table 3",
    "transformer_big": f"{_VASWANI}, table 3",
    "transformer_relative": "Shaw et al. 2018, arXiv:1803.02155",
    "transformer_t5": "positions of Raffel et al. 2020, arXiv:1910.10683",
    "transformer_rotary": "positions of Su et al. 2021, arXiv:2104.09864",
    "transformer_alibi": "positions of Press et al. 2022, arXiv:2108.12409",
    "forecaster": f"after {_BAHDANAU}, of vectors",
    "transformer_pointer_generator": f"copying of {_SEE}",
    "rnnsearch": f"{_BAHDANAU}, appendix A.2 (tanh in place of maxout)",
    "luong": "Luong et al. 2015, arXiv:1508.04025, section 4.1",
    "luong_local": "Luong et al. 2015, arXiv:1508.04025, section 3.2, local-p",
    "sutskever": "Sutskever et al. 2014, arXiv:1409.3215, section 3.4",
    "cho": "Cho et al. 2014, arXiv:1406.1078, section 4.1",
    "nematus": "Sennrich et al. 2016, arXiv:1606.02891, section 2.1",
    "listen_attend_spell": "Chan et al. 2015, arXiv:1508.01211, section 4",
    "noisy_gated": "an introductory article's model, see NoisyStatesDecoder",
    "noisy_linear": "an introductory article's model, see NoisyStatesDecoder",
    "transformer_aan": "Zhang et al. 2018, arXiv:1805.00631, section 4",
    "transformer_ssru": "Kim et al. 2019, D19-5632, a shallow student",
}
