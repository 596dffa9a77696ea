"""The base class of encoders that contain encoders."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import keras

from keras_s2s.encoders.base import Encoder

__all__ = ["CompositeEncoder"]


class CompositeEncoder(Encoder):
    """An encoder [B, S, D] -> `Memory` with a list of encoders as its argument.

    Args:
        encoders: non-empty list of encoders.

    Raises:
        ValueError: for anything but a list of encoders.
    """

    supports_loop_backend = True

    def __init__(self, encoders: Sequence[Encoder], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(encoders, list | tuple) or not encoders:
            raise ValueError(f"encoders: expected a list of encoders, got {encoders!r}")
        for encoder in encoders:
            if not isinstance(encoder, Encoder):
                raise ValueError(
                    f"encoders: expected a list of encoders, got {type(encoder).__name__} in it"
                )
        self.encoders = list(encoders)

    def get_config(self) -> dict[str, Any]:
        encoders = [keras.saving.serialize_keras_object(encoder) for encoder in self.encoders]
        return {**super().get_config(), "encoders": encoders}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        encoders = [
            keras.saving.deserialize_keras_object(encoder, custom_objects)
            for encoder in config["encoders"]
        ]
        return cls(**{**config, "encoders": encoders})


def numbered_attention_names(encoders: Iterable[Encoder]) -> list[str]:
    """Names of the self-attention maps of several encoders, each after its encoder's number."""
    return [
        f"encoder {number} {name}"
        for number, encoder in enumerate(encoders, 1)
        for name in encoder.attention_names
    ]
