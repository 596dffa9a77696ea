"""Transformer decoders with a target history of constant size."""

from typing import Any

import keras

from keras_s2s.decoders.average_attention import AverageLayer
from keras_s2s.decoders.ssru import SSRULayer
from keras_s2s.decoders.transformer import TransformerDecoder
from keras_s2s.layers.transformer_stack import check_absolute_positions

__all__ = ["FastTransformerDecoder"]

LAYERS = {"average": AverageLayer, "ssru": SSRULayer}


@keras.saving.register_keras_serializable("keras_s2s")
class FastTransformerDecoder(TransformerDecoder):
    """The Transformer decoder with average attention or an SSRU in place of self-attention.

    A step costs the same time and memory at every position. There are no self-attention maps.

    Args:
        units: width D of the layers and of the target vectors.
        num_layers: number of layers L.
        num_heads: number of heads H of the cross-attention, a divisor of `units`.
        hidden_units: width of the hidden layer of the feed-forward layers; 4 D when None.
        norm: `"pre"` or `"post"`.
        dropout: rate of dropout.
        history: `"average"` (`AverageAttention`) or `"ssru"` (`SSRU`).
        positions: of the target vectors, as for `TransformerDecoder`, of a kind that does not need
            self-attention.

    Call arguments:
        inputs: float tensor [B, T, D], embedded target tokens, the start first.
        context: from `prepare`.
        maps: `"none"`, `"alignment"` or `"all"`.

    Returns:
        float tensor [B, T, D] and None or {"cross": float32 [B, A, T, M]}, A = L * H.

    Raises:
        ValueError: for another `history`, positions of self-attention, and as
            `TransformerDecoder`.

    Reference: Zhang et al. 2018, arXiv:1805.00631; Kim et al. 2019, D19-5632.

    Example:

    >>> from keras_s2s.decoders import FastTransformerDecoder
    >>> FastTransformerDecoder(8, num_layers=2, num_heads=2, history="average").width
    8
    """

    def __init__(
        self,
        units: int,
        num_layers: int = 6,
        num_heads: int = 8,
        hidden_units: int | None = None,
        norm: str = "pre",
        dropout: float = 0.1,
        history: str = "ssru",
        positions: str | dict[str, Any] = "sinusoidal",
        **kwargs: Any,
    ) -> None:
        if history not in LAYERS:
            raise ValueError(f"history: expected 'average' or 'ssru', got {history!r}")
        check_absolute_positions(positions)
        self.history, self.layer_class = history, LAYERS[history]
        super().__init__(
            units,
            num_layers,
            num_heads,
            hidden_units,
            norm,
            dropout=dropout,
            positions=positions,
            **kwargs,
        )

    def get_config(self) -> dict[str, Any]:
        names = (
            "units",
            "num_layers",
            "num_heads",
            "hidden_units",
            "norm",
            "dropout",
            "history",
            "positions",
        )
        # Without the arguments of the parent class, which this class does not have all.
        base = super(TransformerDecoder, self).get_config()
        return {**base, **{name: getattr(self, name) for name in names}}
