"""Import of Marian models: log-probabilities, ids, texts and errors."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s import checkpoints
from keras_s2s.config import Config
from keras_s2s.data import make_example
from keras_s2s.errors import UserError
from keras_s2s.export import export_translator
from keras_s2s.importers.hugging_face import LOGIT_OFFSET
from keras_s2s.importers.marian import import_marian
from keras_s2s.importers.vocabularies import SpecialIds, reorder_vocabulary
from keras_s2s.training import train
from keras_s2s.training.session import build_session
from keras_s2s.translator import Translator
from tests.importers import marian_checkpoints as twin
from tests.references import log_softmax

VARIANTS = {
    "shared": {},
    "separate": {"separate": True},
    "untied": {
        "tie_word_embeddings": False,
        "activation_function": "relu",
        "scale_embedding": False,
    },
}
TEXTS = [">>fra<< the dog, a cat", "x lion", "a red long road and the house", ""]
TARGETS = ["Hund", "", "die Katze mag Äpfel!", "ein Weg"]


class Imported:
    """A model directory, the imported run, and the NumPy reference."""

    def __init__(self, root, **options):
        self.directory, self.run = root / "marian", root / "run"
        self.config, self.arrays = twin.write(self.directory, **options)
        assert import_marian(self.directory, self.run) == self.run
        self.translator = Translator.load(self.run)
        self.twin = twin.Twin(self.config, self.arrays)
        read = json.loads((self.directory / "vocab.json").read_text())
        own = self.directory / "target_vocab.json"
        self.vocabularies = read, json.loads(own.read_text()) if own.exists() else read

    def ids(self, side, text):
        vocabulary = self.vocabularies[side == "target"]
        pieces = twin.cut(side, text)
        return [vocabulary.get(piece, vocabulary["<unk>"]) for piece in pieces]

    def columns(self):
        """Of our ids of targets those that the other has too, and the other's."""
        pairs = [
            (ours, self.vocabularies[1][piece])
            for ours, piece in enumerate(self.translator.target_tokenizer.vocabulary)
            if piece in self.vocabularies[1]
        ]
        return [list(column) for column in zip(*pairs)]


@pytest.fixture(scope="module", params=VARIANTS)
def imported(request, tmp_path_factory):
    return Imported(tmp_path_factory.mktemp(request.param), **VARIANTS[request.param])


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return Imported(tmp_path_factory.mktemp("one"))


def test_log_probabilities_match_numpy(imported):
    source, target = (getattr(imported.translator, f"{s}_tokenizer") for s in ("source", "target"))
    pieces = source.tokenize(tf.constant(TEXTS)), target.tokenize(tf.constant(TARGETS))
    x, _, weights = make_example(*pieces, source, target)
    found = log_softmax(imported.translator.model(x))
    ours, theirs = imported.columns()
    assert len(ours) == len(imported.vocabularies[1])
    pad, end = imported.config["pad_token_id"], imported.config["eos_token_id"]
    for row, (text, wanted) in enumerate(zip(TEXTS, TARGETS)):
        read = [imported.config["decoder_start_token_id"], *imported.ids("target", wanted)]
        assert weights[row].numpy().sum() == len(read)
        logits = imported.twin.logits([*imported.ids("source", text), end], read)
        logits[:, pad] -= LOGIT_OFFSET
        assert logits.max() - logits.min() > 5
        np.testing.assert_allclose(
            found[row, : len(read), ours], log_softmax(logits)[:, theirs].T, atol=1e-4
        )
    assert found[..., 2].max() < -15  # the start's own column


def test_translations_match_numpy(imported):
    names = {number: piece for piece, number in imported.vocabularies[1].items()}
    expected = []
    for text in TEXTS:
        ids = imported.twin.greedy([*imported.ids("source", text), 0], 12)
        pieces = [names[number] for number in ids if names[number] != "<unk>"]
        expected.append("".join(pieces).replace("\N{LOWER ONE EIGHTH BLOCK}", " ").strip())
    assert len(set(expected)) > 1
    assert imported.translator.translate(TEXTS, beam_size=1) == expected


def test_excluded_padding_keeps_its_probability(shared, tmp_path):
    import_marian(shared.directory, tmp_path / "left-out")
    generation = {"bad_words_ids": [[shared.config["pad_token_id"]]]}
    (shared.directory / "generation_config.json").rename(tmp_path / "before")
    try:
        (shared.directory / "generation_config.json").write_text(json.dumps(generation))
        import_marian(shared.directory, tmp_path / "kept")
    finally:
        (tmp_path / "before").rename(shared.directory / "generation_config.json")
    left, kept = (
        checkpoints.load_model(tmp_path / name / "best").head.bias.numpy()
        for name in ("left-out", "kept")
    )
    np.testing.assert_allclose(kept - left, [LOGIT_OFFSET] + [0.0] * (len(kept) - 1), atol=1e-6)


def test_decoding_options_of_generation_config(shared):
    config = Config.from_run(shared.run)
    decoding = config.decoding
    assert (decoding.beam_size, decoding.max_length) == (3, 12)
    assert (decoding.length_penalty, decoding.length_offset) == (0.8, 0.0)
    assert config.model.encoder["positions"] == "vaswani"
    assert config.model.tie == "all"


def test_length_penalty(shared):
    for found in shared.translator.decode(TEXTS, num_hypotheses=3):
        for one in found:
            expected = one.log_prob / (len(one.tokens) + 1) ** 0.8
            np.testing.assert_allclose(one.score, expected, rtol=1e-5)


def test_missing_generation_options_keep_defaults(tmp_path):
    found = Imported(tmp_path, search={"num_beams": 20, "max_length": 512, "length_penalty": None})
    config = Config.from_run(found.run)
    assert (config.decoding.beam_size, config.export.max_beam_size) == (20, 20)
    assert (config.decoding.max_length, config.export.max_length) == (510, 510)
    assert config.decoding.length_penalty == 1.0


def test_training_starts_from_imported_weights(shared, tmp_path):
    run, pairs, kept = tmp_path / "run", tmp_path / "pairs.tsv", checkpoints.IMPORTED
    import_marian(shared.directory, run)
    pairs.write_text("".join(f"{a}\t{b}\n" for a, b in zip(twin.SOURCE, twin.TARGET)))
    raw = Config.from_run(run).to_dict()
    raw["data"]["train"] = {"pairs": str(pairs)}
    raw["training"] |= {"updates": 1, "learning_rate": 1e-5, "schedule": "constant", "warmup": 0}
    raw["export"]["when"] = "never"
    with (tmp_path / "said").open("w+") as said:
        train(Config.from_dict(raw), run, stream=said)
        raw["training"]["updates"] = 2
        build_session(Config.from_dict(raw), run, said)
        said.seek(0)
        text = said.read()
    assert f"weights from {run / kept}\n" in text
    assert f"{run}: going on from update 1\n" in text
    old, new = (
        checkpoints.named_weights(checkpoints.load_model(run / name)) for name in (kept, "last")
    )
    assert 0 < max(np.abs(old[name] - new[name]).max() for name in old) < 1e-3


@pytest.mark.slow
def test_export_matches_run(shared, tmp_path):
    path = export_translator(shared.translator, tmp_path / "served")
    served = tf.saved_model.load(str(path))
    found = served.signatures["serving_default"](text=tf.constant(TEXTS))
    texts = [text.decode() for text in found["text"].numpy()]
    assert texts == shared.translator.translate(TEXTS)


def changed_json(name, **changes):
    def change(directory):
        path = directory / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def changed_arrays(**changes):
    """Arrays replaced, added, or with None left out; `__` stands for a full stop."""

    def change(directory):
        config = json.loads((directory / "config.json").read_text())
        arrays = twin.tensors(config)
        for name, value in changes.items():
            arrays[name.replace("__", ".")] = value
        arrays = {name: value for name, value in arrays.items() if value is not None}
        twin.write_safetensors(directory / "model.safetensors", arrays)

    return change


def removed(name):
    return lambda directory: (directory / name).unlink()


def written(name, content):
    return lambda directory: (directory / name).write_bytes(content)


F32 = "float32"
MISTAKES = {
    "config missing": (removed("config.json"), "config.json: expected a file, got: No such file"),
    "config damaged": (written("config.json", b"{"), "config.json: expected JSON, got"),
    "config a list": (written("config.json", b"[]"), "config.json: expected a JSON object, got l"),
    "model type": (
        changed_json("config.json", model_type="bart"),
        "config.json: model_type: expected one of marian, got 'bart'",
    ),
    "activation": (
        changed_json("config.json", activation_function="gelu_new"),
        "config.json: activation_function: expected one of swish, .* got 'gelu_new'",
    ),
    "pre-norm": (
        changed_json("config.json", normalize_before=True),
        "config.json: normalize_before: expected one of False, got True",
    ),
    "size": (
        changed_json("config.json", d_model="16"),
        "config.json: d_model: expected an integer of at least 1, got '16'",
    ),
    "heads": (changed_json("config.json", encoder_attention_heads=3), "num_heads: .* 3"),
    "start": (
        changed_json("config.json", decoder_start_token_id=10**6),
        "config.json: decoder_start_token_id: expected an integer of at least 0 and below",
    ),
    "end": (
        changed_json("config.json", eos_token_id=4),
        "config.json: eos_token_id: expected one of 0, got 4",
    ),
    "beam": (
        changed_json("generation_config.json", num_beams="many"),
        "json: .*beam_size: expected an integer of at least 1, .* 'many'",
    ),
    "vocabulary missing": (removed("vocab.json"), "vocab.json: expected a file, got: No such"),
    "no unknown": (
        written("vocab.json", b'{"</s>": 0, "<pad>": 1}'),
        "vocab.json: expected an id for <unk>, got none",
    ),
    "id twice": (changed_json("vocab.json", new=4), "vocab.json: 'new': .* of its own, got 4"),
    "id beyond": (changed_json("vocab.json", new=4000), "vocab.json: 'new': .* 0 to .* got 4000"),
    "no source.spm": (removed("source.spm"), "source.spm: expected a file, got: No such file"),
    "target.spm": (written("target.spm", b"x"), "target.spm: model: expected a SentencePiece mo"),
    "no weights": (
        removed("model.safetensors"),
        "marian: expected model.safetensors or pytorch_model.bin, got neither",
    ),
    "no safetensors": (written("model.safetensors", b"PK"), "expected a safetensors file, got"),
    "header": (written("model.safetensors", b"\2" + bytes(7) + b"[]"), "expected a header of"),
    "beyond": (
        written(
            "model.safetensors",
            b"\x44"
            + bytes(7)
            + b'{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}      ',
        ),
        "model.safetensors: a: expected 16 bytes within the file, got 16 at 0 of 0",
    ),
    "type": (
        written(
            "model.safetensors",
            b"\x44"
            + bytes(7)
            + b'{"a": {"dtype": "F4", "shape": [4], "data_offsets": [0, 16]}}       ',
        ),
        "model.safetensors: a: expected one of the types F64, .* got F4",
    ),
    "weight missing": (
        changed_arrays(model__encoder__layers__1__fc2__bias=None),
        "safetensors: model.encoder.layers.1.fc2.bias: expected .16., got no such",
    ),
    "weight's shape": (
        changed_arrays(model__encoder__layers__0__fc1__weight=np.ones([2, 3], F32)),
        r"layers.0.fc1.weight: expected the shape \[24, 16\], got \[2, 3\]",
    ),
    "a weight more": (
        changed_arrays(model__encoder__layernorm_embedding__weight=np.ones(16, F32)),
        "expected the weights that .* got model.encoder.layernorm_embedding.weight",
    ),
    "no number": (
        changed_arrays(model__decoder__layers__0__fc1__bias=np.full(20, np.nan, F32)),
        "model.decoder.layers.0.fc1.bias: expected finite numbers, got others",
    ),
    "positions": (
        changed_arrays(model__decoder__embed_positions__weight=np.ones([64, 16], F32)),
        "embed_positions.weight: expected sinusoidal positions, got others",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_errors_name_the_cause_and_leave_no_run(tmp_path, mistake):
    change, message = MISTAKES[mistake]
    twin.write(tmp_path / "marian")
    change(tmp_path / "marian")
    with pytest.raises(UserError, match=message):
        import_marian(tmp_path / "marian", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["marian"]


def test_existing_run_is_kept(tmp_path):
    twin.write(tmp_path / "marian")
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match="run: expected a directory that does not exist yet"):
        import_marian(tmp_path / "marian", tmp_path / "run")


def test_stored_sinusoids_and_rounded_vocabulary(tmp_path):
    directory = tmp_path / "marian"
    config, _ = twin.write(directory)
    size = config["vocab_size"] + 3
    changed_json("config.json", vocab_size=size, decoder_vocab_size=size)(directory)
    stored = twin.positions(64, 16).astype("float32")
    changed_arrays(model__encoder__embed_positions__weight=stored)(directory)
    translator = Translator.load(import_marian(directory, tmp_path / "run"))
    assert translator.target_tokenizer.vocabulary[-1] == f"<id {size - 1}>"
    assert translator.model.vocabulary_size == size + 1


def test_half_precision(tmp_path):
    directory = tmp_path / "marian"
    _, arrays = twin.write(directory)
    names = {"final_logits_bias": "F16", "model.shared.weight": "BF16"}
    narrow = {"F16": np.float16, "BF16": tf.bfloat16.as_numpy_dtype}
    arrays |= {name: arrays[name].astype(narrow[kind]) for name, kind in names.items()}
    twin.write_safetensors(directory / "model.safetensors", arrays, names)
    model = Translator.load(import_marian(directory, tmp_path / "run")).model
    expected = arrays["model.shared.weight"].astype("float32")
    np.testing.assert_array_equal(model.source.table.numpy()[3], expected[0])


def test_reorder_vocabulary():
    names = ["</s>", "<unk>", "a", "<s>", None, "", "b", "<pad>"]
    made = reorder_vocabulary(names, SpecialIds(7, 1, 7, 0))
    assert made.rows == [7, 1, 7, 0, 2, 3, 4, 5, 6]
    assert made.pieces == ["a", "<id 3>", "<id 4>", "<id 5>", "b"]
    # a start that is no padding keeps its own row too
    assert reorder_vocabulary(names, SpecialIds(7, 1, 3, 0)).rows == [7, 1, 3, 0, 2, 3, 4, 5, 6]


def test_other_bad_words_are_logged(tmp_path, caplog):
    twin.write(tmp_path / "marian", search={"bad_words_ids": [[5], [6, 7]]})
    import_marian(tmp_path / "marian", tmp_path / "run")
    assert "bad_words_ids: only the padding is left out, the others are not" in caplog.text
