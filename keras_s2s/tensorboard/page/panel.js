// One record on show: its text, the view of one head, what is under the pointer, its pictures.
import { createBipartite } from "./bipartite.js";
import { button, element } from "./dom.js";
import { sentence, shown } from "./format.js";
import { createMatrix } from "./matrix.js";
import { bipartiteSvg, download, matrixSvg, pngBlob, svgText } from "./picture.js";

const REST = "Point at a token, or move with the arrows; Enter keeps it.";

export function createPanel(onFocus, onTold) {
  const views = { lines: createBipartite(onFocus), matrix: createMatrix(onFocus) };
  const title = element("h2");
  const facts = element("dl", { class: "facts" });
  const scale = element("div", { class: "scale", role: "img" });
  const stage = element("div", { class: "stage" });
  const readout = element("p", { class: "readout", role: "status" });
  const error = element("p", { class: "error", role: "alert", hidden: true });
  const actions = element("div", { class: "actions" }, ...actionsOf());
  const root = element("article", { class: "panel" },
    element("header", {}, title, actions), facts, error, stage,
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
    tell(given.record);
    const view = views[given.view];
    if (stage.firstChild !== view.root) stage.replaceChildren(view.root);
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

  function legend({ theme, greatest }) {
    const stops = [0, 64, 128, 191, 255].map((level) => theme.css[level]).join(",");
    const bar = element("i");
    bar.style.background = `linear-gradient(90deg,${stops})`;
    scale.replaceChildren("0", bar, greatest.toFixed(2));
    scale.setAttribute("aria-label", `Colours from 0 to ${greatest.toFixed(2)}`);
  }

  function highlight(focus) {
    if (!state.given) return;
    const { map, weights, view } = state.given;
    const there = focus && (focus.row ?? 0) < map.rows && (focus.column ?? 0) < map.columns;
    views[view].highlight(there ? focus : null);
    readout.textContent = there ? sentence(map, weights, focus) : REST;
    readout.classList.toggle("faint", !there);
  }

  function fail(message, name) {
    title.textContent = shown(name);
    error.textContent = message;
    error.hidden = false;
    state.given = null;
    root.classList.add("empty");
    stage.replaceChildren();
  }

  return { root, update, highlight, fail, resize: () => state.given && views[state.view].resize() };
}
