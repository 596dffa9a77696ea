"""Decoding speed of a Transformer compared to OpenNMT-tf and CTranslate2 on one machine.

    python tools/bench/decode.py DATA WORK [--opennmt PYTHON] [--rounds 3] [--json FILE] [--lengths]

DATA holds train, val and test2016 of Multi30k, .en.gz and .de.gz. WORK is made and keeps every log
and model; what it lacks is trained first (half an hour): `ours`, the run of tools/recipes/multi30k_
transformer.yml, and `opennmt`, OpenNMT-tf's model of the same sizes over the same pieces. `ours` is
exported every time, for CTranslate2 too: the same weights, and nearly always the same tokens.
PYTHON's environment holds `OpenNMT-tf==2.32.0 tensorflow-cpu==2.13.1 "numpy<2"
sentencepiece==0.2.3`.

Everyone gets strings, gives strings and stops at 100 pieces; ours cuts them in the graph, the
others in Python. The test set, its longest sentences first, goes in the same batches of 32 to
everyone. Each contender is a process of its own and computes with one thread a worker; a worker is
a thread that asks the one model. The processes take turns, so that what else the machine does
troubles all alike. Figures are sentences a second, and the median time of single sentences;
`median` and `best` are over the rounds, ratios are to CTranslate2 float32 with as many workers.
`--lengths` instead forces targets to 64 and 512 tokens and gives the time that a token takes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import sacrebleu
import train  # tools/bench/train.py
from decode_setup import (
    BEAMS,
    MAX_LENGTH,
    PENALTY,
    SENTENCES,
    load_tokenizer,
    prepare,
    read_lines,
)

BATCH = 32
RANKING = {"length_penalty": PENALTY, "length_offset": 0.0}  # as CTranslate2 divides
SINGLE = 100  # sentences of which the latency is the median
FORCED, FORCED_BATCH = (64, 512), 8
REFERENCE = "CTranslate2 float32"
# Contenders by name: kind of engine, number of workers, environment.
CONTENDERS = {
    "keras_s2s in process": ("run", 1, {}),
    "keras_s2s SavedModel": ("saved_model", 1, {}),
    "keras_s2s SavedModel, oneDNN off": ("saved_model", 1, {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "OpenNMT-tf SavedModel": ("opennmt", 1, {}),
    REFERENCE: ("ctranslate2-float32", 1, {}),
    "CTranslate2 int8": ("ctranslate2-int8", 1, {}),
    "keras_s2s SavedModel, 2 workers": ("saved_model", 2, {}),
    f"{REFERENCE}, 2 workers": ("ctranslate2-float32", 2, {}),
    "CTranslate2 int8, 2 workers": ("ctranslate2-int8", 2, {}),
}
LENGTHS = {
    "keras_s2s transformer_tiny": ("preset-transformer_tiny", 1, {}),
    "keras_s2s gru": ("preset-gru", 1, {}),
    REFERENCE: ("ctranslate2-float32", 1, {}),
}
OTHERS = "opennmt"  # the kind that runs in the other environment


def main():
    """Runs the comparison, or one contender."""
    if sys.argv[1:2] == ["worker"]:
        _serve(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=lambda path: Path(path).resolve())
    parser.add_argument("--opennmt", metavar="PYTHON", help="left out: keras_s2s alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, help="so many of the test set, for a trial")
    parser.add_argument("--only", default="", help="contenders with these words in their names")
    parser.add_argument("--lengths", action="store_true", help="time of a token by length")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all figures go")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    prepare(options)
    found = _forced(options) if options.lengths else _race(options)
    if options.json:
        options.json.write_text(json.dumps({"time": time.ctime(), "samples": found}, indent=1))


def _start(options, name, kind, workers, environment):
    theirs = kind.startswith(OTHERS)
    python = options.opennmt if theirs else sys.executable
    log = options.work / f"decode-{name.replace(' ', '-').replace(',', '')}.log"
    command = [python, __file__, "worker", kind, str(options.work), str(workers)]
    environment = os.environ | {"PYTHONPATH": "" if theirs else str(train.ROOT)} | environment
    with log.open("w") as file:
        ends = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": file, "text": True}
        return subprocess.Popen(command, env=environment, **ends), log


def _ask(process, log, **request):
    with suppress(BrokenPipeError):  # the log says why
        print(json.dumps(request), file=process.stdin, flush=True)
    reply = process.stdout.readline()
    if not reply:
        sys.exit(f"{log}: the process ended\n{log.read_text()[-2000:]}")
    return json.loads(reply)


def _sample(options, contenders, requests):
    """Replies of all contenders to all requests, round for round."""
    workers, samples = {}, []
    for name, description in contenders.items():
        if options.only in name and (options.opennmt or not description[0].startswith(OTHERS)):
            workers[name] = _start(options, name, *description)
            _ask(*workers[name], measure="ready")  # one after the other; loading does not count
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}, load {os.getloadavg()[0]:.1f}", flush=True)
        for request in requests:
            for name, worker in workers.items():
                if request["measure"] != "latency" or contenders[name][1] == 1:
                    key = {"name": name, "round": number, "load": os.getloadavg()[0]}
                    samples.append(key | request | _ask(*worker, **request))
    for process, _ in workers.values():
        process.stdin.close()  # ends it
        process.wait()
    return samples


def _race(options):
    requests = [{"measure": m, "beam": beam} for m in ("throughput", "latency") for beam in BEAMS]
    samples = _sample(options, CONTENDERS, requests)
    targets = read_lines(options.data / "test2016.de.gz")[: options.sentences]
    targets = [targets[i] for i in json.loads((options.work / SENTENCES).read_text())["order"]]
    for sample in samples:
        if texts := sample.pop("texts", None):  # speed counts only with comparable outputs
            sample["bleu"] = sacrebleu.corpus_bleu(texts, [targets]).score
    what = {"throughput": f"sentences/s in batches of {BATCH}", "latency": "ms a sentence"}
    for request in requests:
        _table(samples, f"{what[request['measure']]}, beam {request['beam']}", request)
    return samples


def _forced(options):
    requests = [{"measure": "forced", "length": length} for length in FORCED]
    samples = _sample(options, LENGTHS, requests)
    title = f"ms a token, batches of {FORCED_BATCH}, beam {BEAMS[0]}"
    short, long = (_table(samples, title, request) for request in requests)
    for name, (middle, _) in long.items():
        print(f"{name}: {middle / short[name][0]:.2f} times")
    return samples


def _table(samples, title, request):
    """Prints a row per contender; returns the median and the best of each."""
    best = max if request["measure"] == "throughput" else min
    rows, figures = {}, {}
    for sample in samples:
        if request.items() <= sample.items():
            rows.setdefault(sample["name"], []).append(sample)
    for name, row in rows.items():
        values = [sample["value"] for sample in row]
        figures[name] = statistics.median(values), best(values)
    print(f"\n{title:34}{'median':>8}{'best':>8}{'ratio':>8}{'of best':>8}{'tokens':>8}{'BLEU':>6}")
    for name, own in figures.items():
        other = figures.get(REFERENCE + ", 2 workers" * name.endswith("2 workers"))
        line = f"{name:34}" + "".join(f"{x:8.1f}" for x in own)
        line += "".join(f"{x / y:8.2f}" for x, y in zip(own, other)) if other else f"{'':16}"
        line += f"{rows[name][0].get('tokens', 1):8.1f}"
        print(line + (f"{rows[name][0]['bleu']:6.1f}" if "bleu" in rows[name][0] else ""))
    return figures


# Runs in the process of a contender, also in the OpenNMT-tf environment, without keras_s2s.


def _serve(kind, work, workers):
    """Answers requests, a line of JSON each, with lines of JSON."""
    replies = os.dup(1)
    os.dup2(2, 1)  # output of libraries goes to the log
    stored = json.loads((work / SENTENCES).read_text())
    texts = [stored["texts"][i] for i in stored["order"]]
    batches = [texts[first : first + BATCH] for first in range(0, len(texts), BATCH)]
    engine, middle = _engine(kind, work, workers), texts[len(texts) // 2 :][:FORCED_BATCH]
    measures = {
        "ready": lambda: _warm(engine, batches) if not kind.startswith("preset") else {},
        "throughput": lambda beam: _throughput(engine, batches, beam, workers),
        "latency": lambda beam: _latency(engine, stored["texts"][:SINGLE], beam),
        "forced": lambda length: _forced_here(engine, middle, length),
    }
    for line in sys.stdin:
        request = json.loads(line)
        found = measures[request.pop("measure")](**request)
        os.write(replies, json.dumps(found).encode() + b"\n")


def _engine(kind, work, workers):
    """The engine of a kind: (texts, beam, fewest, most) -> texts and lengths."""
    makers = {
        "saved_model": _saved_model_engine,
        "opennmt": _opennmt_engine,
        "ctranslate2": _ctranslate2_engine,
    }
    return makers.get(kind.partition("-")[0], _translator_engine)(work, kind, workers)


def _translator_engine(work, kind, _):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from keras_s2s import Translator, models, tokenizers
    from keras_s2s.config import ModelConfig

    if kind == "run":
        translator = Translator.load(work / "ours")
    else:
        pair = tokenizers.load_pair(work / "ours" / "tokenizers")
        model = ModelConfig(preset=kind.partition("-")[2])
        model = models.build(model, *(side.size for side in pair))
        translator = Translator(model, *pair, caps={"max_length": max(FORCED)})

    def run(texts, beam, fewest=0, most=MAX_LENGTH):
        limits = {"min_length": fewest, "max_length": most, **RANKING}
        found = translator.decode(texts, beam_size=beam, batch_size=len(texts), **limits)
        return [h[0].text for h in found], [len(h[0].tokens) for h in found]

    return run


def _callable(path, workers, signature, fetches):
    """A call of a signature in a Session; its inputs' names, in order; and their defaults."""
    import tensorflow as tf

    threads = {"intra_op_parallelism_threads": 1, "inter_op_parallelism_threads": workers}
    config = tf.compat.v1.ConfigProto(**threads)
    session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
    with session.graph.as_default():
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(path))
    found = loaded.signature_def[signature]
    names, given = sorted(found.inputs), getattr(found, "defaults", {})  # 2.13 knows of none
    defaults = {name: tf.make_ndarray(value) for name, value in given.items()}
    outputs = [found.outputs[name].name for name in fetches]
    return session.make_callable(outputs, [found.inputs[n].name for n in names]), names, defaults


def _saved_model_engine(work, _, workers):
    import tensorflow_text  # noqa: F401

    fetches = ("text", "lengths", "score")
    call, names, defaults = _callable(work / "export" / "1", workers, "translate", fetches)

    def run(texts, beam):
        given = {name: np.resize(value, len(texts)) for name, value in defaults.items()}
        for name, value in {"beam_size": beam, "max_length": MAX_LENGTH, **RANKING}.items():
            given[name] = np.full([len(texts)], value, defaults[name].dtype)
        given["text"] = np.array([text.encode() for text in texts], object)
        found, lengths, _ = call(*(given[name] for name in names))
        return [text.decode() for text in found[:, 0]], lengths[:, 0].tolist()

    return run


def _opennmt_engine(work, _, workers):
    processor, calls = load_tokenizer(work), {}
    for beam in BEAMS:
        path = work / f"opennmt-beam{beam}"
        calls[beam], *_ = _callable(path, workers, "serving_default", ("tokens", "length"))

    def run(texts, beam):
        cut = processor.encode(texts, out_type=str)
        sizes = np.array([len(row) for row in cut], np.int32)
        padded = np.array([row + [""] * (sizes.max() - len(row)) for row in cut], object)
        tokens, lengths = calls[beam](sizes, padded)
        best = [[x.decode() for x in row[0, : size[0]]] for row, size in zip(tokens, lengths)]
        return processor.decode(best), lengths[:, 0].tolist()

    return run


def _ctranslate2_engine(work, kind, workers):
    import ctranslate2

    threads = {"inter_threads": workers, "intra_threads": 1}
    compute_type, processor = kind.partition("-")[2], load_tokenizer(work)
    translator = ctranslate2.Translator(str(work / kind), compute_type=compute_type, **threads)

    def run(texts, beam, fewest=0, most=MAX_LENGTH):
        found = translator.translate_batch(
            processor.encode(texts, out_type=str),
            beam_size=beam,
            length_penalty=PENALTY,
            min_decoding_length=fewest,
            max_decoding_length=most,
            max_batch_size=BATCH,
        )
        best = [result.hypotheses[0] for result in found]
        return processor.decode(best), [len(row) for row in best]

    return run


def _warm(engine, batches):
    for beam in BEAMS:
        for batch in (batches[0], batches[len(batches) // 2], batches[-1]):
            engine(batch, beam)
            engine(batch[:1], beam)
    return {}


def _throughput(engine, batches, beam, workers):
    with ThreadPoolExecutor(workers) as pool:
        began = time.perf_counter()
        found = list(pool.map(lambda batch: engine(batch, beam), batches))
        spent = time.perf_counter() - began
    texts, lengths = (sum(column, []) for column in zip(*found))  # the longest source first
    return {"value": len(texts) / spent, "tokens": statistics.mean(lengths), "texts": texts}


def _latency(engine, texts, beam):
    times = []
    for text in texts:
        began = time.perf_counter()
        engine([text], beam)
        times.append(1000 * (time.perf_counter() - began))
    return {"value": statistics.median(times)}


def _forced_here(engine, texts, length):
    engine(texts, BEAMS[0], 8, 8)  # warm-up
    began = time.perf_counter()
    _, lengths = engine(texts, BEAMS[0], length, length)
    spent = time.perf_counter() - began
    return {"value": 1000 * spent / max(lengths), "tokens": max(lengths)}


if __name__ == "__main__":
    main()
