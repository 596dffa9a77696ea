"""The adaptive softmax head: rare tokens in clusters of narrower layers."""

import keras
import tensorflow as tf

from keras_s2s.heads.base import Head, refuse_tokens
from keras_s2s.layers.argument_checks import check_positive_integers
from keras_s2s.layers.dense import Linear


@keras.saving.register_keras_serializable("keras_s2s")
class AdaptiveSoftmaxHead(Head):
    """A softmax over frequent tokens and clusters, and one within each cluster of rare tokens.

    log P(w) = log P_0(w) for the first `cutoffs[0]` ids; log P_0(cluster i) + log P_i(w) for those
    from `cutoffs[i - 1]` on, where cluster i reads the output through D / factor^i dimensions. Ids
    are taken to be sorted by falling frequency, as the tokenizers make them. In training a cluster
    is computed for the targets in it alone, see `target_log_probs`; a search, and objectives
    that want every token's probability, compute all of them. Label smoothing would be one, and does
    not apply. The accuracy that training shows counts tokens given half of the probability; a
    validation's counts the likeliest.

    Args:
        vocabulary_size: number of target tokens V.
        cutoffs: first id of each cluster, rising; those from V on are left out. A tenth and a half
            of V when None.
        factor: by which each cluster is narrower than the one before.

    Call arguments:
        outputs: float tensor [B, N, D] of the decoder.
        inputs, attention, context: not read.

    Output:
        float32 logits [B, N, V]; they are log-probabilities.

    Raises:
        ValueError: for cutoffs that are not rising positive integers, or a `factor` below 1; when
            tied: its rare tokens have weights of other widths than an embedding.

    Reference: Grave et al. 2017, arXiv:1609.04309, section 4.
    """

    ties, smooths, skips = False, False, True

    def __init__(self, vocabulary_size, cutoffs=None, factor=4, tied=False, **kwargs):
        if tied:
            raise ValueError(_NO_TIE)
        super().__init__(vocabulary_size, **kwargs)
        check_positive_integers(factor=factor)
        if cutoffs is None:
            cutoffs = sorted({max(vocabulary_size // 10, 4), max(vocabulary_size // 2, 4)})
        rising = list(cutoffs) == sorted(set(cutoffs))
        if not rising or any(type(cutoff) is not int or cutoff < 1 for cutoff in cutoffs):
            raise ValueError(f"cutoffs: expected rising positive integers, came {cutoffs}")
        self.cutoffs, self.factor = list(cutoffs), factor
        ends = [cutoff for cutoff in cutoffs if cutoff < vocabulary_size] + [vocabulary_size]
        self.starts = ends[:-1]  # first id of each cluster
        self.sizes = [end - start for start, end in zip(ends, ends[1:])]  # of the clusters
        self.head = Linear(ends[0] + len(self.sizes), dtype="float32")
        self.tails = [Linear(size, use_bias=False, dtype="float32") for size in self.sizes]
        self.reductions = []

    def tie(self, embedding):
        raise ValueError(_NO_TIE)

    def build(self, outputs_shape, *args, **kwargs):
        width = outputs_shape[-1]
        if not self.head.built:
            self.head.build((None, width))
        for number, tail in enumerate(self.tails, 1):
            inner = max(width // self.factor**number, 1)
            if len(self.reductions) < number:
                self.reductions.append(Linear(inner, use_bias=False, dtype="float32"))
            if not tail.built:
                self.reductions[number - 1].build((None, width))
                tail.build((None, inner))

    def call(self, outputs, inputs=None, attention=None, context=None):
        outputs = tf.cast(outputs, tf.float32)
        first = tf.nn.log_softmax(self.head(outputs))
        frequent = first.shape[-1] - len(self.tails)
        parts = [first[..., :frequent]]
        for number, (reduction, tail) in enumerate(zip(self.reductions, self.tails, strict=True)):
            cluster = first[..., frequent + number : frequent + number + 1]
            parts.append(cluster + tf.nn.log_softmax(tail(reduction(outputs))))
        return tf.concat(parts, -1)  # [B, N, V]

    def target_log_probs(self, outputs, ids):
        """Log-probability of one token at each position, no cluster computed that it is not in.

        Args:
            outputs: float tensor [B, N, D] of the decoder.
            ids: int tensor [B, N].

        Returns:
            float32 tensor [B, N], as the call's logits have it.
        """
        flat = tf.reshape(tf.cast(outputs, tf.float32), [-1, outputs.shape[-1]])  # [R, D]
        labels = tf.reshape(tf.cast(ids, tf.int32), [-1])  # [R]
        frequent = self.vocabulary_size - sum(self.sizes)
        columns, rare = labels, []
        for number, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True)):
            within = (labels >= start) & (labels < start + size)
            columns = tf.where(within, frequent + number, columns)
            rare.append(tf.where(within))  # [R_i, 1]
        found = _log_probs(self.head(flat), columns)
        for rows, start, reduction, tail in zip(rare, self.starts, self.reductions, self.tails):
            chosen = tf.gather_nd(flat, rows)  # [R_i, D]
            inner = _log_probs(tail(reduction(chosen)), tf.gather_nd(labels, rows) - start)
            found = tf.tensor_scatter_nd_add(found, rows, inner)
        return tf.reshape(found, tf.shape(ids))

    def prepare_search(self, multiple=1, tokens=None):
        refuse_tokens(self, tokens)
        return []  # its layers are narrow already

    def get_config(self):
        own = {"cutoffs": self.cutoffs, "factor": self.factor}
        return {**super().get_config(), **own}


def _log_probs(logits, labels):
    """[R, V], [R] -> [R]."""
    return -tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


_NO_TIE = "tie: expected 'none' for adaptive_softmax, whose rare tokens have narrower weights"
