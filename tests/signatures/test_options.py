"""The table of decoding options, and what is derived from it."""

import argparse
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from keras_s2s.cli.option_flags import add_sampling_options, add_search_options
from keras_s2s.config import Decoding
from keras_s2s.search.options import ConstraintOptions, Options, SamplingOptions
from keras_s2s.signatures.caps import CAPS, resolve_bound
from keras_s2s.signatures.decoding_option import SAMPLING
from keras_s2s.signatures.fields import FORECAST, SAMPLE, TRANSLATE
from keras_s2s.signatures.option_groups import (
    active_options,
    config_options,
    constraint_tensors,
    search_tensors,
)
from keras_s2s.signatures.option_table import option_table
from keras_s2s.signatures.options import OPTIONS

ROOT = Path(__file__).resolve().parents[2]
each_option = pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)


@each_option
def test_rows_are_consistent(option):
    related = [option.requires, option.at_most, option.divides, *option.excludes]
    assert {name for name in related if name is not None} <= OPTIONS.keys()
    for name in option.excludes:
        assert OPTIONS[name].inactive is not None
    low, high = option.low, resolve_bound(option.high, CAPS)
    for value in (option.default, option.inactive, option.example):
        assert value is None or low is None or low <= value <= high
    if option.inactive is not None:
        assert not option.is_active(option.inactive)
        assert option.example is None or option.is_active(option.example)
    assert option.is_active(option.default) == (option.default != option.inactive)


def test_signatures_have_their_options_in_this_order():
    assert list(TRANSLATE.options()) == [
        "beam_size",
        "num_hypotheses",
        "length_penalty",
        "length_offset",
        "coverage_penalty",
        "min_length",
        "min_length_ratio",
        "max_length",
        "max_length_ratio",
        "no_repeat_ngram",
        "repetition_penalty",
        "target_prefix",
        "prefix_tokens",
        "constraints",
        "disallowed",
        "beam_groups",
        "diversity_penalty",
        "alternatives_at",
        "replace_unknown",
        "max_new_tokens",
    ]
    assert list(SAMPLE.options()) == [
        "num_samples",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "seed",
        "max_length",
        "target_prefix",
        "prefix_tokens",
        "max_new_tokens",
    ]
    assert list(FORECAST.options()) == ["steps"]


def test_tensors_of_a_search_are_the_fields_of_its_tuples():
    assert search_tensors().keys() == set(Options._fields)
    assert constraint_tensors().keys() == set(ConstraintOptions._fields)
    sampling = {option.name for option in OPTIONS.values() if option.group == SAMPLING}
    assert sampling == set(SamplingOptions._fields)


def test_configuration_has_the_defaults_of_the_table():
    names = [field.name for field in dataclasses.fields(Decoding)]
    assert names == [*(option.name for option in config_options()), "dictionary"]
    decoding = Decoding()
    for option in config_options():
        expected = None if option.name == "steps" else option.default
        assert decoding.default(option.name) == expected
    assert not decoding.needs_constraints()


def test_every_number_has_a_flag_with_its_default():
    parser = argparse.ArgumentParser()
    add_search_options(parser)
    add_sampling_options(parser)
    text = " ".join(parser.format_help().split())
    for option in OPTIONS.values():
        if option.name != "steps":
            assert option.flag_name in text
    assert "--length-penalty X exponent of the length penalty; above 0 favours" in text
    assert "(default: 0.6)" in text


def test_active_options():
    values = {name: option.default for name, option in OPTIONS.items()}
    assert active_options(values) == []
    assert active_options(values | {"diversity_penalty": 0.5}) == []
    groups = {"diversity_penalty": 0.5, "beam_groups": 2}
    assert active_options(values | groups) == ["beam_groups", "diversity_penalty"]
    assert active_options(values | {"beam_size": 1, "min_length": 3}) == []
    assert active_options({"disallowed": "a"}) == ["disallowed"]


def test_documentation_has_the_table():
    assert option_table() in (ROOT / "docs" / "serving.md").read_text()


def test_table_is_printed_without_tensorflow():
    code = (
        "import runpy, sys; runpy.run_module('keras_s2s.signatures.option_table',"
        " run_name='__main__'); sys.exit('tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == option_table()
