"""What a new run begins with: another run's weights, vectors of words."""

from pathlib import Path

from keras_s2s import checkpoints, tokenizers
from keras_s2s.checkpoints import Vocabularies
from keras_s2s.errors import UserError
from keras_s2s.training.word_vectors import find_vectors, spellings

__all__ = ["initialize_weights", "log_transfer", "vocabularies_of"]

SHOWN = 6  # weights named in a message


def initialize_weights(session) -> None:
    """Fills the weights of a run that has no checkpoint yet, as `training` or an import says.

    Raises:
        UserError: nothing in `init_from` fits, or a file of vectors does not do.
    """
    training = session.config.training
    imported = session.run_dir / checkpoints.IMPORTED
    if training.init_from:
        _begin_from(session, Path(training.init_from))
    elif checkpoints.exists(imported):
        _begin_from(session, imported)
    files = [training.source_embeddings, training.target_embeddings]
    if all(files) and files[0] != files[1] and session.model.source is session.model.target:
        expected = "expected none, or that of the source, where model.tie is all"
        raise UserError(f"training.target_embeddings: {expected}, came {files[1]!r}")
    for side, file in zip(("source", "target"), files, strict=True):
        if file:
            _read_embeddings(session, side)


def _begin_from(session, path):
    key = f"training.init_from: {path}"
    directory = path if checkpoints.exists(path) else path / "best"
    if not checkpoints.exists(directory):
        raise UserError(f"{key}: expected a run directory or a checkpoint, came neither")
    donor, new = checkpoints.load_model(directory), vocabularies_of(session.tokenizers)
    done = checkpoints.transfer(
        donor, session.model, session.config.model, _vocabularies_of(directory), new
    )
    if not done.taken:
        raise UserError(f"{key}: expected a weight that this model has too, came none")
    log_transfer(session.progress.say, "training.init_from", directory, done, new)


def _vocabularies_of(directory):
    """Those of the run that a checkpoint belongs to, or None where it stands alone."""
    for run in directory.resolve().parents[:2]:
        if (run / "tokenizers" / "target.json").is_file():
            return vocabularies_of(tokenizers.load_pair(run / "tokenizers"))
    return None


def vocabularies_of(pair) -> Vocabularies:
    """The pieces of two tokenizers."""
    source, target = pair
    if source.kind == "factors":
        return Vocabularies(tuple(part.vocabulary for part in source.parts), target.vocabulary)
    return Vocabularies(source.vocabulary, target.vocabulary)


def log_transfer(say, key, directory, done, new) -> None:
    """Says what a `checkpoints.Transfer` took from a checkpoint and what it left."""
    text = f"{len(done.taken)} of {len(done.taken) + len(done.left)} weights"
    pieces = {side: (count, len(new.sides[side])) for side, count in done.pieces.items()}
    if new.source is new.target and len(set(pieces.values())) == 1:
        pieces = {"shared": next(iter(pieces.values()))}
    for side, (count, size) in pieces.items():
        text += f", {count:,} of {size:,} {side} pieces ({size - count:,} new)"
    say(f"{key}: {text} from {directory}")
    if done.left:
        shown = [f"{name} ({why})" for name, why in list(done.left.items())[:SHOWN]]
        more = [f"{len(done.left) - SHOWN} more"] if len(done.left) > SHOWN else []
        say(f"{key}: not taken: {', '.join([*shown, *more])}")


def _read_embeddings(session, side):
    key, model = f"training.{side}_embeddings", session.model
    path = getattr(session.config.training, f"{side}_embeddings")
    layer, tokenizer = getattr(model, side), session.tokenizers[side == "target"]
    if tokenizer.kind == "factors":  # the words' own table
        layer, tokenizer = layer.embeddings[0], tokenizer.parts[0]
    words = spellings(tokenizer.vocabulary, tokenizer.kind)
    try:
        found = find_vectors(path, words, layer.units)
    except UserError as error:
        raise UserError(f"{key}: {error}") from None
    if not found:
        raise UserError(f"{key}: {path}: expected words of the {side} vocabulary, came none")
    table = layer.table.numpy()
    for place, one in found.items():
        table[place] = one.vector
    layer.table.assign(table)
    size = tokenizer.size
    share = f"{len(found):,} of {size:,} entries ({len(found) / size:.1%})"
    session.progress.say(f"{key}: {share} of the vocabulary from {path}")
