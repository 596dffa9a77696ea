"""Sample translations in the output and in TensorBoard."""

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
    lines = []
    samples = ValidationSamples(1, lines.append)
    assert samples.page() == {}
    samples.show([("a b", "B A"), ("c", "C")], ["B", "C"])
    assert lines == ["source:     a b", "reference:  B A", "hypothesis: B"]
    assert samples.page() == {"samples": "\n".join(f"    {line}" for line in lines)}


def test_every_validation_shows_samples(tmp_path, corpora):
    config = configuration(corpora, updates=4, validate_every=2, validate_lines=5, samples=2)
    stream = io.StringIO()
    train(config, tmp_path / "run", stream=stream)
    with open(corpora["valid"]["pairs"]) as file:
        source, reference = next(file).split()
    lines = stream.getvalue().splitlines()
    assert sum(line.startswith("hypothesis: ") for line in lines) == 4
    assert lines.count(f"source:     {source}") == lines.count(f"reference:  {reference}") == 2
    pages = texts(tmp_path / "run" / "logs" / "valid")
    assert sorted(pages) == [2, 4]
    assert f"    source:     {source}\n    reference:  {reference}\n" in pages[4]
    more = changed(config, training__samples=0, training__updates=6)
    train(more, tmp_path / "run", stream=stream)
    assert stream.getvalue().count("hypothesis: ") == 4
