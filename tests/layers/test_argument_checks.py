"""Checks of layer arguments."""

import numpy as np
import pytest

from keras_s2s.layers.argument_checks import check_positive_integers


@pytest.mark.parametrize("value", [0, -1, 2.0, "8", None, True])
def test_sizes_must_be_positive_integers(value):
    with pytest.raises(ValueError, match=f"width: expected a positive integer, got {value!r}"):
        check_positive_integers(units=3, width=value)


def test_sizes_may_be_numpy_integers():
    check_positive_integers(units=np.int64(3))
