// Elements and controls. Text enters the page as text nodes and attributes, never as markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

export function svgElement(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

function setAttributes(made, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
}

// A labelled <select>; set() fills it with [value, text] pairs.
export function picker(label, onPick, attributes = {}) {
  const select = element("select", { "aria-label": label, ...attributes });
  select.addEventListener("change", () => onPick(select.value));
  const root = element("label", { class: "field" }, element("span", {}, label), select);
  let known = "";
  return {
    root,
    select,
    set(options, value) {
      const key = JSON.stringify(options);
      if (key !== known) {
        select.replaceChildren(...options.map(([v, text]) => element("option", { value: v }, text)));
        known = key;
      }
      select.value = value;
      select.title = select.selectedOptions[0]?.textContent ?? "";
      select.disabled = options.length < 2;
    },
  };
}

let groups = 0;

// Radio buttons drawn as one strip, so that arrows and labels work as everywhere.
export function strip(legend, options, onPick) {
  const group = `strip-${++groups}`;
  const inputs = new Map();
  const labels = options.map(([value, text]) => {
    const input = element("input", { type: "radio", name: group, value });
    input.addEventListener("change", () => onPick(value));
    inputs.set(value, input);
    return element("label", {}, input, element("span", {}, text));
  });
  const root = element("fieldset", { class: "strip" }, element("legend", {}, legend), ...labels);
  return {
    root,
    set(value, there = [...inputs.keys()]) {
      for (const [key, input] of inputs) {
        input.checked = key === value;
        input.parentElement.hidden = !there.includes(key);
      }
    },
  };
}

export function button(text, label, onClick, attributes = {}) {
  return element(
    "button",
    { type: "button", "aria-label": label, title: label, onclick: onClick, ...attributes },
    text,
  );
}

// Moves the one tab stop of a list of elements; each is reached with the arrows from there.
export function rove(items, from, to) {
  if (items[from]) items[from].tabIndex = -1;
  if (items[to]) items[to].tabIndex = 0;
}

// A canvas of so many CSS pixels, sharp on the screen it is on; returns its context.
export function sized(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
