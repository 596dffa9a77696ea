"""The pictures of attention."""

from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.image import imread

from keras_s2s.tensorboard import labels as labels_module
from keras_s2s.tensorboard.figures import plot_attention, save_attention
from keras_s2s.tensorboard.labels import font_families, printable_label

WEIGHTS = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], dtype="float32")


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_figure_shows_the_weights_under_their_tokens():
    axes = plot_attention(WEIGHTS, ["c", "a", "t"], ["K", "AE"], "cat").axes[0]
    assert labels(axes.get_xticklabels()) == ["c", "a", "t"]
    assert labels(axes.get_yticklabels()) == ["K", "AE"]
    np.testing.assert_array_equal(axes.images[0].get_array(), WEIGHTS)
    assert axes.images[0].get_clim() == (0.0, 1.0)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("source", "target")
    assert axes.get_title() == "cat"


def test_padding_is_left_out():
    axes = plot_attention(WEIGHTS, ["c", "a"], ["K"]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), WEIGHTS[:1, :2])


def test_more_tokens_than_weights_is_an_error():
    with pytest.raises(ValueError, match=r"at least \[2, 4\] for the tokens given, came \[2, 3\]"):
        plot_attention(WEIGHTS, list("cats"), ["K", "AE"])
    with pytest.raises(ValueError, match=r"expected shape \[T, S\] or \[A, T, S\], came \[3\]"):
        plot_attention(WEIGHTS[0], list("cat"), ["K"])


def test_png_is_dark_where_the_attention_is(tmp_path):
    path = save_attention(tmp_path / "cat.png", [[1.0, 0.0], [0.0, 0.0]], ["a", "b"], ["A", "B"])
    red = imread(path)[..., 0]
    assert red.min() < 0.2
    assert np.mean(red > 0.9) > 0.5
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("token", ["猫", "$x^", "$x^$", "😀", "", "\u200f"])
def test_any_token_can_be_drawn(tmp_path, token):
    save_attention(tmp_path / "cat.png", [[0.5]], [token], [token], title=token)


def test_an_empty_text_has_an_empty_picture(tmp_path):
    path = save_attention(tmp_path / "none.png", np.zeros((0, 0)), [], [])
    assert imread(path)[..., 0].size


def test_long_sequences_stay_a_picture_of_bounded_size():
    figure = plot_attention(np.zeros((1024, 2)), ["a", "b"], ["A"] * 1024)
    assert figure.get_size_inches().max() <= 42
    shown = figure.axes[0].get_yticklabels()
    assert 100 < len(shown) <= 1024
    assert shown[0].get_fontsize() >= 4.5


def test_forty_tokens_have_labels_that_can_be_read():
    figure = plot_attention(np.zeros((40, 40)), ["word"] * 40, ["Wort"] * 40)
    labels_ = [*figure.axes[0].get_xticklabels(), *figure.axes[0].get_yticklabels()]
    assert len(labels_) == 80
    assert {label.get_fontsize() for label in labels_} == {10.0}


def test_heads_stand_in_a_row_for_each_layer():
    maps = np.random.default_rng(1).dirichlet(np.ones(3), size=(6, 2)).astype("float32")
    names = [f"layer {layer} head {head}" for layer in (1, 2) for head in (1, 2, 3)]
    axes = plot_attention(maps, ["a", "b", "c"], ["A", "B"], names=names).axes[0]
    assert len(axes.images) == 6
    for image, expected in zip(axes.images, maps):
        np.testing.assert_array_equal(image.get_array(), expected)
    lefts, tops = zip(*((one.get_extent()[0], one.get_extent()[3]) for one in axes.images))
    assert lefts[:3] == lefts[3:] == tuple(sorted(set(lefts)))
    assert tops[:3] == (-0.5,) * 3
    assert len(set(tops[3:])) == 1
    assert tops[3] > 1.5
    assert labels(axes.get_xticklabels()) == ["a", "b", "c"] * 3
    assert labels(axes.get_yticklabels()) == ["A", "B"] * 2
    assert [text.get_text() for text in axes.texts] == names


def test_names_are_one_for_each_map():
    with pytest.raises(ValueError, match="names: expected 2, one for each map, came 1"):
        plot_attention(np.zeros((2, 1, 1)), ["a"], ["b"], names=["one"])
    with pytest.raises(ValueError, match="expected at least one map, came none"):
        plot_attention(np.zeros((0, 1, 1)), ["a"], ["b"])


def test_a_source_from_right_to_left_begins_at_the_right():
    axes = plot_attention(WEIGHTS, ["أين", "المكتبة", "؟"], ["K", "AE"]).axes[0]
    left, right, *_ = axes.images[0].get_extent()
    assert left > right
    places = {text.get_text(): x for text, x in zip(axes.get_xticklabels(), axes.get_xticks())}
    assert places == {"أين": 2, "المكتبة": 1, "؟": 0}
    assert axes.get_xlim() == (-0.5, 2.5)


def test_pixels_from_right_to_left(tmp_path):
    dark = [[1.0, 0.0, 0.0]]
    for tokens, side in ((["أ", "ب", "ت"], slice(400, None)), (["a", "b", "c"], slice(None, 400))):
        figure = plot_attention(dark, tokens, ["K"])
        figure.set_size_inches(8, 2)
        figure.savefig(tmp_path / "one.png", dpi=100)
        red = imread(tmp_path / "one.png")[:, :720, 0]  # without the colour bar
        found = np.argwhere(red[100] < 0.1)[:, 0]
        assert len(found) > 50
        assert set(found) <= set(range(800)[side])


def test_what_cannot_be_seen_is_named():
    assert printable_label("a\u202eb\n\t\u200f") == r"a\u202eb\n\t\u200f"
    assert (
        printable_label("\u0928\u200d\u092e") == "\u0928\u200d\u092e"
    )  # a joiner shapes its neighbours
    assert printable_label("x" * 30) == "x" * 23 + "…"


def test_fonts_are_those_that_have_the_signs():
    assert font_families(["abc", "أين"]) == ["DejaVu Sans"]
    assert font_families(["\U0010fffd"]) == ["DejaVu Sans"]


def test_fonts_that_came_after_the_list_of_matplotlib_are_found(monkeypatch):
    listed = font_manager.fontManager.ttflist
    found = {path for path in font_manager.findSystemFonts() if "DejaVu" not in path}
    apart = [(path, labels_module._signs(path)) for path in sorted(found)]
    known = labels_module._signs(font_manager.findfont("DejaVu Sans"))
    sign = next((one for _, signs in apart for one in sorted(signs - known) if one > 0x4E00), None)
    if sign is None:
        pytest.skip("no font of more signs than the default one is installed")
    ours = [font for font in listed if "DejaVu" in font.name]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", ours)
    labels_module._added.cache_clear()
    chosen = font_families([chr(sign)])
    added = {font.name: font.fname for font in font_manager.fontManager.ttflist}
    assert any(sign in labels_module._signs(added[name]) for name in chosen[1:])


@pytest.mark.parametrize("text", ["图书馆", "पुस्तकालय", "图क"])
def test_fonts_of_other_scripts_are_found(text):
    known = [(name, labels_module._signs(path)) for name, path in labels_module._installed()]
    if not all(any(ord(sign) in signs for _, signs in known) for sign in text):
        pytest.skip(f"no font with {text} is installed")
    chosen = font_families([text])
    signs = set().union(*(signs for name, signs in known if name in chosen))
    assert set(map(ord, text)) <= signs


def test_svg_holds_its_labels_as_escaped_text(tmp_path):
    hostile = ["<script>alert(1)</script>"[:20], "a&b", '"', "图", "\u202eevil"]
    path = save_attention(tmp_path / "a.svg", np.eye(5), hostile, list("abcde"), title="<b>")
    texts = [node.text for node in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]
    assert {*hostile[:4], r"\u202eevil", "<b>"} <= set(texts)
    assert "<script" not in path.read_text()


def test_notebooks_show_a_figure():
    assert plot_attention(WEIGHTS, list("cat"), list("KA"))._repr_png_().startswith(b"\x89PNG")


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a name that ends in .png or .svg, came 'a.gif'"):
        save_attention(tmp_path / "a.gif", WEIGHTS, list("cat"), list("KA"))


def test_a_failing_write_leaves_the_old_picture(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="expected shape"):
        save_attention(path, [0.5], ["a"], ["A"])
    with pytest.raises(OSError, match="No such file"):
        save_attention(tmp_path / "none" / "cat.png", [[0.5]], ["a"], ["A"])
    assert path.read_bytes() == b"old"
