"""Encoders: source vectors -> `Memory`, the one thing that decoders see of a source."""

from keras_s2s.encoders.base import Encoder, Memory, masked_mean
from keras_s2s.encoders.noisy import NoisyStatesEncoder
from keras_s2s.encoders.recurrent import RecurrentEncoder
from keras_s2s.encoders.transformer import TransformerEncoder

__all__ = [
    "Encoder",
    "Memory",
    "NoisyStatesEncoder",
    "RecurrentEncoder",
    "TransformerEncoder",
    "masked_mean",
]
