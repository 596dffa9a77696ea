"""Decoders: one step function, and the whole sequence at once for training.

`prepare` makes the context, all that a source fixes; `initial_state` the state, all that a
hypothesis changes. Context leaves are [B, ...] and are never repeated for K hypotheses; state
leaves are [B, K, ...] and are what a search reorders. `step` gives at every position what `call`
gives there.
"""

from keras_s2s.decoders.base import Decoder
from keras_s2s.decoders.bridges import Bridge
from keras_s2s.decoders.conditional import ConditionalDecoder
from keras_s2s.decoders.convolutional import ConvolutionalDecoder
from keras_s2s.decoders.fast_transformer import FastTransformerDecoder
from keras_s2s.decoders.gnmt import GNMTDecoder
from keras_s2s.decoders.luong import LuongDecoder
from keras_s2s.decoders.no_attention import NoAttentionDecoder
from keras_s2s.decoders.noisy_states import NoisyStatesDecoder
from keras_s2s.decoders.recurrent import RecurrentDecoder
from keras_s2s.decoders.transformer import TransformerDecoder

__all__ = [
    "Bridge",
    "ConditionalDecoder",
    "ConvolutionalDecoder",
    "Decoder",
    "FastTransformerDecoder",
    "GNMTDecoder",
    "LuongDecoder",
    "NoAttentionDecoder",
    "NoisyStatesDecoder",
    "RecurrentDecoder",
    "TransformerDecoder",
]
