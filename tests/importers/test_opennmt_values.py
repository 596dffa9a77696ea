"""Translation of model types, schedules, optimizers, batches and tokenizations of OpenNMT-tf."""

import pytest

from keras_s2s import models as catalog
from keras_s2s import tokenizers
from keras_s2s.errors import UserError
from keras_s2s.importers.opennmt import model_types
from tests.importers.documented import given, of


@pytest.mark.parametrize("name", list(model_types.TYPES))
def test_model_types_build(name):
    config, report = given(
        {"data": {"source_vocabulary": "v", "target_vocabulary": "v"}},
        model_types.get_model_type(name),
        auto=True,
    )
    found = catalog.resolve(config.model)
    assert config.data.tokenizer.shared
    transformer = name.startswith(("Transformer", "Scaling"))
    assert found["encoder"]["kind"] == ("transformer" if transformer else "recurrent")
    shared = "SharedEmbeddings" in name or name.startswith("Scaling")
    assert found["tie"] == ("all" if shared else "none")
    differs = name.startswith(("Scaling", "NMT"))
    assert bool(report.remarks) == differs
    if transformer:
        assert found["encoder"]["norm"] == ("post" if name.startswith("Scaling") else "pre")
        for part in ("encoder", "decoder"):
            assert (found[part]["epsilon"], found[part]["first_position"]) == (1e-3, 1)
            relative = {"kind": "relative", "max_distance": 20} if "Relative" in name else None
            assert found[part].get("positions", "sinusoidal") == (relative or "sinusoidal")


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("TransformerTiny", (64, 2, 2, 64)),
        ("TransformerBase", (512, 6, 8, 2048)),
        ("TransformerBig", (1024, 6, 16, 4096)),
    ],
)
def test_sizes_of_model_types(name, sizes):
    model = given({}, model_types.get_model_type(name))[0].model
    for part in (model.encoder, model.decoder):
        found = [part[k] for k in ("units", "num_layers", "num_heads", "hidden_units")]
        assert tuple(found) == sizes


def test_recurrent_type_copies_states():
    small = model_types.Recurrent(2, 8, bidirectional=True, embedding=6, linear=True)
    config, report = given({}, small)
    assert config.model.encoder["units"] == 4
    assert catalog.build(config.model, 9, 9).encoder.width == 8
    assert config.model.decoder["kind"] == "luong"
    assert any("tanh" in line for line in report.lines())


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("TransformerBsae", "got 'TransformerBsae'; the nearest is TransformerBase"),
        ("GPT2Small", "GPT2Small has no counterpart: it is a language model"),
        ("ListenAttendSpell", "keras-s2s reads text"),
        ("LstmCnnCrfTagger", "it labels the tokens"),
    ],
)
def test_unknown_model_types(name, problem):
    with pytest.raises(UserError, match=problem):
        model_types.get_model_type(name)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"learning_rate": 0.1}, ("constant", 0.1, 0)),
        (
            {
                "decay_type": "NoamDecay",
                "learning_rate": 2,
                "decay_step_duration": 4,
                "decay_params": {"model_dim": 512, "warmup_steps": 100},
            },
            ("noam", 4.0, 400),
        ),
        (
            {
                "decay_type": "NoamDecay",
                "learning_rate": 1,
                "decay_params": {"model_dim": 128, "warmup_steps": 9},
            },
            ("noam", 2.0, 9),
        ),
        (
            {"decay_type": "RsqrtDecay", "learning_rate": 2, "decay_params": {"warmup_steps": 400}},
            ("inverse_sqrt", 0.1, 400),
        ),
        (
            {
                "decay_type": "InvSqrtDecay",
                "decay_params": {"learning_rate": 0.3, "warmup_steps": 7},
            },
            ("inverse_sqrt", 0.3, 7),
        ),
        (
            {
                "decay_type": "CosineAnnealing",
                "learning_rate": 0.2,
                "decay_params": {"max_step": 10, "warmup_steps": 3},
            },
            ("cosine", 0.2, 3),
        ),
        (
            {
                "decay_type": "ExponentialDecay",
                "learning_rate": 0.2,
                "decay_params": {"decay_steps": 9, "decay_rate": 0.5},
            },
            ("exponential", 0.2, 0),
        ),
        (
            {
                "decay_type": "RNMTPlusDecay",
                "learning_rate": 0.2,
                "decay_params": {"num_replicas": 9},
            },
            ("constant", 0.2, 0),
        ),
    ],
)
def test_learning_rate_schedules(params, expected):
    config, report = of("params", **params)
    training = config.training
    found = (training.schedule, pytest.approx(training.learning_rate), training.warmup)
    assert found == expected
    assert not report.unknown
    refused = {row.key for row in report.refused}
    if params.get("decay_type") == "ExponentialDecay":
        assert {"params.decay_params.decay_steps", "params.decay_params.decay_rate"} <= refused
    if params.get("decay_type") == "RNMTPlusDecay":
        assert {"params.decay_type", "params.decay_params"} <= refused


def test_cosine_with_other_end_is_refused():
    decay = {"decay_type": "CosineAnnealing", "learning_rate": 1, "decay_params": {"max_step": 9}}
    for last, refused in ((9, False), (8, True)):
        _, report = given({"params": decay, "train": {"max_step": last}})
        found = {row.key for row in report.refused}
        assert ("params.decay_params.max_step" in found) == refused


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("LazyAdam", "adam"),
        ("SGD", "sgd"),
        ("Adagrad", "adagrad"),
        ("LAMB", "lamb"),
        ("Ftrl", "adam"),
    ],
)
def test_optimizers(name, ours):
    config, report = of("params", optimizer=name)
    assert config.training.optimizer == ours
    assert ([row.key for row in report.refused] == ["params.optimizer"]) == (name == "Ftrl")


def test_optimizer_options():
    options = {"momentum": 0.9, "nesterov": True, "decay": 0.1, "foo": 1, "global_clipnorm": 5}
    config, report = of("params", optimizer="SGD", optimizer_params=options)
    assert config.training.optimizer_options == {"momentum": 0.9, "nesterov": True}
    assert config.training.clip_norm == 5
    refused = {row.key for row in report.refused}
    assert refused == {"params.optimizer_params.decay", "params.optimizer_params.foo"}


@pytest.mark.parametrize(
    ("train", "batch", "accumulate"),
    [
        ({"batch_type": "tokens", "batch_size": 3000}, 3000, 1),
        ({"batch_type": "tokens", "batch_size": 3000, "effective_batch_size": 25000}, 3000, 9),
        ({"batch_type": "tokens"}, "auto", 1),
        ({"batch_type": "tokens", "batch_size": 0, "effective_batch_size": 25000}, 4096, 7),
        ({"batch_size": 64, "effective_batch_size": 128}, 4096, 2),
        ({}, 4096, 1),
    ],
)
def test_batches(train, batch, accumulate):
    config, _ = of("train", **train)
    assert (config.data.batch_tokens, config.training.accumulate) == (batch, accumulate)


def test_weighted_corpora():
    data = {"train_features_file": ["a.en", "b.en"], "train_labels_file": ["a.de", "b.de"]}
    config, _ = of("data", **data, train_files_weights=[0.5, 2])
    found = [(one.source, one.target, one.weight) for one in config.data.train]
    assert found == [("a.en", "a.de", 0.5), ("b.en", "b.de", 2)]


@pytest.mark.parametrize(
    ("tokenization", "kind"),
    [
        (None, "words"),
        ({"type": "SpaceTokenizer"}, "words"),
        ({"mode": "space"}, "words"),
        ({"type": "CharacterTokenizer"}, "characters"),
        ('{"type": "SentencePieceTokenizer", "params": {"model": "m"}}', "sentencepiece"),
        (
            {"type": "OpenNMTTokenizer", "params": {"mode": "none", "sp_model_path": "m"}},
            "sentencepiece",
        ),
    ],
)
def test_tokenizations(tokenization, kind):
    data = {
        f"{side}_{key}": value
        for side in ("source", "target")
        for key, value in (("vocabulary", "v"), ("tokenization", tokenization))
    }
    config, report = of("data", **data)
    assert (config.data.tokenizer.kind, config.data.tokenizer.shared) == (kind, True)
    assert config.data.tokenizer.file == ("m" if kind == "sentencepiece" else "v")
    refused = {row.key for row in report.refused}
    assert ("data.source_vocabulary" in refused) == (kind == "sentencepiece")


def test_tokenization_file(tmp_path):
    path = tmp_path / "tokenization.yml"
    path.write_text("{type: CharacterTokenizer}")
    raw = {"model_dir": str(tmp_path), "data": {"source_tokenization": path.name}}
    assert given(raw)[0].data.source_tokenizer.kind == "characters"


def test_read_vocabulary(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("<blank>\n<s>\n</s>\n▁\na\n")
    data = {f"{side}_vocabulary": str(path) for side in ("source", "target")}
    config, _ = of("data", **data)
    assert tokenizers.train(config.data.tokenizer, []).vocabulary[4:] == ("▁", "a")
    data |= {"source_tokenization": {"type": "CharacterTokenizer"}}
    config, _ = of("data", **data)
    assert tokenizers.train(config.data.source_tokenizer, []).vocabulary[4:] == (" ", "a")
