"""Import of M2M100 and NLLB: log-probabilities, ids, texts, languages and errors."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf

from keras_s2s.cli import main
from keras_s2s.data import make_example
from keras_s2s.errors import UserError
from keras_s2s.export import export_litert_translator, export_translator
from keras_s2s.importers.hugging_face import LOGIT_OFFSET
from keras_s2s.importers.m2m100 import import_m2m100
from keras_s2s.tokenizers import Multilingual
from keras_s2s.translator import Translator
from tests.importers import m2m100_checkpoints as twin
from tests.importers.marian_checkpoints import SOURCE, pieces_model, write_safetensors
from tests.references import log_softmax

TEXTS = ["the cat sees a dog", "a red c house", "", "__fr__ my long road", "my brother"]
TARGETS = ["a dog", "", "__fr__ the road", "the house likes c", "a red apple"]
LONGEST = 12


class Imported:
    """A model directory, the imported run, and the NumPy reference."""

    def __init__(self, root, **options):
        self.directory, self.run = root / "m2m", root / "run"
        self.config, self.arrays, self.names = twin.write(self.directory, **options)
        assert import_m2m100(self.directory, self.run, "en", "de") == self.run
        self.translator = Translator.load(self.run)
        self.twin = twin.Twin(self.config, self.arrays)

    def ids(self, text, language):
        """The ids of the other tokenizer, without the end token."""
        if text.startswith("__"):
            language, text = text.split(" ", 1)
        package = sentencepiece.SentencePieceProcessor(model_proto=pieces_model("source")[0])
        pieces = [language, *package.encode(text, out_type=str)]
        return [self.names.index(piece if piece in self.names else "<unk>") for piece in pieces]


@pytest.fixture(scope="module", params=["m2m100", pytest.param("nllb", marks=pytest.mark.slow)])
def imported(request, tmp_path_factory):
    alone = request.param == "nllb"
    return Imported(tmp_path_factory.mktemp(request.param), alone=alone)


def test_log_probabilities_match_numpy(imported):
    pair = imported.translator.source_tokenizer, imported.translator.target_tokenizer
    pieces = (side.tokenize(tf.constant(one)) for side, one in zip(pair, (TEXTS, TARGETS)))
    x, _, weights = make_example(*pieces, *pair)
    found = log_softmax(imported.translator.model(x))
    kept = [0, 1, *range(3, pair[1].size)]
    theirs = [
        1,
        3,
        2,
        *(
            imported.names.index(n) if n in imported.names else int(n[4:-1])
            for n in pair[1].vocabulary[4:]
        ),
    ]
    for row, (text, wanted) in enumerate(zip(TEXTS, TARGETS)):
        read = [2, *imported.ids(wanted, "__de__")]
        assert weights[row].numpy().sum() == len(read)
        logits = imported.twin.logits([*imported.ids(text, "__en__"), 2], read)
        np.testing.assert_allclose(
            found[row, : len(read)][:, kept], log_softmax(logits)[:, theirs], atol=1e-4
        )
    assert found[..., 2].max() < -LOGIT_OFFSET / 2  # the start's own column


def test_translations_match_numpy(imported):
    expected = []
    for text in TEXTS:
        source = [*imported.ids(text, "__en__"), 2]
        ids = imported.twin.greedy(source, imported.names.index("__de__"), LONGEST - 1)
        names = [imported.names[n] if n < len(imported.names) else f"<id {n}>" for n in ids]
        kept = [name for name in names if name not in (*twin.LANGUAGES, "<unk>")]
        expected.append("".join(kept).replace("\N{LOWER ONE EIGHTH BLOCK}", " ").strip())
    assert len(set(expected)) > 1
    found = imported.translator.decode(TEXTS, beam_size=1, max_length=LONGEST)
    assert {one.tokens[0] for (one,) in found} == {"__de__"}
    names = {name.replace("<s>", "<id 0>") for name in expected}
    assert {one.text for (one,) in found} == names


def test_prefixes_and_targets_start_with_a_language(imported):
    translator = imported.translator
    pieces = translator.target_tokenizer.tokenize(tf.constant(["a dog"])).to_list()[0][1:]
    pieces = [piece.decode() for piece in pieces]
    given = {
        "target_prefix": ["a dog", "", "__fr__ a dog", ""],
        "prefix_tokens": [[], pieces, [], ["__fr__"]],
    }
    found = translator.decode(["my road"] * 4, **given)
    wanted = [["__de__", *pieces], pieces, ["__fr__", *pieces], ["__fr__"]]
    for (best, *_), expected in zip(found, wanted, strict=True):
        assert best.tokens[: len(expected)] == expected
    ((forced, *_),) = translator.decode(["my road"], constraints=["a dog"])
    joined = "\n".join(forced.tokens)
    assert "\n".join(pieces) in joined
    assert joined.count("__de__") == 1
    (text,) = translator.score(["my road"], ["a dog"])
    (tokens,) = translator.score(["my road"], target_tokens=[["__de__", *pieces]])
    assert text.tokens == tokens.tokens
    assert text.log_prob == pytest.approx(tokens.log_prob, abs=1e-5)


@pytest.mark.slow
def test_export_matches_run_and_litert_is_refused(imported, tmp_path):
    path = export_translator(imported.translator, tmp_path / "served")
    served = tf.saved_model.load(str(path))
    found = served.signatures["serving_default"](text=tf.constant(TEXTS))
    texts = [text.decode() for text in found["text"].numpy()]
    assert texts == imported.translator.translate(TEXTS)
    with pytest.raises(UserError, match="litert needs a source of texts, .* multilingual"):
        export_litert_translator(imported.translator, tmp_path / "file")


def test_import_command(tmp_path, capsys):
    twin.write(tmp_path / "m2m")
    words = ["import", str(tmp_path / "m2m"), str(tmp_path / "run")]
    for more, message in (
        ([], "--source-language: expected the language, "),
        (["--source-language", "en"], "--target-language: expected the language, "),
        (
            ["--source-language", "en", "--target-language", "it"],
            "--target-language: expected one of en, de, fr, got 'it'",
        ),
    ):
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err
    assert main([*words, "--source-language", "fr", "--target-language", "__en__"]) == 0
    assert Translator.load(tmp_path / "run").target_tokenizer.prefix_tokens == ("__en__",)


def changed(name, **changes):
    def change(directory):
        path = directory / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def without_norm(directory):
    arrays = twin.tensors(json.loads((directory / "config.json").read_text()))
    del arrays["model.encoder.layer_norm.bias"]
    write_safetensors(directory / "model.safetensors", arrays)


MISTAKES = {
    "tie": (changed("config.json", tie_word_embeddings=False), "tie_word_embeddings: .* one of Tr"),
    "end": (changed("config.json", eos_token_id=0), "eos_token_id: expected one of 2, got 0"),
    "size": (changed("config.json", vocab_size=20), "vocab.json: .*: expected an id of 0 to 19"),
    "languages": (
        changed("special_tokens_map.json", additional_special_tokens=[7]),
        "special_tokens_map.json: expected additional_special_tokens, a list",
    ),
    "pieces": (
        lambda directory: (directory / "sentencepiece.bpe.model").unlink(),
        "sentencepiece.bpe.model: expected a file, got: No such file",
    ),
    "weight": (without_norm, "model.encoder.layer_norm.bias: expected .16., got no such weight"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_errors_name_the_cause_and_leave_no_run(tmp_path, mistake):
    change, message = MISTAKES[mistake]
    twin.write(tmp_path / "m2m")
    change(tmp_path / "m2m")
    with pytest.raises(UserError, match=message):
        import_m2m100(tmp_path / "m2m", tmp_path / "run", "en", "de")
    assert [path.name for path in tmp_path.iterdir()] == ["m2m"]


def test_languages_of_language_codes(tmp_path):
    config, _, names = twin.write(tmp_path / "m2m")
    size = len(names) - len(twin.LANGUAGES) + 100
    config |= {"vocab_size": size}
    write_safetensors(tmp_path / "m2m" / "model.safetensors", twin.tensors(config))
    (tmp_path / "m2m" / "config.json").write_text(json.dumps(config))
    (tmp_path / "m2m" / "special_tokens_map.json").unlink()
    run = import_m2m100(tmp_path / "m2m", tmp_path / "run", "zu", "af")
    assert Translator.load(run).target_tokenizer.vocabulary[-1] == "__zu__"


def test_language_without_id():
    content, pieces = pieces_model("source")
    with pytest.raises(ValueError, match="languages: expected tokens of the vocab.* '__xx__'"):
        Multilingual(content, pieces, ["__xx__"], "__xx__")


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("MARIAN_PYTHON"), reason="no Python with transformers")
def test_matches_transformers(tmp_path):
    directory = tmp_path / "m2m"
    _, _, names = twin.write(directory, d_model=32, encoder_ffn_dim=64, decoder_ffn_dim=64)
    texts = [*SOURCE[:3], "the cat likes apples", "a long red house", "x"]
    (directory / "texts.json").write_text(json.dumps(texts))
    program = Path(__file__).with_name("m2m100_reference.py")
    subprocess.run(
        [
            os.environ["MARIAN_PYTHON"],
            str(program),
            str(directory),
            str(names.index("__en__")),
            str(names.index("__de__")),
        ],
        check=True,
        timeout=300,
    )
    reference = json.loads((directory / "reference.json").read_text())
    translator = Translator.load(import_m2m100(directory, tmp_path / "run", "en", "de"))
    source = translator.source_tokenizer
    vocabulary = {name: n for n, name in enumerate(names)}
    for text, expected in zip(texts, reference["source_ids"]):
        (ids,) = source.ids(source.tokenize(tf.constant([text]))).to_list()
        given = [vocabulary.get(source.vocabulary[n], 3) for n in ids]
        assert given == expected[:-1]
    found = translator.decode(texts, beam_size=1, max_length=20)
    for (best,), ids, scores in zip(found, reference["ids"], reference["log_probs"], strict=True):
        theirs = [f"<id {n}>" if n >= len(names) or n == 0 else names[n] for n in ids]
        assert best.tokens[1:] == theirs
        np.testing.assert_allclose(best.token_log_probs[1 : len(scores) + 1], scores, atol=1e-4)
    assert len({tuple(ids) for ids in reference["ids"]}) > 2
