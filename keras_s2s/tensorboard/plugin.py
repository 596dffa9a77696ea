"""TensorBoard plugin of the attention tab: the page, and its records by run, tag and step.

The process of TensorBoard imports this module, which does not need TensorFlow.
"""

import json
from collections.abc import Callable
from typing import Any

from tensorboard import errors, plugin_util
from tensorboard.backend import http_util
from tensorboard.data import provider
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from keras_s2s.signatures.json_text import dump_json
from keras_s2s.tensorboard.attention_records import LABEL, PLUGIN, unpack
from keras_s2s.tensorboard.standalone import MODULES, PAGE

__all__ = ["AttentionLoader", "AttentionPlugin"]

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
FILES = ("index.html", "style.css", *(f"{name}.js" for name in MODULES))
SAMPLES = 64  # steps per sentence that TensorBoard keeps; its default is 10
CACHED_SENTENCES = 2  # sentences whose steps are cached between requests


class AttentionPlugin(base_plugin.TBPlugin):
    """Routes of the attention page.

    `index` lists the runs and their sentences, `steps?run=&tag=` the steps of a sentence, and
    `record?run=&tag=&step=` returns the bytes of a record (`attention_records.pack`), which are
    validated first. Errors are `{"error": ...}` with status 400, 404 or 422.

    Args:
        context: a `base_plugin.TBContext`.
    """

    plugin_name = PLUGIN

    def __init__(self, context: base_plugin.TBContext):
        self._provider = context.data_provider
        self._cache = {}

    def get_plugin_apps(self) -> dict[str, Callable]:
        """Returns the WSGI application of each path; files come from a fixed list."""
        handlers = {"/index": self._index, "/steps": self._steps, "/record": self._record}
        apps = {path: _handler_app(handler) for path, handler in handlers.items()}
        return apps | {f"/{name}": _file_app(PAGE / name) for name in FILES}

    def is_active(self) -> bool:
        """Returns False: TensorBoard shows the tab once a run has data of this plugin."""
        return False

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Returns the metadata of an iframe that runs `main.js`."""
        return base_plugin.FrontendMetadata(es_module_path="/main.js", tab_name="Attention")

    def _list_tensors(self, request, **filters):
        return self._provider.list_tensors(
            plugin_util.context(request.environ),
            experiment_id=plugin_util.experiment_id(request.environ),
            plugin_name=PLUGIN,
            run_tag_filter=provider.RunTagFilter(**filters),
        )

    def _index(self, request):
        tensors = self._list_tensors(request)
        runs = {
            run: {
                tag: {"label": _label(tensors[run][tag])} for tag in sorted(tensors[run], key=_key)
            }
            for run in sorted(tensors, key=_key)
            if tensors[run]
        }
        return dump_json({"runs": runs}).encode(), "application/json"

    def _steps(self, request):
        steps = sorted(self._read(request))
        return dump_json({"steps": steps}).encode(), "application/json"

    def _record(self, request):
        step, records = _query(request, "step"), self._read(request)
        if step not in map(str, records):
            raise errors.NotFoundError(f"no step {step!r} of this sentence")
        data = records[int(step)].item()
        if not isinstance(data, bytes):
            raise ValueError(f"attention record: expected bytes, got {type(data).__name__}")
        unpack(data)
        return data, "application/octet-stream"

    def _read(self, request):
        """Returns the arrays of a sentence by step; reads again when TensorBoard has new data."""
        run, tag = _query(request, "run"), _query(request, "tag")
        tensor = self._list_tensors(request, runs=[run], tags=[tag]).get(run, {}).get(tag)
        if tensor is None:
            raise errors.NotFoundError(f"no attention of {tag!r} in run {run!r}")
        experiment = plugin_util.experiment_id(request.environ)
        key, state = (experiment, run, tag), (tensor.max_step, tensor.max_wall_time)
        entry = self._cache.get(key)
        if entry is None or entry[0] != state:
            while len(self._cache) >= CACHED_SENTENCES:
                self._cache.pop(next(iter(self._cache), None), None)
            entry = self._cache[key] = (state, self._read_tensors(request, run, tag))
        return entry[1]

    def _read_tensors(self, request, run, tag):
        tensors = self._provider.read_tensors(
            plugin_util.context(request.environ),
            experiment_id=plugin_util.experiment_id(request.environ),
            plugin_name=PLUGIN,
            downsample=10 * SAMPLES,
            run_tag_filter=provider.RunTagFilter(runs=[run], tags=[tag]),
        )
        return {datum.step: datum.numpy for datum in tensors.get(run, {}).get(tag, ())}


class AttentionLoader(base_plugin.TBLoader):
    """Loader of the plugin; raises the number of steps that TensorBoard keeps to 64 by default."""

    def fix_flags(self, flags: Any) -> None:
        """Adds a default for this plugin to `--samples_per_plugin`."""
        if isinstance(getattr(flags, "samples_per_plugin", None), dict):
            flags.samples_per_plugin.setdefault(PLUGIN, SAMPLES)

    def load(self, context: base_plugin.TBContext) -> AttentionPlugin:
        """Returns the plugin."""
        return AttentionPlugin(context)


def _handler_app(handler):
    """Returns the WSGI application of a function of a request that returns (bytes, type)."""

    @wrappers.Request.application
    def application(request):
        try:
            data, kind = handler(request)
        except errors.PublicError as error:
            return _error_response(request, error, error.http_code)
        except ValueError as error:
            return _error_response(request, error, 422)
        return http_util.Respond(request, data, kind)

    return application


def _error_response(request, error, code):
    data = dump_json({"error": str(error)}).encode()
    return http_util.Respond(request, data, "application/json", code=code)


def _file_app(path):
    """Returns the WSGI application of one file of the page."""

    @wrappers.Request.application
    def application(request):
        return http_util.Respond(request, path.read_bytes(), TYPES[path.suffix])

    return application


def _query(request, name):
    if name not in request.args:
        raise errors.InvalidArgumentError(f"{name}: expected a value in the query, got none")
    return request.args[name]


def _label(tensor):
    """The source text in the metadata of a tag; empty if the metadata is invalid."""
    try:
        label = json.loads(tensor.plugin_content)["source"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return label[:LABEL] if isinstance(label, str) else ""


def _key(name):
    """Sort key that puts `attention/10` after `attention/9`."""
    parts = name.replace("/", " / ").replace("_", " _ ").split()
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
