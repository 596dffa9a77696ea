"""Search for targets: one loop over `Seq2Seq.begin` and `Seq2Seq.next`.

`search` is a beam, greedy search a beam of one, `sample` draws. Nothing of a hypothesis is copied
while a search runs but the decoder's state: each step notes token and parent of every live slot,
and hypotheses are traced back once at the end. `forecast` is the same loop over real vectors.
"""

from keras_s2s.search.backtrace import Hypotheses
from keras_s2s.search.beam_state import Beam, advance, length_penalty
from keras_s2s.search.compiled_search import CompiledSearch
from keras_s2s.search.constraints import has_disallowed, required_tokens
from keras_s2s.search.feature_forecast import Forecasts, forecast
from keras_s2s.search.loop import sample, search
from keras_s2s.search.options import (
    NEG_INF,
    Candidates,
    ConstraintOptions,
    Options,
    SamplingOptions,
    no_constraints,
)

__all__ = [
    "NEG_INF",
    "Beam",
    "Candidates",
    "CompiledSearch",
    "ConstraintOptions",
    "Forecasts",
    "Hypotheses",
    "Options",
    "SamplingOptions",
    "advance",
    "forecast",
    "has_disallowed",
    "length_penalty",
    "no_constraints",
    "required_tokens",
    "sample",
    "search",
]
