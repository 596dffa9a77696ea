"""Settings that the state of a run depends on: data order, corpora and the best metric."""

from typing import TYPE_CHECKING

from keras_s2s.metrics import SCORERS
from keras_s2s.training.run_corpora import corpus_fingerprint

if TYPE_CHECKING:
    from keras_s2s.training.session import Session

__all__ = ["reset_best_if_changed", "set_corpora", "set_data_order"]


def set_data_order(session: "Session") -> None:
    """Sets the data order of the run; a new one if a setting it depends on changed."""
    config, state = session.config, session.progress.state
    terms = [config.training.seed, config.data.batch_tokens]
    if state.get("order", {}).get("terms") == terms:
        return
    seed = config.training.seed + state["step"]
    if state["step"]:
        session.log(f"data.train: another order from here, by seed {seed}")
    state |= {"order": {"seed": seed, "terms": terms}, "position": 0}


def set_corpora(session: "Session") -> None:
    """Records the fingerprints of the corpora, which `check_corpora` compares."""
    session.progress.state["corpora"] = {
        name: corpus_fingerprint(statistics) for name, statistics in session.statistics.items()
    }


def reset_best_if_changed(session: "Session") -> None:
    """Resets the best result so far if the metric, or a setting it depends on, changed."""
    training, state = session.config.training, session.progress.state
    terms = {"metric": training.metric}
    if training.metric == "loss":
        terms["label_smoothing"] = training.label_smoothing
    elif training.metric in SCORERS:
        terms["validate_lines"] = training.validate_lines
    previous = state.get("aim", terms)
    if previous != terms and state["best"] is not None:
        changed = [name for name in terms if name in previous and previous[name] != terms[name]]
        names = " and ".join(f"training.{name}" for name in changed)
        session.log(f"{names} changed: the next validation is the best so far")
        state |= {"best": None, "waited": 0}
    state["aim"] = terms
