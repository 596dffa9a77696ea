"""Sample translations: what is said of them, and what TensorBoard gets."""

import io

import tensorflow as tf

from keras_s2s.training import train
from keras_s2s.training.validation_samples import ValidationSamples
from tests.training.toy_runs import changed, configuration


def texts(directory):
    """{step: text} of the samples in a directory of event files."""
    found = {}
    for path in sorted(directory.iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag == "samples":
                    found[event.step] = value.tensor.string_val[0].decode()
    return found


def test_the_first_pairs_are_shown():
    said = []
    samples = ValidationSamples(1, said.append)
    assert samples.page() == {}
    samples.show([("a b", "B A"), ("c", "C")], ["B", "C"])
    assert said == ["source:     a b", "reference:  B A", "hypothesis: B"]
    assert samples.page() == {"samples": "\n".join(f"    {line}" for line in said)}


def test_every_validation_shows_samples(tmp_path, corpora):
    config = configuration(corpora, updates=4, validate_every=2, validate_lines=5, samples=2)
    said = io.StringIO()
    train(config, tmp_path / "run", stream=said)
    with open(corpora["valid"]["pairs"]) as file:
        source, reference = next(file).split()
    lines = said.getvalue().splitlines()
    assert sum(line.startswith("hypothesis: ") for line in lines) == 4
    assert lines.count(f"source:     {source}") == lines.count(f"reference:  {reference}") == 2
    pages = texts(tmp_path / "run" / "logs" / "valid")
    assert sorted(pages) == [2, 4]
    assert f"    source:     {source}\n    reference:  {reference}\n" in pages[4]
    train(changed(config, training__samples=0, training__updates=6), tmp_path / "run", stream=said)
    assert said.getvalue().count("hypothesis: ") == 4
