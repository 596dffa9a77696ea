"""Incremental translation of one text by ordinary calls.

A served model returns the whole target of a call at once. A stream requests a few tokens at a
time: each call forces the tokens so far as `prefix_tokens`. Their text is not sent, since it might
be tokenized differently.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

from keras_s2s.serving.client import arguments
from keras_s2s.signatures.fields import Signature
from keras_s2s.signatures.requests import search_inputs
from keras_s2s.signatures.responses import Hypothesis

__all__ = ["stream"]

# Options about a whole target, which a part of it cannot satisfy.
_WHOLE_TARGET_OPTIONS = ("constraints", "alternatives_at")
_COUNT_OPTIONS = {"translate": "num_hypotheses", "sample": "num_samples"}

TranslateFunction = Callable[..., list[list[Hypothesis]]]


def stream(
    translate: TranslateFunction,
    signature: Signature,
    text: str,
    chunk: int,
    options: dict[str, Any],
) -> Iterator[Hypothesis]:
    """Yields the best hypothesis of a text repeatedly while it grows.

    Args:
        translate: `Client.translate`, `Client.sample` or a function with the same arguments.
        signature: the signature that `translate` calls.
        text: one text.
        chunk: number of tokens that each call adds.
        options: options of the signature, for one text.

    Returns:
        An iterator that makes one call for each hypothesis. `finished` is True only for the last
        one, if the model ended it.

    Raises:
        ValueError: if an argument is invalid, or an option has no meaning for a stream; before
            the first call.
    """
    if not isinstance(text, str | bytes):
        raise ValueError(f"text must be one string, not {text!r}")
    options = _single_hypothesis_options(signature, options)
    inputs = search_inputs(signature, [text], options)
    max_new_tokens = int(inputs.get("max_new_tokens", [0])[0])  # one value or a list of one
    options.pop("max_new_tokens", None)
    return _grow(translate, text, arguments.check_chunk(chunk), max_new_tokens, options)


def _single_hypothesis_options(signature: Signature, options: dict[str, Any]) -> dict[str, Any]:
    """Returns options of a search for one hypothesis, greedy unless `beam_size` is given."""
    count_option = _COUNT_OPTIONS[signature.name]
    for name in (count_option, *_WHOLE_TARGET_OPTIONS):
        if options.get(name) is not None:
            raise ValueError(f"a stream takes no {name}: it follows one hypothesis step by step")
    single = {name: value for name, value in options.items() if value is not None}
    single[count_option] = 1
    return single if signature.name == "sample" else {"beam_size": 1} | single


def _grow(
    translate: TranslateFunction,
    text: str,
    chunk: int,
    max_new_tokens: int,
    first_options: dict[str, Any],
) -> Iterator[Hypothesis]:
    remaining = max_new_tokens or math.inf
    previous_length, options = -1, first_options
    while True:
        step_tokens = min(chunk, remaining)
        (hypotheses,) = translate([text], max_new_tokens=step_tokens, **options)
        if not hypotheses:
            return
        best, length = hypotheses[0], len(hypotheses[0].tokens)
        remaining -= step_tokens
        # At a cut, `finished` means that the end token is most likely there. An uncut search or
        # sample may continue nevertheless; the next step decides.
        if remaining <= 0 or length < max(previous_length, 0) + step_tokens:
            if best.finished or length > previous_length:
                yield best
            return
        yield dataclasses.replace(best, finished=False)
        if any("\n" in token for token in best.tokens):
            # Such a token cannot be an item of `prefix_tokens`: request the rest in one call.
            (hypotheses,) = translate([text], max_new_tokens=max_new_tokens, **first_options)
            yield from hypotheses[:1]
            return
        previous_length = length
        options = first_options | {"target_prefix": None, "prefix_tokens": [best.tokens]}
