"""Checks that the parts of a model fit together."""

from typing import Any

__all__ = ["check_parts"]


def check_parts(source: Any, encoder: Any, target: Any, decoder: Any, head: Any, tie: str) -> None:
    """Checks that the parts of a `Seq2Seq` fit together; arguments as its own.

    Raises:
        ValueError: naming the part that does not fit.
    """
    if tie not in ("none", "output", "all"):
        raise ValueError(f"tie: expected 'none', 'output' or 'all', got {tie!r}")
    _check_sides(source, target, head, tie)
    if tie == "all" and source.vocabulary_size != target.vocabulary_size:
        raise ValueError(
            "tie: 'all' needs one vocabulary for both sides, got"
            f" {source.vocabulary_size} and {target.vocabulary_size} tokens"
        )
    if head.needs_attention and not decoder.has_attention:
        raise ValueError(
            f"head: {type(head).__name__} expected a decoder with attention, got"
            f" {type(decoder).__name__} without"
        )
    _check_pointers(encoder, target, head)
    if tie != "none" and target.units != decoder.width:
        raise ValueError(
            f"tie: expected a target embedding of the decoder's width {decoder.width},"
            f" got {target.units}"
        )


def _check_pointers(encoder, target, head):
    """A pointer network's head and target embedding occur together."""
    is_pointer = getattr(target, "is_pointer", False)
    if head.is_pointer and not is_pointer:
        got = type(target).__name__
        raise ValueError(f"target: expected a PointerEmbedding for this head, got a {got}")
    if is_pointer and not head.is_pointer:
        expected = "expected a PointerNetworkHead over a PointerEmbedding"
        raise ValueError(f"head: {expected}, got a {type(head).__name__}")
    if is_pointer and target.memory_units != encoder.width:
        raise ValueError(
            f"target: expected memory_units of the encoder's width {encoder.width},"
            f" got {target.memory_units}"
        )


def _check_sides(source, target, head, tie):
    """Sides of tokens and of features have parts of their own kind."""
    has_feature_targets = target.input_key == "features"
    has_feature_sources = source.input_key == "features"
    if has_feature_targets != hasattr(head, "objective"):
        expected = "a regression head" if has_feature_targets else "a head over a vocabulary"
        raise ValueError(f"head: expected {expected} for such a target, got {head.name}")
    if has_feature_targets and head.size != target.size:
        raise ValueError(f"head: expected frames of {target.size} numbers, got {head.size}")
    if tie != "none" and (has_feature_targets or has_feature_sources and tie == "all"):
        raise ValueError(f"tie: expected 'none' beside frames, which have no table, got {tie!r}")
    if has_feature_sources and head.supports_copy:
        raise ValueError("head: expected one that does not copy, for a source of frames")
    if has_feature_targets and target.first == "source":
        size = source.size if has_feature_sources else "no"
        if size != target.size:
            raise ValueError(
                f"first: 'source' expected source frames of {target.size} numbers, got {size}"
            )
