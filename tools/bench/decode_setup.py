"""Models and sentences of the decoding benchmark: trains and exports what is missing."""

import gzip
import json
import shutil
import sys

import sentencepiece
import train  # tools/bench/train.py

BEAMS, MAX_LENGTH, PENALTY = (5, 1), 100, 0.6
UPDATES, SENTENCES = 1500, "sentences.json"
# The configuration of train.py with half the learning rate; at the full rate OpenNMT-tf only
# learns to produce some German.
OPENNMT_SETTINGS = {
    "params": {
        "optimizer": "Adam",
        "optimizer_params": {"beta_1": 0.9, "beta_2": 0.98},
        "learning_rate": 0.5,
        "decay_type": "NoamDecay",
        "label_smoothing": 0.1,
        "decay_params": {"model_dim": 128, "warmup_steps": 500},
    },
    "train": {
        "batch_size": 4096,
        "batch_type": "tokens",
        "length_bucket_width": 1,
        "maximum_features_length": 100,
        "maximum_labels_length": 100,
        "sample_buffer_size": 500000,
        "max_step": UPDATES,
        "save_summary_steps": 100,
        "save_checkpoints_steps": UPDATES,
    },
}
EXPORT_SCRIPT = """import sys
from keras_s2s.export import export_ctranslate2, export_saved_model
run, work = sys.argv[1:]
export_saved_model(run, f"{work}/export")
for name, quantization in (("float32", None), ("int8", "int8")):
    export_ctranslate2(run, f"{work}/ctranslate2-{name}", quantization=quantization)
"""


def prepare(options):
    """Trains and exports what WORK does not have, and writes the sentences of the contenders."""
    work, data = options.work, options.data.resolve()
    if not (work / "ours" / "best").is_dir():
        files = [
            f"data.{part}.{side}={data / name}.{language}.gz"
            for part, name in (("train", "train"), ("valid", "val"))
            for side, language in (("source", "en"), ("target", "de"))
        ]
        command = [sys.executable, "-m", "keras_s2s", "train", str(train.RECIPE), *files]
        settings = [f"training.{key}={UPDATES}" for key in ("updates", "validate_every")]
        train._run([*command, *settings, "--run-dir", str(work / "ours")], work / "ours.log")
    if options.opennmt:
        _prepare_opennmt(options)
    for name in ("export", "ctranslate2-float32", "ctranslate2-int8"):
        shutil.rmtree(work / name, ignore_errors=True)
    train._run(
        [sys.executable, "-c", EXPORT_SCRIPT, str(work / "ours"), str(work)], work / "export.log"
    )
    texts = read_lines(options.data / "test2016.en.gz")[: options.sentences]
    cut = load_tokenizer(work).encode(texts)
    order = sorted(range(len(texts)), key=lambda i: -len(cut[i]))
    (work / SENTENCES).write_text(json.dumps({"texts": texts, "order": order}))


def _prepare_opennmt(options):
    work, python = options.work, [options.opennmt, "-m", "opennmt.bin.main", "--config"]
    if not (work / "float32-0").exists():  # where train.py looks for the pieces
        (work / "float32-0").symlink_to("ours")
    (work / "model.py").write_text(train.MODEL)
    path = work / "opennmt.json"
    if not (work / "opennmt" / f"ckpt-{UPDATES}.index").exists():
        files = train._segmented_files(options)
        data = {"train_features_file": files["en"], "train_labels_file": files["de"]}
        data |= {f"{side}_vocabulary": files["vocabulary"] for side in ("source", "target")}
        path.write_text(
            json.dumps({"model_dir": str(work / "opennmt"), "data": data, **OPENNMT_SETTINGS})
        )
        command = [*python, str(path), "--model", str(work / "model.py"), "train"]
        train._run(command, work / "opennmt.log")
    config = json.loads(path.read_text())
    for beam in BEAMS:
        name = f"opennmt-beam{beam}"
        if not (work / name).is_dir():
            limits = {"length_penalty": PENALTY, "maximum_decoding_length": MAX_LENGTH}
            config["params"] |= limits | {"beam_width": beam}
            path = work / f"{name}.json"
            path.write_text(json.dumps(config))
            output = ["export", "--output_dir", str(work / name), "--format", "saved_model"]
            train._run([*python, str(path), *output], work / f"{name}.log")


def read_lines(path):
    return gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]


def load_tokenizer(work):
    path = work / "ours" / "tokenizers" / "source.model"
    return sentencepiece.SentencePieceProcessor(model_file=str(path))
