// The bar above the view: what is shown, and of which step.
import { button, element, picker, strip } from "./dom.js";
import { groupOf, KIND_NAMES } from "./format.js";

// A slider over steps with its number beside it.
export function stepper(label, onStep) {
  const range = element("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": label });
  const told = element("output");
  range.addEventListener("input", () => onStep(Number(range.value)));
  return {
    root: element("label", { class: "field steps" }, element("span", {}, label), range, told),
    set(steps, at) {
      range.max = Math.max(0, steps.length - 1);
      range.value = at;
      range.disabled = steps.length < 2;
      range.setAttribute("aria-valuetext", `step ${steps[at] ?? ""}`);
      told.textContent = steps.length ? String(steps[at]) : "";
    },
  };
}

export function headOptions(map) {
  const groups = [...new Set(map.names.map(groupOf))];
  const several = groups.filter((group) => map.names.filter((name) => groupOf(name) === group).length > 1);
  return [
    ["*", map.names.length > 1 ? "mean of all heads" : map.names[0] ?? "none"],
    ...(groups.length > 1 ? several : []).map((group) => [`~${group}`, `mean of ${group}`]),
    ...(map.names.length > 1 ? map.names : []).map((name) => [`=${name}`, name]),
  ];
}

export function createControls(on) {
  const made = {
    run: picker("Run", on.run),
    tag: picker("Sentence", on.tag, { class: "wide" }),
    kind: strip("Attention", Object.entries(KIND_NAMES), on.kind),
    head: picker("Head", on.head),
    view: strip("View", [["lines", "Lines"], ["matrix", "Matrix"]], on.view),
    scale: strip("Scale", [["own", "To maximum"], ["one", "To 1"]], on.scale),
    step: stepper("Step", on.step),
    otherRun: picker("Other run", on.otherRun),
    otherStep: stepper("Other step", on.otherStep),
  };
  const play = button("▶", "Play steps", on.play, { class: "play" });
  const compare = element("input", { type: "checkbox" });
  compare.addEventListener("change", () => on.compare(compare.checked));
  const refresh = button("Refresh", "Read new steps", on.refresh);
  const other = element("div", { class: "bar other", hidden: true }, made.otherRun.root, made.otherStep.root);
  const root = element("div", { class: "controls", role: "region", "aria-label": "What is shown" },
    element("div", { class: "bar" }, made.run.root, made.tag.root,
      element("div", { class: "time" }, play, made.step.root),
      element("label", { class: "check" }, compare, "Compare"), refresh),
    other,
    element("div", { class: "bar" }, made.kind.root, made.head.root, made.view.root, made.scale.root),
  );
  made.head.setMap = (map, choice) => {
    const options = headOptions(map);
    made.head.set(options, options.some(([value]) => value === choice) ? choice : "*");
  };
  return {
    ...made,
    root,
    setLive: (live) => (refresh.hidden = !live),
    setCompare: (open) => ([compare.checked, other.hidden] = [open, !open]),
    setPlaying(playing, possible) {
      play.textContent = playing ? "❚❚" : "▶";
      play.setAttribute("aria-label", playing ? "Stop" : "Play steps");
      play.setAttribute("aria-pressed", String(playing));
      play.disabled = !possible;
    },
  };
}
