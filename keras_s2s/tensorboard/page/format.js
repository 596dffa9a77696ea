// Records as they are stored (records.py names the format), and how tokens and numbers are shown.

const MAGIC = 0x3141534b; // "KSA1"
export const LEVELS = 255;
export const KIND_NAMES = { cross: "Cross", self: "Decoder self", encoder: "Encoder self" };
const SIDES = { cross: ["target", "source"], self: ["target", "target"], encoder: ["source", "source"] };

export async function decode(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < 8 || view.getUint32(0, true) !== MAGIC) {
    throw new Error("this is no attention record");
  }
  const start = 8 + view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8)));
  const body = await inflated(new Uint8Array(buffer, start));
  const tokens = { source: header.source_tokens, target: header.target_tokens };
  const record = { ...tokens, reference: header.reference, text: header.text, score: header.score };
  record.bytes = body.byteLength;
  record.maps = mapsOf(header.maps, body, tokens);
  return record;
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

function mapsOf(kinds, body, tokens) {
  let scale = 0;
  let code = kinds.reduce((sum, { shape: [heads, rows] }) => sum + 4 * heads * rows, 0);
  const maps = {};
  for (const { kind, names, shape: [heads, rows, columns] } of kinds) {
    const [rowSide, columnSide] = SIDES[kind];
    const scales = new Float32Array(body, scale, heads * rows);
    const codes = new Uint8Array(body, code, heads * rows * columns);
    maps[kind] = { kind, names, heads, rows, columns, scales, codes, rowSide, columnSide,
      rowTokens: tokens[rowSide], columnTokens: tokens[columnSide], cache: new Map() };
    scale += 4 * heads * rows;
    code += codes.length;
  }
  return maps;
}

// "layer 2 head 3" -> "layer 2"; a name without heads is a group of its own.
export function groupOf(name) {
  return name.replace(/ head \d+$/, "");
}

// The heads that a choice names: all, a layer, or one; an unknown one means all.
export function headsOf(map, choice) {
  const every = map.names.map((_, i) => i);
  const [what, name] = [choice.slice(0, 1), choice.slice(1)];
  const found =
    what === "=" ? every.filter((i) => map.names[i] === name)
    : what === "~" ? every.filter((i) => groupOf(map.names[i]) === name)
    : every;
  return found.length ? found : every;
}

// Weights [rows * columns] of one head, or the mean of several, with their greatest.
export function weightsOf(map, choice) {
  if (map.cache.has(choice)) return map.cache.get(choice);
  const heads = headsOf(map, choice);
  const weights = new Float32Array(map.rows * map.columns);
  for (const head of heads) addHead(weights, map, head, 1 / (LEVELS * heads.length));
  let greatest = 0;
  for (const weight of weights) if (weight > greatest) greatest = weight;
  const made = { weights, greatest, heads };
  if (map.cache.size > 7) map.cache.delete(map.cache.keys().next().value);
  map.cache.set(choice, made);
  return made;
}

function addHead(weights, map, head, factor) {
  const { rows, columns, scales, codes } = map;
  let from = head * rows * columns;
  for (let row = 0, to = 0; row < rows; row++) {
    const scale = scales[head * rows + row] * factor;
    for (let column = 0; column < columns; column++) weights[to++] += codes[from++] * scale;
  }
}

const HIDDEN =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g;

const SIGNS = { "\n": "↵", "\r": "↵", "\t": "⇥" };

// A token with everything invisible made visible; it cannot reorder what stands around it.
export function shown(token) {
  if (token === "") return "∅";
  if (/^ +$/.test(token)) return "␣".repeat(token.length);
  const whole = token.toWellFormed ? token.toWellFormed() : token;
  return whole.replace(HIDDEN, (character) => {
    if (character in SIGNS) return SIGNS[character];
    const code = character.charCodeAt(0);
    return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
  });
}

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

// Whether a sentence reads from right to left: most tokens that say so do.
export function readsLeft(tokens) {
  let left = 0;
  for (const token of tokens) {
    if (RIGHT_TO_LEFT.test(token)) left++;
    else if (/\p{L}/u.test(token)) left--;
  }
  return left > 0;
}

export function cut(text, length) {
  const characters = Array.from(text);
  return characters.length > length ? characters.slice(0, length - 1).join("") + "…" : text;
}

export function percent(weight) {
  return weight >= 0.0995 ? `${Math.round(weight * 100)} %` : `${(weight * 100).toPrecision(2)} %`;
}

// Where a token looks, or who looks at it, or one weight, in a sentence.
export function sentence(map, weights, focus) {
  if (!focus) return "";
  const quote = (token) => `\u2068${shown(token)}\u2069`;
  const { rowTokens, columnTokens, columns, rows } = map;
  if (focus.row != null && focus.column != null) {
    const weight = weights[focus.row * columns + focus.column];
    return `${quote(rowTokens[focus.row])} → ${quote(columnTokens[focus.column])}: ${percent(weight)}`;
  }
  const byRow = focus.row != null;
  const [count, others] = byRow ? [columns, columnTokens] : [rows, rowTokens];
  const at = (i) => weights[byRow ? focus.row * columns + i : i * columns + focus.column];
  const best = Array.from({ length: count }, (_, i) => i).sort((a, b) => at(b) - at(a)).slice(0, 3);
  const list = best.map((i) => `${quote(others[i])} ${percent(at(i))}`).join(",  ");
  const token = quote(byRow ? rowTokens[focus.row] : columnTokens[focus.column]);
  return byRow ? `${token} looks at ${list}` : `${token} is seen by ${list}`;
}
