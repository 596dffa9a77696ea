"""Encoders: source vectors -> `Memory`, the one thing that decoders see of a source."""

from keras_s2s.encoders.base import Encoder, Memory, masked_mean
from keras_s2s.encoders.convolutional import ConvolutionalEncoder
from keras_s2s.encoders.gnmt import GNMTEncoder
from keras_s2s.encoders.mean import MeanEncoder
from keras_s2s.encoders.noisy_states import NoisyStatesEncoder
from keras_s2s.encoders.parallel import ParallelEncoder
from keras_s2s.encoders.pyramidal import PyramidalEncoder
from keras_s2s.encoders.recurrent import RecurrentEncoder
from keras_s2s.encoders.sequential import SequentialEncoder
from keras_s2s.encoders.transformer import TransformerEncoder

__all__ = [
    "ConvolutionalEncoder",
    "Encoder",
    "GNMTEncoder",
    "MeanEncoder",
    "Memory",
    "NoisyStatesEncoder",
    "ParallelEncoder",
    "PyramidalEncoder",
    "RecurrentEncoder",
    "SequentialEncoder",
    "TransformerEncoder",
    "masked_mean",
]
