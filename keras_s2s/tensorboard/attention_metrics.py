"""Metrics of attention heads: entropy, sharpness and alignment error rate."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_s2s.errors import UserError
from keras_s2s.io import decode_lines
from keras_s2s.signatures.responses import hard_alignment
from keras_s2s.tensorboard.attention_records import attention_maps

__all__ = ["alignment_error_rate", "entropy", "head_metrics", "read_alignments", "sharpness"]


def entropy(weights: np.ndarray) -> np.ndarray:
    """Mean entropy of the rows of a map in nats, from 0 (one position) to log S (uniform).

    Args:
        weights: float array `[..., T, S]`, each row a distribution.

    Returns:
        float array `[...]`.

    Reference: Ghader and Monz 2017, I17-1004 ("attention entropy").
    """
    weights = np.asarray(weights, "float64")
    logs = np.log(np.where(weights > 0, weights, 1.0))
    return -(weights * logs).sum(-1).mean(-1)


def sharpness(weights: np.ndarray) -> np.ndarray:
    """Mean of the largest weight of each row of a map, also called the confidence of a head.

    Args:
        weights: float array `[..., T, S]`; the reference leaves out the column of the end token.

    Returns:
        float array `[...]`.

    Reference: Voita et al. 2019, arXiv:1905.09418 ("confidence").
    """
    return np.asarray(weights, "float64").max(-1).mean(-1)


def alignment_error_rate(maps: Sequence[np.ndarray], references: Sequence) -> float:
    """Alignment error rate (AER) of hard alignments against reference links, all of them sure.

    Args:
        maps: list of float arrays `[T, S]`, one per sentence, with the end tokens in the last row
            and column. Each target token is aligned to the source token of its largest weight;
            end tokens are left out.
        references: for each sentence a collection of (source, target) token positions, from 0.

    Returns:
        1 - 2 |A & R| / (|A| + |R|) over the links of all sentences; NaN without links.

    Reference: Och and Ney 2003, J03-1002 (AER), with P = S.
    """
    common = total = 0
    for weights, reference in zip(maps, references, strict=True):
        links, reference = set(hard_alignment(np.asarray(weights)[:-1])), set(reference)
        common += len(links & reference)
        total += len(links) + len(reference)
    return 1 - 2 * common / total if total else float("nan")


def head_metrics(attentions: Sequence, references: Sequence | None = None) -> dict:
    """Computes the metrics of every head over several sentences.

    Args:
        attentions: list of `Attention`.
        references: list of the references of `alignment_error_rate`; None without alignments.

    Returns:
        Dict of TensorBoard tags to numbers: `attention_entropy/KIND NAME`,
        `attention_sharpness/KIND NAME` and `alignment_error/NAME`, where KIND is cross, self or
        encoder. Means are over the tokens of all sentences. The sharpness of cross maps leaves
        out the end token of the source.
    """
    metrics, sentences = {}, [attention_maps(attention) for attention in attentions]
    for kind, (names, _) in sentences[0].items() if sentences else ():
        maps = [sentence[kind][1] for sentence in sentences]  # of [A, T, S]
        rows = [weights.shape[1] for weights in maps]
        entropies = np.average([entropy(weights) for weights in maps], 0, rows)  # [A]
        sharpnesses = np.average([sharpness(_without_end(w, kind)) for w in maps], 0, rows)  # [A]
        for head, name in enumerate(names):
            metrics[f"attention_entropy/{kind} {name}"] = entropies[head]
            metrics[f"attention_sharpness/{kind} {name}"] = sharpnesses[head]
            if kind == "cross" and references is not None:
                error = alignment_error_rate([weights[head] for weights in maps], references)
                metrics[f"alignment_error/{name}"] = error
    return metrics


def _without_end(weights, kind):
    return weights[..., :-1] if kind == "cross" and weights.shape[-1] > 1 else weights


def read_alignments(path: Path | str, count: int) -> list:
    """Reads the first `count` lines of a file of alignments in Pharaoh format, such as `0-0 1-2`.

    Positions are those of tokens, source first, from 0.

    Raises:
        UserError: if a line has another format (names file and line), or there are fewer lines.
    """
    try:
        with open(path, "rb") as file:
            lines = list(itertools.islice(decode_lines(file, path), count))
    except OSError as error:
        raise UserError(f"{path}: expected a file of alignments, got: {error}") from None
    if len(lines) < count:
        raise UserError(f"{path}: expected at least {count} lines, got {len(lines)}")
    alignments = []
    for number, line in enumerate(lines, 1):
        links = [re.fullmatch(r"(\d+)-(\d+)", word) for word in line.split()]
        if not all(links):
            raise UserError(f"{path}:{number}: expected links such as 0-0 1-2, got {line.strip()}")
        alignments.append({(int(link[1]), int(link[2])) for link in links})
    return alignments
