// One record on show: its text, the view of one head, what is under the pointer, its pictures.
import { createBipartite, strokeOf } from "./bipartite.js";
import { button, element, svgElement } from "./dom.js";
import { groupOf, KIND_NAMES, sentence, shown } from "./format.js";
import { createMatrix } from "./matrix.js";
import { bipartiteSvg, download, matrixSvg, pngBlob, svgText } from "./picture.js";

const REST = "Point at a token, or move with the arrows; Enter keeps it.";

// A line that grows as the lines of the view do with their weights.
function strokes({ line }) {
  const parts = Array.from({ length: 15 }, (_, i) => i / 14);
  const pieces = parts.map((part, i) => {
    const { opacity, width } = strokeOf(part);
    return svgElement("path", { d: `M${i * 6} 4h6`, "stroke-opacity": opacity, "stroke-width": width });
  });
  return svgElement("svg", { width: 90, height: 8, stroke: line }, ...pieces);
}

// Which attention a panel shows, in words.
function nameOf({ map, kind, heads }) {
  const names = heads.map((head) => shown(map.names[head]));
  const groups = new Set(heads.map((head) => groupOf(map.names[head])));
  const mean = `mean of ${heads.length === map.heads ? "all" : ""} ${heads.length} heads`.replace("  ", " ");
  const of = groups.size === 1 && map.heads > heads.length ? ` of ${shown([...groups][0])}` : "";
  return `${KIND_NAMES[kind]} attention · ${names.length === 1 ? names[0] : mean + of}`;
}

export function createPanel(onFocus, onTold) {
  const views = { lines: createBipartite(onFocus), matrix: createMatrix(onFocus) };
  const title = element("h2");
  const what = element("p", { class: "what faint" });
  const facts = element("dl", { class: "facts" });
  const scale = element("div", { class: "scale", role: "img" });
  const stage = element("div", { class: "stage" });
  const readout = element("p", { class: "readout", role: "status" });
  const error = element("p", { class: "error", role: "alert", hidden: true });
  const actions = element("div", { class: "actions" }, ...actionsOf());
  const root = element("article", { class: "panel" },
    element("header", {}, element("div", {}, title, what), actions), facts, error, stage,
    element("footer", {}, readout, scale));
  const state = {};

  function actionsOf() {
    const made = (kind) => (state.view === "matrix" ? matrixSvg : bipartiteSvg)(state.given, kind);
    const name = (end) => `attention-${state.step}.${end}`;
    const svgBlob = () => new Blob([svgText(made())], { type: "image/svg+xml" });
    const act = (text, label, work) =>
      button(text, label, async () => {
        try {
          await work();
          onTold(`${label}: done`);
        } catch (problem) {
          onTold(`${label}: ${problem.message}`);
        }
      });
    const copy = (type, blob) => navigator.clipboard.write([new ClipboardItem({ [type]: blob })]);
    return [
      act("SVG", "Download SVG", async () => download(svgBlob(), name("svg"))),
      act("PNG", "Download PNG", async () => download(await pngBlob(made()), name("png"))),
      act("Copy SVG", "Copy SVG", () => navigator.clipboard.writeText(svgText(made()))),
      act("Copy PNG", "Copy PNG", () => copy("image/png", pngBlob(made()))),
    ];
  }

  function update(given) {
    Object.assign(state, { given, view: given.view, step: given.step });
    root.classList.remove("empty");
    error.hidden = true;
    title.textContent = shown(given.title);
    what.textContent = nameOf(given);
    tell(given.record);
    const view = views[given.view];
    const none = !given.map.rows || !given.map.columns;
    root.classList.toggle("none", none);
    if (none) stage.replaceChildren(element("p", { class: "faint" }, "There are no tokens on a side of this sentence."));
    else if (stage.firstChild !== view.root) stage.replaceChildren(view.root);
    view.update(given);
    legend(given);
    highlight(null);
  }

  function tell({ text, reference, score }) {
    const rows = [["Target", text], ["Reference", reference]];
    if (score != null) rows.push(["Score", score.toFixed(3).replace("-", "−")]);
    facts.replaceChildren(
      ...rows.filter(([, value]) => value != null && value !== "").flatMap(([name, value]) => [
        element("dt", {}, name),
        element("dd", {}, element("bdi", {}, shown(value))),
      ]),
    );
  }

  function legend({ theme, greatest, view }) {
    const bar = view === "lines" ? strokes(theme) : element("i");
    const stops = [0, 64, 128, 191, 255].map((level) => theme.css[level]).join(",");
    if (view !== "lines") bar.style.background = `linear-gradient(90deg,${stops})`;
    scale.replaceChildren("0", bar, greatest.toFixed(2));
    const kind = view === "lines" ? "Lines" : "Colours";
    scale.setAttribute("aria-label", `${kind} from 0 to ${greatest.toFixed(2)}`);
  }

  function highlight(focus) {
    if (!state.given) return;
    const { map, weights, view } = state.given;
    if (root.classList.contains("none")) return;
    const there = focus && (focus.row ?? 0) < map.rows && (focus.column ?? 0) < map.columns;
    views[view].highlight(there ? focus : null);
    readout.textContent = there ? sentence(map, weights, focus) : REST;
    readout.classList.toggle("faint", !there);
  }

  function fail(message, name) {
    title.textContent = shown(name);
    what.textContent = "";
    error.textContent = message;
    error.hidden = false;
    state.given = null;
    root.classList.add("empty");
    stage.replaceChildren();
  }

  return { root, update, highlight, fail, resize: () => state.given && views[state.view].resize() };
}
