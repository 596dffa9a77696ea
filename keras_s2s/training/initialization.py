"""Initial weights of a run: from another run or checkpoint, and from word vectors."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_s2s import checkpoints, tokenizers
from keras_s2s.checkpoints import TransferResult, Vocabularies
from keras_s2s.errors import UserError
from keras_s2s.training.word_vectors import find_vectors, spellings

if TYPE_CHECKING:
    from keras_s2s.training.session import Session

__all__ = ["initialize_weights", "log_transfer", "vocabularies_of"]

MAX_WEIGHTS = 6  # weights named in a message


def initialize_weights(session: "Session") -> None:
    """Sets the weights of a run without a checkpoint, as `training` or an import says.

    Raises:
        UserError: no weight of `init_from` fits, or a file of word vectors is invalid.
    """
    training = session.config.training
    imported = session.run_dir / checkpoints.IMPORTED
    if training.init_from:
        _transfer_from(session, Path(training.init_from))
    elif checkpoints.exists(imported):
        _transfer_from(session, imported)
    files = {"source": training.source_embeddings, "target": training.target_embeddings}
    is_shared = session.model.source is session.model.target
    if is_shared and all(files.values()) and files["source"] != files["target"]:
        expected = "expected none, or that of the source, where model.tie is all"
        raise UserError(f"training.target_embeddings: {expected}, got {files['target']!r}")
    for side, file in files.items():
        if file:
            _read_embeddings(session, side, file)


def _transfer_from(session: "Session", path: Path) -> None:
    key = f"training.init_from: {path}"
    directory = path if checkpoints.exists(path) else path / "best"
    if not checkpoints.exists(directory):
        raise UserError(f"{key}: expected a run directory or a checkpoint, got neither")
    donor, new = checkpoints.load_model(directory), vocabularies_of(session.tokenizers)
    old = _vocabularies_of_checkpoint(directory)
    result = checkpoints.transfer(donor, session.model, session.config.model, old, new)
    if not result.transferred:
        raise UserError(f"{key}: expected a weight that this model has too, got none")
    log_transfer(session.log, "training.init_from", directory, result, new)


def _vocabularies_of_checkpoint(directory: Path) -> Vocabularies | None:
    """The vocabularies of the run that a checkpoint belongs to; None without a run."""
    for run in directory.resolve().parents[:2]:
        if (run / "tokenizers" / "target.json").is_file():
            return vocabularies_of(tokenizers.load_pair(run / "tokenizers"))
    return None


def vocabularies_of(pair: tuple[Any, Any]) -> Vocabularies:
    """The tokens of the source tokenizer and of the target tokenizer."""
    source, target = pair
    if source.kind == "factors":
        return Vocabularies(tuple(part.vocabulary for part in source.parts), target.vocabulary)
    return Vocabularies(source.vocabulary, target.vocabulary)


def log_transfer(
    log: Callable[[str], None],
    key: str,
    directory: Path,
    result: TransferResult,
    new: Vocabularies,
) -> None:
    """Reports the weights and tokens that a transfer copied, and the weights that it skipped."""
    count = len(result.transferred)
    text = f"{count} of {count + len(result.skipped)} weights"
    tokens = {side: (n, len(new.sides[side])) for side, n in result.known_tokens.items()}
    if new.source is new.target and len(set(tokens.values())) == 1:
        tokens = {"shared": next(iter(tokens.values()))}
    for side, (known, size) in tokens.items():
        text += f", {known:,} of {size:,} {side} tokens ({size - known:,} new)"
    log(f"{key}: {text} from {directory}")
    if result.skipped:
        names = [f"{name} ({reason})" for name, reason in result.skipped.items()]
        hidden = len(names) - MAX_WEIGHTS
        more = [f"{hidden} more"] if hidden > 0 else []
        log(f"{key}: not taken: {', '.join([*names[:MAX_WEIGHTS], *more])}")


def _read_embeddings(session: "Session", side: str, path: str) -> None:
    """Fills the rows of an embedding whose words are in a file of word vectors."""
    key = f"training.{side}_embeddings"
    layer, tokenizer = getattr(session.model, side), session.tokenizers[side == "target"]
    if tokenizer.kind == "factors":  # the table of the words
        layer, tokenizer = layer.embeddings[0], tokenizer.parts[0]
    words = spellings(tokenizer.vocabulary, tokenizer.kind)
    try:
        vectors = find_vectors(path, words, layer.units)
    except UserError as error:
        raise UserError(f"{key}: {error}") from None
    if not vectors:
        raise UserError(f"{key}: {path}: expected words of the {side} vocabulary, got none")
    table = layer.table.numpy()
    for index, word_vector in vectors.items():
        table[index] = word_vector.vector
    layer.table.assign(table)
    size = tokenizer.size
    share = f"{len(vectors):,} of {size:,} entries ({len(vectors) / size:.1%})"
    session.log(f"{key}: {share} of the vocabulary from {path}")
