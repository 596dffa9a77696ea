"""Caps: limits on what one row of a request may cost."""

__all__ = ["CAPS", "EXPORT_CAPS", "MAX_PENALTY", "resolve_bound"]

# A row beyond a cap gets an `error` and no hypothesis.
CAPS: dict[str, int] = {
    "beam_size": 16,
    "max_length": 256,
    "source_length": 1024,  # tokens
    "frames": 8192,  # of a source of features
    "text_bytes": 65536,  # tokenization can take time quadratic in the length of the text
    "list_bytes": 16384,  # of a prefix, of constraints, of disallowed tokens
    "no_repeat_ngram": 16,
    "constraints": 64,  # tokens of all constraints of a row
}
EXPORT_CAPS = ("beam_size", "max_length")  # an export may set other values for these
MAX_PENALTY = 10.0  # larger values are mistakes; powers of smaller ones stay within float32


def resolve_bound(bound: float | str | None, caps: dict[str, int]) -> float | None:
    """Returns a bound as a number.

    Args:
        bound: the number, or the name of a cap.
        caps: the caps of a model; one that is missing, in an older export, is that of `CAPS`.
    """
    return caps.get(bound, CAPS[bound]) if isinstance(bound, str) else bound
