"""The command `vocab`: training of tokenizers, and their coverage of the corpora."""

import argparse
import sys

from keras_s2s.cli.argument_parser import add_command
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.cli.train import add_config, read_config
from keras_s2s.config.input_files import check_input_files
from keras_s2s.config.run_directory import check_unlocked, lock_run
from keras_s2s.signatures.json_text import dump_json

__all__ = ["add_commands"]

_COLUMNS = ("lines", "pieces", "known", "characters", "known", "used", "mean")


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `vocab` to the parser's sub-commands."""
    summary = "train the tokenizers of a configuration and report how they fit its corpora"
    parser = add_command(commands, "vocab", _vocab, summary)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_config(parser)


def _vocab(arguments):
    config, run_dir = read_config(arguments)
    check_input_files(config, run_dir, only_data=True)
    check_unlocked(run_dir)
    import_tensorflow()
    from keras_s2s.training import train_tokenizers

    with lock_run(run_dir):
        source, target = train_tokenizers(config, run_dir, _log)
    report = _coverage_report(config.data, source, target)
    if arguments.json:
        print(dump_json(report, ensure_ascii=False))
        return
    for side in ("source", "target"):
        _print_report(side, report[side])


def _log(text):
    print(text, file=sys.stderr)


def _coverage_report(data, source, target):
    """Returns, for each side, its tokenizer and the coverage of each corpus."""
    from tqdm import tqdm

    from keras_s2s.metrics.tokenizer_coverage import measure

    report = {}
    for side, tokenizer in (("source", source), ("target", target)):
        description = {"kind": tokenizer.kind, "size": tokenizer.size, "shared": source is target}
        report[side] = description | {"special_tokens": list(tokenizer.special_tokens)}
    for name in ("train", "valid"):
        corpora = getattr(data, name)
        if corpora is None:
            continue
        with tqdm(desc=f"data.{name}", unit=" pairs", disable=None, file=sys.stderr) as bar:
            coverages = measure(
                corpora,
                source,
                target,
                data.max_length,
                progress=lambda done, bar=bar: bar.update(done - bar.n),
            )
        for side, coverage in coverages.items():
            report[side][name] = coverage.to_dict()
    return report


def _print_report(side, report):
    shared = ", shared by both sides" if report["shared"] else ""
    print(f"{side}: {report['kind']}, {report['size']:,} entries{shared}")
    corpora = {name: report[name] for name in ("train", "valid") if name in report}
    limit = next(iter(corpora.values()))["max_length"]
    lengths = ("50 %", "95 %", "99 %", "longest", f"over {limit}")
    print("  " + _line("", (*_COLUMNS, *lengths)))
    for name, coverage in corpora.items():
        print("  " + _line(name, _cells(coverage)))
    for name, coverage in corpora.items():
        _print_counts(f"longest in {name}", coverage["offenders"])
        _print_counts(f"unknown in {name}", coverage["unknown"])


def _cells(coverage):
    counts = [f"{coverage[key]:,}" for key in ("lines", "pieces", "characters", "used")]
    shares = [_percent(coverage[key]) for key in ("known", "known_characters")]
    lengths = [*coverage["percentiles"].values(), coverage["longest"], coverage["beyond"]]
    first = [counts[0], counts[1], shares[0], counts[2], shares[1], counts[3]]
    return [*first, f"{coverage['mean']:.1f}", *(f"{length:,}" for length in lengths)]


def _percent(share) -> str:
    """A percentage; 100 % only if the share is exactly 1."""
    return f"{min(100.0 * share, 99.99):.2f} %" if share < 1.0 else "100 %"


def _line(name, cells):
    widths = (11, 12, 8, 13, 8, 8, 7, 6, 6, 6, 8, 10)
    return f"{name:<6}" + "".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))


def _print_counts(title, counts):
    if counts:
        print(f"  {title}: " + ", ".join(f"{name} ({number:,})" for name, number in counts))
