"""The attention tab of TensorBoard: serves the page, and records by run, tag and step.

TensorBoard's process imports this module; nothing here needs TensorFlow.
"""

import json

from tensorboard import errors, plugin_util
from tensorboard.backend import http_util
from tensorboard.data import provider
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from keras_s2s.tensorboard.attention_records import LABEL, PLUGIN, unpack
from keras_s2s.tensorboard.standalone import MODULES, PAGE

__all__ = ["AttentionLoader", "AttentionPlugin"]

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
FILES = ("index.html", "style.css", *(f"{name}.js" for name in MODULES))
SAMPLES = 64  # steps of a sentence that TensorBoard keeps; it would keep 10
SERIES = 2  # sentences whose steps are kept between requests


class AttentionPlugin(base_plugin.TBPlugin):
    """Routes of the attention page.

    `index` names the runs and their sentences, `steps?run=&tag=` the steps of one sentence,
    `record?run=&tag=&step=` is one record as `records.pack` made it, checked before it leaves.
    What cannot be answered is `{"error": ...}` with status 400, 404 or 422.

    Args:
        context: a `base_plugin.TBContext`.
    """

    plugin_name = PLUGIN

    def __init__(self, context):
        self._provider = context.data_provider
        self._series = {}

    def get_plugin_apps(self):
        """Path -> WSGI application; files come from a fixed list."""
        answers = {"/index": self._index, "/steps": self._steps, "/record": self._record}
        apps = {path: _answering(answer) for path, answer in answers.items()}
        return apps | {f"/{name}": _serving(PAGE / name) for name in FILES}

    def is_active(self):
        """False: TensorBoard itself shows the tab once a run has data of this plugin."""
        return False

    def frontend_metadata(self):
        """An iframe that runs `main.js`."""
        return base_plugin.FrontendMetadata(es_module_path="/main.js", tab_name="Attention")

    def _listed(self, request, **only):
        return self._provider.list_tensors(
            plugin_util.context(request.environ),
            experiment_id=plugin_util.experiment_id(request.environ),
            plugin_name=PLUGIN,
            run_tag_filter=provider.RunTagFilter(**only),
        )

    def _index(self, request):
        listed = self._listed(request)
        runs = {
            run: {tag: {"label": _label(listed[run][tag])} for tag in sorted(listed[run], key=_key)}
            for run in sorted(listed, key=_key)
            if listed[run]
        }
        return json.dumps({"runs": runs}).encode(), "application/json"

    def _steps(self, request):
        steps = sorted(self._read(request))
        return json.dumps({"steps": steps}).encode(), "application/json"

    def _record(self, request):
        step, found = _asked(request, "step"), self._read(request)
        if step not in map(str, found):
            raise errors.NotFoundError(f"no step {step!r} of this sentence")
        data = found[int(step)].item()
        if not isinstance(data, bytes):
            raise ValueError(f"attention record: expected bytes, came {type(data).__name__}")
        unpack(data)
        return data, "application/octet-stream"

    def _read(self, request):
        """Step -> array of one sentence; read again once TensorBoard knows more of it."""
        run, tag = _asked(request, "run"), _asked(request, "tag")
        listed = self._listed(request, runs=[run], tags=[tag]).get(run, {}).get(tag)
        if listed is None:
            raise errors.NotFoundError(f"no attention of {tag!r} in run {run!r}")
        experiment = plugin_util.experiment_id(request.environ)
        key, state = (experiment, run, tag), (listed.max_step, listed.max_wall_time)
        kept = self._series.get(key)
        if kept is None or kept[0] != state:
            while len(self._series) >= SERIES:
                self._series.pop(next(iter(self._series), None), None)
            kept = self._series[key] = (state, self._fetched(request, run, tag))
        return kept[1]

    def _fetched(self, request, run, tag):
        read = self._provider.read_tensors(
            plugin_util.context(request.environ),
            experiment_id=plugin_util.experiment_id(request.environ),
            plugin_name=PLUGIN,
            downsample=10 * SAMPLES,
            run_tag_filter=provider.RunTagFilter(runs=[run], tags=[tag]),
        )
        return {datum.step: datum.numpy for datum in read.get(run, {}).get(tag, ())}


class AttentionLoader(base_plugin.TBLoader):
    """Loads the plugin and lets TensorBoard keep 64 steps of a sentence, unless told otherwise."""

    def fix_flags(self, flags):
        """Adds to `--samples_per_plugin` what it does not say about this plugin."""
        if isinstance(getattr(flags, "samples_per_plugin", None), dict):
            flags.samples_per_plugin.setdefault(PLUGIN, SAMPLES)

    def load(self, context):
        """The plugin for one TensorBoard."""
        return AttentionPlugin(context)


def _answering(answer):
    """A WSGI application of a function request -> (bytes, type)."""

    @wrappers.Request.application
    def application(request):
        try:
            data, kind = answer(request)
        except errors.PublicError as error:
            return _refusal(request, error, error.http_code)
        except ValueError as error:
            return _refusal(request, error, 422)
        return http_util.Respond(request, data, kind)

    return application


def _refusal(request, error, code):
    data = json.dumps({"error": str(error)}).encode()
    return http_util.Respond(request, data, "application/json", code=code)


def _serving(path):
    """A WSGI application of one file of the page."""

    @wrappers.Request.application
    def application(request):
        return http_util.Respond(request, path.read_bytes(), TYPES[path.suffix])

    return application


def _asked(request, name):
    if name not in request.args:
        raise errors.InvalidArgumentError(f"{name}: expected in the query, came nothing")
    return request.args[name]


def _label(listed):
    """The source text that the metadata of a tag names, whatever bytes stand there."""
    try:
        label = json.loads(listed.plugin_content)["source"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return label[:LABEL] if isinstance(label, str) else ""


def _key(name):
    """Sorts `attention/10` behind `attention/9`."""
    parts = name.replace("/", " / ").replace("_", " _ ").split()
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
