"""The kinds of encoders, decoders and heads that a configuration can name."""

from keras_s2s.decoders import (
    ConditionalDecoder,
    ConvolutionalDecoder,
    FastTransformerDecoder,
    GNMTDecoder,
    LuongDecoder,
    NoAttentionDecoder,
    NoisyStatesDecoder,
    RecurrentDecoder,
    TransformerDecoder,
)
from keras_s2s.encoders import (
    ConvolutionalEncoder,
    GNMTEncoder,
    MeanEncoder,
    NoisyStatesEncoder,
    ParallelEncoder,
    PyramidalEncoder,
    RecurrentEncoder,
    SequentialEncoder,
    TransformerEncoder,
)
from keras_s2s.heads import (
    AdaptiveSoftmaxHead,
    PointerGeneratorHead,
    PointerNetworkHead,
    RegressionHead,
    SoftmaxHead,
)

__all__ = ["KINDS"]

KINDS = {
    "encoder": {
        "recurrent": RecurrentEncoder,
        "transformer": TransformerEncoder,
        "pyramidal": PyramidalEncoder,
        "gnmt": GNMTEncoder,
        "mean": MeanEncoder,
        "convolutional": ConvolutionalEncoder,
        "noisy": NoisyStatesEncoder,
        "sequential": SequentialEncoder,
        "parallel": ParallelEncoder,
    },
    "decoder": {
        "recurrent": RecurrentDecoder,
        "conditional": ConditionalDecoder,
        "luong": LuongDecoder,
        "gnmt": GNMTDecoder,
        "plain": NoAttentionDecoder,
        "noisy": NoisyStatesDecoder,
        "transformer": TransformerDecoder,
        "fast_transformer": FastTransformerDecoder,
        "convolutional": ConvolutionalDecoder,
    },
    "head": {
        "softmax": SoftmaxHead,
        "adaptive_softmax": AdaptiveSoftmaxHead,
        "pointer_generator": PointerGeneratorHead,
        "pointer_network": PointerNetworkHead,
        "regression": RegressionHead,
    },
}
