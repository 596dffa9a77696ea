"""Weights by name: in other models, under other vocabularies, and the mean of several."""

import keras
import numpy as np
import pytest

from keras_s2s import checkpoints
from keras_s2s import models as catalog
from keras_s2s.checkpoints import Vocabularies, average, match_weights, named_weights, transfer
from keras_s2s.config import FactorSizes, ModelConfig
from keras_s2s.errors import UserError

SPECIAL = ("<pad>", "<unk>", "<s>", "</s>")
OLD = Vocabularies((*SPECIAL, "a", "b", "c"), (*SPECIAL, "x", "y"))
NEW = Vocabularies((*SPECIAL, "c", "d", "a", "e"), (*SPECIAL, "y", "z"))


def section(units=8, layers=1, tie="none", kind="recurrent", **more):
    side = {"kind": kind, "units": units, "num_layers": layers} | more
    if kind == "transformer":
        side["num_heads"] = 2
    config = ModelConfig(encoder=side, decoder=dict(side), tie=tie, embedding=units)
    return ModelConfig(**catalog.resolve(config))


def build(config, vocabularies=OLD, seed=1):
    keras.utils.set_random_seed(seed)
    return catalog.build(config, len(vocabularies.source), len(vocabularies.target))


@pytest.mark.parametrize("kind", ["recurrent", "transformer"])
@pytest.mark.parametrize("tie", ["none", "output"])
def test_every_weight_has_one_name(kind, tie):
    model = build(section(kind=kind, tie=tie, layers=2))
    named = named_weights(model)
    assert {id(v) for v in named.values()} == {id(v) for v in model.weights}
    again = named_weights(build(section(kind=kind, tie=tie, layers=2)))
    assert list(again) == list(named)
    assert named["source/table"].shape == (7, 8)
    assert ("head/projection/kernel" in named) == (tie == "none")


def test_patterns():
    names = ["encoder/layers/0/gamma", "encoder/layers/10/gamma", "source/table", "target/table"]
    assert match_weights(names, "encoder/layers/0") == names[:1]
    assert match_weights(names, "encoder/*/gamma") == match_weights(names, "encoder") == names[:2]
    assert match_weights(names, "embeddings") == names[2:]
    assert match_weights(names, "*/table") == names[2:]
    assert match_weights(names, "target/table") == names[3:]
    with pytest.raises(UserError, match="came 'encodr'; the nearest is encoder$"):
        match_weights(names, "encodr")
    with pytest.raises(UserError, match="the nearest is encoder/layers/0$"):
        match_weights(names, "encoder/layer/0")


def test_weights_of_the_same_shape_are_taken_and_others_left():
    config = section(layers=2, kind="transformer")
    donor, model = build(section(layers=1, kind="transformer")), build(config, seed=2)
    before = {name: v.numpy() for name, v in named_weights(model).items()}
    done = transfer(donor, model, config, OLD, OLD)
    ours, theirs = named_weights(model), named_weights(donor)
    assert set(done.taken) == set(theirs)
    assert done.left == dict.fromkeys(set(ours) - set(theirs), "not there")
    for name in done.taken:
        np.testing.assert_array_equal(ours[name].numpy(), theirs[name].numpy())
    for name in done.left:
        np.testing.assert_array_equal(ours[name].numpy(), before[name])
    assert done.pieces == {}
    wider = section(layers=1, kind="transformer", units=12)
    done = transfer(donor, build(wider), wider, OLD, OLD)
    assert done.left["source/table"] == "of shape [7, 8]"
    assert done.taken == ["head/projection/bias"]


@pytest.mark.parametrize(("kind", "tie"), [("recurrent", "none"), ("transformer", "output")])
def test_pieces_keep_their_rows_under_another_vocabulary(kind, tie):
    config = section(kind=kind, tie=tie)
    donor, model = build(config), build(config, NEW, seed=2)
    before = {name: v.numpy() for name, v in named_weights(model).items()}
    done = transfer(donor, model, config, OLD, NEW)
    assert done.left == {}
    assert done.pieces == {"source": 6, "target": 5}
    ours, theirs = ({n: v.numpy() for n, v in named_weights(m).items()} for m in (model, donor))
    source = ours["source/table"]
    np.testing.assert_array_equal(
        source[[0, 1, 2, 3, 4, 6]], theirs["source/table"][[0, 1, 2, 3, 6, 4]]
    )
    np.testing.assert_array_equal(source[[5, 7]], before["source/table"][[5, 7]])
    # as many target pieces as before, but not the same
    np.testing.assert_array_equal(ours["target/table"][4], theirs["target/table"][5])
    np.testing.assert_array_equal(ours["target/table"][5], before["target/table"][5])
    name = "head/projection/bias" if tie == "none" else "head/bias"
    np.testing.assert_array_equal(ours[name][4], theirs[name][5])
    if tie == "none":
        kernel = ours["head/projection/kernel"]  # of the shape [D, V]
        np.testing.assert_array_equal(kernel[:, 4], theirs["head/projection/kernel"][:, 5])


def test_a_table_that_all_share():
    shared = Vocabularies(OLD.source, OLD.source), Vocabularies(NEW.source, NEW.source)
    config = section(kind="transformer", tie="all")
    donor, model = build(config, shared[0]), build(config, shared[1], seed=2)
    assert transfer(donor, model, config, *shared).left == {}
    np.testing.assert_array_equal(
        named_weights(model)["source/table"].numpy()[4],
        named_weights(donor)["source/table"].numpy()[6],
    )


def test_each_factor_has_a_vocabulary_of_its_own():
    encoder = {"kind": "recurrent", "units": 8}
    config = ModelConfig(**catalog.resolve(ModelConfig(encoder=encoder, decoder=dict(encoder))))
    tags = (*SPECIAL, "NN", "DT"), (*SPECIAL, "DT", "VB")  # as many, but not the same
    old, new = (
        Vocabularies((side.source, own), side.target)
        for side, own in zip((OLD, NEW), tags, strict=True)
    )
    donor, model = (
        catalog.build(config, FactorSizes(tuple(map(len, side.source))), len(side.target))
        for side in (old, new)
    )
    before = model.source.embeddings[1].table.numpy()
    done = transfer(donor, model, config, old, new)
    assert done.left == {}
    assert done.pieces == {"source 1": 6, "source 2": 5, "target": 5}
    words, factors = (one.table.numpy() for one in model.source.embeddings)
    theirs = [one.table.numpy() for one in donor.source.embeddings]
    np.testing.assert_array_equal(words[[4, 6]], theirs[0][[6, 4]])
    np.testing.assert_array_equal(factors[4], theirs[1][5])
    np.testing.assert_array_equal(factors[5], before[5])
    plain = build(config, OLD)
    assert transfer(plain, model, config, OLD, new).left == dict.fromkeys(
        ("source/embeddings/0/table", "source/embeddings/1/table"), "not there"
    )


def test_frames_have_no_vocabulary_and_keep_what_reads_them():
    encoder = {"kind": "recurrent", "units": 8}
    section = ModelConfig(encoder=encoder, decoder=dict(encoder), source={"norm": True})
    config = ModelConfig(**catalog.resolve(section))
    old, new = Vocabularies((), OLD.target), Vocabularies((), NEW.target)
    donor, model = (
        catalog.build(config, 5, len(side.target), frames=(True, False)) for side in (old, new)
    )
    done = transfer(donor, model, config, old, new)
    assert done.left == {}
    assert done.pieces == {"target": 5}
    for one, other in zip(model.source.weights, donor.source.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    wider = catalog.build(config, 6, len(new.target), frames=(True, False))
    assert any(name.startswith("source/") for name in transfer(donor, wider, config, old, new).left)


def test_an_average_is_the_mean_of_every_weight(tmp_path):
    models = [build(section(), seed=seed) for seed in range(3)]
    for number, model in enumerate(models):
        checkpoints.save(model, tmp_path / str(number), {"step": number})
    mean = average([tmp_path / str(number) for number in range(3)])
    for one, *others in zip(mean.get_weights(), *(m.get_weights() for m in models)):
        np.testing.assert_allclose(one, np.mean(others, axis=0), rtol=1e-4, atol=1e-7)
    checkpoints.save(build(section(units=4)), tmp_path / "other", {"step": 1})
    expected = r"other: source/table: expected \[7, 8\] as in .*0, came \[7, 4\]"
    with pytest.raises(UserError, match=expected):
        average([tmp_path / "0", tmp_path / "other"])
    with pytest.raises(UserError, match="checkpoints: expected at least one to average, came none"):
        average([])
