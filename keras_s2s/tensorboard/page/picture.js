// The view on show as a file: SVG, and PNG made of it.
import { linesOf, strokeOf } from "./bipartite.js";
import { svgElement } from "./dom.js";
import { cut, readsLeft, shown } from "./format.js";
import { heatImage, matrixLayout, sidesOf } from "./matrix.js";

const LETTERS = "Roboto, 'Noto Sans', system-ui, sans-serif";

function page(width, height, theme, ...children) {
  const back = svgElement("rect", { width, height, fill: theme.page });
  return svgElement(
    "svg",
    { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}`, "font-family": LETTERS },
    back,
    ...children,
  );
}

function label(token, attributes) {
  const direction = readsLeft([token]) ? "rtl" : "ltr";
  const flipped = direction === "rtl" && attributes["text-anchor"] !== "middle";
  const anchor = attributes["text-anchor"];
  const turned = { start: "end", end: "start" };
  return svgElement(
    "text",
    { ...attributes, direction, "text-anchor": flipped ? turned[anchor] : anchor },
    cut(shown(token), 24),
  );
}

export function bipartiteSvg({ map, weights, greatest, theme }) {
  const step = 22;
  const [left, right, top] = [190, 430, 34];
  const height = top + step * Math.max(map.rows, map.columns) + 12;
  const at = (index) => top + index * step + step / 2;
  const curves = linesOf(map, weights, greatest).map(([row, column, part]) => {
    const { opacity, width } = strokeOf(part);
    return svgElement("path", {
      d: `M${left} ${at(row)}C${left + 108} ${at(row)} ${right - 108} ${at(column)} ${right} ${at(column)}`,
      "stroke-opacity": opacity.toFixed(3),
      "stroke-width": width.toFixed(2),
    });
  });
  const text = (fill) => ({ fill, "font-size": 14, "dominant-baseline": "central" });
  const column = (tokens, side, x, anchor) => [
    svgElement("text", { ...text(theme.faint), x, y: 16, "text-anchor": anchor }, side),
    ...tokens.map((token, i) => label(token, { ...text(theme.text), x, y: at(i), "text-anchor": anchor })),
  ];
  return page(620, height, theme,
    svgElement("g", { fill: "none", stroke: theme.line }, ...curves),
    ...column(map.rowTokens, map.rowSide, left - 8, "end"),
    ...column(map.columnTokens, map.columnSide, right + 8, "start"));
}

export function matrixSvg({ map, weights, greatest, theme }) {
  const layout = matrixLayout(map, Math.max(700, 130 + 12 * map.columns));
  const image = svgElement("image", {
    x: layout.left, y: layout.top, width: layout.cell * map.columns, height: layout.cell * map.rows,
    href: heatImage(map, weights, greatest, theme).toDataURL(), preserveAspectRatio: "none",
    "image-rendering": "pixelated",
  });
  const text = { fill: theme.text, "font-size": layout.letters, "dominant-baseline": "central" };
  const middle = layout.cell / 2;
  const rows = map.rowTokens.map((token, row) =>
    label(token, { ...text, x: layout.left - 7, y: layout.y(row) + middle, "text-anchor": "end" }));
  const columns = map.columnTokens.map((token, column) =>
    label(token, layout.upright
      ? { ...text, x: layout.x(column) + middle, y: layout.top - 7 - layout.letters / 2, "text-anchor": "middle" }
      : { ...text, "text-anchor": "start", transform: `translate(${layout.x(column) + middle} ${layout.top - 7}) rotate(-90)` }));
  const faint = { fill: theme.faint, "font-size": 11 };
  const sides = sidesOf(map, layout).map(({ x, y, text: side, turned, anchor }) =>
    svgElement("text", { ...faint, "text-anchor": anchor, transform: `translate(${x} ${y})${turned ? " rotate(-90)" : ""}` }, side));
  return page(layout.width + 6, layout.height + 6, theme, image, ...rows, ...columns, ...sides);
}

export function svgText(svg) {
  return new XMLSerializer().serializeToString(svg);
}

export async function pngBlob(svg) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(svg))}`;
  await image.decode();
  const [width, height] = ["width", "height"].map((side) => Number(svg.getAttribute(side)));
  const scale = Math.min(2, 8000 / Math.max(width, height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.ceil(width * scale), Math.ceil(height * scale)];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
