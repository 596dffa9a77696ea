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


PRESETS = {
    "gru": _recurrent("gru", 256),
    "gru_small": _recurrent("gru", 128),
    "lstm": _recurrent("lstm", 256),
    "lstm_stacked": _recurrent("lstm", 256, layers=2, dropout=0.3),
    "pointer_generator": _recurrent("lstm", 256, head="pointer_generator"),
    "transformer_tiny": _transformer(128, 4, 4, 256, dropout=0.3),
    "transformer_small": _transformer(256, 4, 4, 1024),
    "transformer_base": _transformer(512, 6, 8, 2048, norm="post"),
    "forecaster": _recurrent("gru", 64, head="regression", dropout=0.0),  # of vectors
    "transformer_pointer_generator": _transformer(256, 4, 4, 1024, head="pointer_generator"),
}
DEFAULT = "gru"
