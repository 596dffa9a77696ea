"""Translation of OpenNMT-tf objectives into `training.objectives`."""

import pytest

from keras_s2s.config.objectives import Objectives
from keras_s2s.errors import UserError
from tests.importers.documented import FILES, given, of


def found(**params):
    """The objectives of `params`, and the reported phrases of keys without a counterpart."""
    config, report = of("params", **params)
    return config.training.objectives, {row.key: row.phrase for row in report.refused}


def test_guided_alignment_needs_type_and_files():
    files = {"data": FILES | {"train_alignments": "a.align"}}
    config, report = given(files | {"params": {"guided_alignment_type": "mse"}})
    objectives = config.training.objectives
    assert (objectives.guided_alignment, objectives.guided_alignment_kind) == (1.0, "squared")
    assert config.data.train.alignments == "a.align"
    assert not report.refused
    more = {"params": {"guided_alignment_type": "ce", "guided_alignment_weight": 0.3}}
    objectives = given(files | more)[0].training.objectives
    assert (objectives.guided_alignment, objectives.guided_alignment_kind) == (0.3, "cross_entropy")
    config, report = given(files)  # as theirs, which reads the file and uses nothing of it
    assert config.training.objectives.is_cross_entropy_only and config.data.train.alignments is None
    assert "data.train_alignments" in {row.key for row in report.same}
    assert given(more)[0].training.objectives.is_cross_entropy_only
    with pytest.raises(UserError, match="guided_alignment_type: expected ce or mse, got 'kl'"):
        found(guided_alignment_type="kl")


def test_alignments_of_every_corpus():
    data = {"train_features_file": ["a", "b"], "train_labels_file": ["c", "d"]}
    params = {"params": {"guided_alignment_type": "ce"}}
    config, _ = given({"data": data | {"train_alignments": ["e", "f"]}} | params)
    assert [corpus.alignments for corpus in config.data.train] == ["e", "f"]
    with pytest.raises(UserError, match="train_alignments: expected 2 files"):
        given({"data": data | {"train_alignments": "e"}} | params)


def test_only_l2_regularization_is_supported():
    assert found(regularization={"type": "l2", "scale": 1e-4}) == (Objectives(l2=1e-4), {})
    objectives, refused = found(regularization={"type": "l1", "scale": 1e-4})
    assert objectives.is_cross_entropy_only and "objectives.l2" in refused["params.regularization"]


def test_contrastive_learning_replaces_likelihood():
    objectives, refused = found(contrastive_learning=True, max_margin_eta=0.2)
    assert objectives == Objectives(cross_entropy=0.0, max_margin=1.0, max_margin_eta=0.2)
    assert not refused
    assert found(max_margin_eta=0.2) == (Objectives(), {})


@pytest.mark.parametrize(
    "kind, read, k, expected",
    [
        (None, 0.8, None, {"scheduled_sampling": "constant", "sampling_probability": 0.8}),
        ("linear", 1.0, 1e-4, {"scheduled_sampling": "linear", "sampling_k": 10_000.0}),
        ("exponential", None, 0.999, {"scheduled_sampling": "exponential", "sampling_k": 0.999}),
        (
            "inverse_sigmoid",
            None,
            2000,
            {"scheduled_sampling": "inverse_sigmoid", "sampling_k": 2000.0},
        ),
        ("constant", 1, None, {}),
    ],
)
def test_scheduled_sampling(kind, read, k, expected):
    params = {"type": kind, "read_probability": read, "k": k}
    given_ = {
        f"scheduled_sampling_{name}": value for name, value in params.items() if value is not None
    }
    objectives, refused = found(**given_)
    assert objectives == Objectives(**expected)
    assert not refused


@pytest.mark.parametrize(
    "kind, read, k",
    [("linear", 0.5, 1e-4), ("exponential", None, 2), ("inverse_sigmoid", None, 0.5)],
)
def test_unsupported_sampling_schedules_are_refused(kind, read, k):
    params = {"type": kind, "read_probability": read, "k": k}
    objectives, refused = found(**{f"scheduled_sampling_{n}": v for n, v in params.items()})
    assert objectives.is_cross_entropy_only
    assert kind in refused["params.scheduled_sampling_type"]


def test_sampling_schedule_needs_k():
    with pytest.raises(UserError, match="scheduled_sampling_k: expected a number above 0 for lin"):
        found(scheduled_sampling_type="linear", scheduled_sampling_read_probability=1)
    with pytest.raises(UserError, match="scheduled_sampling_type: expected one of constant"):
        found(scheduled_sampling_type="cosine")
