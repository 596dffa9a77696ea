// Every head as a small picture: a row of pictures a layer.
import { element, rove } from "./dom.js";
import { groupOf, LEVELS, readsLeft } from "./format.js";

const EDGE = 64; // pixels of a picture at most
const SLICE = 8; // milliseconds of painting in one frame

// One head, a pixel the greatest weight of what it covers: sharp attention stays visible.
export function thumbnail(map, head, scale, theme) {
  const [high, wide] = [Math.min(EDGE, map.rows), Math.min(EDGE, map.columns)];
  const pooled = new Float32Array(high * wide);
  const across = Uint8Array.from({ length: map.columns }, (_, c) => Math.floor((c * wide) / map.columns));
  let from = head * map.rows * map.columns;
  let greatest = 0;
  for (let row = 0; row < map.rows; row++) {
    const factor = map.scales[head * map.rows + row] / LEVELS;
    const base = Math.floor((row * high) / map.rows) * wide;
    for (let column = 0; column < map.columns; column++) {
      const weight = map.codes[from++] * factor;
      const to = base + across[column];
      if (weight > pooled[to]) pooled[to] = weight;
    }
    if (factor * LEVELS > greatest) greatest = factor * LEVELS;
  }
  const pixels = new Uint32Array(pooled.length);
  const factor = LEVELS / (scale === "one" ? 1 : greatest || 1);
  const turned = readsLeft(map.columnTokens);
  for (let at = 0; at < pooled.length; at++) {
    const column = at % wide;
    const to = turned ? at - column + wide - 1 - column : at;
    pixels[to] = theme.table[Math.min(LEVELS, (pooled[at] * factor + 0.5) | 0)];
  }
  return { wide, high, pixels };
}

export function createHeads(onPick) {
  const list = element("div", { class: "heads", role: "listbox", "aria-label": "Heads" });
  const count = element("span", { class: "faint" });
  const root = element("section", { class: "side", "aria-label": "All heads" },
    element("h2", {}, "All heads ", count), list);
  const state = { key: "", items: [], names: [], across: 1, turn: 0 };

  list.addEventListener("click", (event) => {
    const at = state.items.indexOf(event.target.closest(".head"));
    if (at >= 0) onPick(state.names[at]);
  });
  list.addEventListener("keydown", (event) => {
    const at = state.items.indexOf(event.target);
    const { across } = state;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + across, ArrowUp: at - across,
      Home: 0, End: state.items.length - 1 }[event.key];
    if (at < 0) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      onPick(state.names[at]);
    } else if (state.items[to]) {
      event.preventDefault();
      rove(state.items, at, to);
      state.items[to].focus();
    }
  });

  function build(map) {
    const key = JSON.stringify(map.names);
    if (key === state.key) return;
    Object.assign(state, { key, names: map.names });
    const groups = new Map();
    map.names.forEach((name, at) => groups.set(groupOf(name), [...(groups.get(groupOf(name)) ?? []), at]));
    state.across = Math.max(1, ...[...groups.values()].map((members) => members.length));
    state.items = map.names.map((name) =>
      element("div", { class: "head", role: "option", tabindex: -1, "aria-label": name, title: name },
        element("canvas", { "aria-hidden": "true" })),
    );
    list.style.setProperty("--across", state.across);
    list.replaceChildren(
      ...[...groups].flatMap(([group, members]) => [
        element("span", { class: "group", "aria-hidden": "true", title: group }, group.replace(/layer /, "")),
        element("div", { class: "row", role: "group", "aria-label": group }, ...members.map((at) => state.items[at])),
      ]),
    );
    count.textContent = `${map.names.length}`;
  }

  function update({ map, heads, scale, theme }) {
    build(map);
    const chosen = new Set(heads.length < map.heads || map.heads === 1 ? heads : []);
    state.items.forEach((item, at) => {
      item.setAttribute("aria-selected", String(chosen.has(at)));
      item.tabIndex = -1;
    });
    if (state.items.length) state.items[heads[0] ?? 0].tabIndex = 0;
    if (state.map === map && state.scale === scale && state.theme === theme) return;
    Object.assign(state, { map, scale, theme });
    const turn = ++state.turn;
    let next = 0;
    const work = () => {
      const end = performance.now() + SLICE;
      while (turn === state.turn && next < state.items.length && performance.now() < end) {
        put(state.items[next].firstChild, thumbnail(map, next++, scale, theme));
      }
      if (turn === state.turn && next < state.items.length) requestAnimationFrame(work);
      else if (turn === state.turn) list.dataset.painted = turn;
    };
    requestAnimationFrame(work);
  }

  function put(canvas, { wide, high, pixels }) {
    canvas.width = Math.max(1, wide);
    canvas.height = Math.max(1, high);
    if (!pixels.length) return;
    const image = new ImageData(new Uint8ClampedArray(pixels.buffer), wide, high);
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  return { root, update };
}
