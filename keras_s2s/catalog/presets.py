"""The presets: systems of the papers, in their sizes."""


def _recurrent(cell, units, layers=1, dropout=0.2, head="softmax"):
    sizes = {"kind": "recurrent", "cell": cell, "units": units, "num_layers": layers}
    sizes["dropout"] = dropout
    return {
        "embedding": units,
        "encoder": {**sizes, "bidirectional": True},
        "decoder": sizes,
        "head": {"kind": head},
    }


def _transformer(units, layers, heads, hidden, dropout=0.1, norm="pre", head="softmax"):
    side = {"kind": "transformer", "units": units, "num_layers": layers, "num_heads": heads}
    side |= {"hidden_units": hidden, "norm": norm, "dropout": dropout}
    return {
        "embedding": units,
        "tie": "output",
        "encoder": side,
        "decoder": dict(side),
        "head": {"kind": head},
    }


def _pointer_generator():
    """See et al. 2017, arXiv:1704.04368, section 5; `training.objectives.coverage: 1` goes with it.

    Adagrad at 0.15 with an initial accumulator of 0.1, gradients of a norm of 2 at most.
    """
    found = _recurrent("lstm", 256, dropout=0.0, head="pointer_generator")
    found["decoder"] = {**found["decoder"], "attention_units": 512}
    return {**found, "embedding": 128}


def _pointer_network():
    """Vinyals et al. 2015, arXiv:1506.03134, section 3.2; SGD at 1.0, gradients up to 2.

    The decoder here reads the attended memory too.
    """
    found = _recurrent("lstm", 256, dropout=0.0, head="pointer_network")
    found["encoder"] = {**found["encoder"], "bidirectional": False}
    found["decoder"] = {**found["decoder"], "bridge": "copy"}
    return found


PRESETS = {
    "gru": _recurrent("gru", 256),
    "gru_small": _recurrent("gru", 128),
    "lstm": _recurrent("lstm", 256),
    "lstm_stacked": _recurrent("lstm", 256, layers=2, dropout=0.3),
    "pointer_generator": _pointer_generator(),
    "pointer_network": _pointer_network(),
    "transformer_tiny": _transformer(128, 4, 4, 256, dropout=0.3),
    "transformer_small": _transformer(256, 4, 4, 1024),
    "transformer_base": _transformer(512, 6, 8, 2048, norm="post"),
    "transformer_pointer_generator": _transformer(256, 4, 4, 1024, head="pointer_generator"),
}
DEFAULT = "gru"
