"""What a real `fit` leaves for TensorBoard beside its curves, read back."""

import io

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.projector import ProjectorConfig

from keras_s2s import checkpoints
from keras_s2s.callbacks import TensorBoardLogger
from keras_s2s.config import Config
from keras_s2s.data import make_example
from keras_s2s.errors import UserError
from keras_s2s.tensorboard.attention_records import unpack
from keras_s2s.tensorboard.figures import plot_attention
from keras_s2s.tensorboard.summaries import AttentionSummary
from keras_s2s.training import train
from keras_s2s.training.tensorboard_callbacks import hyperparameters
from keras_s2s.translator import Translator
from tests.training.toy_runs import changed, configuration, small


def events(directory):
    """({(step, tag): value}, graphs) of a directory's event files."""
    found, graphs = {}, []
    for path in sorted(directory.glob("events.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            if event.graph_def:
                graphs.append(tf.compat.v1.GraphDef.FromString(event.graph_def))
            found |= {(event.step, value.tag): value for value in event.summary.value}
    return found, graphs


@pytest.fixture(scope="module")
def watched(corpora, tmp_path_factory):
    """(run directory, pairs looked at, events beside training's, graphs) of a short training."""
    run = tmp_path_factory.mktemp("runs") / "watched"
    links = run.parent / "links.txt"
    links.write_text("0-0 1-1\n0-1\n" + "0-0\n" * 58)
    config = configuration(
        corpora,
        updates=6,
        validate_every=2,
        validate_lines=4,
        samples=1,
        scores=["per"],
        tensorboard={"attention": 2, "every": 2, "alignments": str(links)},
    )
    train(config, run, stream=io.StringIO())
    with open(corpora["valid"]["pairs"]) as file:
        pairs = [next(file).rstrip("\n").split("\t") for _ in range(2)]
    looks, none = events(run / "logs" / "attention")
    valid, graphs = events(run / "logs" / "valid")
    assert not none
    assert {tag for _, tag in valid if "attention" in tag} == set()  # no columns of HParams
    return run, pairs, looks | valid, graphs


def scalar(value):
    return float(tf.make_ndarray(value.tensor))


def steps(found, tag):
    return [step for step, one in sorted(found) if one == tag]


def test_every_second_validation_is_looked_at(watched):
    _, _, found, graphs = watched
    assert steps(found, "attention/1") == steps(found, "attention/2") == [4]
    assert steps(found, "attention_map/1") == [4]
    assert steps(found, "attention_entropy/cross attention") == [4]
    assert steps(found, "per") == [2, 4, 6]
    assert len(graphs) == 1
    names = {node.op for one in graphs[0].library.function for node in one.node_def}
    names |= {node.op for node in graphs[0].node}
    assert {"MatMul", "Softmax"} <= names


def test_records_hold_the_arrays_of_the_model(corpora, tmp_path):
    config = small(corpora, updates=4, tensorboard={"attention": 2, "projector": False})
    train(config, tmp_path / "run", stream=io.StringIO())
    found, _ = events(tmp_path / "run" / "logs" / "attention")
    translator = Translator.load(tmp_path / "run", "last")
    with open(corpora["valid"]["pairs"]) as file:
        sources, targets = zip(*(next(file).rstrip("\n").split("\t") for _ in range(2)))
    for number, one in enumerate(translator.attention(list(sources), list(targets)), 1):
        record = unpack(found[4, f"attention/{number}"].tensor.string_val[0])
        assert list(record.source_tokens) == one.source_tokens == [*sources[number - 1], "</s>"]
        assert list(record.target_tokens) == one.tokens
        names, weights = record.maps["cross"]
        assert list(names) == one.names
        # a record holds 255 levels of the greatest weight of a row
        np.testing.assert_allclose(weights, one.attention, atol=1 / 500)
        assert record.text == targets[number - 1]
        values = found[4, f"attention_map/{number}"].tensor.string_val
        picture = tf.io.decode_png(values[2]).numpy()
        expected = plot_attention(one.attention, one.source_tokens, one.tokens, names=one.names)
        expected = expected.pixels(80)
        assert picture.shape == expected.shape
        # another batch rounds otherwise
        assert np.abs(picture.astype(int) - expected).max() <= 3


def test_curves_of_heads_are_those_of_the_records(watched):
    _, _, found, _ = watched
    spread, sharp, common, total = [], [], 0, 0
    for number, links in ((1, {(0, 0), (1, 1)}), (2, {(0, 1)})):
        record = unpack(found[4, f"attention/{number}"].tensor.string_val[0])
        for row in record.maps["cross"][1][0]:
            spread.append(-sum(x * np.log(x) for x in row if x > 0))
            sharp.append(max(row[:-1]))
        hard = {
            (int(np.argmax(row[:-1])), t) for t, row in enumerate(record.maps["cross"][1][0][:-1])
        }
        common, total = common + len(hard & links), total + len(hard) + len(links)
    assert scalar(found[4, "attention_entropy/cross attention"]) == pytest.approx(
        np.mean(spread), abs=0.02
    )
    assert scalar(found[4, "attention_sharpness/cross attention"]) == pytest.approx(
        np.mean(sharp), abs=0.005
    )
    assert scalar(found[4, "alignment_error/attention"]) == pytest.approx(1 - 2 * common / total)


def test_samples_carry_a_score(watched):
    _, pairs, found, _ = watched
    text = found[6, "samples"].tensor.string_val[0].decode()
    lines = [line.strip() for line in text.splitlines()]
    assert lines[:2] == [f"source:     {pairs[0][0]}", f"reference:  {pairs[0][1]}"]
    assert lines[3].startswith("score:      per ")


def test_the_projector_finds_every_embedding_with_its_tokens(watched):
    run, *_ = watched
    logs = run / "logs" / "valid"
    config = text_format.Parse((logs / "projector_config.pbtxt").read_text(), ProjectorConfig())
    model = checkpoints.load_model(run / "last")
    names = [one.tensor_name for one in config.embeddings]
    assert names == ["source_embedding", "target_embedding"]
    vocabulary = Translator.load(run).target_tokenizer.vocabulary
    for one in config.embeddings:
        assert tuple(one.tensor_shape) == model.target.table.shape
        assert (logs / one.metadata_path).read_text().splitlines() == [
            piece or '""' for piece in vocabulary
        ]
        stored = np.fromfile(logs / one.tensor_path, "<f4").reshape(one.tensor_shape)
        assert np.isfinite(stored).all()


def test_settings_are_the_session_of_hparams(watched):
    run, _, found, _ = watched
    value = found[0, "_hparams_/session_start_info"]
    content = value.metadata.plugin_data.content
    given = hparams.parse_session_start_info_plugin_data(content).hparams
    assert given["training.learning_rate"].number_value == 0.01
    assert given["model.encoder.units"].number_value == 48
    assert given["training.optimizer"].string_value == "adam"
    assert set(given) == set(hyperparameters(Config.from_run(run)))
    started = hparams.parse_session_start_info_plugin_data(content)
    assert started.group_name.startswith("watched ")
    ended = found[0, "_hparams_/session_end_info"].metadata.plugin_data.content
    assert hparams.parse_session_end_info_plugin_data(ended).status == api_pb2.STATUS_SUCCESS


def test_the_callback_alone_in_the_fit_of_a_model_of_ones_own(watched, tmp_path):
    loaded = Translator.load(watched[0])
    model = loaded.model
    model.compile("sgd", jit_compile=False)
    example = make_example(
        *(tf.ragged.constant([["1", "2"]]) for _ in range(2)),
        loaded.source_tokenizer,
        loaded.target_tokenizer,
    )
    translator = Translator(model, loaded.source_tokenizer, loaded.target_tokenizer)
    pairs = [("12", "21"), ("1" * 1100, "1")]  # the second is more than the model reads
    curves = TensorBoardLogger(tmp_path / "curves", every=1)
    summary = AttentionSummary(
        lambda *texts: translator.attention(*texts, errors="return")[0],
        pairs,
        tmp_path,
        images=False,
    )
    data = tf.data.Dataset.from_tensors(example).repeat()
    model.fit(
        data, steps_per_epoch=2, epochs=2, verbose=0, shuffle=False, callbacks=[summary, curves]
    )
    found, _ = events(tmp_path)
    assert not steps(found, "attention_map/1")
    trained, _ = events(tmp_path / "curves" / "train")
    for tag in ("loss", "learning_rate", "gradient_norm"):
        assert steps(trained, tag) == [1, 2, 3, 4]
    assert scalar(trained[4, "gradient_norm"]) == model.update_stats.gradient_norm()
    assert {tag for _, tag in found} >= {"attention/1", "attention_sharpness/cross attention"}
    assert steps(found, "attention/1") == [2, 4]
    assert not steps(found, "attention/2")
    first, last = (
        unpack(found[step, "attention/1"].tensor.string_val[0]).maps["cross"][1] for step in (2, 4)
    )
    expected = translator.attention(["12"], ["21"])[0].attention
    np.testing.assert_allclose(last, expected, atol=1 / 500)
    assert first.shape == last.shape == (1, 3, 3)
    with pytest.raises(ValueError, match="alignments: expected 2, one for each pair, came 1"):
        AttentionSummary(translator.attention, pairs, tmp_path, alignments=[set()])


def test_gradient_norms_are_curves(corpora, tmp_path):
    config = changed(small(corpora, updates=50, validate_every=50, validate_lines=0))
    train(config, tmp_path / "run", stream=io.StringIO())
    found, _ = events(tmp_path / "run" / "logs" / "train")
    assert scalar(found[50, "gradient_norm"]) > 0
    assert scalar(found[50, "learning_rate"]) > 0


def test_what_cannot_be_watched_is_named(corpora, tmp_path):
    without = changed(small(corpora, tensorboard={"attention": 1}), data__valid=None)
    with pytest.raises(UserError, match="data.valid: expected a corpus of pairs for training.tens"):
        train(without, tmp_path / "run", stream=io.StringIO())
    with pytest.raises(UserError, match="tensorboard.alignments: expected attention above 0"):
        small(corpora, tensorboard={"alignments": "links.txt"})
    with pytest.raises(UserError, match=r"images: expected true, false or a list of cross, self"):
        small(corpora, tensorboard={"attention": 1, "images": ["crossed"]})
    (tmp_path / "links.txt").write_text("0-0\n1-x\n")
    wrong = {"attention": 2, "alignments": str(tmp_path / "links.txt")}
    with pytest.raises(UserError, match=r"links.txt:2: expected links such as 0-0 1-2, came 1-x"):
        train(small(corpora, tensorboard=wrong), tmp_path / "run", stream=io.StringIO())
