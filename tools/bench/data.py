"""Speed and memory of the data pipeline alone, for a small corpus and a large one.

    python tools/bench/data.py [--megabytes 20 2000] [--seconds 60] [--cache] [--kind characters]

Makes corpora of made-up sentences in a temporary directory and, for each, starts a process of its
own that surveys it, streams training batches and goes on from a batch in the middle of the first
epoch. Prints tokens a second, the target's alone and both sides' together, and the process' peak
resident memory.
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

SENTENCES = 40_000  # different ones; a corpus repeats them in another order each time
BATCH_TOKENS, MAX_LENGTH = 4096, 100


def main():
    """Measures every size in a process of its own."""
    options = _arguments()
    if options.corpus:
        print(json.dumps(_measure(options)))
        return
    first = None
    for size in options.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            _write(Path(folder), size)
            print(f"{size:,} MB of text, made in {time.monotonic() - began:.0f} s", flush=True)
            found = _measured(options, folder)
        first = first or found
        print(_describe(found, first), flush=True)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[20, 2000])
    parser.add_argument("--seconds", type=float, default=60.0, help="of streaming")
    parser.add_argument("--cache", action="store_true", help="read examples from a cache")
    parser.add_argument("--unique", action="store_true", help="leave out duplicates")
    parser.add_argument("--kind", default="sentencepiece", help="of both tokenizers")
    parser.add_argument("--corpus", help=argparse.SUPPRESS)
    return parser.parse_args()


def _write(folder, megabytes):
    """Two aligned files of made-up sentences, each a half of `megabytes`."""
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
                file.write("".join(f"{lines[place]}\n" for place in order))


def _measured(options, folder):
    command = [sys.executable, __file__, "--corpus", folder, "--seconds", str(options.seconds)]
    command += ["--kind", options.kind]
    command += [f"--{name}" for name in ("cache", "unique") if getattr(options, name)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _measure(options):
    """What the process of one corpus finds."""
    from keras_s2s import data, tokenizers
    from keras_s2s.config import Corpus, TokenizerConfig

    folder = options.corpus
    corpus = Corpus(source=f"{folder}/source", target=f"{folder}/target")
    lines = (line for line, _ in zip(data.read_side(corpus, "source"), range(20_000), strict=False))
    tokenizer = tokenizers.train(TokenizerConfig(kind=options.kind), lines)
    cache = f"{folder}/cache" if options.cache else None
    found = {}
    began = time.monotonic()
    statistics = data.scan_corpora(
        corpus, tokenizer, tokenizer, MAX_LENGTH, unique=options.unique, cache=cache
    )
    found["survey"] = time.monotonic() - began
    found["pairs"] = statistics.pairs
    found["survey_memory"] = _memory()

    def stream(start=0):
        return data.batches(
            corpus,
            tokenizer,
            tokenizer,
            batch_tokens=BATCH_TOKENS,
            max_length=MAX_LENGTH,
            statistics=statistics,
            start=start,
        )

    found |= _streamed(stream(), options.seconds)
    began = time.monotonic()
    next(iter(stream(statistics.count_batches(BATCH_TOKENS) // 2)))
    return found | {"middle": time.monotonic() - began, "memory": _memory()}


def _streamed(batches, seconds):
    began = time.monotonic()
    targets, both, count, first = 0, 0, 0, None
    for (x, _, weights), count in zip(batches, range(1, 1 << 62), strict=False):  # noqa: B007
        first = first or time.monotonic() - began
        mine = int((weights.numpy() > 0).sum())
        targets, both = targets + mine, both + mine + int(x["source"]["mask"].numpy().sum())
        if time.monotonic() - began > seconds:
            break
    spent = time.monotonic() - began
    return {"batches": count, "first": first, "target": targets / spent, "both": both / spent}


def _memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux


def _describe(found, first):
    speed = f"{found['target']:,.0f} target tokens/s ({found['both']:,.0f} of both sides)"
    memory = f"{found['memory']:,.0f} MB at most ({found['memory'] - first['memory']:+,.0f};"
    return (
        f"  {found['pairs']:,} pairs surveyed in {found['survey']:.1f} s\n"
        f"  {speed} over {found['batches']:,} batches, the first after {found['first']:.2f} s\n"
        f"  a stream from the middle of the epoch begins after {found['middle']:.2f} s\n"
        f"  {memory} {found['survey_memory']:,.0f} after the survey)"
    )


if __name__ == "__main__":
    main()
