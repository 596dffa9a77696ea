"""Speed and memory of the data pipeline alone, for a small corpus and a large one.

    python tools/bench/data.py [--megabytes 20 2000] [--seconds 60] [--cache] [--kind characters]

Writes corpora of random sentences to a temporary directory. For each corpus a separate process
scans it, streams training batches, and resumes from a batch in the middle of the first epoch.
Prints tokens per second, of the target and of both sides, and the peak resident memory of the
process.
"""

import argparse
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SENTENCES = 40_000  # distinct ones; a corpus repeats them in a new order each time
BATCH_TOKENS, MAX_LENGTH = 4096, 100


def main():
    """Measures each corpus size in a separate process."""
    options = _parse_arguments()
    if options.corpus:
        print(json.dumps(_measure(options)))
        return
    baseline = None
    for size in options.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            _write_corpus(Path(folder), size)
            seconds = time.monotonic() - start
            print(f"{size:,} MB of text, written in {seconds:.0f} s", flush=True)
            figures = _measure_in_process(options, folder)
        baseline = baseline or figures
        print(_describe(figures, baseline), flush=True)


def _parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[20, 2000])
    parser.add_argument("--seconds", type=float, default=60.0, help="of streaming")
    parser.add_argument("--cache", action="store_true", help="read examples from a cache")
    parser.add_argument("--unique", action="store_true", help="leave out duplicates")
    parser.add_argument("--kind", default="sentencepiece", help="of both tokenizers")
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    return parser.parse_args()


def _write_corpus(folder, megabytes):
    """Writes two aligned files of random sentences, each half of `megabytes`."""
    r = random.Random(1)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    weights = [1 / (n + 1) for n in range(26)]
    words = ["".join(r.choices(letters, weights, k=r.randint(1, 9))) for _ in range(20_000)]
    ranks = list(itertools.accumulate(1 / (n + 1) for n in range(len(words))))
    sides = [
        [
            " ".join(r.choices(words, cum_weights=ranks, k=r.randint(3, 30)))
            for _ in range(SENTENCES)
        ]
        for _ in range(2)
    ]
    with (folder / "source").open("w") as source, (folder / "target").open("w") as target:
        while source.tell() + target.tell() < megabytes * 1e6:
            order = r.sample(range(SENTENCES), SENTENCES)
            for file, lines in zip((source, target), sides, strict=True):
                file.write("".join(f"{lines[number]}\n" for number in order))


def _measure_in_process(options, folder):
    command = [sys.executable, __file__, "--corpus", folder, "--seconds", str(options.seconds)]
    command += ["--kind", options.kind]
    command += [f"--{name}" for name in ("cache", "unique") if getattr(options, name)]
    completed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(completed.stdout.splitlines()[-1])


def _measure(options):
    """The figures of one corpus, measured in this process."""
    from keras_s2s import data, tokenizers
    from keras_s2s.config import Corpus, TokenizerConfig

    folder = options.corpus
    corpus = Corpus(source=f"{folder}/source", target=f"{folder}/target")
    lines = (line for line, _ in zip(data.read_side(corpus, "source"), range(20_000), strict=False))
    tokenizer = tokenizers.train(TokenizerConfig(kind=options.kind), lines)
    cache = f"{folder}/cache" if options.cache else None
    start = time.monotonic()
    statistics = data.scan_corpora(
        corpus, tokenizer, tokenizer, MAX_LENGTH, unique=options.unique, cache=cache
    )
    figures = {"scan": time.monotonic() - start, "pairs": statistics.pairs}
    figures["scan_memory"] = _peak_memory()

    def open_stream(first_batch=0):
        return data.batches(
            corpus,
            tokenizer,
            tokenizer,
            batch_tokens=BATCH_TOKENS,
            max_length=MAX_LENGTH,
            statistics=statistics,
            start=first_batch,
        )

    figures |= _measure_stream(open_stream(), options.seconds)
    start = time.monotonic()
    next(iter(open_stream(statistics.count_batches(BATCH_TOKENS) // 2)))
    return figures | {"middle": time.monotonic() - start, "memory": _peak_memory()}


def _measure_stream(batches, seconds):
    start = time.monotonic()
    target_tokens, all_tokens, count, first = 0, 0, 0, None
    for (x, _, weights), count in zip(batches, range(1, 1 << 62), strict=False):  # noqa: B007
        first = first or time.monotonic() - start
        batch_tokens = int((weights.numpy() > 0).sum())
        target_tokens += batch_tokens
        all_tokens += batch_tokens + int(x["source"]["mask"].numpy().sum())
        if time.monotonic() - start > seconds:
            break
    elapsed = time.monotonic() - start
    speeds = {"target": target_tokens / elapsed, "both": all_tokens / elapsed}
    return {"batches": count, "first": first, **speeds}


def _peak_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux


def _describe(figures, baseline):
    speed = f"{figures['target']:,.0f} target tokens/s ({figures['both']:,.0f} of both sides)"
    growth = f"{figures['memory'] - baseline['memory']:+,.0f}"
    memory = f"{figures['memory']:,.0f} MB peak ({growth};"
    return (
        f"  {figures['pairs']:,} pairs scanned in {figures['scan']:.1f} s\n"
        f"  {speed} over {figures['batches']:,} batches, the first after {figures['first']:.2f} s\n"
        f"  a stream from the middle of the epoch starts after {figures['middle']:.2f} s\n"
        f"  {memory} {figures['scan_memory']:,.0f} after the scan)"
    )


if __name__ == "__main__":
    main()
