"""Names of other toolkits, and the key or kind that has their meaning here."""

import difflib
from collections.abc import Iterable

__all__ = ["KEY_SYNONYMS", "KIND_SYNONYMS", "nearest", "normalize"]

SIMILARITY = 0.6  # of a name to the one suggested in its place

# Names of Keras, OpenNMT, Fairseq, Marian, Sockeye and Hugging Face, by the key of ours.
_NAMES_BY_KEY = {
    "data.batch_tokens": "batch_size batch max_tokens mini_batch minibatch_size tokens_per_batch",
    "data.cache": "cache_dir cache_folder",
    "data.max_length": "max_len max_seq_len max_seq_length max_sequence_length maximum_length",
    "data.memory_limit": "workspace memory",
    "data.tokenizer": "subword bpe spm vocab vocabulary",
    "data.tokenizer.size": "vocab_size vocabulary_size num_words max_vocab bpe_size",
    "data.train": "train_data training_data trainset train_file train_sets",
    "data.train.source": "src source_file train_features_file",
    "data.train.target": "tgt trg target_file train_labels_file",
    "data.valid": "dev devset validation validation_data valid_data valid_sets eval_data",
    "decoding.beam_size": "beam beam_width num_beams beams",
    "decoding.length_penalty": "lenpen len_penalty normalize",
    "decoding.no_repeat_ngram": "no_repeat_ngram_size block_ngram_repeat",
    "decoding.num_hypotheses": "n_best nbest num_return_sequences",
    "model.decoder": "decoder_type",
    "model.dropout": "dropout_rate drop_rate dropout_prob",
    "model.embedding": "embedding_dim embedding_size emb_dim dim_emb word_vec_size embed_dim",
    "model.encoder": "encoder_type",
    "model.encoder.num_heads": "num_heads heads attention_heads transformer_heads",
    "model.encoder.num_layers": "num_layers layers depth enc_layers enc_depth num_blocks",
    "model.encoder.units": "units hidden_size hidden_units d_model rnn_size dim_rnn num_units",
    "model.preset": "arch architecture model_type type name",
    "model.tie": "tied_embeddings tie_embeddings share_embeddings tie_weights tied_weights",
    "training.accumulate": "gradient_accumulation gradient_accumulation_steps update_freq "
    "accum_count grad_accum optimizer_delay",
    "training.checkpoint_every": "save_every save_steps save_freq save_checkpoint_steps",
    "training.clip_norm": "clip clipnorm max_grad_norm gradient_clipping gradient_clip grad_clip",
    "training.ema": "moving_average exponential_smoothing use_ema ema_momentum",
    "training.init_from": "pretrained pretrained_model checkpoint init_checkpoint from_pretrained",
    "training.keep": "max_to_keep keep_checkpoint_max keep_last save_total_limit",
    "training.learning_rate": "lr learn_rate initial_learning_rate",
    "training.metric": "monitor eval_metric metric_for_best_model",
    "training.on_nan": "terminate_on_nan",
    "training.optimizer": "optim optimiser",
    "training.optimizer_options": "weight_decay betas beta_1 beta_2 epsilon optimizer_params",
    "training.patience": "early_stopping early_stop",
    "training.policy": "dtype precision mixed_precision fp16 bf16 half_precision",
    "training.schedule": "lr_scheduler scheduler decay_type decay lr_decay lr_schedule",
    "training.scores": "metrics valid_metrics external_evaluators",
    "training.seed": "random_seed rng_seed",
    "training.updates": "epochs max_epochs num_epochs steps max_steps train_steps max_step "
    "num_train_steps max_update max_updates iterations num_updates",
    "training.validate_every": "eval_every eval_steps valid_freq valid_steps validation_freq "
    "validation_steps eval_interval",
    "training.warmup": "warmup_steps warmup_updates lr_warmup num_warmup_steps",
}
KEY_SYNONYMS = {name: key for key, names in _NAMES_BY_KEY.items() for name in names.split()}

# Names of presets, encoders, decoders, heads and attention of other toolkits and of papers.
KIND_SYNONYMS = {
    "bahdanau": ("rnnsearch", "additive"),
    "bart": ("transformer_base",),
    "base": ("transformer_base",),
    "bidirectional": ("recurrent",),
    "big": ("transformer_big",),
    "bigru": ("recurrent",),
    "bilstm": ("recurrent", "lstm"),
    "birnn": ("recurrent", "gru"),
    "brnn": ("recurrent", "gru"),
    "cnn": ("convolutional", "convs2s"),
    "conv": ("convolutional", "convs2s"),
    "copy": ("pointer_generator",),
    "dot_product": ("dot",),
    "gru": ("gru", "recurrent"),
    "las": ("listen_attend_spell", "pyramidal"),
    "lstm": ("lstm", "recurrent"),
    "luong": ("luong", "general"),
    "mlp": ("additive",),
    "pointer": ("pointer_network", "pointer_generator"),
    "rnn": ("gru", "recurrent"),
    "scaled_dot_product": ("scaled",),
    "seq2seq": ("gru",),
    "small": ("transformer_small",),
    "t5": ("transformer_t5",),
    "tiny": ("transformer_tiny",),
    "transformer": ("transformer", "transformer_base"),
    "vaswani": ("transformer_base",),
}


def normalize(name: str) -> str:
    """A name in the spelling of the tables: `Batch-Size` as `batch_size`."""
    return str(name).strip().lower().replace("-", "_").replace(" ", "_")


def nearest(name: str, known: Iterable[str], similarity: float = SIMILARITY) -> str | None:
    """The known name that is meant: of the same meaning, else the most similar; None for none.

    Args:
        name: an unknown name.
        known: the names of presets or kinds.
        similarity: the least similarity of a name that is suggested, from 0 to 1.

    Example:

    >>> from keras_s2s.config.synonyms import nearest
    >>> nearest("transformer", ["transformer_tiny", "transformer_base"])
    'transformer_base'
    """
    known = list(known)
    synonyms = (normalize(name), *KIND_SYNONYMS.get(normalize(name), ()))
    same = next((synonym for synonym in synonyms if synonym in known), None)
    return same or next(iter(difflib.get_close_matches(str(name), known, 1, similarity)), None)
