"""Base of the layers that combine several embeddings."""

from typing import Any

import keras

__all__ = ["EmbeddingList"]


class EmbeddingList(keras.layers.Layer):
    """Several embeddings in one layer, always float32.

    A sub-class defines `call`. None of the tables can be shared with a target or a head.

    Args:
        embeddings: list of `TokenEmbedding`s, each [...] -> [..., D].

    Raises:
        ValueError: for anything but a list with at least one embedding.
    """

    input_key = "ids"  # key of the source dict that the layer reads
    vocabulary_size = None

    def __init__(self, embeddings: list[keras.layers.Layer], **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not isinstance(embeddings, list | tuple) or not embeddings:
            raise ValueError(f"embeddings: expected a list of embeddings, got {embeddings!r}")
        self.embeddings = list(embeddings)

    def build(self, inputs_shape: Any = None) -> None:
        for embedding in self.embeddings:
            if not embedding.built:
                embedding.build()

    def _common_width(self) -> int:
        widths = [embedding.units for embedding in self.embeddings]
        if len(set(widths)) > 1:
            raise ValueError(f"embeddings: expected one width, got {widths}")
        return widths[0]

    def get_config(self) -> dict[str, Any]:
        configs = [keras.saving.serialize_keras_object(layer) for layer in self.embeddings]
        return {**super().get_config(), "embeddings": configs}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "EmbeddingList":
        embeddings = [
            keras.saving.deserialize_keras_object(embedding, custom_objects)
            for embedding in config["embeddings"]
        ]
        return cls(**{**config, "embeddings": embeddings})
