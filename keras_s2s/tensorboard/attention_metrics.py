"""What a head does, in numbers: how spread, how sharp, how far from a reference alignment."""

import re

import numpy as np

from keras_s2s.errors import UserError
from keras_s2s.signatures.responses import hard_alignment
from keras_s2s.tensorboard.attention_records import attention_maps

__all__ = ["alignment_error_rate", "entropy", "head_metrics", "read_alignments", "sharpness"]


def entropy(weights):
    """Mean entropy of the rows of a map in nats: 0 when each looks at one place, log S at all.

    Args:
        weights: float array `[..., T, S]`, each row a distribution.

    Returns:
        float array `[...]`.

    Reference: Ghader and Monz 2017, I17-1004 ("attention entropy").
    """
    weights = np.asarray(weights, "float64")
    logs = np.log(np.where(weights > 0, weights, 1.0))
    return -(weights * logs).sum(-1).mean(-1)


def sharpness(weights):
    """Mean over the rows of a map of their greatest weight: what is called a head's confidence.

    Args:
        weights: float array `[..., T, S]`, without the end among the columns if it is to be as in
            the reference.

    Returns:
        float array `[...]`.

    Reference: Voita et al. 2019, arXiv:1905.09418 ("confidence").
    """
    return np.asarray(weights, "float64").max(-1).mean(-1)


def alignment_error_rate(maps, references) -> float:
    """AER of the hard alignments of maps against reference links that are all sure.

    Args:
        maps: for each sentence a float array `[T, S]` with the ends in the last row and column;
            each target token is aligned to where it looks most, the ends left out.
        references: for each a collection of (source, target) places of tokens, from 0.

    Returns:
        1 - 2 |A & R| / (|A| + |R|), of the links of all sentences together; NaN without links.

    Reference: Och and Ney 2003, J03-1002 (AER), with P = S.
    """
    common = total = 0
    for weights, reference in zip(maps, references, strict=True):
        found, reference = set(hard_alignment(np.asarray(weights)[:-1])), set(reference)
        common += len(found & reference)
        total += len(found) + len(reference)
    return 1 - 2 * common / total if total else float("nan")


def head_metrics(looked, references=None) -> dict:
    """The three measures of every head, over some sentences, by the tags they have in TensorBoard.

    Args:
        looked: list of `Attention`.
        references: for each what `alignment_error_rate` takes; None without alignments.

    Returns:
        {"attention_entropy/KIND NAME": number, ...}, KIND one of cross, self and encoder. The
        sharpness of cross maps does not look at the end of the source. A mean is over the tokens
        of all sentences.
    """
    found, seen = {}, [attention_maps(one) for one in looked]
    for kind, (names, _) in seen[0].items() if seen else ():
        maps = [one[kind][1] for one in seen]
        rows = [one.shape[1] for one in maps]
        inner = [one[..., :-1] if kind == "cross" and one.shape[-1] > 1 else one for one in maps]
        spread = np.average([entropy(one) for one in maps], 0, rows)  # [A]
        sharp = np.average([sharpness(one) for one in inner], 0, rows)  # [A]
        for number, name in enumerate(names):
            found[f"attention_entropy/{kind} {name}"] = spread[number]
            found[f"attention_sharpness/{kind} {name}"] = sharp[number]
            if kind == "cross" and references is not None:
                error = alignment_error_rate([one[number] for one in maps], references)
                found[f"alignment_error/{name}"] = error
    return found


def read_alignments(path, count: int) -> list:
    """The first `count` lines of a file of alignments such as `0-0 1-2`, source first, from 0.

    The places are those of tokens, as the tokenizers cut them.

    Raises:
        UserError: naming the file and line of what is no such pair, or fewer lines.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line for line, _ in zip(file, range(count))]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: expected a file of alignments, came: {error}") from None
    if len(lines) < count:
        raise UserError(f"{path}: expected at least {count} lines, came {len(lines)}")
    found = []
    for number, line in enumerate(lines, 1):
        links = [re.fullmatch(r"(\d+)-(\d+)", word) for word in line.split()]
        if not all(links):
            raise UserError(f"{path}:{number}: expected links such as 0-0 1-2, came {line.strip()}")
        found.append({(int(link[1]), int(link[2])) for link in links})
    return found
