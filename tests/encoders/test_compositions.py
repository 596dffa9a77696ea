"""Encoders made of encoders, several sources, factors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import ModelConfig
from keras_s2s.decoders import RecurrentDecoder
from keras_s2s.encoders import (
    ConvolutionalEncoder,
    MeanEncoder,
    ParallelEncoder,
    PyramidalEncoder,
    RecurrentEncoder,
    SequentialEncoder,
    TransformerEncoder,
    masked_mean,
)
from keras_s2s.errors import UserError
from keras_s2s.heads import PointerGeneratorHead
from keras_s2s.layers.factored_embedding import FactoredEmbedding
from keras_s2s.layers.multi_source_embeddings import ParallelEmbedding
from keras_s2s.layers.token_embedding import TokenEmbedding
from keras_s2s.models import build, resolve
from keras_s2s.models.seq2seq import Seq2Seq
from tests.references import assert_close, normal, randomise, right_padded, run_both

MASK = right_padded([5, 3, 0, 1], 5)


def made(encoder, width=4):
    encoder.build((None, None, width))
    return randomise(encoder, scale=0.4)


def test_one_after_the_other():
    parts = [TransformerEncoder(4, 1, 2), PyramidalEncoder(2, 2), PyramidalEncoder(2, 2)]
    parts.append(TransformerEncoder(4, 1, 2))
    encoder, x = made(SequentialEncoder(parts)), normal(4, 5, 4)
    memory = run_both(lambda x, m: encoder(x, mask=m, maps="all"), x, MASK)
    first = parts[0](x, mask=MASK, maps="all")
    second = parts[1](first.values, mask=MASK)
    third = parts[2](second.values, mask=second.mask)
    last = parts[3](third.values, mask=third.mask)
    assert_close((memory.values, memory.summary), (last.values, last.summary))
    np.testing.assert_array_equal(memory.mask, last.mask)
    np.testing.assert_array_equal(memory.source_index, [[0, 4]] * 4)
    assert_close(memory.attention, first.attention)
    assert encoder.attention_names == ["encoder 1 layer 1 head 1", "encoder 1 layer 1 head 2"]
    assert (encoder.width, encoder.has_source_index) == (4, True)


def test_maps_of_all_that_read_the_whole_length():
    parts = [TransformerEncoder(4, 1, 2), RecurrentEncoder(2), TransformerEncoder(4, 1, 1)]
    encoder, x = made(SequentialEncoder(parts)), normal(4, 5, 4)
    memory = encoder(x, mask=MASK, maps="all")
    assert memory.attention.shape == (4, 3, 5, 5)
    assert encoder.attention_names[-1] == "encoder 3 layer 1 head 1"
    assert memory.source_index is None
    assert not encoder.has_source_index
    assert encoder(x, mask=MASK).attention is None


def in_order(memories, *leaves):
    """Leaves of memories side by side: the real places of a row before its padding."""
    order = np.argsort(~np.concatenate([m.mask for m in memories], 1), 1, kind="stable")
    return [np.stack([x[i] for x, i in zip(leaf, order, strict=True)]) for leaf in leaves]


def test_places_in_a_row():
    parts = [RecurrentEncoder(2), PyramidalEncoder(2, 2), ConvolutionalEncoder(4, 1)]
    encoder, x = made(ParallelEncoder(parts)), normal(4, 5, 4)
    memory = run_both(lambda x, m: encoder(x, mask=m), x, MASK)
    own = [part(x, mask=MASK) for part in parts]
    values, keys, mask, index = in_order(
        own,
        np.concatenate([m.values for m in own], 1),
        np.concatenate([own[0].values, own[1].values, own[2].keys], 1),
        np.concatenate([m.mask for m in own], 1),
        np.tile([0, 1, 2, 3, 4, 0, 2, 4, 0, 1, 2, 3, 4], (4, 1)),
    )
    assert_close((memory.values, memory.keys), (values, keys))
    np.testing.assert_array_equal(memory.mask, mask)
    np.testing.assert_array_equal(memory.source_index, index)
    assert (mask[:, :-1] >= mask[:, 1:]).all()
    assert_close(memory.summary, masked_mean(tf.constant(values), memory.mask))
    assert memory.states == ()


@pytest.mark.parametrize("combine", ["sum", "depth"])
def test_place_by_place(combine):
    three = [RecurrentEncoder(2), RecurrentEncoder(2), ConvolutionalEncoder(4, 1)]
    for parts in (three[:2], three[1:]):
        encoder, x = made(ParallelEncoder(parts, combine)), normal(4, 5, 4)
        memory = run_both(lambda x, m, e=encoder: e(x, mask=m), x, MASK)
        own = [part(x, mask=MASK) for part in parts]

        def joined(leaves):
            return sum(leaves) if combine == "sum" else np.concatenate(leaves, -1)

        assert_close(memory.values, joined([m.values.numpy() for m in own]))
        assert_close(memory.summary, joined([m.summary.numpy() for m in own]))
        if isinstance(parts[1], RecurrentEncoder):
            states = [m.states["layer_0"]["h"].numpy() for m in own]
            assert_close(memory.states["layer_0"]["h"], joined(states))
            assert memory.keys is None
        else:
            assert memory.states == ()
            assert_close(memory.keys, joined([own[0].values.numpy(), own[1].keys.numpy()]))
        assert memory.source_index is None
        assert encoder.width == (4 if combine == "sum" else 8) == memory.values.shape[2]


def test_maps_side_by_side():
    parts = [TransformerEncoder(4, 1, 2), RecurrentEncoder(2), TransformerEncoder(4, 1, 1)]
    encoder, x = made(ParallelEncoder(parts, "sum")), normal(4, 5, 4)
    memory = encoder(x, mask=MASK, maps="all")
    expected = [parts[i](x, mask=MASK, maps="all").attention for i in (0, 2)]
    assert_close(memory.attention, np.concatenate(expected, 1))
    assert encoder.attention_names[2] == "encoder 3 layer 1 head 1"


def test_several_sources():
    parts = [RecurrentEncoder(2), PyramidalEncoder(2, 2)]
    encoder, x, z = made(ParallelEncoder(parts)), normal(4, 5, 4), normal(4, 3, 4, seed=1)
    short = right_padded([1, 3, 2, 0], 3)
    mask = np.concatenate([MASK, short], 1)
    memory = run_both(lambda x, z, m: encoder([x, z], mask=m, maps="all"), x, z, mask)
    own = [parts[0](x, mask=MASK), parts[1](z, mask=short)]
    values, places, index = in_order(
        own,
        np.concatenate([m.values for m in own], 1),
        np.concatenate([m.mask for m in own], 1),
        np.tile([0, 1, 2, 3, 4, 5, 7], (4, 1)),
    )
    assert_close(memory.values, values)
    np.testing.assert_array_equal(memory.mask, places)
    np.testing.assert_array_equal(memory.source_index, index)
    assert memory.attention is None


def two_sources(second=2):
    keras.utils.set_random_seed(1)
    encoder = ParallelEncoder([RecurrentEncoder(4), PyramidalEncoder(4, second)])
    tables = ParallelEmbedding([TokenEmbedding(9, 6), TokenEmbedding(7, 6)])
    model = Seq2Seq(
        tables, encoder, TokenEmbedding(8, 6), RecurrentDecoder(8), PointerGeneratorHead(8)
    )
    model.build()
    return randomise(model, scale=0.4)


def two_source_ids():
    rng = np.random.default_rng(2)
    masks = right_padded([4, 2, 1], 4), right_padded([1, 3, 0], 3)
    ids = [np.where(m, rng.integers(4, 7, m.shape), 0).astype("int32") for m in masks]
    mask = np.concatenate(masks, 1)
    copy_ids = np.where(mask, np.concatenate(ids, 1), 0)
    return {"ids": [tf.constant(x) for x in ids], "mask": mask, "copy_ids": copy_ids}


def test_a_model_of_two_sources(tmp_path):
    model, x = two_sources(), two_source_ids()
    y = np.random.default_rng(3).integers(4, 8, (3, 5)).astype("int32")
    outputs = model({"source": x, "target": y}, maps="all")
    expected = tf.nn.log_softmax(outputs["logits"])
    cross = outputs["attention"]["cross"]
    assert cross.shape == (3, 1, 5, 7)
    assert_close(tf.reduce_sum(cross, -1), np.ones((3, 1, 5)))
    assert not np.any(cross.numpy()[np.broadcast_to(~x["mask"][:, None, None], cross.shape)])
    context, state = model.begin(x, 1)
    for t in range(5):
        log_probs, state, seen = model.next(y[:, t : t + 1], tf.constant(t), context, state)
        assert_close((log_probs[:, 0], seen[:, 0]), (expected[:, t], cross[:, 0, t]), 1e-4)
    model.save(tmp_path / "two.keras")
    again = keras.saving.load_model(tmp_path / "two.keras")
    assert_close(again({"source": x, "target": y}), outputs["logits"], 1e-6)


def test_each_source_has_a_say_and_padding_has_none():
    model, x = two_sources(), two_source_ids()
    y = np.full((3, 2), 5, "int32")
    plain = model({"source": x, "target": y})
    for i, where in ((0, (0, 0)), (1, (1, 2))):
        other = [ids.numpy() for ids in x["ids"]]
        other[i][where] += 1
        given = model({"source": {**x, "ids": [tf.constant(z) for z in other]}, "target": y})
        changed = np.abs(given - plain).max((1, 2)) > 1e-5
        assert changed.tolist() == [b == where[0] for b in range(3)]

    def widened(row):
        return np.concatenate([np.pad(x, [(0, 0), (0, 2)]) for x in np.split(row, [4], 1)], 1)

    wide = {"ids": [tf.pad(ids, [[0, 0], [0, 2]]) for ids in x["ids"]]}
    wide |= {name: widened(x[name]) for name in ("mask", "copy_ids")}
    given = model({"source": wide, "target": y})
    assert_close(given[..., :8], plain[..., :8])


@pytest.mark.parametrize("combine", ["sum", "concat"])
def test_factors(combine):
    tables = [TokenEmbedding(9, 4), TokenEmbedding(3, 4), TokenEmbedding(5, 4)]
    layer = FactoredEmbedding(tables, combine)
    layer.build()
    ids = np.random.default_rng(0).integers(0, 3, (2, 5, 3)).astype("int32")
    rows = [table.get_weights()[0][ids[..., i]] for i, table in enumerate(tables)]
    expected = sum(rows) if combine == "sum" else np.concatenate(rows, -1)
    assert_close(run_both(layer, ids), expected)
    assert layer.units == expected.shape[-1]
    again = FactoredEmbedding.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_a_model_with_factors(tmp_path):
    tables = FactoredEmbedding([TokenEmbedding(9, 6), TokenEmbedding(3, 2)])
    model = Seq2Seq(
        tables,
        RecurrentEncoder(4),
        TokenEmbedding(8, 6),
        RecurrentDecoder(8),
        PointerGeneratorHead(8),
    )
    model.build()
    ids = np.random.default_rng(0).integers(0, 3, (2, 5, 2)).astype("int32")
    source = {"ids": ids, "mask": np.ones((2, 5), bool), "copy_ids": ids[..., 0]}
    logits = model({"source": source, "target": np.full((2, 3), 5, "int32")})
    assert logits.shape == (2, 3, 8 + 5)
    model.save(tmp_path / "factors.keras")
    again = keras.saving.load_model(tmp_path / "factors.keras")
    assert_close(again({"source": source, "target": np.full((2, 3), 5, "int32")}), logits, 1e-6)


@pytest.mark.parametrize(
    "encoder",
    [
        SequentialEncoder([MeanEncoder(4), ParallelEncoder([RecurrentEncoder(4)], "depth")]),
        ParallelEncoder([RecurrentEncoder(2), TransformerEncoder(4, 1, 2)], "sum"),
    ],
)
def test_configuration_round_trip(encoder):
    config = keras.saving.serialize_keras_object(encoder)
    assert keras.saving.deserialize_keras_object(config).get_config() == encoder.get_config()


NESTED = {
    "kind": "sequential",
    "encoders": [
        {"kind": "transformer", "units": 8, "num_heads": 2, "dropout": 0.1},
        {"kind": "parallel", "combine": "depth", "encoders": [{"units": 4}, {"kind": "gnmt"}]},
    ],
}


def test_nested_descriptions():
    found = resolve(ModelConfig(preset="lstm", dropout=0.4, encoder=NESTED))
    first, second = found["encoder"]["encoders"]
    assert (first["dropout"], first["num_layers"], first["kind"]) == (0.1, 1, "transformer")
    inner, gnmt = second["encoders"]
    assert (inner["kind"], inner["cell"], inner["units"], inner["dropout"]) == (
        "recurrent",
        "lstm",
        4,
        0.4,
    )
    assert (gnmt["units"], gnmt["cell"], gnmt["source_end"]) == (256, "lstm", True)
    assert found["embedding"] == 8  # as the Transformer reads it
    assert "dropout" not in found["encoder"]
    assert (
        resolve(ModelConfig(**{k: found[k] for k in ("encoder", "embedding")}))["encoder"]
        == (found["encoder"])
    )


def test_a_model_of_a_nested_description():
    config = ModelConfig(
        encoder={**NESTED, "encoders": [NESTED["encoders"][0], {"kind": "pyramidal", "units": 3}]},
        decoder={"units": 8},
    )
    model = build(config, 9, 8)
    assert [type(part).__name__ for part in model.encoder.encoders] == [
        "TransformerEncoder",
        "PyramidalEncoder",
    ]
    ids = np.full((2, 9), 5, "int32")
    logits = model({"source": {"ids": ids, "mask": ids > 0}, "target": ids})
    assert np.isfinite(logits).all()


def test_a_description_of_several_sources():
    columns = {"kind": "parallel", "encoders": [{"units": 4}, {"units": 4}]}
    model = build(ModelConfig(encoder=columns, decoder={"units": 8}, embedding=6), [9, 7], 8)
    assert [table.vocabulary_size for table in model.source.embeddings] == [9, 7]


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (
            {"kind": "sequential"},
            "model.encoder.encoders: expected a list of encoders, came None",
        ),
        (
            {"kind": "parallel", "encoders": ["gru"]},
            "model.encoder.encoders: expected a list of encoders with their keys, came 'gru'",
        ),
        (
            {"kind": "parallel", "encoders": [{}, {"kind": "grnn"}]},
            "model.encoder.encoders.1.kind: expected one of recurrent, .*, came 'grnn'.*",
        ),
        (
            {"kind": "parallel", "encoders": [{"units": 3, "cel": "lstm"}]},
            "model.encoder.encoders.0.cel: unknown key, .*the nearest is 'cell'",
        ),
        (
            {"kind": "parallel", "encoders": [{"units": 3}, {"units": 4}]},
            r"model.encoder: encoders: expected one width to combine by time, came \[6, 8\]",
        ),
    ],
)
def test_descriptions_that_do_not_do(encoder, message):
    with pytest.raises(UserError, match=f"^{message}$"):
        build(ModelConfig(encoder=encoder), 9, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SequentialEncoder([]), r"encoders: expected a list of encoders, came \[\]"),
        (lambda: SequentialEncoder([3]), "encoders: expected a list of encoders, came int in it"),
        (
            lambda: ParallelEncoder([MeanEncoder(4)], "mean"),
            "combine: expected one of time, sum, depth, came 'mean'",
        ),
        (
            lambda: ParallelEncoder([MeanEncoder(4), PyramidalEncoder(2)], "sum"),
            "encoders: expected memories of one length to combine by sum",
        ),
        (
            lambda: made(ParallelEncoder([MeanEncoder(4)]))(
                [normal(4, 5, 4)] * 2, mask=np.ones((4, 10), bool)
            ),
            "inputs: expected one source, or 1 to combine over time, came 2",
        ),
        (
            lambda: FactoredEmbedding([TokenEmbedding(4, 3)], "mean"),
            "combine: expected 'sum' or 'concat', came 'mean'",
        ),
        (
            lambda: ParallelEmbedding([TokenEmbedding(4, 3), TokenEmbedding(4, 2)]),
            r"embeddings: expected one width, came \[3, 2\]",
        ),
        (lambda: ParallelEmbedding(3), "embeddings: expected a list of embeddings, came 3"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_sources_in_one_row_are_those_of_a_list():
    parts = [RecurrentEncoder(4, bidirectional=False), TransformerEncoder(4, 1, 2)]
    encoder = made(ParallelEncoder(parts))
    lengths, x = [(3, 2), (1, 4), (0, 1)], normal(3, 6, 4)
    mask = right_padded([sum(pair) for pair in lengths], 6)
    number = np.array([[0] * a + [1] * (6 - a) for a, _ in lengths], np.int32)
    memory = run_both(lambda x, m, p: encoder(x, mask=m, maps="all", parts=p), x, mask, number)
    assert memory.values.shape == (3, 3 + 4, 4)
    for row, (one, two) in enumerate(lengths):
        places = np.array(memory.mask[row])
        np.testing.assert_array_equal(places, np.arange(7) < one + two)
        np.testing.assert_array_equal(memory.source_index[row][places], range(one + two))
        cut = (x[row : row + 1, :one], x[row : row + 1, one : one + two])
        for part, own, from_ in zip(parts, cut, (0, one), strict=True):
            if not own.shape[1]:
                continue
            alone = part(own, mask=np.ones(own.shape[:2], bool), maps="all")
            assert_close(memory.values[row, from_ : from_ + own.shape[1]], alone.values[0])
            if alone.attention is not None:
                inside = memory.attention[row, :, one : one + two, one : one + two]
                assert_close(inside, alone.attention[0])
    assert np.max(memory.source_index) <= 5
    with pytest.raises(ValueError, match="combine: expected 'time' for several sources in a row"):
        made(ParallelEncoder(parts, combine="depth"))(x, mask=mask, parts=number)


def test_factors_in_one_number():
    layer = FactoredEmbedding([TokenEmbedding(5, 2), TokenEmbedding(3, 4), TokenEmbedding(2, 1)])
    layer.build()
    ids = np.array([[[4, 2, 1], [0, 0, 0], [3, 1, 0]]], np.int32)
    numbers = ids[..., 0] + 5 * (ids[..., 1] + 3 * ids[..., 2])
    assert layer.size == 30
    assert_close(run_both(layer, numbers), layer(ids))
