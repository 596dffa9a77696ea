// Two columns of tokens and lines between them, as heavy as the attention.
import { element, rove, sized } from "./dom.js";
import { shown } from "./format.js";

const MOST_LINES = 2000;
const MOST_OF_MANY = 1000; // of a long sentence, where drawing is what an answer waits for
const BUCKETS = 12;

// The weight below which lines are left out, so that at most `most` remain.
export function leastShown(weights, greatest, most) {
  const counts = new Uint32Array(256);
  const factor = 255 / (greatest || 1);
  for (const weight of weights) counts[(weight * factor) | 0]++;
  let level = 255;
  for (let sum = counts[255]; level > 5; level--) {
    sum += counts[level - 1];
    if (sum > most) break;
  }
  return (level / 255) * greatest;
}

// How a line of part 0 to 1 of the greatest weight is drawn; pictures and the legend do the same.
export function strokeOf(part) {
  return { opacity: 0.06 + 0.84 * part * part, width: 0.5 + 2.5 * part };
}

// Lines as [row, column, weight / greatest], faintest first.
export function linesOf(map, weights, greatest, most = MOST_LINES) {
  const least = leastShown(weights, greatest, most);
  const lines = [];
  for (let row = 0, at = 0; row < map.rows; row++) {
    for (let column = 0; column < map.columns; column++, at++) {
      if (weights[at] > 0 && weights[at] >= least) lines.push([row, column, weights[at] / greatest]);
    }
  }
  return lines.sort((a, b) => a[2] - b[2]);
}

export function tokenHeight(map) {
  return Math.max(map.rows, map.columns) > 60 ? 16 : 26;
}

export function createBipartite(onFocus) {
  const lines = element("canvas", { class: "lines", "aria-hidden": "true" });
  const over = element("canvas", { class: "lines", "aria-hidden": "true" });
  const glass = element("div", { class: "glass" }, lines, over);
  const middle = element("div", { class: "middle" }, glass);
  const lists = ["row", "column"].map((side) =>
    element("ul", { class: `tokens ${side}`, role: "listbox", "data-side": side }),
  );
  const heads = ["row", "column"].map((side) => element("h3", { class: side }));
  const root = element("div", { class: "bipartite" }, heads[0], element("span"), heads[1],
    lists[0], middle, lists[1]);
  const state = { items: [[], []], keys: ["", ""], marked: [] };

  const place = (target) => {
    const item = target.closest?.("li");
    const side = lists.indexOf(item?.parentElement);
    return side < 0 ? null : { side, at: state.items[side].indexOf(item) };
  };
  const focusOf = ({ side, at }) => (side ? { column: at } : { row: at });
  const tell = (event) => {
    const found = place(event.target);
    if (found) onFocus(focusOf(found), event.type === "click");
  };
  for (const kind of ["pointerover", "focusin", "click"]) root.addEventListener(kind, tell);
  root.addEventListener("pointerleave", () => onFocus(null));
  root.addEventListener("keydown", (event) => {
    const found = place(event.target);
    if (found) moved(event, found);
  });

  function moved(event, { side, at }) {
    const count = state.items[side].length;
    const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: count - 1 };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      onFocus(focusOf({ side, at }), true);
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      const items = state.items[event.key === "ArrowRight" ? 1 : 0];
      items[Math.min(at, items.length - 1)]?.focus();
    } else if (event.key in steps) {
      event.preventDefault();
      const to = Math.max(0, Math.min(count - 1, steps[event.key]));
      rove(state.items[side], state.items[side].findIndex((item) => item.tabIndex === 0), to);
      state.items[side][to].focus();
    }
  }

  function fill(side, tokens, title) {
    heads[side].textContent = title;
    lists[side].setAttribute("aria-label", title);
    const key = JSON.stringify(tokens);
    if (key === state.keys[side]) return;
    state.keys[side] = key;
    state.items[side] = tokens.map((token, at) =>
      element("li", { role: "option", tabindex: at ? -1 : 0, "aria-selected": "false", title: shown(token) },
        element("bdi", {}, shown(token))),
    );
    lists[side].replaceChildren(...state.items[side]);
  }

  function update(given) {
    Object.assign(state, given, { focus: null });
    const { map } = given;
    fill(0, map.rowTokens, map.rowSide);
    fill(1, map.columnTokens, map.columnSide);
    state.step = tokenHeight(map);
    root.classList.toggle("many", state.step < 26);
    root.style.setProperty("--step", `${state.step}px`);
    state.lines = linesOf(map, given.weights, given.greatest, state.step < 26 ? MOST_OF_MANY : MOST_LINES);
    paint();
  }

  function paint() {
    if (!root.isConnected || !state.map) return;
    state.width = Math.max(60, middle.clientWidth);
    // a long sentence is drawn as far as it is in sight, and again when it is scrolled
    const whole = Math.max(state.map.rows, state.map.columns) * state.step;
    state.height = Math.min(whole, window.innerHeight);
    glass.style.height = `${state.height}px`;
    state.from = scrolled();
    draw(sized(lines, state.width, state.height), state.lines);
    highlight(state.focus);
  }

  function scrolled() {
    return glass.getBoundingClientRect().top - middle.getBoundingClientRect().top;
  }

  document.addEventListener("scroll", () => {
    if (!state.scrolling && root.isConnected) {
      state.scrolling = requestAnimationFrame(() => {
        state.scrolling = 0;
        if (state.map && Math.abs(scrolled() - state.from) >= 1) paint();
      });
    }
  }, { capture: true, passive: true });

  function draw(context, chosen) {
    const { width, height } = state;
    context.strokeStyle = state.theme.line;
    const half = state.step / 2 - state.from;
    for (let start = 0, bucket = 0; bucket < BUCKETS; bucket++) {
      const level = (bucket + 1) / BUCKETS;
      const { opacity, width: thick } = strokeOf(level);
      context.globalAlpha = opacity;
      context.lineWidth = thick;
      for (; start < chosen.length && chosen[start][2] <= level + 1e-6; start++) {
        const [row, column] = chosen[start];
        const [from, to] = [row * state.step + half, column * state.step + half];
        if (Math.max(from, to) < 0 || Math.min(from, to) > height) continue;
        context.beginPath();
        context.moveTo(0, from);
        context.bezierCurveTo(width * 0.45, from, width * 0.55, to, width, to);
        context.stroke();
      }
    }
    context.globalAlpha = 1;
  }

  function highlight(focus) {
    for (const item of state.marked) {
      item.style.removeProperty("--weight");
      item.setAttribute("aria-selected", "false");
    }
    state.marked = [];
    state.focus = focus;
    root.classList.toggle("focused", Boolean(focus));
    const { rows, columns } = state.map;
    const clean = `${state.width} ${state.height}`;
    if (!focus && state.over === clean) return; // nothing is drawn there
    const context = sized(over, state.width, state.height);
    state.over = focus ? "" : clean;
    if (!focus) return;
    const chosen = [];
    for (let row = focus.row ?? 0; row < Math.min(rows, (focus.row ?? rows) + 1); row++) {
      for (let column = focus.column ?? 0; column < Math.min(columns, (focus.column ?? columns) + 1); column++) {
        const part = state.weights[row * columns + column] / (state.greatest || 1);
        if (part > 0.004) chosen.push([row, column, Math.min(part, 1)]);
      }
    }
    // lines of one token are drawn against its own greatest weight, or faint ones would not show
    const best = Math.max(...chosen.map(([, , part]) => part), 0.01);
    for (const line of chosen) line[2] /= best;
    for (const [row, column, part] of chosen) {
      if (focus.row != null) mark(1, column, part);
      if (focus.column != null) mark(0, row, part);
    }
    if (focus.row != null) mark(0, focus.row, 1, true);
    if (focus.column != null) mark(1, focus.column, 1, true);
    draw(context, chosen.sort((a, b) => a[2] - b[2]));
  }

  function mark(side, at, part, own = false) {
    const item = state.items[side][at];
    if (!item) return;
    item.style.setProperty("--weight", part.toFixed(3));
    if (own) item.setAttribute("aria-selected", "true");
    state.marked.push(item);
  }

  return { root, update, highlight, resize: paint };
}
