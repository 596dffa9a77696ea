"""Runs made of other runs: averaged, and under another vocabulary."""

import io
import shutil

import numpy as np
import pytest

from keras_s2s import checkpoints
from keras_s2s.cli import main
from keras_s2s.config import Config
from keras_s2s.errors import UserError
from keras_s2s.export.model_card import read_card
from keras_s2s.serving.server.local_model import LocalModel
from keras_s2s.training import average_checkpoints, train, update_vocabulary
from keras_s2s.translator import Translator
from tests.training.toy_runs import changed, configuration, small


def silent(text):
    pass


def test_an_average_is_a_run_to_translate_with(trained, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    for number, step in enumerate((40, 50, 60)):
        model = checkpoints.load_model(run / "best")
        model.set_weights([w + number for w in model.get_weights()])
        checkpoints.save(model, run / "checkpoints" / str(step), {"step": step})
    best = checkpoints.load_model(run / "best").get_weights()
    average_checkpoints([run], tmp_path / "all", say=silent)
    assert main(["average", str(run), "--last", "2", "--output", str(tmp_path / "two")]) == 0
    assert "two: the mean of updates 50, 60" in capsys.readouterr().err
    for name, shift in (("all", 1.0), ("two", 1.5)):
        made = checkpoints.load_model(tmp_path / name / "best").get_weights()
        for one, other in zip(made, best, strict=True):
            np.testing.assert_allclose(one, other + shift, rtol=1e-5, atol=1e-5)
    average_checkpoints([run / "best", run / "last"], tmp_path / "same", say=silent)
    assert Translator.load(tmp_path / "same").translate(["123"]) == ["321"]
    assert checkpoints.load(tmp_path / "all" / "best")[1]["averaged"] == [40, 50, 60]
    (run / "dictionary.tsv").write_text("a\tb\n")
    average_checkpoints([run], tmp_path / "again", say=silent)
    assert (tmp_path / "again" / "dictionary.tsv").read_text() == "a\tb\n"


@pytest.mark.slow
def test_an_export_of_an_average(trained, tmp_path, capsys):
    run, base = tmp_path / "run", tmp_path / "served"
    shutil.copytree(trained[0], run)
    sizes = {40: 9.0, 50: 0.0, 60: 1.0}
    for step, share in sizes.items():
        model = checkpoints.load_model(run / "best")
        model.set_weights([w * share for w in model.get_weights()])
        checkpoints.save(model, run / "checkpoints" / str(step), {"step": step})
    assert main(["export", str(run), str(base), "--average", "2"]) == 0
    assert capsys.readouterr().out == f"{base / '1'}\n"
    card = read_card(base / "1")
    assert (card["name"], card["training"]["averaged"]) == ("run", [50, 60])
    best = Translator.load(run)
    best.model.set_weights([w * 0.5 for w in best.model.get_weights()])  # what the last two give
    best.prepare()
    asked = ["123", "40"], ["321", "5"]
    with LocalModel(base) as served:
        for one, other in zip(served.score(*asked), best.score(*asked), strict=True):
            np.testing.assert_allclose(one.log_prob, other.log_prob, rtol=1e-4)
    for words, problem in (
        (["--average", "4"], "--average: expected at most 3, the checkpoints of"),
        (["--average", "2", "--checkpoint", "last"], "--average: expected no --checkpoint"),
    ):
        assert main(["export", str(run), str(base), *words]) == 2
        assert problem in capsys.readouterr().err
    assert [path.name for path in base.iterdir()] == ["1"]


def test_training_does_not_write_over_a_mean(trained, corpora, tmp_path):
    average_checkpoints([trained[0] / "best"], tmp_path / "mean", say=silent)
    with pytest.raises(UserError, match="mean: expected a run to train, came a mean; tr"):
        train(configuration(corpora), tmp_path / "mean", stream=io.StringIO())
    assert not (tmp_path / "mean" / "last").exists()


def test_training_does_not_write_over_the_best_where_the_last_is_gone(run, corpora):
    shutil.rmtree(run / "last")
    best = (run / "best" / "checkpoint.json").read_bytes()
    with pytest.raises(UserError, match="came best/ without last/; training.init_from: "):
        train(configuration(corpora), run, stream=io.StringIO())
    assert (run / "best" / "checkpoint.json").read_bytes() == best


def test_what_cannot_be_averaged_is_named(trained, tmp_path):
    run = trained[0]
    with pytest.raises(
        UserError, match="run|toy/checkpoints: expected what training.keep keeps, c"
    ):
        average_checkpoints([run], tmp_path / "new", say=silent)
    with pytest.raises(UserError, match="--last: expected one run directory, came checkpoints"):
        average_checkpoints([run / "best"], tmp_path / "new", last=1, say=silent)
    with pytest.raises(UserError, match="best: expected a directory that does not exist yet, came"):
        average_checkpoints([run / "last"], run / "best", say=silent)
    with pytest.raises(UserError, match="none: expected a checkpoint, came no checkpoint.json"):
        average_checkpoints([run / "best", tmp_path / "none"], tmp_path / "new", say=silent)
    assert list(tmp_path.iterdir()) == []


def test_another_vocabulary_keeps_what_both_know(trained, corpora, tmp_path, capsys):
    letters = tmp_path / "letters.tsv"
    letters.write_text("".join(f"{n:03}a\ta{str(n)[::-1]}\n" for n in range(500)))
    config = changed(configuration(corpora), data__train={"pairs": str(letters)})
    config.save(tmp_path / "config.yml")
    words = [
        "update-vocab",
        str(trained[0]),
        str(tmp_path / "config.yml"),
        "--output",
        str(tmp_path / "new"),
        "--checkpoint",
        "last",
    ]
    assert main(words) == 0
    said = capsys.readouterr().err
    assert "weights: 25 of 25 weights, 14 of 15 shared pieces (1 new) from " in said
    assert f"{trained[0]}/last\n" in said
    new = Translator.load(tmp_path / "new")
    assert new.source_tokenizer is new.target_tokenizer
    assert new.target_tokenizer.size == 15
    assert new.translate(["123", "9047"]) == ["321", "7409"]  # digits as before
    further = Config.load(
        tmp_path / "new" / "config.yml", ["training.updates=2", "training.validate_every=2"]
    )
    figures = train(further, tmp_path / "new", stream=io.StringIO())
    assert figures["step"] == 2
    assert figures["val_loss"] < 1.0


def test_checkpoints_of_other_vocabularies_have_no_mean(trained, tmp_path):
    other = shutil.copytree(trained[0], tmp_path / "other")
    path = other / "tokenizers" / "source.vocab"
    path.write_text("".join(f"{piece}\n" for piece in reversed(path.read_text().split())))
    with pytest.raises(UserError, match=r"other/last: .* with the vocabularies of .*toy/best, ca"):
        average_checkpoints([trained[0] / "best", other / "last"], tmp_path / "new", say=silent)
    assert not (tmp_path / "new").exists()


def test_a_run_saved_by_a_translator_tells_by_its_weights(trained, corpora, tmp_path):
    Translator.load(trained[0]).save(tmp_path / "plain")
    said, config = [], changed(configuration(corpora), model__dropout=0.5)
    update_vocabulary(tmp_path / "plain", config, tmp_path / "new", say=said.append)
    assert said[1] == f"weights: 25 of 25 weights from {tmp_path}/plain/best"
    assert Translator.load(tmp_path / "new").translate(["123"]) == ["321"]
    with pytest.raises(UserError, match="best: expected the model that .*, came source/table of s"):
        update_vocabulary(tmp_path / "plain", small(corpora), tmp_path / "other", say=silent)
    assert not (tmp_path / "other").exists()


def test_one_table_for_two_vocabularies_is_refused(trained, corpora, tmp_path):
    config = changed(
        configuration(corpora),
        data__tokenizer={"kind": "characters"},
        model__tie="all",
        model__embedding=48,
    )
    (tmp_path / "pairs.tsv").write_text("12\t34\n")
    config = changed(config, data__train={"pairs": str(tmp_path / "pairs.tsv")}, data__valid=None)
    with pytest.raises(UserError, match="data.tokenizer: expected shared: true where model.tie is"):
        train(config, tmp_path / "run", stream=io.StringIO())


def test_another_model_is_refused(trained, corpora, tmp_path):
    with pytest.raises(
        UserError, match="model.encoder.units is 48 in .*toy, came 8; .* the same mod"
    ):
        update_vocabulary(trained[0], small(corpora), tmp_path / "new", say=silent)
    assert list(tmp_path.iterdir()) == []
