"""Search for targets: one loop over `Seq2Seq.begin` and `Seq2Seq.next`.

`search` runs beam search (greedy search is a beam of one) and constrained beam search, `sample`
draws targets at random. While a search runs, only the decoder's state is reordered: each step
records token and parent of every live slot, and hypotheses are traced back once at the end.
`forecast` is the same loop over real-valued features.
"""

from keras_s2s.search.backtrace import Hypotheses
from keras_s2s.search.beam_state import Beam, advance, length_penalty
from keras_s2s.search.compiled_search import CompiledSearch
from keras_s2s.search.constrained_beam_search import ConstrainedBeamSearch
from keras_s2s.search.constraints import has_disallowed, required_tokens
from keras_s2s.search.feature_forecast import Forecasts, forecast
from keras_s2s.search.loop import sample, search
from keras_s2s.search.options import (
    NEG_INF,
    Candidates,
    ConstraintOptions,
    Options,
    SamplingOptions,
    has_constraints,
    no_constraints,
)
from keras_s2s.search.sampling_strategy import Sampling
from keras_s2s.search.strategies import BeamSearch, SearchStrategy, StepResult

# Names of earlier versions.
LOWEST = NEG_INF
Extras = ConstraintOptions
no_extras = no_constraints
needed = required_tokens
forbidden = has_disallowed

__all__ = [
    "LOWEST",
    "NEG_INF",
    "Beam",
    "BeamSearch",
    "Candidates",
    "CompiledSearch",
    "ConstrainedBeamSearch",
    "ConstraintOptions",
    "Extras",
    "Forecasts",
    "Hypotheses",
    "Options",
    "Sampling",
    "SamplingOptions",
    "SearchStrategy",
    "StepResult",
    "advance",
    "forbidden",
    "forecast",
    "has_constraints",
    "has_disallowed",
    "length_penalty",
    "needed",
    "no_constraints",
    "no_extras",
    "required_tokens",
    "sample",
    "search",
]
