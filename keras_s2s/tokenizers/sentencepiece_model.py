"""SentencePiece models as what they hold: pieces with types, and how spaces are treated."""

from sentencepiece import sentencepiece_model_pb2 as messages

__all__ = [
    "add_special_tokens",
    "leading_spaces",
    "model_type",
    "parse_model",
    "rename_pieces",
    "vocabulary",
]

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # how SentencePiece writes a space within a piece
_Type = messages.ModelProto.SentencePiece
_IN_TEXT = (_Type.NORMAL, _Type.USER_DEFINED, _Type.BYTE)


def parse_model(model: bytes):
    """The message of a serialised model.

    Raises:
        ValueError: it is none, or its pieces cannot be joined to text again.
    """
    try:
        proto = messages.ModelProto.FromString(model)
    except Exception as error:  # protobuf's own, of which each implementation has another
        raise ValueError(f"model: expected a SentencePiece model, came: {error}") from None
    if not any(piece.type == _Type.UNKNOWN for piece in proto.pieces):
        raise ValueError("model: expected a SentencePiece model, came no piece for what is unknown")
    spaces = proto.normalizer_spec.escape_whitespaces
    if proto.trainer_spec.treat_whitespace_as_suffix or not spaces:
        raise ValueError("model: expected one that marks the space before a word, came another")
    if proto.denormalizer_spec.precompiled_charsmap:
        raise ValueError("model: expected one that does not rewrite what it decodes, came another")
    return proto


def vocabulary(proto) -> list[str]:
    """The pieces that a text can be cut into, in the model's order.

    Neither the unknown piece nor control pieces such as `<s>`: a text never gives these, and the
    ids 0 to 3 stand for them whatever their names and places in the model.
    """
    return [piece.piece for piece in proto.pieces if piece.type in _IN_TEXT]


def model_type(proto) -> str:
    """unigram, bpe, word or char."""
    return messages.TrainerSpec.ModelType.Name(proto.trainer_spec.model_type).lower()


def leading_spaces(proto) -> str:
    """A regular expression of the spaces that decoding leaves out at the start of a text."""
    if proto.normalizer_spec.remove_extra_whitespaces:
        return f"^{SPACE}+"
    return f"^{SPACE}" if proto.normalizer_spec.add_dummy_prefix else ""


def add_special_tokens(proto, tokens) -> None:
    """Makes `tokens` pieces that are never cut; those that the model lacks come at its end.

    Raises:
        ValueError: a token holds the mark of a space, or is the model's unknown piece.
    """
    pieces = {piece.piece: piece for piece in proto.pieces}
    for token in tokens:
        if SPACE in token or (token in pieces and pieces[token].type == _Type.UNKNOWN):
            raise ValueError(f"special_tokens: expected no {SPACE} and no unknown, came {token!r}")
        piece = pieces.get(token) or proto.pieces.add(piece=token, score=0.0)
        piece.type = _Type.USER_DEFINED


def rename_pieces(proto, names: dict[str, str]) -> bytes:
    """The serialised model with other names for some of its pieces; `proto` stays as it is."""
    changed = messages.ModelProto()
    changed.CopyFrom(proto)
    for piece in changed.pieces:
        piece.piece = names.get(piece.piece, piece.piece)
    return changed.SerializeToString()
