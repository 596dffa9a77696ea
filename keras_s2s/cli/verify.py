"""The commands about what a model is: `verify_models` and `inspect`."""

import contextlib
import itertools
import json
from pathlib import Path

from keras_s2s.cli.argument_parser import add_command
from keras_s2s.cli.model_sources import (
    LITERT_SUFFIX,
    SCHEME,
    add_timeout_option,
    is_export,
    make_client,
    serving_errors_as_user_errors,
)
from keras_s2s.cli.option_flags import add_checkpoint_option
from keras_s2s.cli.tensorflow_logging import import_tensorflow
from keras_s2s.cli.text_streams import LineOutput
from keras_s2s.errors import UserError

__all__ = ["add_commands"]

MOST_LINES = 100
EDGE_SIGNATURES = ("serving_default", "translate", "score")  # what a LiteRT file has
KINDS = "a run, a SavedModel's directory or base path, FILE.tflite, or grpc://HOST:PORT/NAME"


def add_commands(commands) -> None:
    """Adds `verify_models` and `inspect` to the parser's sub-commands."""
    parser = add_command(commands, "verify", _verify, "check that models give the same answers")
    parser.add_argument("models", nargs="+", metavar="MODEL", help=KINDS)
    parser.add_argument(
        "--input", metavar="FILE", help=f"further texts to ask, one a line (the first {MOST_LINES})"
    )
    add_timeout_option(parser)
    add_checkpoint_option(parser)

    parser = add_command(commands, "inspect", _inspect, "show what a run or an export holds")
    parser.add_argument("path", metavar="PATH", help="a run, or the directory of an export")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    add_checkpoint_option(parser)


def _verify(arguments):
    names = arguments.models
    if len(set(names)) < max(2, len(names)):
        raise UserError(f"MODEL: expected two or more different ones, came {' '.join(names)}")
    import_tensorflow()
    from keras_s2s.export.verification.model_comparison import verify_models

    with contextlib.ExitStack() as stack:
        models, materials = {}, []
        for name in names:
            answers, material = _opened(name, arguments, stack)
            models[name] = answers
            materials += [material] if material else []
        only = EDGE_SIGNATURES if any(name.endswith(LITERT_SUFFIX) for name in names) else None
        count = verify_models(models, _material(materials, arguments.input), only)
    print(f"{' = '.join(names)}: {count} requests, all answers equal")


def _opened(name, arguments, stack):
    """The function of requests that `verify_models` takes, and what the model offers to ask, or None."""
    from keras_s2s.export.saved_model import verification
    from keras_s2s.export.verification import model_comparison
    from keras_s2s.export.verification import request_corpus as materials

    if name.startswith(SCHEME):
        client = stack.enter_context(make_client(name, arguments.timeout))
        return _by_calls(client), None
    if name.endswith(LITERT_SUFFIX):
        from keras_s2s.serving import EdgeTranslator

        with serving_errors_as_user_errors():
            model = EdgeTranslator(name)
        return _by_calls(model), None
    if is_export(Path(name)):
        from keras_s2s.serving.server.version_directories import find_version

        with serving_errors_as_user_errors():
            path, _ = find_version(name)
        return model_comparison.session_runner(path), model_comparison.load_export_corpus(path)
    from keras_s2s.translator import load_run

    translator = load_run(name, arguments.checkpoint)
    material = materials.build_corpus(translator, materials.load_validation_pairs(name))
    return lambda asked: [verification.run_request(translator, probe) for probe in asked], material


def _by_calls(client):
    def answers(asked):
        with serving_errors_as_user_errors():
            return [
                client.predict(probe.signature, probe.inputs, outputs=probe.outputs)
                for probe in asked
            ]

    return answers


def _material(found, path):
    """What to ask: what the first model has, and the lines of a file."""
    from keras_s2s.export.verification.probe_requests import RequestCorpus

    base = found[0] if found else RequestCorpus(("a",), ("a",), ())
    if path is None:
        return base
    with open(path, "rb") as file:
        lines = [line.rstrip(b"\r\n") for line in itertools.islice(file, MOST_LINES)]
    return RequestCorpus((*base.texts, *lines), base.targets, base.tokens)


def _inspect(arguments):
    import_tensorflow()
    from keras_s2s.export.inspection import describe_export, describe_run

    if is_export(Path(arguments.path)):
        from keras_s2s.serving.server.version_directories import find_version

        with serving_errors_as_user_errors():
            found = describe_export(find_version(arguments.path)[0])
    else:
        found = describe_run(arguments.path, arguments.checkpoint)
    with LineOutput() as output:
        if arguments.json:
            output.write(json.dumps(found, ensure_ascii=False))
        else:
            for line in _lines(found):
                output.write(line)


def _lines(found):
    """What was found as text."""
    from keras_s2s.export.model_card import flatten_values

    yield f"{found['path']}: {found['kind']}, {sum(found['files'].values()):,} bytes"
    yield from ("", "files", *_columns([(f"{n:,}", name) for name, n in found["files"].items()]))
    for name, signature in found.get("signatures", {}).items():
        rows = [("takes", *_tensor(*one)) for one in signature["inputs"].items()]
        rows += [("gives", *_tensor(*one)) for one in signature["outputs"].items()]
        yield from ("", f"signature {name}", *_columns(rows))
    for title in ("operations", *found["card"]):
        values = found["card"].get(title, found.get(title))
        if isinstance(values, dict) and values:
            yield from ("", title, *_columns(list(flatten_values(values))))
        elif values not in (None, {}):
            yield from ("", f"{title}: {values}")


def _tensor(name, field):
    shape = field["shape"] and ["?" if size is None else str(size) for size in field["shape"]]
    form = f"{field['dtype']} [{', '.join(shape)}]" if shape is not None else field["dtype"]
    return name, form, f"= {field['default']!r}" if "default" in field else ""


def _columns(rows):
    """Lines of cells under each other; the last of a row is as wide as it is."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    for *cells, last in rows:
        aligned = [
            f"{cell:>{w}}" if cell[:1].isdigit() else f"{cell:{w}}"
            for cell, w in zip(cells, widths, strict=True)
        ]
        yield "  ".join(["", *aligned, last]).rstrip()
