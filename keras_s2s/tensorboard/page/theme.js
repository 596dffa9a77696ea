// Light or dark as TensorBoard around the page is, or as the system asks; and the colours of weights.
import { LEVELS } from "./format.js";

const STOPS = {
  light: [[255, 255, 255], [219, 231, 248], [128, 173, 228], [46, 104, 186], [14, 38, 92]],
  dark: [[41, 42, 47], [38, 62, 98], [46, 108, 170], [104, 180, 228], [232, 247, 255]],
};
const INK = {
  light: { text: "#202124", faint: "#6b7280", line: "#2b64b4", mark: "#d9480f", page: "#ffffff" },
  dark: { text: "#e8eaed", faint: "#a0a6b0", line: "#7cc0f0", mark: "#ffb066", page: "#303134" },
};

export function themeOf(name) {
  const table = new Uint32Array(LEVELS + 1);
  const css = [];
  for (let level = 0; level <= LEVELS; level++) {
    const [r, g, b] = between(STOPS[name], level / LEVELS);
    table[level] = (255 << 24) | (b << 16) | (g << 8) | r;
    css.push(`rgb(${r},${g},${b})`);
  }
  return { name, table, css, ...INK[name] };
}

function between(stops, part) {
  const place = part * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  return stops[low].map((value, i) => Math.round(value + (place - low) * (stops[low + 1][i] - value)));
}

export function watchTheme(onChange) {
  const outside = hostBody();
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (outside ? outside.classList.contains("dark-mode") : system.matches);
  const tell = () => onChange(themeOf(dark() ? "dark" : "light"));
  if (outside) {
    new MutationObserver(tell).observe(outside, { attributes: true, attributeFilter: ["class"] });
  } else {
    system.addEventListener("change", tell);
  }
  tell();
}

// The body of the TensorBoard that shows this page in a frame, if there is one.
function hostBody() {
  try {
    return window.parent === window ? null : window.parent.document.body;
  } catch {
    return null; // framed by another origin
  }
}
