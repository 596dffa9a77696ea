"""Latency, memory, size and quality of a run on a device: LiteRT files and a SavedModel.

    python tools/bench/edge.py RUN WORK [--lines 100] [--threads 1 2] [--length N] [--json FILE]

RUN is exported into WORK, which is created, as LiteRT float32, float16 and int8, as a SavedModel,
and for CTranslate2 in float32 and int8 where it can run the model. Each contender is a separate
process and gets the same texts one by one, the first of the run's validation data: text in, text
out, greedily and by a beam of 5. Figures are the median time of a text, that time per output
token, the seconds until the first answer, the peak memory of the process, the size of what is
loaded, and the run's metric on those lines. `--length` forces every target to N tokens, for
a run with little training, whose quality is then meaningless.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

BEAMS = (1, 5)
LITERT = {"float32": "none", "float16": "float16", "int8": "dynamic_int8"}
CT2 = ("float32", "int8")
PENALTY = {"length_penalty": 0.6, "length_offset": 0.0}  # as CTranslate2 divides


def export_all(run, work):
    """Exports the missing formats into WORK; returns the paths by contender."""
    from keras_s2s.errors import UserError
    from keras_s2s.export import export_ctranslate2, export_litert, export_saved_model

    kinds = {f"LiteRT {name}": (export_litert, kind) for name, kind in LITERT.items()}
    kinds |= {"SavedModel": (export_saved_model, None)}
    kinds |= {f"CTranslate2 {name}": (export_ctranslate2, name) for name in CT2}
    found = {}
    for name, (export, kind) in kinds.items():
        path = work / name.replace(" ", "-").lower()
        try:
            if not path.exists():
                export(run, path, **({"quantization": kind} if kind else {}))
            found[name] = path
        except UserError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
    return found


def contender(name, path, run, threads):
    """A function (text, beam size, forced length or None) -> (text, number of tokens)."""
    if name.startswith("CTranslate2"):
        return by_ctranslate2(path, threads, name.split()[1])
    if name == "SavedModel":
        from keras_s2s.serving.server.local_model import LocalModel

        model = LocalModel(path)
        ask = model.translate
    else:
        from keras_s2s.serving import EdgeTranslator

        model = EdgeTranslator(path / "1" / "model.tflite", threads=threads)
        ask = model.decode

    def translate(text, beam, length):
        forced = {"min_length": length, "max_length": length} if length else {}
        best = ask([text], beam_size=beam, num_hypotheses=1, **PENALTY, **forced)[0][0]
        return best.text, len(best.tokens)

    return translate


def by_ctranslate2(path, threads, kind):
    import ctranslate2
    import sentencepiece

    engine = ctranslate2.Translator(str(path), compute_type=kind, intra_threads=threads)
    sides = path / "tokenizers"
    source = sentencepiece.SentencePieceProcessor(str(sides / "source.model"))
    target = sides / "target.model"
    join = sentencepiece.SentencePieceProcessor(str(target)) if target.exists() else source

    def translate(text, beam, length):
        forced = {"min_decoding_length": length, "max_decoding_length": length} if length else {}
        pieces = source.encode(text, out_type=str)
        found = engine.translate_batch([pieces], beam_size=beam, length_penalty=0.6, **forced)
        tokens = found[0].hypotheses[0]
        return join.decode_pieces(tokens), len(tokens)

    return translate


def measure(name, path, run, lines, threads, length):
    """Measures one contender in this process; returns results by beam size."""
    begun = time.perf_counter()
    translate = contender(name, Path(path), run, threads)
    translate(lines[0], 1, length)
    figures = {"start": time.perf_counter() - begun}
    for beam in BEAMS:
        times, texts, tokens = [], [], []
        for line in lines[:5]:
            translate(line, beam, length)
        for line in lines:
            start = time.perf_counter()
            text, count = translate(line, beam, length)
            times.append(time.perf_counter() - start)
            texts.append(text)
            tokens.append(max(1, count))
        figures[str(beam)] = {
            "ms": 1000 * statistics.median(times),
            "ms_per_token": 1000 * sum(times) / sum(tokens),
            "texts": texts,
        }
    figures["mb"] = peak_megabytes()
    return figures


def peak_megabytes():
    """Peak memory of this process; getrusage would include the parent's memory at the fork."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return int(line.split()[1]) / 1024


def in_process(*arguments):
    """Runs `measure` in a separate process."""
    threads = str(arguments[-2])
    quiet = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "CUDA_VISIBLE_DEVICES": "-1",
        "OMP_NUM_THREADS": threads,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
    }
    command = [sys.executable, __file__, "--measure"]
    done = subprocess.run(
        command,
        input=json.dumps(arguments),
        capture_output=True,
        text=True,
        env=os.environ | quiet,
    )
    if done.returncode:
        raise SystemExit(f"{arguments[0]}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def loaded_bytes(name, path):
    """Total size of the files that a contender loads."""
    wanted = path.rglob("model.tflite") if name.startswith("LiteRT") else path.rglob("*")
    skipped = ("assets.extra",)
    return sum(
        one.stat().st_size for one in wanted if one.is_file() and not set(skipped) & set(one.parts)
    )


def rows(arguments):
    """Yields the results of every contender with every number of threads."""
    from keras_s2s.config import Config
    from keras_s2s.data import read_pairs
    from keras_s2s.metrics import SCORERS, score

    config, work = Config.from_run(arguments.run), Path(arguments.work)
    named = [config.training.metric, *(config.training.scores or ()), "bleu"]
    metric = next(one for one in named if one in SCORERS)
    pairs = list(itertools.islice(read_pairs(config.data.valid), arguments.lines))
    sources, references = map(list, zip(*pairs))
    work.mkdir(parents=True, exist_ok=True)
    for name, path in export_all(arguments.run, work).items():
        for threads in arguments.threads:
            given = (name, str(path), arguments.run, sources, threads, arguments.length)
            found = in_process(*given)
            for beam in map(str, BEAMS):
                texts = found[beam].pop("texts")
                found[beam][metric] = score([metric], texts, references, sources)[metric]
            yield {"name": name, "threads": threads, "bytes": loaded_bytes(name, path), **found}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("work")
    parser.add_argument("--lines", type=int, default=100)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--length", type=int)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    made = []
    print(f"{'':22} threads    MB file  MB peak  start s   beam: ms/text ms/token quality")
    for row in rows(arguments):
        made.append(row)
        parts = [
            f"{b}: {row[b]['ms']:8.2f} {row[b]['ms_per_token']:8.3f} "
            f"{list(row[b].values())[-1]:7.2f}"
            for b in map(str, BEAMS)
        ]
        print(
            f"{row['name']:22} {row['threads']:7} {row['bytes'] / 1e6:10.2f} {row['mb']:8.0f}"
            f" {row['start']:8.2f}   {'   '.join(parts)}",
            flush=True,
        )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["--measure"]:
        print(json.dumps(measure(*json.load(sys.stdin))))
    else:
        main()
