"""Search for the best target: one loop over `Seq2Seq.begin` and `Seq2Seq.next`."""

from keras_s2s.search.loop import (
    LOWEST,
    Beam,
    Hypotheses,
    Options,
    advance,
    length_penalty,
    search,
    start,
    trace,
)

__all__ = [
    "LOWEST",
    "Beam",
    "Hypotheses",
    "Options",
    "advance",
    "length_penalty",
    "search",
    "start",
    "trace",
]
