"""The digest of a LiteRT file in its own card."""

import hashlib
import json

import pytest

from keras_s2s.signatures.litert_digest import (
    DIGEST_KEY,
    NO_DIGEST,
    insert_digest,
    is_digest_correct,
)

CARD = json.dumps({"vocabularies": {"sha256": NO_DIGEST}, "litert": {DIGEST_KEY: NO_DIGEST}})
CONTENT = b"weights" + CARD.encode() + b"graph"


def test_digest_is_that_of_the_file_with_zeros():
    content, digest = insert_digest(CONTENT)
    assert digest == hashlib.sha256(CONTENT).hexdigest()
    assert len(content) == len(CONTENT)
    assert json.loads(content[7:-5])["litert"] == {DIGEST_KEY: digest}
    assert is_digest_correct(content, digest)


@pytest.mark.parametrize("place", [0, 30, -1])
def test_damage_is_found(place):
    content, digest = insert_digest(CONTENT)
    damaged = bytearray(content)
    damaged[place] ^= 1
    assert not is_digest_correct(bytes(damaged), digest)


def test_file_without_a_card_is_refused():
    with pytest.raises(ValueError, match="expected one card with file_sha256"):
        insert_digest(b"weights")
