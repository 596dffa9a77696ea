"""Digest of a LiteRT file in its own model card.

The card is a part of the file, so the digest is the SHA-256 of the file with 64 zeros in the
place of the digest.
"""

import hashlib

__all__ = ["DIGEST_KEY", "NO_DIGEST", "insert_digest", "is_digest_correct"]

DIGEST_KEY = "file_sha256"  # in the section `litert` of the card
NO_DIGEST = "0" * 64


def insert_digest(content: bytes) -> tuple[bytes, str]:
    """Replaces `NO_DIGEST` in the card of a file by the file's digest.

    Args:
        content: the file, whose card has `NO_DIGEST` under `DIGEST_KEY`.

    Returns:
        The content of the new file, and the digest in hexadecimal digits.

    Raises:
        ValueError: the file has no such card.

    Example:

    >>> from keras_s2s.signatures.litert_digest import *
    >>> content, digest = insert_digest(f'graph {{"{DIGEST_KEY}": "{NO_DIGEST}"}}'.encode())
    >>> is_digest_correct(content, digest), is_digest_correct(content[1:], digest)
    (True, False)
    """
    place = _entry(NO_DIGEST)
    if content.count(place) != 1:
        raise ValueError(f"content: expected one card with {DIGEST_KEY}, got another file")
    digest = hashlib.sha256(content).hexdigest()
    return content.replace(place, _entry(digest)), digest


def is_digest_correct(content: bytes, digest: str) -> bool:
    """Returns whether a file has the content that its card's digest was computed for.

    Args:
        content: the file.
        digest: the value of `DIGEST_KEY` in its card.
    """
    original = content.replace(_entry(digest), _entry(NO_DIGEST))
    return hashlib.sha256(original).hexdigest() == digest


def _entry(digest: str) -> bytes:
    return f'"{DIGEST_KEY}": "{digest}"'.encode()
