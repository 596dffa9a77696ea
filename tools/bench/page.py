#!/usr/bin/env python3
"""Latency of the attention page: time to the first picture, and response to pointer and click.

    python tools/bench/page.py [--tokens 200] [--layers 16] [--heads 12]

A TensorBoard without TensorFlow serves one record to a headless Chromium without a GPU. An
response is measured from the event to the second frame after it. Prints milliseconds as JSON.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from keras_s2s.tensorboard.attention_records import pack, write
from tests.tensorboard.page.browser import PLUGIN, Page, chromium, tensorboard, until
from tests.tensorboard.page.samples import large_record

ANSWERS = """
    const [selector, kind, done] = arguments, took = [];
    const found = [...document.querySelectorAll(selector)];
    const next = (i) => {
        if (i === 25) return done(took);
        const start = performance.now();
        found[(i * 7) % found.length].dispatchEvent(new PointerEvent(kind, {bubbles: true}));
        requestAnimationFrame(() => requestAnimationFrame(() => {
            took.push(performance.now() - start);
            next(i + 1);
        }));
    };
    next(0);
"""
FIRST = "return performance.getEntriesByName('attention:shown')[0].startTime"


def summary(times):
    times = sorted(times)
    return {
        "median": round(statistics.median(times), 1),
        "p90": round(times[int(len(times) * 0.9)], 1),
    }


def page_load(driver, address):
    """Milliseconds from navigation to the first picture, and to the last small one."""
    page = Page(driver, address)
    return page.run(FIRST), page.run("return performance.now()")


def measure(driver, address):
    loads = [page_load(driver, address) for _ in range(5)]
    result = {"first picture": summary([first for first, _ in loads])}
    result["all heads"] = summary([last for _, last in loads])
    interactions = (
        ("idle", "body", "none"),
        ("token, lines", ".tokens.row li", "pointerover"),
        ("head, lines", ".head", "click"),
    )
    for name, selector, kind in interactions:
        result[name] = summary(driver.execute_async_script(ANSWERS, selector, kind))
    driver.execute_script("document.querySelector('input[value=matrix]').click()")
    result["head, matrix"] = summary(driver.execute_async_script(ANSWERS, ".head", "click"))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("tokens", 200), ("layers", 16), ("heads", 12)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = vars(parser.parse_args())
    with tempfile.TemporaryDirectory() as folder:
        folder, record = Path(folder), large_record(**given)
        write(folder / "logs" / "run", "attention/0", record, 1)
        (folder / "browser").mkdir()
        browser = chromium(folder / "browser")
        with tensorboard(folder / "logs", folder) as address, browser as driver:
            driver.get(f"{address}/{PLUGIN}/index")
            ask = "return fetch('index').then(a => a.json()).then(a => Object.keys(a.runs).length)"
            until(lambda: driver.execute_script(ask), 60)
            result = {**given, "stored bytes": len(pack(record))}
            result |= measure(driver, f"{address}/{PLUGIN}/index.html")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
