"""The commands `verify_models` and `inspect`."""

import argparse
import contextlib
import itertools
import sys

from keras_s2s.cli.argument_parser import add_command
from keras_s2s.cli.model_sources import (
    MODEL_HELP,
    ModelKind,
    add_timeout_option,
    make_client,
    model_kind,
    serving_errors_as_user_errors,
)
from keras_s2s.cli.option_flags import add_checkpoint_option
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.cli.text_streams import LineOutput
from keras_s2s.errors import UserError
from keras_s2s.io import strip_lines
from keras_s2s.signatures.json_text import dump_json

__all__ = ["add_commands"]

MAX_LINES = 100
LITERT_SIGNATURES = ("serving_default", "translate", "score")


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `verify_models` and `inspect` to the parser's sub-commands."""
    parser = add_command(commands, "verify", _verify, "check that models give the same answers")
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help=f"{MODEL_HELP}; of a single FILE.tflite the digest is checked",
    )
    parser.add_argument(
        "--input", metavar="FILE", help=f"further source texts, one a line (the first {MAX_LINES})"
    )
    add_timeout_option(parser)
    add_checkpoint_option(parser)

    parser = add_command(commands, "inspect", _inspect, "show what a run or an export holds")
    parser.add_argument("path", metavar="PATH", help="a run, or the directory of an export")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    add_checkpoint_option(parser)


def _verify(arguments):
    names = arguments.models
    if len(names) == 1 and model_kind(names[0]) is ModelKind.LITERT:
        _verify_digest(names[0])
        return
    if len(set(names)) < max(2, len(names)):
        raise UserError(f"MODEL: expected two or more different models, got {' '.join(names)}")
    import_tensorflow()
    from keras_s2s.export.verification.model_comparison import verify_models

    with contextlib.ExitStack() as stack:
        models, corpora = {}, []
        for name in names:
            models[name], corpus = _open(name, arguments, stack)
            corpora += [corpus] if corpus else []
        has_litert = ModelKind.LITERT in map(model_kind, names)
        signatures = LITERT_SIGNATURES if has_litert else None
        count = verify_models(models, _request_corpus(corpora, arguments.input), signatures)
    print(f"{' = '.join(names)}: {count} requests, all answers equal")


def _verify_digest(name):
    """Checks the digest of a LiteRT file; an earlier version wrote files without one."""
    from keras_s2s.serving import EdgeTranslator

    with serving_errors_as_user_errors():
        EdgeTranslator(name, check_digest=True)
    print(f"{name}: as it was exported")


def _open(name, arguments, stack):
    """Returns a function of requests, and the model's own request corpus or None."""
    from keras_s2s.export.verification import model_comparison, request_corpus, request_runner

    kind = model_kind(name)
    if kind is ModelKind.SERVED:
        client = stack.enter_context(make_client(name, arguments.timeout))
        return _predict_with(client), None
    if kind is ModelKind.LITERT:
        from keras_s2s.serving import EdgeTranslator

        with serving_errors_as_user_errors():
            model = EdgeTranslator(name)
            if not model.verify_digest():
                sys.stderr.write(f"note: {name}: has no digest, damage may go unnoticed\n")
        return _predict_with(model), None
    if kind is ModelKind.EXPORT:
        from keras_s2s.serving.server.version_directories import find_version

        with serving_errors_as_user_errors():
            path, _ = find_version(name)
        return model_comparison.session_runner(path), model_comparison.load_export_corpus(path)
    from keras_s2s.translator import load_run

    translator = load_run(name, arguments.checkpoint)
    corpus = request_corpus.build_corpus(translator, request_corpus.load_validation_pairs(name))
    return lambda requests: request_runner.run_requests(translator, requests), corpus


def _predict_with(client):
    def predict(requests):
        with serving_errors_as_user_errors():
            return [
                client.predict(request.signature, request.inputs, outputs=request.outputs)
                for request in requests
            ]

    return predict


def _request_corpus(corpora, path):
    """The request corpus of the first model, with the lines of a file."""
    from keras_s2s.export.verification.probe_requests import RequestCorpus

    base = corpora[0] if corpora else RequestCorpus(("a",), ("a",), ())
    if path is None:
        return base
    with open(path, "rb") as file:
        lines = list(strip_lines(itertools.islice(file, MAX_LINES)))
    return RequestCorpus((*base.texts, *lines), base.targets, base.tokens)


def _inspect(arguments):
    import_tensorflow()
    from keras_s2s.export.inspection import describe_export, describe_run

    if model_kind(arguments.path) is ModelKind.EXPORT:
        from keras_s2s.serving.server.version_directories import find_version

        with serving_errors_as_user_errors():
            description = describe_export(find_version(arguments.path)[0])
    else:
        description = describe_run(arguments.path, arguments.checkpoint)
    with LineOutput() as output:
        if arguments.json:
            output.write(dump_json(description, ensure_ascii=False))
        else:
            for line in _lines(description):
                output.write(line)


def _lines(description):
    """Yields a description as lines of text."""
    from keras_s2s.export.model_card import flatten_values

    size = sum(description["files"].values())
    yield f"{description['path']}: {description['kind']}, {size:,} bytes"
    yield from (
        "",
        "files",
        *_columns([(f"{n:,}", name) for name, n in description["files"].items()]),
    )
    for name, signature in description.get("signatures", {}).items():
        rows = [("takes", *_tensor(*item)) for item in signature["inputs"].items()]
        rows += [("gives", *_tensor(*item)) for item in signature["outputs"].items()]
        yield from ("", f"signature {name}", *_columns(rows))
    for title in ("operations", *description["card"]):
        values = description["card"].get(title, description.get(title))
        if isinstance(values, dict) and values:
            yield from ("", title, *_columns(list(flatten_values(values))))
        elif values not in (None, {}):
            yield from ("", f"{title}: {values}")


def _tensor(name, field):
    shape = field["shape"] and ["?" if size is None else str(size) for size in field["shape"]]
    form = f"{field['dtype']} [{', '.join(shape)}]" if shape is not None else field["dtype"]
    return name, form, f"= {field['default']!r}" if "default" in field else ""


def _columns(rows):
    """Yields aligned lines of cells; the last column is not padded."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    for *cells, last in rows:
        aligned = [
            f"{cell:>{w}}" if cell[:1].isdigit() else f"{cell:{w}}"
            for cell, w in zip(cells, widths, strict=True)
        ]
        yield "  ".join(["", *aligned, last]).rstrip()
