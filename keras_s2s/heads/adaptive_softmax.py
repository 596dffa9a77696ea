"""The adaptive softmax head: clusters of rare tokens with narrower layers."""

from typing import Any

import keras
import tensorflow as tf

from keras_s2s.heads.base import Head
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear

__all__ = ["AdaptiveSoftmaxHead"]

NO_TIE = "tie: expected 'none' for adaptive_softmax, whose rare tokens have narrower weights"


@keras.saving.register_keras_serializable("keras_s2s")
class AdaptiveSoftmaxHead(Head):
    """A softmax over frequent tokens and clusters, and one within each cluster of rare tokens.

    log P(w) = log P_0(w) for the first `cutoffs[0]` ids; log P_0(cluster i) + log P_i(w) for those
    from `cutoffs[i - 1]` on, where cluster i projects the output to D / factor^i dimensions. Ids
    have to be sorted by falling frequency, as the tokenizers sort them. Training computes a cluster
    for the targets in it alone, see `target_log_probs`; a search computes all clusters, and so does
    an objective over the probabilities of all tokens, which is why label smoothing does not apply.
    The accuracy shown in training counts targets of a probability of at least one half, that of a
    validation the most likely tokens.

    Args:
        vocabulary_size: number of target tokens V.
        cutoffs: first id of each cluster, rising; those from V on are left out. A tenth and a half
            of V when None.
        factor: by which each cluster is narrower than the previous one.

    Call arguments:
        outputs: float tensor [B, N, D] of the decoder.
        inputs, attention, context: ignored.

    Returns:
        float32 logits [B, N, V]; they are log-probabilities.

    Raises:
        ValueError: for cutoffs that are not rising positive integers, or a `factor` below 1; when
            tied: the weights of rare tokens are narrower than an embedding.

    Reference: Grave et al. 2017, arXiv:1609.04309, section 4.

    Example:

    >>> from keras_s2s.heads import AdaptiveSoftmaxHead
    >>> AdaptiveSoftmaxHead(100, cutoffs=[10, 40]).sizes
    [30, 60]
    """

    supports_tying = False
    supports_label_smoothing = False
    supports_target_log_probs = True
    has_vocabulary_weights = False

    def __init__(
        self,
        vocabulary_size: int,
        cutoffs: list[int] | None = None,
        factor: int = 4,
        tied: bool = False,
        **kwargs: Any,
    ) -> None:
        if tied:
            raise ValueError(NO_TIE)
        super().__init__(vocabulary_size, **kwargs)
        check_positive_integers(factor=factor)
        if cutoffs is None:
            cutoffs = sorted({max(vocabulary_size // 10, 4), max(vocabulary_size // 2, 4)})
        is_rising = list(cutoffs) == sorted(set(cutoffs))
        if not is_rising or any(type(cutoff) is not int or cutoff < 1 for cutoff in cutoffs):
            raise ValueError(f"cutoffs: expected rising positive integers, got {cutoffs}")
        self.cutoffs, self.factor = list(cutoffs), factor
        ends = [cutoff for cutoff in cutoffs if cutoff < vocabulary_size] + [vocabulary_size]
        self.starts = ends[:-1]  # first id of each cluster
        self.sizes = [end - start for start, end in zip(ends, ends[1:])]  # of the clusters
        self.head = Linear(ends[0] + len(self.sizes), dtype="float32")
        self.tails = [Linear(size, use_bias=False, dtype="float32") for size in self.sizes]
        self.reductions = []

    def tie(self, embedding: Any) -> None:
        """Raises an error: the weights of rare tokens are narrower than an embedding.

        Raises:
            ValueError: always.
        """
        raise ValueError(NO_TIE)

    def build(self, outputs_shape: tuple[int | None, ...], *args: Any, **kwargs: Any) -> None:
        width = outputs_shape[-1]
        if not self.head.built:
            self.head.build((None, width))
        for number, tail in enumerate(self.tails, 1):
            reduced_width = max(width // self.factor**number, 1)
            if len(self.reductions) < number:
                self.reductions.append(Linear(reduced_width, use_bias=False, dtype="float32"))
            if not tail.built:
                self.reductions[number - 1].build((None, width))
                tail.build((None, reduced_width))

    def call(
        self,
        outputs: tf.Tensor,
        inputs: tf.Tensor | None = None,
        attention: tf.Tensor | None = None,
        context: dict[str, Any] | None = None,
    ) -> tf.Tensor:
        outputs = tf.cast(outputs, tf.float32)
        log_probs = tf.nn.log_softmax(self.head(outputs))
        num_frequent = log_probs.shape[-1] - len(self.tails)
        parts = [log_probs[..., :num_frequent]]
        for number, (reduction, tail) in enumerate(zip(self.reductions, self.tails, strict=True)):
            cluster = log_probs[..., num_frequent + number : num_frequent + number + 1]
            parts.append(cluster + tf.nn.log_softmax(tail(reduction(outputs))))
        return tf.concat(parts, -1)  # [B, N, V]

    def target_log_probs(self, outputs: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        """Log-probability of one token at each position; computes a cluster for its tokens alone.

        Args:
            outputs: float tensor [B, N, D] of the decoder.
            ids: int tensor [B, N].

        Returns:
            float32 tensor [B, N], equal to those of the call's logits.
        """
        flat = tf.reshape(tf.cast(outputs, tf.float32), [-1, outputs.shape[-1]])  # [R, D]
        labels = tf.reshape(tf.cast(ids, tf.int32), [-1])  # [R]
        num_frequent = self.vocabulary_size - sum(self.sizes)
        columns, cluster_rows = labels, []
        for number, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True)):
            is_in_cluster = (labels >= start) & (labels < start + size)
            columns = tf.where(is_in_cluster, num_frequent + number, columns)
            cluster_rows.append(tf.where(is_in_cluster))  # [R_i, 1]
        log_probs = _label_log_probs(self.head(flat), columns)
        clusters = zip(cluster_rows, self.starts, self.reductions, self.tails)
        for rows, start, reduction, tail in clusters:
            logits = tail(reduction(tf.gather_nd(flat, rows)))  # [R_i, size]
            tail_log_probs = _label_log_probs(logits, tf.gather_nd(labels, rows) - start)
            log_probs = tf.tensor_scatter_nd_add(log_probs, rows, tail_log_probs)
        return tf.reshape(log_probs, tf.shape(ids))

    def get_config(self) -> dict[str, Any]:
        config = {"cutoffs": self.cutoffs, "factor": self.factor}
        return {**super().get_config(), **config}


def _label_log_probs(logits, labels):
    """Log-probability of one label per row: [R, V], [R] -> [R]."""
    return -tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
