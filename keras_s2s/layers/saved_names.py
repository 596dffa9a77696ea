"""Names of renamed classes in saved models."""

from collections.abc import Callable

import keras

__all__ = ["saved_as"]


def saved_as(name: str) -> Callable[[type], type]:
    """Class decorator: registers a renamed layer, so that saved models keep its previous name.

    In a `.keras` file a layer has the registered name of its class. The weights of layers in a
    list, and of a model's embeddings, are stored under the snake-case `__name__` of the class, so
    that name has to stay as well.

    Args:
        name: the previous name of the class.

    Example:

    >>> import keras
    >>> from keras_s2s.layers.features import FeatureProjection
    >>> keras.saving.get_registered_name(FeatureProjection)
    'keras_s2s>VectorProjection'
    """

    def register(cls: type) -> type:
        cls.__name__ = name
        return keras.saving.register_keras_serializable("keras_s2s", name)(cls)

    return register
