"""Benchmark of SavedModel variants of a run: size, load time, speed and quality.

    python tools/bench/variants.py RUN SOURCE TARGET WORK [--lines 1000] [--shortlist N ...]

SOURCE and TARGET are aligned text files, optionally compressed (.gz). Every variant is exported to
WORK once, which includes its verification. Each is then measured in a separate process: the size of
its files; the time until the first answer, without the import of TensorFlow; sentences per second
with the default options in batches of 32; sentences per second of 16 concurrent callers with one
sentence each; and BLEU (sacrebleu, 13a).
"""

import argparse
import gzip
import itertools
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

VARIANTS = {
    "float32": [],
    "float16": ["--weights", "float16"],
    "bfloat16": ["--weights", "bfloat16"],
    "int8": ["--weights", "int8"],
    "batching": ["--batching"],
    "xla": ["--xla"],
}
BATCH, CALLERS, SINGLE = 32, 16, 320


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("run", "source", "target", "work"):
        parser.add_argument(name)
    parser.add_argument("--lines", type=int, default=1000)
    variants = "further variants: exports that emit the N most frequent tokens only"
    parser.add_argument("--shortlist", nargs="*", default=[], metavar="N", help=variants)
    parser.add_argument("--measure", metavar="DIR", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments)))
        return
    print(f"{'':10} MB files  s to load  sentences/s  of 16 callers   BLEU")
    all_variants = VARIANTS | {f"top {n}": ["--shortlist", n] for n in arguments.shortlist}
    for name, options in all_variants.items():
        base = Path(arguments.work) / name
        if not base.exists():
            export = [sys.executable, "-m", "keras_s2s", "export", arguments.run, str(base)]
            subprocess.run([*export, *options], check=True, stdout=subprocess.DEVNULL)
        command = [sys.executable, *sys.argv, "--measure", str(base)]
        figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        print(
            f"{name:10} {figures['size']:8.1f} {figures['load']:10.1f} {figures['batches']:12.0f}"
            f" {figures['callers']:14.0f} {figures['bleu']:6.1f}"
        )


def measure(base: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Measures the export in the base path `base`."""
    import sacrebleu

    from keras_s2s.cli.tensorflow_logging import import_tensorflow

    import_tensorflow()
    from keras_s2s.serving.server.local_model import LocalModel

    sources, targets = (
        read_lines(getattr(arguments, x), arguments.lines) for x in ("source", "target")
    )
    start = time.perf_counter()
    with LocalModel(base) as model:
        translate(model, sources[:1])
        load = time.perf_counter() - start
        translate(model, sources[:BATCH])
        start = time.perf_counter()
        batches = [sources[i : i + BATCH] for i in range(0, len(sources), BATCH)]
        translations = list(itertools.chain(*(translate(model, batch) for batch in batches)))
        seconds = time.perf_counter() - start
        singles = sources[:SINGLE]
        for text in singles:  # excludes compilation for the sizes of these texts
            translate(model, [text])
        with ThreadPoolExecutor(CALLERS) as pool:
            start = time.perf_counter()
            list(pool.map(lambda text: translate(model, [text]), singles))
            concurrent_seconds = time.perf_counter() - start
    return {
        "size": sum(x.stat().st_size for x in Path(base).rglob("*") if x.is_file()) / 1e6,
        "load": load,
        "batches": len(sources) / seconds,
        "callers": len(singles) / concurrent_seconds,
        "bleu": sacrebleu.corpus_bleu(translations, [targets]).score,
    }


def translate(model: Any, texts: list[str]) -> list[str]:
    """The best target of each text."""
    return list(model.predict("serving_default", {"text": texts})["text"])


def read_lines(path: str, count: int) -> list[str]:
    """The first lines of a text file."""
    open_file = gzip.open if path.endswith(".gz") else open
    with open_file(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in itertools.islice(file, count)]


if __name__ == "__main__":
    main()
