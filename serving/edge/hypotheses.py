"""Hypotheses of the arrays that a LiteRT file returns."""

import numpy as np

from keras_s2s.serving.edge.requests import RequestRow, RequestSource
from keras_s2s.serving.edge.text_processor import END_TOKEN, TextProcessor
from keras_s2s.signatures.fields import MISSING_SCORE
from keras_s2s.signatures.responses import Hypothesis

__all__ = ["read_hypotheses"]


def read_hypotheses(
    processor: TextProcessor, outputs: dict[str, np.ndarray], source: RequestSource, row: RequestRow
) -> list[Hypothesis]:
    """Reads the hypotheses of one text.

    Args:
        processor: text processing of the file.
        outputs: arrays [K, ...] of the signature `translate_ids`, by name.
        source: the tokenized source.
        row: the options of the text.

    Returns:
        The hypotheses, best first.
    """
    replace_unknown = row.options["replace_unknown"]
    hypotheses = []
    for k, score in enumerate(outputs["score"]):
        if score <= MISSING_SCORE / 2:  # padding of a row with fewer hypotheses
            continue
        ids, alignment = outputs["ids"][k], outputs["alignment"][k]
        tokens = processor.target_tokens(ids, source, alignment, replace_unknown)
        length = int(outputs["lengths"][k])
        hypotheses.append(
            Hypothesis(
                text=processor.target.detokenize(tokens[:length]),
                score=float(score),
                log_prob=float(outputs["log_prob"][k]),
                tokens=tokens[:length],
                source_tokens=[*source.pieces, END_TOKEN],
                alignment=alignment[:length, : len(source.ids)],
                finished=bool(outputs["finished"][k]),
                token_log_probs=outputs["token_log_probs"][k, : length + 1].tolist(),
            )
        )
    return hypotheses
