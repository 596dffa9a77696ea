// The attention as a heat map, rows look at columns, with the tokens on the axes.
import { element, sized } from "./dom.js";
import { cut, LEVELS, readsLeft, shown } from "./format.js";

const FONT = "Roboto, 'Noto Sans', system-ui, sans-serif";
const LONGEST = 18; // characters of a label
const SIDE = 18; // pixels for the name of a side

// Pixels of a map, one a weight, columns turned round where the text reads from right to left.
export function heatImage(map, weights, greatest, theme) {
  const pixels = new Uint32Array(map.rows * map.columns);
  const factor = LEVELS / (greatest || 1);
  const turned = readsLeft(map.columnTokens);
  for (let row = 0, at = 0; row < map.rows; row++) {
    const end = row * map.columns + map.columns - 1;
    for (let column = 0; column < map.columns; column++, at++) {
      const level = Math.min(LEVELS, (weights[at] * factor + 0.5) | 0);
      pixels[turned ? end - column : at] = theme.table[level];
    }
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, map.columns), Math.max(1, map.rows)];
  if (pixels.length) {
    const bytes = new Uint8ClampedArray(pixels.buffer);
    canvas.getContext("2d").putImageData(new ImageData(bytes, map.columns, map.rows), 0, 0);
  }
  return canvas;
}

// How wide a label is, near enough, in letter sizes; Chinese and its neighbours are square.
function breadth(text) {
  let sum = 0;
  for (const character of text) sum += character > "\u2e7f" ? 1.05 : 0.66;
  return sum;
}

// Where everything stands, for so much width: cell size, margins, size of the letters.
export function matrixLayout(map, width) {
  const cell = Math.max(2, Math.min(36, Math.floor((width - 130) / Math.max(map.columns, 1))));
  const letters = cell >= 11 ? Math.min(13, cell) : 0;
  const longest = (tokens) => Math.max(1, ...tokens.map((token) => breadth(cut(shown(token), LONGEST))));
  const space = (tokens) => (letters ? 14 + Math.ceil(longest(tokens) * letters) : 8) + SIDE;
  // Chinese, and letters alone, stand upright above their columns
  const upright = letters > 0 && longest(map.columnTokens) * letters <= cell - 2;
  const top = upright ? letters + 14 + SIDE : space(map.columnTokens);
  const layout = { cell, letters, upright, left: space(map.rowTokens), top };
  layout.turned = readsLeft(map.columnTokens);
  layout.width = layout.left + cell * map.columns + 2;
  layout.height = layout.top + cell * map.rows + 2;
  layout.x = (column) => layout.left + cell * (layout.turned ? map.columns - 1 - column : column);
  layout.y = (row) => layout.top + cell * row;
  return layout;
}

// The names of both sides: where they begin and how they read.
export function sidesOf(map, layout) {
  const across = layout.turned
    ? { x: layout.left + layout.cell * map.columns, text: `← ${map.columnSide}`, anchor: "end" }
    : { x: layout.left, text: `${map.columnSide} →`, anchor: "start" };
  return [
    { ...across, y: 12, turned: false },
    { x: 12, y: layout.top, text: `← ${map.rowSide}`, turned: true, anchor: "end" },
  ];
}

export function createMatrix(onFocus) {
  const base = element("canvas", { "aria-hidden": "true" });
  const over = element("canvas", { class: "over", tabindex: "0", role: "application" });
  const root = element("div", { class: "matrix" }, base, over);
  const state = { focus: null };

  const cellAt = (event) => {
    const box = over.getBoundingClientRect();
    const { layout, map } = state;
    let column = Math.floor((event.clientX - box.left - layout.left) / layout.cell);
    const row = Math.floor((event.clientY - box.top - layout.top) / layout.cell);
    if (layout.turned) column = map.columns - 1 - column;
    const inside = row < map.rows && column >= 0 && column < map.columns;
    if (inside && row >= 0) return { row, column };
    return inside || (row >= 0 && row < map.rows && column < 0) ? labelAt(row, column) : null;
  };
  const tipOf = (found) => {
    if (!found || (found.row != null && found.column != null)) return "";
    return shown(found.row != null ? state.map.rowTokens[found.row] : state.map.columnTokens[found.column]);
  };
  const labelAt = (row, column) => (row >= 0 ? { row } : { column });
  over.addEventListener("pointermove", (event) => {
    const found = cellAt(event);
    over.title = tipOf(found); // a label may be cut
    onFocus(found);
  });
  over.addEventListener("pointerleave", () => onFocus(null));
  over.addEventListener("click", (event) => onFocus(cellAt(event), true));
  over.addEventListener("keydown", (event) => {
    const { map, layout } = state;
    const forward = layout.turned ? -1 : 1;
    const moves = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, forward], ArrowLeft: [0, -forward] };
    if (!(event.key in moves) || !map.rows || !map.columns) return;
    event.preventDefault();
    const from = state.focus ?? { row: -moves[event.key][0], column: -moves[event.key][1] };
    const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
    const row = clamp((from.row ?? 0) + moves[event.key][0], map.rows);
    // kept at once: the next key may come before the frame that shows this one
    state.focus = { row, column: clamp((from.column ?? 0) + moves[event.key][1], map.columns) };
    onFocus(state.focus);
  });

  function update(given) {
    Object.assign(state, given, { focus: null });
    const { map } = given;
    const what = `${map.rowSide} by ${map.columnSide}, ${map.rows} by ${map.columns}`;
    over.setAttribute("aria-label", `Attention, ${what}; arrows move from weight to weight`);
    state.image = heatImage(map, given.weights, given.greatest, given.theme);
    paint();
  }

  function paint() {
    if (!root.isConnected || !state.map) return;
    const layout = (state.layout = matrixLayout(state.map, root.clientWidth));
    const context = sized(base, layout.width, layout.height);
    const [wide, high] = [layout.cell * state.map.columns, layout.cell * state.map.rows];
    context.imageSmoothingEnabled = false;
    if (wide && high) context.drawImage(state.image, layout.left, layout.top, wide, high);
    if (layout.cell >= 12) grid(context, layout);
    context.strokeStyle = state.theme.faint;
    context.globalAlpha = 0.4;
    context.strokeRect(layout.left - 0.5, layout.top - 0.5, wide + 1, high + 1);
    context.globalAlpha = 1;
    if (layout.letters) labels(context, layout);
    sides(context, layout);
    highlight(state.focus);
  }

  function grid(context, layout) {
    context.fillStyle = state.theme.page;
    for (let i = 1; i < state.map.columns; i++) {
      context.fillRect(layout.left + i * layout.cell - 0.5, layout.top, 1, layout.cell * state.map.rows);
    }
    for (let i = 1; i < state.map.rows; i++) {
      context.fillRect(layout.left, layout.y(i) - 0.5, layout.cell * state.map.columns, 1);
    }
  }

  function sides(context, layout) {
    context.font = `11px ${FONT}`;
    context.fillStyle = state.theme.faint;
    context.textBaseline = "alphabetic";
    context.direction = "ltr";
    for (const { x, y, text, turned, anchor } of sidesOf(state.map, layout)) {
      context.save();
      context.translate(x, y);
      if (turned) context.rotate(-Math.PI / 2);
      context.textAlign = anchor === "end" ? "right" : "left";
      context.fillText(text, 0, 0);
      context.restore();
    }
  }

  function labels(context, layout, focus = null) {
    const { map } = state;
    context.textBaseline = "middle";
    context.font = `${layout.letters}px ${FONT}`;
    context.fillStyle = focus ? state.theme.mark : state.theme.text;
    const only = (index, count) => (focus ? (index == null ? [] : [index]) : Array(count).keys());
    context.textAlign = "right";
    for (const row of only(focus?.row, map.rows)) {
      write(context, map.rowTokens[row], layout.left - 7, layout.y(row) + layout.cell / 2);
    }
    context.textAlign = layout.upright ? "center" : "left";
    for (const column of only(focus?.column, map.columns)) {
      context.save();
      context.translate(layout.x(column) + layout.cell / 2, layout.top - 7);
      if (layout.upright) context.translate(0, -layout.letters / 2);
      else context.rotate(-Math.PI / 2);
      write(context, map.columnTokens[column], 0, 0);
      context.restore();
    }
  }

  function write(context, token, x, y) {
    context.direction = readsLeft([token]) ? "rtl" : "ltr";
    context.fillText(cut(shown(token), LONGEST), x, y);
  }

  function highlight(focus) {
    state.focus = focus;
    const { layout, map } = state;
    if (!layout) return;
    const context = sized(over, layout.width, layout.height);
    if (!focus) return;
    context.strokeStyle = state.theme.mark;
    context.lineWidth = 1.5;
    if (focus.row != null) context.strokeRect(layout.left, layout.y(focus.row), layout.cell * map.columns, layout.cell);
    if (focus.column != null) context.strokeRect(layout.x(focus.column), layout.top, layout.cell, layout.cell * map.rows);
    if (layout.letters) labels(context, layout, focus);
  }

  return { root, update, highlight, resize: paint };
}
