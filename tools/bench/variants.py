"""Size, load time, speed and quality of a run's export variants, beside the plain export.

    python tools/bench/variants.py RUN SOURCE TARGET WORK [--lines 1000] [--shortlist N ...]

SOURCE and TARGET are aligned text files, .gz or not. Every variant is exported (and so proved) to
WORK once. Each is then measured in a process of its own: what the files take, the time from
nothing to the first answer without that of importing TensorFlow, sentences a second by the
signature's defaults in batches of 32, sentences a second of 16 callers with one sentence each,
and BLEU (sacrebleu, 13a).
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

VARIANTS = {
    "float32": [],
    "float16": ["--weights", "float16"],
    "bfloat16": ["--weights", "bfloat16"],
    "int8": ["--weights", "int8"],
    "batching": ["--batching"],
    "frozen": ["--frozen"],
    "xla": ["--xla"],
}
BATCH, CALLERS, SINGLE = 32, 16, 320


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("run", "source", "target", "work"):
        parser.add_argument(name)
    parser.add_argument("--lines", type=int, default=1000)
    more = "further variants: exports that give the N most frequent tokens only"
    parser.add_argument("--shortlist", nargs="*", default=[], metavar="N", help=more)
    parser.add_argument("--measure", metavar="DIR", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments)))
        return
    print(f"{'':10} MB files  s to load  sentences/s  of 16 callers   BLEU")
    variants = VARIANTS | {f"top {n}": ["--shortlist", n] for n in arguments.shortlist}
    for name, options in variants.items():
        base = Path(arguments.work) / name
        if not base.exists():
            export = [sys.executable, "-m", "keras_s2s", "export", arguments.run, str(base)]
            subprocess.run([*export, *options], check=True, stdout=subprocess.DEVNULL)
        again = [sys.executable, *sys.argv, "--measure", str(base)]
        found = json.loads(subprocess.run(again, check=True, stdout=subprocess.PIPE).stdout)
        print(
            f"{name:10} {found['size']:8.1f} {found['load']:10.1f} {found['batches']:12.0f}"
            f" {found['callers']:14.0f} {found['bleu']:6.1f}"
        )


def measure(base, arguments):
    """Figures of the export below `base`."""
    import sacrebleu

    from keras_s2s.cli.tensorflow_logging import import_tensorflow

    import_tensorflow()
    from keras_s2s.serving.server.local_model import LocalModel

    sources, targets = (lines(getattr(arguments, x), arguments.lines) for x in ("source", "target"))
    begun = time.perf_counter()
    with LocalModel(base) as model:
        ask(model, sources[:1])
        load = time.perf_counter() - begun
        ask(model, sources[:BATCH])
        begun = time.perf_counter()
        batches = [sources[i : i + BATCH] for i in range(0, len(sources), BATCH)]
        found = list(itertools.chain(*(ask(model, batch) for batch in batches)))
        took = time.perf_counter() - begun
        singles = sources[:SINGLE]
        for text in singles:  # what is compiled for their sizes is no matter of speed
            ask(model, [text])
        with ThreadPoolExecutor(CALLERS) as pool:
            begun = time.perf_counter()
            list(pool.map(lambda text: ask(model, [text]), singles))
            shared = time.perf_counter() - begun
    return {
        "size": sum(x.stat().st_size for x in Path(base).rglob("*") if x.is_file()) / 1e6,
        "load": load,
        "batches": len(sources) / took,
        "callers": len(singles) / shared,
        "bleu": sacrebleu.corpus_bleu(found, [targets]).score,
    }


def ask(model, texts):
    """The best target of each text."""
    return list(model.predict("serving_default", {"text": texts})["text"])


def lines(path, count):
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        return [line.rstrip("\n") for line in itertools.islice(file, count)]


if __name__ == "__main__":
    main()
