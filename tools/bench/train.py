"""Training speed of a Transformer compared to OpenNMT-tf, in sequence on the same machine.

    python tools/bench/train.py DATA WORK [--opennmt PYTHON] [--updates 200] [--rounds 2]

DATA holds train.en.gz and train.de.gz; WORK is created and keeps every log. PYTHON is the
interpreter of a virtual environment with `OpenNMT-tf==2.32.0 tensorflow-cpu==2.13.1 "numpy<2"`.

Both train tools/recipes/multi30k_transformer.yml's model (4+4 layers, 128 wide, feed-forward 256,
4 heads, one tied table) with 4,096-token batches over the same subwords: OpenNMT-tf reads files
that the SentencePiece model of the run has segmented. Results are target tokens per second, with
end tokens and without padding, excluding the first window of updates, which includes compilation.
"""

import argparse
import gzip
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "tools" / "recipes" / "multi30k_transformer.yml"
POLICIES = ("float32", "mixed_bfloat16")
MODEL = """
import opennmt as onmt

def model():
    word = lambda: onmt.inputters.WordEmbedder(embedding_size=128)
    return onmt.models.Transformer(
        source_inputter=word(), target_inputter=word(), num_layers=4, num_units=128, num_heads=4,
        ffn_inner_dim=256, dropout=0.1, attention_dropout=0.1, ffn_dropout=0.1,
        share_embeddings=onmt.models.EmbeddingsSharingLevel.ALL)
"""
SPEED = re.compile(r"(\d+) target\)")


def main():
    """Runs the comparison and prints a table with ratios."""
    options = _arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    speeds_by_name = {policy: [] for policy in POLICIES} | (
        {"OpenNMT-tf": []} if options.opennmt else {}
    )
    for number in range(options.rounds):
        for policy in POLICIES:
            speeds_by_name[policy].append(_ours(options, policy, f"{policy}-{number}"))
        if options.opennmt:
            speeds_by_name["OpenNMT-tf"].append(_opennmt(options, f"opennmt-{number}"))
    medians = {name: statistics.median(speeds) for name, speeds in speeds_by_name.items()}
    for name, speeds in speeds_by_name.items():
        ratio = medians[name] / medians["float32"]
        rounds = ", ".join(f"{speed:,.0f}" for speed in speeds)
        print(f"{name:15} {medians[name]:8,.0f} target tokens/s ({rounds})  {ratio:.2f} of float32")


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--opennmt", metavar="PYTHON", help="left out: keras_s2s alone")
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    return parser.parse_args()


def _run(command, log):
    with log.open("w") as file:
        done = subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.exit(f"{log}: status {done.returncode}\n{log.read_text()[-2000:]}")


def _ours(options, policy, name):
    run = options.work.resolve() / name
    window = max(1, options.updates // 4)
    files = [
        f"data.train.{side}={options.data.resolve()}/train.{language}.gz"
        for side, language in (("source", "en"), ("target", "de"))
    ]
    settings = [
        f"training.policy={policy}",
        f"training.updates={options.updates}",
        f"training.validate_every={window}",
        "data.valid=null",
        "training.scores=null",
        "training.metric=loss",
    ]
    command = [sys.executable, "-m", "keras_s2s", "train", str(RECIPE), "--run-dir", str(run)]
    _run([*command, *files, *settings], options.work / f"{name}.log")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return statistics.mean(row["tokens_per_second"] for row in rows[1:])


def _opennmt(options, name):
    files = _segmented_files(options)
    config = {
        "model_dir": str(options.work.resolve() / name),
        "data": {
            "train_features_file": files["en"],
            "train_labels_file": files["de"],
            "source_vocabulary": files["vocabulary"],
            "target_vocabulary": files["vocabulary"],
        },
        "params": {
            "optimizer": "Adam",
            "optimizer_params": {"beta_1": 0.9, "beta_2": 0.998},
            "learning_rate": 1.0,
            "decay_type": "NoamDecay",
            "decay_params": {"model_dim": 128, "warmup_steps": 500},
            "label_smoothing": 0.1,
        },
        "train": {
            "batch_size": 4096,
            "batch_type": "tokens",
            "length_bucket_width": 1,
            "maximum_features_length": 100,
            "maximum_labels_length": 100,
            "sample_buffer_size": 500000,
            "max_step": options.updates,
            "save_summary_steps": max(1, options.updates // 4),
            "save_checkpoints_steps": options.updates,
        },
    }
    path = options.work / f"{name}.json"  # JSON is YAML
    path.write_text(json.dumps(config, indent=1))
    (options.work / "model.py").write_text(MODEL)
    log = options.work / f"{name}.log"
    module = [options.opennmt, "-m", "opennmt.bin.main", "--config", str(path.resolve())]
    _run([*module, "--model", str((options.work / "model.py").resolve()), "train"], log)
    speeds = [int(word) for word in SPEED.findall(log.read_text())]
    if len(speeds) < 2:
        sys.exit(f"{log}: expected at least two lines of speed, got {len(speeds)}")
    return statistics.mean(speeds[1:])


def _segmented_files(options):
    """Writes the corpus as subwords separated by spaces, and their vocabulary, for OpenNMT-tf."""
    import sentencepiece

    work = options.work.resolve()
    tokenizers = work / "float32-0" / "tokenizers"
    processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizers / "source.model"))
    files = {"vocabulary": str(work / "vocabulary.txt")}
    known = [processor.id_to_piece(i) for i in range(4, processor.vocab_size())]
    Path(files["vocabulary"]).write_text("\n".join(["<blank>", "<s>", "</s>", *known]) + "\n")
    for language in ("en", "de"):
        files[language] = str(work / f"train.{language}")
        with gzip.open(options.data / f"train.{language}.gz", "rt", encoding="utf-8") as lines:
            cut = [" ".join(processor.encode(line.rstrip("\n"), out_type=str)) for line in lines]
        Path(files[language]).write_text("\n".join(cut) + "\n", encoding="utf-8")
    return files


if __name__ == "__main__":
    main()
