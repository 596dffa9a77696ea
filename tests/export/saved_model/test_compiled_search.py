"""Exports whose searches of one row are compiled by XLA."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_s2s.config import Decoding
from keras_s2s.errors import UserError
from keras_s2s.export import VerificationError, export_translator
from keras_s2s.export.inspection import describe_export
from keras_s2s.export.model_card import read_card
from keras_s2s.export.saved_model import compiled_search
from keras_s2s.export.saved_model.compiled_search import (
    XLA_SERVER_FLAG,
    build_compiled_search,
    compilation_requests,
)
from keras_s2s.export.saved_model.serving_compatibility import check_serving_compatibility
from keras_s2s.serving.server.local_model import LocalModel
from keras_s2s.translator import Translator
from tests.conformance import models
from tests.export.tiny_models import make_translator, tokenizers

ROOT = Path(__file__).resolve().parents[3]
DECODING = Decoding(beam_size=3, max_length=12)
TEXTS = ["", "a", "a b c", "i h g f", "a b c d e f g", "a b c d e f g h i a b", "\xff zz"]
SCRIPT_WITHOUT_XLA = """
import json, sys
from pathlib import Path
import numpy as np
from keras_s2s.serving import Server, StartError
from keras_s2s.serving.server.local_model import LocalModel
from keras_s2s.serving.server.session import disable_xla

disable_xla()
found = {}
with LocalModel(sys.argv[1]) as model:
    for name, texts, options in (
        ("one", ["a b"], {}), ("two", ["a b", "c"], {}), ("wide", ["a b"], {"beam_size": 4}),
        ("long", ["a b c d e f g h i a b"], {}), ("constrained", ["a b"], {"no_repeat_ngram": 2}),
    ):
        try:
            found[name] = [x[0].text for x in model.translate(texts, **options)]
        except Exception as error:
            found[name] = str(error)
try:
    Server("m", Path(sys.argv[1]).parent, 0, host="127.0.0.1",
           xla_cpu_compilation_enabled=False).start()
except StartError as error:
    found["server"] = str(error)
print(json.dumps(found))
"""


@pytest.fixture
def sizes(monkeypatch):
    monkeypatch.setattr(compiled_search, "SIZES", (4, 8))


def test_requests_for_every_size_and_width(sizes):
    translator = make_translator(DECODING, caps={"source_length": 6})
    search = build_compiled_search(translator)
    assert (search.sizes, search.widths) == ([4, 8], [1, 3])
    found = compilation_requests(translator, search)
    words = [len(request.inputs["text"][0].split()) + 1 for request in found]
    assert words == [4, 4, 8, 8]
    assert [request.inputs["beam_size"][0] for request in found] == [1, 3, 1, 3]
    short = build_compiled_search(make_translator(DECODING, caps={"source_length": 3}))
    assert short.sizes == [4]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A Transformer and its verified export, compiled for four shapes."""
    translator = Translator(models.make("pre", "pre", "tied"), *tokenizers(), DECODING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_search, "SIZES", (4, 8))
        path = export_translator(translator, tmp_path_factory.mktemp("served"), xla=True)
    return translator, path


@pytest.mark.slow
def test_card_and_inspection_name_the_server_flag(exported):
    _, path = exported
    card = read_card(path)["variant"]["xla"]
    assert card.pop("seconds_to_compile") > 0.5
    assert card == {
        "server_flag": XLA_SERVER_FLAG,
        "rows": 1,
        "source_lengths": [4, 8],
        "beam_sizes": [1, 3],
    }
    assert XLA_SERVER_FLAG in (path / "assets.extra" / "model_card.md").read_text()
    found = describe_export(path)["operations"]
    assert (found["compiled_by_xla"], found["server_flag"]) == (1, XLA_SERVER_FLAG)
    with pytest.raises(VerificationError, match="function .*: it must be compiled by XLA"):
        check_serving_compatibility(path)


@pytest.mark.slow
def test_results_equal_those_of_the_translator(exported):
    translator, path = exported
    random = np.random.default_rng(1)
    with LocalModel(path) as model:
        for text in TEXTS:
            for beam in (1, 2, 3, 5):
                options = {
                    "beam_size": beam,
                    "num_hypotheses": int(random.integers(1, beam + 1)),
                    "length_penalty": float(random.uniform(0, 1.5)),
                    "min_length": int(random.integers(0, 4)),
                    "max_length": int(random.choice([0, 3, 12, 40])),
                }
                if options["min_length"] > options["max_length"]:
                    options["min_length"] = 0
                (one,), (other,) = (
                    x.decode([text], **options)
                    if x is translator
                    else x.translate([text], **options)
                    for x in (translator, model)
                )
                assert [x.tokens for x in one] == [x.tokens for x in other], (text, options)
                for a, b in zip(one, other, strict=True):
                    np.testing.assert_allclose(a.score, b.score, atol=1e-4)
                    np.testing.assert_allclose(a.alignment, b.alignment, atol=1e-4)


@pytest.mark.slow
def test_server_without_xla_runs_other_searches_only(exported):
    translator, path = exported
    command = [sys.executable, "-c", SCRIPT_WITHOUT_XLA, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    found = json.loads(done.stdout.splitlines()[-1])
    assert "XLA compilation disabled" in found["one"]
    assert f"needs a server with {XLA_SERVER_FLAG}" in found["server"]
    assert found["two"] == translator.translate(["a b", "c"])
    assert found["wide"] == translator.translate(["a b"], beam_size=4)
    assert found["long"] == translator.translate([TEXTS[5]])
    assert found["constrained"] == translator.translate(["a b"], no_repeat_ngram=2)


@pytest.mark.slow
@pytest.mark.parametrize("variant", [{"batching": True}, {"weights": "int8"}])
def test_other_variants(sizes, tmp_path, variant):
    translator = make_translator(DECODING)
    path = export_translator(translator, tmp_path, xla=True, **variant)
    assert describe_export(path)["operations"]["compiled_by_xla"] == 1


@pytest.mark.slow
def test_uncompilable_model_publishes_nothing(sizes, tmp_path):
    translator = make_translator(DECODING)
    step = translator.model.next

    def odd(ids, *arguments, **options):
        ids = tf.strings.to_number(tf.strings.as_string(ids), tf.int32)
        return step(ids, *arguments, **options)

    translator.model.next = odd
    with pytest.raises(VerificationError, match="StringToNumber|AsString"):
        export_translator(translator, tmp_path, xla=True)
    assert list(tmp_path.iterdir()) == []


def test_forecasters_are_refused(tmp_path):
    from tests.export.feature_models import make_forecaster

    with pytest.raises(UserError, match="xla: expected none for forecasts"):
        export_translator(make_forecaster(), tmp_path, xla=True)
