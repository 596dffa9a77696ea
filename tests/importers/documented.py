"""All documented keys of an OpenNMT-tf configuration, and helpers that translate one."""

from keras_s2s.config import Config
from keras_s2s.importers.opennmt import model_types, translate
from keras_s2s.importers.opennmt.opennmt_config import OpenNMTConfig

FILES = {"train_features_file": "a.en", "train_labels_file": "a.de"}
SAMPLED = {"type": "SentencePieceTokenizer", "params": {"model": "m.model", "nbest_size": 64}}
# Every key of OpenNMT-tf 2.32's documentation and code, with a value that asks for something.
DOCUMENTED = {
    "model_dir": "run",
    "auto_config": True,
    "data": {
        **FILES,
        "train_files_weights": None,
        "train_alignments": "a.align",
        "example_weights": "a.weights",
        "eval_features_file": "b.en",
        "eval_labels_file": "b.de",
        "source_vocabulary": "v.en",
        "target_vocabulary": "v.de",
        "vocabulary": "v",
        "export_vocabulary_assets": True,
        "source_tokenization": SAMPLED,
        "target_tokenization": {"mode": "aggressive", "joiner_annotate": True},
        "tokenization": {"mode": "space"},
        "source_embedding": {
            "path": "glove.txt",
            "with_header": True,
            "case_insensitive": True,
            "trainable": False,
        },
        "target_embedding": {"path": "glove.txt"},
        "embedding": {"path": "glove.txt"},
        "sequence_controls": {"start": False, "end": True},
        "source_sequence_controls": {"start": False, "end": True},
        "target_sequence_controls": {"start": True, "end": True},
        "tagging_scheme": "bioes",
    },
    "params": {
        "optimizer": "Adam",
        "optimizer_params": {"beta_1": 0.8, "beta_2": 0.998, "weight_decay": 0.01, "clipnorm": 1},
        "learning_rate": 1.0,
        "dropout": 0.3,
        "freeze_layers": ["encoder/layers/0", "decoder/output_layer"],
        "regularization": {"type": "l2", "scale": 1e-4},
        "average_loss_in_time": False,
        "mask_loss_outliers": True,
        "decay_type": "NoamDecay",
        "decay_params": {"model_dim": 512, "warmup_steps": 4000},
        "decay_step_duration": 1,
        "start_decay_steps": 50000,
        "minimum_learning_rate": 0.0001,
        "scheduled_sampling_type": "linear",
        "scheduled_sampling_read_probability": 0.5,
        "scheduled_sampling_k": 3,
        "label_smoothing": 0.2,
        "beam_width": 7,
        "num_hypotheses": 2,
        "length_penalty": 0.2,
        "coverage_penalty": 0.3,
        "sampling_topk": 3,
        "sampling_temperature": 2,
        "decoding_noise": [{"dropout": 0.1}],
        "decoding_subword_token": "￭",
        "decoding_subword_token_is_spacer": False,
        "minimum_decoding_length": 1,
        "maximum_decoding_length": 200,
        "replace_unknown_target": True,
        "guided_alignment_type": "ce",
        "guided_alignment_weight": 1,
        "contrastive_learning": True,
        "max_margin_eta": 0.1,
        "tflite_output_size": 250,
    },
    "train": {
        "batch_size": 2048,
        "batch_type": "tokens",
        "effective_batch_size": 25000,
        "batch_size_autotune_scale": 0.7,
        "batch_size_autotune_timeout": 900,
        "batch_autotune_mode": False,
        "save_checkpoints_steps": 1000,
        "keep_checkpoint_max": 3,
        "save_summary_steps": 100,
        "max_step": 1000000,
        "single_pass": True,
        "maximum_features_length": 60,
        "maximum_labels_length": 70,
        "length_bucket_width": 1,
        "pad_to_bucket_boundary": True,
        "sample_buffer_size": 500000,
        "prefetch_buffer_size": 3,
        "moving_average_decay": 0.9999,
        "average_last_checkpoints": 8,
    },
    "eval": {
        "batch_size": 30,
        "batch_type": "examples",
        "steps": 4000,
        "save_eval_predictions": True,
        "scorers": ["bleu", "prf"],
        "external_evaluators": "rouge",
        "length_bucket_width": 5,
        "export_on_best": "bleu",
        "export_format": "ctranslate2",
        "max_exports_to_keep": 4,
        "early_stopping": {"metric": "bleu", "min_improvement": 0.01, "steps": 4},
    },
    "infer": {
        "batch_size": 10,
        "batch_type": "examples",
        "n_best": 1,
        "with_scores": True,
        "with_alignments": "hard",
        "length_bucket_width": 5,
        "prefetch_buffer_size": 1,
    },
    "score": {
        "batch_size": 64,
        "batch_type": "examples",
        "with_token_level": True,
        "with_alignments": "soft",
        "length_bucket_width": 5,
        "prefetch_buffer_size": 1,
    },
}
BASE = model_types.get_model_type("TransformerBase")


def given(raw, model=BASE, **options):
    ours, report = translate(OpenNMTConfig(raw), model, **options)
    return Config.from_dict(ours), report


def of(section, model=BASE, **values):
    """The translated configuration of one section, and the report."""
    return given({section: values}, model)
