"""Tables of the OpenNMT-tf keys whose translation needs no code."""

from typing import NamedTuple

__all__ = ["INACTIVE", "REFUSED", "SAME", "SECTIONS", "InactiveKey"]

SECTIONS = ("data", "params", "train", "eval", "infer", "score")
_LENGTHS = "batches hold pairs of like lengths"
_VALID = "validation takes batches of data.batch_tokens"
_NOISE = "targets are never disturbed"
_FLAG = "a flag: keras-s2s"

# Behaviour that is built in, whatever the value.
SAME = {
    "data.export_vocabulary_assets": "an export holds its vocabularies",
    "train.length_bucket_width": _LENGTHS,
    "train.sample_buffer_size": "every epoch has an order of its own, over the whole corpus",
    "train.prefetch_buffer_size": "batches are made ahead",
    "train.save_summary_steps": "RUN/logs and RUN/metrics.jsonl are written all along",
    "train.pad_to_bucket_boundary": "shapes may differ from batch to batch, nothing needs padding",
    "train.batch_size_autotune_scale": "data.memory_limit bounds what batch_tokens: auto may take",
    "train.batch_size_autotune_timeout": "batch_tokens: auto takes a minute or so",
    "train.batch_autotune_mode": "it is their own, for the search of a batch size",
    "eval.batch_size": _VALID,
    "eval.batch_type": _VALID,
    "eval.length_bucket_width": _LENGTHS,
    "infer.length_bucket_width": _LENGTHS,
    "infer.prefetch_buffer_size": "batches are made ahead",
    "score.length_bucket_width": _LENGTHS,
    "score.prefetch_buffer_size": "batches are made ahead",
}


class InactiveKey(NamedTuple):
    """A key whose listed values have no effect.

    Attributes:
        values: the values without effect, besides null.
        holds: the built-in behaviour.
        instead: why other values have no counterpart, or what to use.
    """

    values: tuple
    holds: str
    instead: str = ""


_COUNTS = "a schedule counts updates from the first on"

INACTIVE = {
    "params.average_loss_in_time": InactiveKey(
        (True,), "the loss is the mean over tokens", "the loss is always the mean over tokens"
    ),
    "params.mask_loss_outliers": InactiveKey(
        (False,), "every pair counts", "training.on_nan: skip leaves out what is not finite"
    ),
    "params.start_decay_steps": InactiveKey((0,), _COUNTS),
    "params.minimum_learning_rate": InactiveKey((0,), "a schedule has no floor"),
    "params.sampling_topk": InactiveKey(
        (1,), "a search takes the likeliest", "keras-s2s translate --sample --top-k K draws"
    ),
    "params.sampling_temperature": InactiveKey(
        (1,), "a search takes the likeliest", "keras-s2s translate --sample --temperature T draws"
    ),
    "params.decoding_noise": InactiveKey((), _NOISE),
    "train.single_pass": InactiveKey(
        (False,), "corpora are read again and again", "training ends after training.updates"
    ),
    "eval.save_eval_predictions": InactiveKey(
        (False,), "a validation shows training.samples lines", "keras-s2s translate writes them"
    ),
    "eval.export_format": InactiveKey(
        ("saved_model",), "a SavedModel is published", "export_ctranslate2 of keras_s2s.export"
    ),
    "infer.with_scores": InactiveKey(
        (False,), "text is written", f"{_FLAG} translate --format tsv"
    ),
    "infer.with_alignments": InactiveKey(
        (), "text is written", f"{_FLAG} translate --alignment hard"
    ),
    "score.with_token_level": InactiveKey(
        (False,), "a line has a figure", f"{_FLAG} score --level token"
    ),
    "score.with_alignments": InactiveKey(
        (), "figures are written", "keras-s2s attention shows them"
    ),
}

REFUSED = {
    "data.tagging_scheme": "there is no tagger",
    "data.sequence_controls": "there is no language model, which it configures",
    "data.vocabulary": "there is no language model; two sides have source_ and target_vocabulary",
    "data.tokenization": "there is no language model; two sides have source_ and target_",
    "data.embedding": "there is no language model; two sides have source_ and target_",
    "params.decoding_subword_token": _NOISE,
    "params.decoding_subword_token_is_spacer": _NOISE,
    "params.tflite_output_size": "there is no LiteRT file; decoding.max_length bounds a target",
    "infer.batch_size": f"{_FLAG} translate --batch-size",
    "infer.batch_type": f"{_FLAG} translate --batch-size counts lines",
    "score.batch_size": f"{_FLAG} score --batch-size",
    "score.batch_type": f"{_FLAG} score --batch-size counts lines",
}
