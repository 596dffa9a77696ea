"""The pictures of attention."""

import numpy as np
import pytest
from matplotlib.image import imread

from keras_s2s.tensorboard.figures import alignment_figure, save_alignment

WEIGHTS = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], dtype="float32")


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_figure_shows_the_weights_under_their_tokens():
    axes = alignment_figure(WEIGHTS, ["c", "a", "t"], ["K", "AE"], "cat").axes[0]
    assert labels(axes.get_xticklabels()) == ["c", "a", "t"]
    assert labels(axes.get_yticklabels()) == ["K", "AE"]
    np.testing.assert_array_equal(axes.images[0].get_array(), WEIGHTS)
    assert axes.images[0].get_clim() == (0.0, 1.0)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("source", "target")
    assert axes.get_title() == "cat"


def test_padding_is_left_out():
    axes = alignment_figure(WEIGHTS, ["c", "a"], ["K"]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), WEIGHTS[:1, :2])


def test_more_tokens_than_weights_is_an_error():
    with pytest.raises(ValueError, match=r"at least \[2, 4\] for the tokens given, came \[2, 3\]"):
        alignment_figure(WEIGHTS, list("cats"), ["K", "AE"])
    with pytest.raises(ValueError, match=r"expected shape \[T, S\], came \[3\]"):
        alignment_figure(WEIGHTS[0], list("cat"), ["K"])


def test_png_is_dark_where_the_attention_is(tmp_path):
    path = save_alignment(tmp_path / "cat.png", [[1.0, 0.0], [0.0, 0.0]], ["a", "b"], ["A", "B"])
    red = imread(path)[..., 0]
    assert red.min() < 0.2
    assert np.mean(red > 0.9) > 0.5
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("token", ["猫", "$x^", "$x^$", "😀", "", "\u200f"])
def test_any_token_can_be_drawn(tmp_path, token):
    save_alignment(tmp_path / "cat.png", [[0.5]], [token], [token], title=token)


def test_an_empty_text_has_an_empty_picture(tmp_path):
    path = save_alignment(tmp_path / "none.png", np.zeros((0, 0)), [], [])
    assert imread(path)[..., 0].size


def test_long_sequences_stay_a_picture_of_bounded_size():
    figure = alignment_figure(np.zeros((300, 2)), ["a", "b"], ["A"] * 300)
    assert figure.get_size_inches().max() <= 24


def test_a_failing_write_leaves_the_old_picture(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="expected shape"):
        save_alignment(path, [0.5], ["a"], ["A"])
    with pytest.raises(OSError, match="No such file"):
        save_alignment(tmp_path / "none" / "cat.png", [[0.5]], ["a"], ["A"])
    assert path.read_bytes() == b"old"
