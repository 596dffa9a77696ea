"""A target piece by piece, as it grows, over ordinary calls.

A served model answers a call all at once. A stream asks it for a few tokens at a time: each call
hands it the tokens so far, never their text, which might be cut into others.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator

from keras_s2s.serving.client import arguments
from keras_s2s.signatures.fields import Signature
from keras_s2s.signatures.responses import Hypothesis

__all__ = ["stream"]

# They are about a whole target: a piece of it cannot keep them.
_WHOLE = ("constraints", "alternatives_at")
_COUNTS = {"translate": "num_hypotheses", "sample": "num_samples"}


def stream(
    ask: Callable, signature: Signature, text: str, chunk: int, options: dict
) -> Iterator[Hypothesis]:
    """The best hypothesis of a text, again and again as it grows.

    Args:
        ask: `Client.translate` or `Client.sample`, or what is called like them.
        signature: the entry that it asks.
        text: one text.
        chunk: tokens that each call adds.
        options: those of the signature, for one text.

    Returns:
        An iterator that makes a call for each hypothesis it gives; arguments are checked before.
        `finished` is True of the last one alone, if the model ended it.

    Raises:
        ValueError: if an argument is wrong, or an option has no meaning for a stream.
    """
    if not isinstance(text, str | bytes):
        raise ValueError(f"text must be one string, not {text!r}")
    options = _single(signature, options)
    inputs = arguments.search_inputs(signature, [text], options)
    limit = inputs.get("max_new_tokens", [0])[0]  # whatever it was given as
    options.pop("max_new_tokens", None)
    return _grow(ask, text, arguments.check_chunk(chunk), int(limit), options)


def _single(signature, options):
    """The options of a search for one hypothesis; greedy unless it is told otherwise."""
    count = _COUNTS[signature.name]
    for name in (count, *_WHOLE):
        if options.get(name) is not None:
            raise ValueError(f"a stream takes no {name}: it follows one hypothesis, in pieces")
    single = {name: value for name, value in options.items() if value is not None} | {count: 1}
    return single if signature.name == "sample" else {"beam_size": 1} | single


def _grow(ask, text, chunk, limit, options):
    left, seen, start = limit or math.inf, -1, options
    while True:
        step = min(chunk, left)
        (found,) = ask([text], max_new_tokens=step, **options)
        if not found:
            return
        best, size = found[0], len(found[0].tokens)
        left -= step
        # Of a target that the step cut, `finished` tells what the model held likeliest, not what
        # an uncut search or draw does next: the next step tells.
        if left <= 0 or size < max(seen, 0) + step:
            if best.finished or size > seen:
                yield best
            return
        yield dataclasses.replace(best, finished=False)
        if any("\n" in token for token in best.tokens):  # no item of a list: the rest at once
            (found,) = ask([text], max_new_tokens=limit, **start)
            yield from found[:1]
            return
        seen = size
        options = start | {"target_prefix": None, "prefix_tokens": [best.tokens]}
