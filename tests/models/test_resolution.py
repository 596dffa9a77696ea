"""Resolution of `model` sections, and the errors of invalid ones."""

import pytest

from keras_s2s.config import ModelConfig
from keras_s2s.errors import UserError
from keras_s2s.models import KINDS, PRESETS, build, resolve
from keras_s2s.models.resolution import CORPUS_ARGUMENTS, SIDE_KEYS

SOURCE_SIZE, V = 11, 9


@pytest.mark.parametrize(
    ("preset", "tie", "expected"),
    [
        ("gru", None, "none"),
        ("gru", True, "output"),
        ("gru", "output", "output"),
        ("transformer_tiny", None, "output"),
        ("transformer_tiny", False, "none"),
        ("transformer_tiny", "all", "all"),
    ],
)
def test_tie_passes_through(preset, tie, expected):
    assert resolve(ModelConfig(preset=preset, tie=tie))["tie"] == expected


@pytest.mark.parametrize("preset", PRESETS)
def test_resolve_is_complete_and_stable(preset):
    description = resolve(ModelConfig(preset=preset))
    again = ModelConfig(
        **{key: description[key] for key in ("embedding", "tie", *SIDE_KEYS, *KINDS)}
    )
    assert resolve(again) == description
    for part, kinds in KINDS.items():
        config = kinds[description[part]["kind"]].__init__.__code__
        names = set(config.co_varnames[1 : config.co_argcount]) - set(CORPUS_ARGUMENTS)
        assert set(description[part]) == {"kind"} | names


def test_the_configuration_overrides_the_preset():
    description = resolve(
        ModelConfig(preset="lstm_stacked", dropout=0.5, decoder={"units": 7, "dropout": 0.1})
    )
    assert (description["encoder"]["dropout"], description["decoder"]["dropout"]) == (0.5, 0.1)
    assert (description["encoder"]["units"], description["decoder"]["units"]) == (256, 7)
    assert description["decoder"]["cell"] == "lstm"
    assert description["decoder"]["num_layers"] == 2


def test_a_decoder_of_another_kind_with_its_attention():
    attention = {"kind": "location", "filters": 4}
    decoder = {"kind": "luong", "input_feeding": False, "attention": attention}
    description = resolve(ModelConfig(preset="gru", decoder=decoder))["decoder"]
    assert (description["cell"], description["units"], description["attention"]) == (
        "gru",
        256,
        attention,
    )
    built = build(ModelConfig(preset="gru", decoder={**decoder, "units": 8}), SOURCE_SIZE, V)
    assert built.decoder.attention.filters == 4
    assert "attention_units" not in description


def test_source_units_are_the_width_of_the_embedding():
    description = resolve(ModelConfig(preset="noisy_gated", embedding=20))
    assert description["encoder"]["source_units"] == 20
    assert description["decoder"]["attention"] == {"kind": "gated", "source_units": 20}
    assert PRESETS["noisy_gated"]["encoder"]["source_units"] == "embedding"


def test_parts_of_another_kind_keep_shared_arguments_only():
    description = resolve(
        ModelConfig(preset="lstm", encoder={"kind": "transformer", "num_layers": 3})
    )
    assert "cell" not in description["encoder"]
    assert (
        description["encoder"] | {"num_layers": 3, "units": 256, "norm": "pre"}
        == description["encoder"]
    )
    assert description["decoder"]["kind"] == "recurrent"


@pytest.mark.parametrize(
    ("config", "width"),
    [
        ({}, 256),
        ({"preset": "gru_small"}, 128),
        ({"encoder": {"units": 12}}, 12),
        ({"embedding": 20, "encoder": {"units": 12}}, 20),
        ({"decoder": {"kind": "transformer", "units": 16}}, 16),
        ({"preset": "transformer_tiny", "encoder": {"units": 32}}, 32),
    ],
)
def test_width_of_the_embeddings(config, width):
    assert resolve(ModelConfig(**config))["embedding"] == width


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"preset": "transformer_smal"},
            "model.preset: expected one of gru, .*, got 'transformer_smal'; the nearest is"
            " 'transformer_small'",
        ),
        (
            {"encoder": {"kind": "recurent"}},
            "model.encoder.kind: expected one of recurrent, .*, got 'recurent';"
            " the nearest is 'recurrent'",
        ),
        (
            {"decoder": {"kind": ["transformer"]}},
            r"model.decoder.kind: expected one of recurrent, .*, got \['transformer'\];"
            " the nearest is 'transformer'",
        ),
        (
            {"encoder": {"layers": 3}},
            "model.encoder.layers: unknown key, expected one of units, num_layers, .*;"
            " the nearest is 'num_layers'",
        ),
        (
            {"decoder": {"attention_unit": 3}},
            "model.decoder.attention_unit: unknown key, .*; the nearest is 'attention_units'",
        ),
        (
            {"head": {"vocabulary_size": 3}},
            "model.head.vocabulary_size: unknown key, expected none but kind",
        ),
        (
            {"encoder": {"dropout": 1.0}},
            "model.encoder.dropout: expected a number of at least 0 and below 1, got 1.0",
        ),
        (
            {"decoder": {"dropout": "much"}},
            "model.decoder.dropout: expected a number of at least 0 and below 1, got 'much'",
        ),
    ],
)
def test_invalid_sections(config, message):
    for function in (resolve, lambda config: build(config, SOURCE_SIZE, V)):
        with pytest.raises(UserError, match=f"^{message}$"):
            function(ModelConfig(**config))


TRANSFORMER = {"kind": "transformer", "units": 8}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"encoder": {"units": "x"}},
            "model.encoder.units: expected an integer of at least 1, got 'x'",
        ),
        ({"decoder": {"num_layers": 0}}, "model.decoder: num_layers: .*, got 0"),
        (
            {"decoder": {"cell": "rnn"}},
            "model.decoder: cell: expected one of gru, .* 'rnn'",
        ),
        (
            {"encoder": {**TRANSFORMER, "num_heads": 3}},
            r"model.encoder: num_heads: expected a divisor of units \(8\), got 3",
        ),
        (
            {"encoder": {**TRANSFORMER, "norm": "none"}},
            "model.encoder: norm: expected 'pre' or 'post', got 'none'",
        ),
        (
            {"decoder": {**TRANSFORMER, "activation": "rel"}},
            "model.decoder: Could not interpret activation function identifier: rel",
        ),
        (
            {"decoder": {"attention": "locations"}},
            "model.decoder: attention: expected one of additive, .*; the nearest is 'location'",
        ),
        (
            {"decoder": {"kind": "luong", "attention": {"kind": "location", "filter": 3}}},
            "model.decoder: attention.filter: unknown key of 'location', expected one of units,",
        ),
        (
            {"decoder": {"kind": "plain"}, "head": {"kind": "pointer_generator"}},
            "model: head: PointerGeneratorHead expected a decoder with attention, got"
            " NoAttentionDecoder without",
        ),
        ({"tie": "al"}, "model: tie: expected 'none', 'output' or 'all', got 'al'"),
        ({"tie": "all"}, "model: tie: 'all' needs one vocabulary for both sides, got 11 and 9"),
        (
            {"tie": True, "embedding": 6},
            "model: tie: expected a target embedding of the decoder's width 256, got 6",
        ),
        (
            {"encoder": TRANSFORMER, "embedding": 6},
            r"model: inputs: expected source vectors of width 8 \(units\), got 6",
        ),
        (
            {"decoder": {"bridge": "copy"}},
            r"model: bridge: 'copy' expected the encoder to end in states \[\{'h': 256\}\],"
            r" got \[\{'h': 512\}\]; use 'dense' or equal sizes",
        ),
    ],
)
def test_invalid_models(config, message):
    with pytest.raises(UserError, match=f"^{message}") as caught:
        build(ModelConfig(**config), SOURCE_SIZE, V)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source_size": 0}, "model: vocabulary_size: expected a positive integer, got 0"),
        ({"target_size": 1}, "model: unknown: expected an id of 0 to 0, got 1"),
        ({"label_smoothing": 1}, "model: label_smoothing: expected 0 <= e < 1, got 1"),
        ({"policy": "mixed"}, "model.encoder: Cannot convert 'mixed'"),
    ],
)
def test_arguments_of_build(options, message):
    with pytest.raises(UserError, match=message):
        build(ModelConfig(), **({"source_size": SOURCE_SIZE, "target_size": V} | options))


def test_a_head_without_tying_ignores_the_tie_of_its_preset():
    for kind in ("adaptive_softmax", "pointer_network"):
        assert resolve(ModelConfig(preset="transformer_tiny", head={"kind": kind}))["tie"] == "none"
    config = ModelConfig(preset="transformer_tiny", head={"kind": "adaptive_softmax"}, tie=True)
    with pytest.raises(UserError, match="model: tie: expected 'none' for adaptive_softmax"):
        build(config, SOURCE_SIZE, V)
    config = ModelConfig(head={"kind": "pointer_network", "attention_units": 0})
    with pytest.raises(UserError, match="model.head: attention_units: expected a positive integer"):
        build(config, SOURCE_SIZE, V)


def test_sizes_of_the_papers():
    see, vinyals = (resolve(ModelConfig(preset=f"pointer_{p}")) for p in ("generator", "network"))
    assert (see["embedding"], see["decoder"]["attention_units"]) == (128, 512)
    for description in (see, vinyals):
        assert {description[part]["units"] for part in ("encoder", "decoder")} == {256}
        assert {description[part]["cell"] for part in ("encoder", "decoder")} == {"lstm"}
        assert description["encoder"]["dropout"] == description["decoder"]["dropout"] == 0.0
    assert not vinyals["encoder"]["bidirectional"]
    assert vinyals["decoder"]["bridge"] == "copy"
