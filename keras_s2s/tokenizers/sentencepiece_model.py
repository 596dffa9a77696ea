"""SentencePiece model files: pieces, their types, and the treatment of spaces."""

from collections.abc import Mapping, Sequence

from sentencepiece import sentencepiece_model_pb2 as messages

__all__ = [
    "SPACE",
    "add_special_tokens",
    "leading_spaces",
    "model_type",
    "parse_model",
    "rename_pieces",
    "vocabulary",
]

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # the symbol for a space in a piece
_Type = messages.ModelProto.SentencePiece
_TEXT_TYPES = (_Type.NORMAL, _Type.USER_DEFINED, _Type.BYTE)


def parse_model(model: bytes) -> messages.ModelProto:
    """Returns the message of a serialized model.

    Raises:
        ValueError: It is not a model, or its pieces cannot be joined to text.
    """
    try:
        proto = messages.ModelProto.FromString(model)
    except Exception as error:  # the type depends on the protobuf implementation
        raise ValueError(f"model: expected a SentencePiece model, got: {error}") from None
    if not any(piece.type == _Type.UNKNOWN for piece in proto.pieces):
        raise ValueError("model: expected a SentencePiece model, got one without an unknown piece")
    spaces = proto.normalizer_spec.escape_whitespaces
    if proto.trainer_spec.treat_whitespace_as_suffix or not spaces:
        raise ValueError(
            "model: expected one that marks the space before a word, got one that does not"
        )
    if proto.denormalizer_spec.precompiled_charsmap:
        raise ValueError(
            "model: expected one without denormalization rules, got one that rewrites decoded text"
        )
    return proto


def vocabulary(proto: messages.ModelProto) -> list[str]:
    """Returns the pieces that a text can be split into, in the order of the model.

    The unknown piece and control pieces such as `<s>` are not among them: no text is split into
    these, and the ids 0 to 3 replace them whatever their names and ids in the model.
    """
    return [piece.piece for piece in proto.pieces if piece.type in _TEXT_TYPES]


def model_type(proto: messages.ModelProto) -> str:
    """Returns unigram, bpe, word or char."""
    return messages.TrainerSpec.ModelType.Name(proto.trainer_spec.model_type).lower()


def leading_spaces(proto: messages.ModelProto) -> str:
    """Returns a regular expression of the spaces that decoding removes at the start of a text."""
    if proto.normalizer_spec.remove_extra_whitespaces:
        return f"^{SPACE}+"
    return f"^{SPACE}" if proto.normalizer_spec.add_dummy_prefix else ""


def add_special_tokens(proto: messages.ModelProto, tokens: Sequence[str]) -> None:
    """Makes tokens pieces that are never split; those that the model lacks are added at its end.

    Raises:
        ValueError: A token contains the symbol for a space, or is the model's unknown piece.
    """
    pieces = {piece.piece: piece for piece in proto.pieces}
    for token in tokens:
        if SPACE in token or (token in pieces and pieces[token].type == _Type.UNKNOWN):
            raise ValueError(f"special_tokens: expected no {SPACE} and no unknown, got {token!r}")
        piece = pieces.get(token) or proto.pieces.add(piece=token, score=0.0)
        piece.type = _Type.USER_DEFINED


def rename_pieces(proto: messages.ModelProto, names: Mapping[str, str]) -> bytes:
    """Returns the serialized model with other names for some pieces; `proto` does not change."""
    renamed = messages.ModelProto()
    renamed.CopyFrom(proto)
    for piece in renamed.pieces:
        piece.piece = names.get(piece.piece, piece.piece)
    return renamed.SerializeToString()
