// The page: holds what is chosen, asks for records, hands them to panels and heads.
import { createControls } from "./controls.js";
import { element } from "./dom.js";
import { cut, KIND_NAMES, shown, weightsOf } from "./format.js";
import { createHeads } from "./heads.js";
import { createPanel } from "./panel.js";
import { watchTheme } from "./theme.js";

const PACE = 700; // milliseconds of one step while playing
const POLL = 30000;
const EMPTY = "No run has recorded attention yet. Training does with training.tensorboard: {attention: 4}, "
  + "fit with the callback AttentionSummary, keras-s2s attention with --logdir.";
const KINDS = ["cross", "self", "encoder"];

export async function start(host, source) {
  const state = { runs: {}, run: null, tag: null, steps: [], at: 0, kind: "cross", head: "*", view: "lines",
    scale: "own", compare: false, otherRun: null, otherSteps: [], otherAt: 0, playing: 0, pinned: null, turn: 0 };
  const told = element("p", { class: "told", role: "status" });
  const problem = element("p", { class: "error", role: "alert", hidden: true });
  const panels = [createPanel(focus, tell), createPanel(focus, tell)];
  const heads = createHeads((name) => choose({ head: `=${name}` }));
  const controls = createControls({
    run: (run) => pick(run, state.tag),
    tag: (tag) => pick(state.run, tag),
    kind: (kind) => choose({ kind, head: "*" }),
    head: (head) => choose({ head }),
    view: (view) => choose({ view }),
    scale: (scale) => choose({ scale }),
    step: (at) => choose({ at }),
    otherRun: (run) => pickOther(run),
    otherStep: (otherAt) => choose({ otherAt }),
    compare: (compare) => (compare ? pickOther(state.otherRun ?? state.run, true) : choose({ compare })),
    play: () => play(!state.playing),
    refresh: () => refresh(),
  });
  const stage = element("div", { class: "panels" }, ...panels.map(({ root }) => root));
  const root = element("main", { class: "attention" }, controls.root, problem,
    element("div", { class: "work" }, stage, heads.root), told);
  host.append(root);

  function tell(message) {
    told.textContent = message;
    clearTimeout(tell.timer);
    tell.timer = setTimeout(() => (told.textContent = ""), 4000);
  }

  function fail(error) {
    problem.textContent = shown(error.message);
    problem.hidden = false;
  }

  // Pointer events between two frames are drawn once, as the last of them.
  function focus(found, keep = false) {
    if (keep) state.pinned = JSON.stringify(found) === JSON.stringify(state.pinned) ? null : found;
    if (state.waiting === undefined) {
      requestAnimationFrame(() => {
        const now = state.waiting ?? state.pinned;
        state.waiting = undefined;
        for (const panel of panels) panel.highlight(now);
      });
    }
    state.waiting = found;
  }

  function choose(change) {
    Object.assign(state, change);
    return show();
  }

  async function read() {
    state.runs = (await source.index()).runs;
    const runs = Object.keys(state.runs);
    root.classList.toggle("bare", !runs.length);
    if (!runs.length) throw new Error(EMPTY);
    return runs.includes(state.run) ? state.run : runs[0];
  }

  const last = (steps) => Math.max(0, steps.length - 1);

  async function pick(run, tag, quietly = false) {
    try {
      const tags = Object.keys(state.runs[run] ?? {});
      const chosen = tags.includes(tag) ? tag : tags[0];
      const followed = state.at >= last(state.steps);
      const step = state.steps[state.at];
      const steps = await source.steps(run, chosen);
      const same = steps.indexOf(step);
      const at = followed || same < 0 ? last(steps) : same;
      if (quietly && run === state.run && chosen === state.tag && String(steps) === String(state.steps)) return sync();
      Object.assign(state, { run, tag: chosen, steps, at, pinned: null });
      if (state.compare) return await pickOther(state.otherRun);
      await show();
    } catch (error) {
      fail(error);
    }
  }

  async function pickOther(run, open = state.compare) {
    try {
      const chosen = state.runs[run]?.[state.tag] ? run : state.run;
      const otherSteps = await source.steps(chosen, state.tag);
      const kept = state.otherRun === chosen && state.otherAt <= last(otherSteps);
      const otherAt = kept ? state.otherAt : chosen === state.run ? 0 : last(otherSteps);
      await choose({ compare: open, otherRun: chosen, otherSteps, otherAt });
    } catch (error) {
      fail(error);
    }
  }

  async function refresh(quietly = false) {
    try {
      await pick(await read(), state.tag, quietly);
    } catch (error) {
      fail(error);
    }
  }

  function shownOf(record, asked) {
    const kind = record.maps[state.kind] ? state.kind : KINDS.find((name) => record.maps[name]);
    if (!kind) throw new Error("This record holds no attention.");
    // beside another run the same kind, or none
    if (asked && kind !== asked) throw new Error(`This run has no ${KIND_NAMES[asked].toLowerCase()} attention.`);
    const map = record.maps[kind];
    const { weights, greatest, heads } = weightsOf(map, state.head);
    return { record, map, kind, weights, heads, greatest, view: state.view, theme: state.theme };
  }

  function drawable({ value, reason }, asked) {
    try {
      if (reason) throw reason;
      return shownOf(value, asked);
    } catch (error) {
      return { error };
    }
  }

  function asked() {
    const one = [{ run: state.run, step: state.steps[state.at] }];
    return state.compare ? [...one, { run: state.otherRun, step: state.otherSteps[state.otherAt] }] : one;
  }

  async function show() {
    if (!state.theme || state.run == null) return;
    const turn = ++state.turn;
    const wanted = asked();
    const got = await Promise.allSettled(wanted.map(({ run, step }) => source.record(run, state.tag, step)));
    if (turn !== state.turn) return;
    problem.hidden = true;
    stage.classList.toggle("two", state.compare);
    panels[1].root.hidden = !state.compare;
    const given = [drawable(got[0])];
    if (got[1]) given.push(drawable(got[1], given[0].kind));
    // side by side, one colour means one weight
    const scale = Math.max(state.scale === "one" ? 1 : 0, ...given.map(({ greatest }) => greatest ?? 0));
    given.forEach((one, i) => {
      const { run, step } = wanted[i];
      const title = `${run} · step ${step}`;
      if (one.error) panels[i].fail(shown(one.error.message), title);
      else panels[i].update({ ...one, greatest: scale, step, title });
    });
    if (!given[0].error) first(given[0]);
    sync();
    focus(null);
    performance.mark("attention:shown");
    root.dataset.shown = turn;
  }

  function first(given) {
    heads.update({ map: given.map, heads: given.heads, scale: state.scale, theme: state.theme });
    controls.kind.set(given.kind, KINDS.filter((kind) => given.record.maps[kind]));
    controls.head.setMap(given.map, state.head);
  }

  function sync() {
    const runs = Object.keys(state.runs).map((run) => [run, shown(run)]);
    const tags = Object.entries(state.runs[state.run] ?? {});
    controls.run.set(runs, state.run);
    controls.tag.set(tags.map(([tag, { label }]) => [tag, shown(label ? `${cut(label, 64)} · ${tag}` : tag)]), state.tag);
    controls.view.set(state.view);
    controls.scale.set(state.scale);
    controls.step.set(state.steps, state.at);
    controls.setCompare(state.compare);
    controls.setPlaying(Boolean(state.playing), state.steps.length > 1);
    controls.otherRun.set(runs.filter(([run]) => state.runs[run][state.tag]), state.otherRun);
    controls.otherStep.set(state.otherSteps, state.otherAt);
  }

  function play(on) {
    clearTimeout(state.playing);
    state.playing = 0;
    if (!on) return sync();
    const next = async () => {
      await choose({ at: (state.at + 1) % state.steps.length });
      if (state.playing) state.playing = setTimeout(next, PACE);
    };
    state.playing = setTimeout(next, state.at < last(state.steps) ? PACE : 0);
    sync();
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    state.pinned = null;
    focus(null);
  });
  let wide = 0;
  new ResizeObserver(() => {
    if (stage.clientWidth === wide) return;
    wide = stage.clientWidth;
    panels.forEach((panel) => panel.resize());
  }).observe(stage);
  controls.setLive(source.live);
  watchTheme((theme) => {
    document.documentElement.dataset.theme = theme.name;
    choose({ theme });
  });
  if (source.live) setInterval(() => document.hidden || state.playing || refresh(true), POLL);
  await refresh();
}
