"""Layer normalization against the paper's formula."""

from keras_s2s.layers.normalization import make_norm
from tests import references
from tests.references import (
    assert_close,
    normal,
    randomise,
)


def test_layer_normalization():
    layer, x = make_norm("float32"), normal(3, 4) * 1e-3
    assert (layer.epsilon, make_norm("float32", 0.1).epsilon) == (1e-6, 0.1)
    layer.build((None, 4))
    randomise(layer)
    assert_close(layer(x), references.layer_norm(layer, x))
