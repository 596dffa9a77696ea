"""Import of OpenNMT-tf checkpoints: outputs match the formulas."""

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf

from keras_s2s import Translator, tokenizers
from keras_s2s.checkpoints import load
from keras_s2s.cli import main
from keras_s2s.config import Config
from keras_s2s.data.examples import make_source
from keras_s2s.errors import UserError
from keras_s2s.importers.opennmt import read
from keras_s2s.importers.opennmt.model_description import read_description
from keras_s2s.importers.opennmt.run_import import import_run, vocabulary_rows
from keras_s2s.importers.opennmt.weights import Checkpoint
from tests.importers import checkpoints
from tests.importers.checkpoints import SIZE, WORDS, Forward, random_weights, save, shapes

SOURCES = ["w0 w3 w6 strange w1", "w2"]
TARGETS = ["w5 w1", "w4 w4 strange"]
OURS = [0, SIZE - 1, 1, 2, *range(3, SIZE - 1)]  # their ids in the order of ours


@pytest.fixture
def made(tmp_path):
    """Function that writes a model directory and imports it; returns (weights, run)."""

    def make(name="model", **options):
        directory, run = tmp_path / name, tmp_path / f"run-{name}"
        directory.mkdir()
        weights = random_weights(shapes(**options))
        save(directory, weights)
        import_run(directory, run, read([directory / "config.yml"]))
        return weights, run

    return make


def their_ids(text):
    known = ["<blank>", "<s>", "</s>", *WORDS]
    return [known.index(word) if word in known else SIZE - 1 for word in text.split()]


def our_logits(translator, sources, targets):
    source, target = translator.source_tokenizer, translator.target_tokenizer
    x = make_source(source.tokenize(tf.constant(sources)), source, target)
    ids = target.ids(target.tokenize(tf.constant(targets))).to_tensor(0)
    return translator.model(
        {"source": x, "target": tf.pad(ids, [[0, 0], [1, 0]], constant_values=2)}
    )


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("sharing", ["none", "target", "all", "source_target_input"])
def test_logits_match_numpy(made, norm, sharing):
    weights, run = made(norm=norm, sharing=sharing, bias=sharing != "target")
    translator = Translator.load(run)
    tie = {"target": "output", "all": "all"}.get(sharing, "none")
    assert translator.model.tie == tie
    logits = our_logits(translator, SOURCES, TARGETS).numpy()
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        ids = [1, *their_ids(target)]
        expected = Forward(weights, norm).logits(their_ids(source), ids)[:, OURS]
        np.testing.assert_allclose(logits[row, : len(ids)], expected, atol=2e-5)


@pytest.mark.parametrize("relative", [1, 2, 9])
def test_relative_positions_match_numpy(made, relative):
    weights, run = made(relative=relative)
    translator = Translator.load(run)
    logits = our_logits(translator, SOURCES, TARGETS).numpy()
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        ids = [1, *their_ids(target)]
        expected = Forward(weights, relative=relative).logits(their_ids(source), ids)[:, OURS]
        np.testing.assert_allclose(logits[row, : len(ids)], expected, atol=2e-5)
    description = run.parent / "model" / "model_description.py"
    description.write_text(
        "onmt.models.Transformer(num_heads=2, maximum_relative_position=20,"
        " position_encoder_class=None)"
    )
    assert read_description(description.parent).heads == 2
    config = Config.load(run / "config.yml")
    assert config.model.decoder["positions"] == {"kind": "relative", "max_distance": relative}


def test_run_is_complete_and_translates(made):
    _, run = made()
    translator = Translator.load(run)
    assert len(translator.translate(SOURCES, max_length=5)) == 2
    (scored,) = translator.score(SOURCES[:1], TARGETS[:1])
    found = translator.decode(SOURCES[:1], beam_size=3, max_length=5)[0]
    assert scored.log_prob < 0
    assert found[0].log_prob < 0
    config = Config.load(run / "config.yml")
    assert config.model.encoder["num_heads"] == checkpoints.HEADS
    assert config.model.encoder["dropout"] == 0.2
    assert load(run / "best")[1]["step"] == 7
    assert sorted(path.name for path in run.iterdir()) == ["best", "config.yml", "tokenizers"]
    assert tokenizers.train(config.data.tokenizer, []).vocabulary[4:] == tuple(WORDS)


def test_character_vocabulary_with_space(tmp_path):
    weights = random_weights(shapes())
    save(tmp_path, weights)
    letters = ["▁", *"abcdef"]
    (tmp_path / "v.txt").write_text("\n".join(["<blank>", "<s>", "</s>", *letters]) + "\n")
    config = (tmp_path / "config.yml").read_text().replace("}", "")
    kind = "{type: CharacterTokenizer}"
    config += f", source_tokenization: {kind}, target_tokenization: {kind}}}"
    (tmp_path / "config.yml").write_text(config)
    import_run(tmp_path, tmp_path / "run", read([tmp_path / "config.yml"]))
    translator = Translator.load(tmp_path / "run")
    logits = our_logits(translator, ["a bad"], ["fé d"])[0]
    expected = Forward(weights).logits([4, 3, 5, 4, 7], [1, 9, SIZE - 1, 3, 7])
    np.testing.assert_allclose(logits, expected[:, OURS], atol=2e-5)


def test_sentencepiece_model_with_other_order(tmp_path):
    (tmp_path / "text").write_text("ab abc bca\n" * 9)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"),
        model_prefix=str(tmp_path / "m"),
        vocab_size=9,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "m.model"))
    pieces = [model.id_to_piece(i) for i in range(3, model.get_piece_size())]
    theirs = ["<blank>", "<s>", "</s>", *reversed(pieces[1:]), "averyunlikelytoken0"]
    size = len(theirs) + 1
    of = shapes()
    for name, shape in of.items():
        of[name] = [size if n == SIZE else n for n in shape]
    weights = random_weights(of)
    save(tmp_path, weights)
    (tmp_path / "v.txt").write_text("\n".join(theirs) + "\n")
    kind = f"{{type: SentencePieceTokenizer, params: {{model: {tmp_path / 'm.model'}}}}}"
    config = (tmp_path / "config.yml").read_text().replace("}", "")
    config += f", source_tokenization: {kind}, target_tokenization: {kind}}}"
    (tmp_path / "config.yml").write_text(config)
    import_run(tmp_path, tmp_path / "run", read([tmp_path / "config.yml"]))
    translator = Translator.load(tmp_path / "run")
    tokenizer = translator.source_tokenizer
    assert tokenizer.vocabulary[4:] == (*pieces, "averyunlikelytoken0")
    rows = vocabulary_rows(tokenizer, theirs)
    assert rows[4] == -1  # the piece that their vocabulary lacks
    cut = model.encode("abc ab", out_type=str)
    ids = [theirs.index(piece) if piece in theirs else size - 1 for piece in cut]
    logits = our_logits(translator, ["abc ab"], [""]).numpy()[0]
    expected = Forward(weights).logits(ids, [1])[:, rows]
    np.testing.assert_allclose(np.delete(logits, 4, 1), np.delete(expected, 4, 1), atol=2e-5)
    np.testing.assert_allclose(logits[:, 4], expected[:, 4] - 30, atol=2e-5)


def test_command(tmp_path, capsys):
    directory, run = tmp_path / "model", tmp_path / "run"
    directory.mkdir()
    save(directory, random_weights(shapes()))
    words = [f"{directory}/ckpt-7", str(run), "--config", str(directory / "config.yml")]
    assert main(["import", *words]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "training.init_from=" in err
    assert main(["import", *words]) == 2
    assert f"{run}: expected a directory that does not exist yet" in capsys.readouterr().err
    assert main(["import", str(directory), str(run) + "2", *words[2:], "--output", "x"]) == 2
    assert main(["import", str(directory)]) == 2
    assert "RUN: expected the run directory to create" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: (d / "model_description.py").unlink(), "--num-heads: expected a number"),
        (lambda d: (d / "v.txt").write_text("<s>\n"), "v.txt:1: expected <blank>, got '<s>'"),
        (lambda d: (d / "v.txt").write_text("<blank>\n<s>\n</s>\na\n"), "expected 10 tokens"),
        (lambda d: (d / "v.txt").unlink(), "v.txt: expected a vocabulary"),
        (lambda d: (d / "v.txt").write_bytes(b"\xff"), "v.txt:1: expected UTF-8"),
        (lambda d: (d / "config.yml").write_text("data: {}"), "source_vocabulary: expected a voc"),
        (
            lambda d: (d / "model_description.py").write_text("model = ("),
            "model_description.py: expected Python",
        ),
        (
            lambda d: (d / "model_description.py").write_text(
                "onmt.models.Transformer(position_encoder_class=None)"
            ),
            "expected position_encoder_class or maximum_relative_position, got neither",
        ),
        (
            lambda d: (d / "model_description.py").write_text(
                "onmt.models.Transformer(maximum_relative_position=20)"
            ),
            "expected position_encoder_class or maximum_relative_position, got both",
        ),
        (
            lambda d: (d / "model_description.py").write_text(
                "onmt.models.Transformer(ffn_activation=onmt.layers.gelu)"
            ),
            "ffn_activation: expected one of relu, .* got gelu",
        ),
        (
            lambda d: (d / "model_description.py").write_text(
                'models.get_model_from_catalog("NMTSmallV1")'
            ),
            "expected an LSTM model, as NMTSmallV1 is, got another",
        ),
    ],
)
def test_errors_name_the_cause_and_leave_no_run(tmp_path, change, problem):
    directory, run = tmp_path / "model", tmp_path / "runs" / "run"
    directory.mkdir()
    save(directory, random_weights(shapes()))
    change(directory)
    with pytest.raises(UserError, match=problem):
        import_run(directory, run, read([directory / "config.yml"]))
    assert not run.exists()


@pytest.mark.parametrize(
    ("more", "less", "problem"),
    [
        (
            {"encoder/layers/0/self_attention/layer/relative_position_keys": [3, 4]},
            "",
            "layers/0/self_attention/layer/relative_position_values, got none",
        ),
        ({"encoder/position_encoder/embedding": [3, 4]}, "", "got model/encoder/position_enc"),
        ({}, "encoder/layers/1/ffn/layer/outer/kernel", "outer/kernel, got none"),
        ({}, "encoder/", "expected a Transformer, got another model"),
        ({}, "examples_inputter/", "expected a model of OpenNMT-tf 2"),
    ],
)
def test_unexpected_variables_are_named(tmp_path, more, less, problem):
    kept = {n: s for n, s in shapes().items() if not less or not n.startswith(less)}
    save(tmp_path, random_weights(kept | more))
    with pytest.raises(UserError, match=problem):
        import_run(tmp_path, tmp_path / "run", read([tmp_path / "config.yml"]))


@pytest.mark.parametrize("name", ["model[1]", "back\\slash"])
def test_checkpoint_in_a_directory_with_wildcards(tmp_path, name):
    weights = random_weights(shapes())
    (tmp_path / name).mkdir()
    save(tmp_path / name, weights)
    for path in (tmp_path / name, tmp_path / name / "ckpt-7"):
        checkpoint = Checkpoint(path)
        assert checkpoint.step == 7
        assert str(checkpoint.path) == str(tmp_path / name / "ckpt-7")
        for variable in sorted(checkpoint.shapes)[:2]:
            expected = weights[variable.removeprefix("model/")]
            np.testing.assert_array_equal(checkpoint(variable), expected)


def test_missing_checkpoint(tmp_path):
    (tmp_path / "config.yml").write_text("data: {}")
    for path in (tmp_path, tmp_path / "ckpt-3"):
        with pytest.raises(UserError, match="expected an OpenNMT-tf checkpoint"):
            import_run(path, tmp_path / "run", read([tmp_path / "config.yml"]))


def test_descriptions(tmp_path):
    def told(text):
        (tmp_path / "model_description.py").write_text(text)
        return read_description(tmp_path)

    named = told('from opennmt import models\nmodel = lambda: models.get_model_from_catalog("X")')
    assert named.model_type == "X"
    own = told("class My(m.Transformer):\n  def __init__(s):\n    super().__init__(num_heads=4)")
    assert (own.heads, own.dropout) == (4, 0.1)
    assert told("Transformer(ffn_activation=tf.nn.swish)").activation == "silu"
    assert told("Transformer()").heads == 8
    assert told("x = 1").heads is None
