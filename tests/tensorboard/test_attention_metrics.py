"""Measures of heads against their formulas, and the callbacks in a `fit` without configuration."""

import math
import os

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector import ProjectorConfig

from keras_s2s.errors import UserError
from keras_s2s.signatures.responses import Attention
from keras_s2s.tensorboard.attention_metrics import (
    alignment_error_rate,
    entropy,
    head_metrics,
    read_alignments,
    sharpness,
)
from keras_s2s.tensorboard.attention_records import make_record
from keras_s2s.tensorboard.figures import attention_grid, plot_attention
from keras_s2s.tensorboard.projector import write_projector
from keras_s2s.tensorboard.summaries import AttentionSummary


def test_entropy_and_sharpness():
    even = np.full((2, 3, 4), 0.25)
    assert entropy(even) == pytest.approx([math.log(4)] * 2)
    assert sharpness(even) == pytest.approx([0.25] * 2)
    assert entropy(np.eye(3)) == 0
    assert sharpness(np.eye(3)) == 1
    mixed = np.array([[1.0, 0.0], [0.5, 0.5]])
    assert entropy(mixed) == pytest.approx(math.log(2) / 2)
    assert sharpness(mixed) == 0.75


def test_alignment_error_rate():
    diagonal = np.eye(4)  # three tokens and the end
    assert alignment_error_rate([diagonal], [{(0, 0), (1, 1), (2, 2)}]) == 0
    assert alignment_error_rate([diagonal], [{(1, 0)}]) == 1
    # of the 3 + 2 links of one sentence and the 3 + 1 of the other, 2 + 0 are shared
    both = [{(0, 0), (1, 1)}, {(2, 0)}]
    assert alignment_error_rate([diagonal] * 2, both) == pytest.approx(1 - 2 * 2 / 9)
    assert math.isnan(alignment_error_rate([np.ones((1, 1))], [set()]))


def test_means_are_over_tokens_and_not_over_sentences():
    short = Attention(["a", "</s>"], ["</s>"], np.array([[[0.5, 0.5]]]), ["h"])
    longer = Attention(["a", "</s>"], list("abc"), np.array([[[1.0, 0.0]] * 3]), ["h"])
    found = head_metrics([short, longer])
    assert found == {
        "attention_entropy/cross h": pytest.approx(math.log(2) / 4),
        "attention_sharpness/cross h": pytest.approx((0.5 + 3) / 4),
    }
    assert head_metrics([]) == {}


def test_all_kinds_of_maps_are_measured_and_recorded():
    one = Attention(
        ["a", "</s>"],
        ["b", "c", "</s>"],
        np.full((1, 3, 2), 0.5),
        ["x"],
        np.full((2, 2, 2), 0.5),
        ["e1", "e2"],
        np.full((1, 3, 3), 1 / 3),
        ["d"],
    )
    found = head_metrics([one])
    assert found["attention_entropy/encoder e2"] == pytest.approx(math.log(2))
    assert found["attention_entropy/self d"] == pytest.approx(math.log(3))
    record = make_record(one, "b c", "bc", 2.5)
    assert list(record.maps) == ["cross", "self", "encoder"]
    assert record.maps["encoder"][0] == ("e1", "e2")
    assert (record.text, record.reference, record.score) == ("b c", "bc", 2.5)


def test_pictures_of_self_attention_are_drawn_when_asked_for(tmp_path):
    one = Attention(
        ["a", "</s>"],
        ["b", "c", "</s>"],
        np.full((1, 3, 2), 0.5),
        ["x"],
        np.full((2, 2, 2), 0.5),
        ["e1", "e2"],
        np.tril(np.ones((1, 3, 3))),
        ["d"],
    )
    summary = AttentionSummary(
        lambda sources, targets: [one],
        [("a", "b c")],
        tmp_path,
        images=["self", "encoder"],
        step=lambda: 3,
    )
    summary.look()
    summary.on_train_end()
    events = EventAccumulator(str(tmp_path)).Reload()
    pictures = [tag for tag in events.Tags()["tensors"] if "_map" in tag]
    assert sorted(pictures) == ["encoder_attention_map/1", "self_attention_map/1"]
    (event,) = events.Tensors("self_attention_map/1")
    wide, high, png = event.tensor_proto.string_val[:3]
    grid = attention_grid(one, "self")
    assert grid["source_tokens"] == grid["target_tokens"] == ["b", "c", "</s>"]
    expected = plot_attention(**grid).pixels(80)
    assert expected.shape == (int(high), int(wide), 4)
    np.testing.assert_array_equal(tf.io.decode_png(png).numpy(), expected)
    for wrong in ("cross", ["crossed"]):
        with pytest.raises(ValueError, match="images: expected True, False or some of cross"):
            AttentionSummary(None, [], tmp_path, images=wrong)
    with pytest.raises(ValueError, match="kind: expected one of cross, self, encoder, came 'all'"):
        attention_grid(one, "all")


def test_alignments_are_read(tmp_path):
    path = tmp_path / "links.txt"
    path.write_text("0-0 1-2\n\n3-1\n")
    assert read_alignments(path, 2) == [{(0, 0), (1, 2)}, set()]
    with pytest.raises(UserError, match="links.txt: expected at least 4 lines, came 3"):
        read_alignments(path, 4)
    with pytest.raises(UserError, match="none: expected a file of alignments"):
        read_alignments(tmp_path / "none", 1)


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_tensorboard_reads_what_the_projector_gets(tmp_path, scale):
    from tensorboard.plugins.projector import projector_plugin

    vectors = scale * np.random.default_rng(3).normal(size=(3, 5)).astype("float32")
    tokens = ["<script>", "a\tb\nc", ""]
    path = write_projector(tmp_path, {"source": (tokens, vectors)})
    info = text_format.Parse(path.read_text(), ProjectorConfig()).embeddings[0]
    file = os.fspath(tmp_path / info.tensor_path)
    try:
        read = projector_plugin._read_tensor_tsv_file(file)
    except UnicodeDecodeError:  # as the plugin itself goes on
        read = projector_plugin._read_tensor_binary_file(file, info.tensor_shape)
    np.testing.assert_allclose(read, vectors, rtol=1e-5)
    labels = (tmp_path / info.metadata_path).read_text().split("\n")
    assert labels == ["<script>", r"a\tb\nc", '""', ""]
    with pytest.raises(ValueError, match="tables: source: expected 3 tokens, came 1"):
        write_projector(tmp_path, {"source": (["a"], vectors)})
