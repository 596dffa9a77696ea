"""Fails when a score of `evaluate --json` is above its limit: FILE NAME=LIMIT ..."""

import json
import sys


def main(path, *limits):
    """Prints every score beside its limit; the exit status is 1 when one is above."""
    with open(path, encoding="utf-8") as file:
        scores = json.load(file)
    failed = False
    for name, limit in (word.split("=") for word in limits):
        failed |= (above := scores[name] > float(limit))
        verdict = "above" if above else "within"
        print(f"{name.upper()} {scores[name]:.1f} %, {verdict} the limit of {limit} %")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
