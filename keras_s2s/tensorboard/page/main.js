// Entry: TensorBoard calls render(); a page of its own starts itself.
import { start } from "./app.js";
import { element } from "./dom.js";
import { inlineSource, serverSource } from "./source.js";

export async function render() {
  const data = document.getElementById("attention-data");
  if (data) return start(document.body, inlineSource(JSON.parse(data.textContent)));
  const base = new URL(".", import.meta.url);
  if (!document.getElementById("attention-style")) await styled(new URL("style.css", base));
  return start(document.body, serverSource(base));
}

function styled(href) {
  return new Promise((done) => {
    const link = element("link", { id: "attention-style", rel: "stylesheet", href });
    link.onload = link.onerror = done;
    document.head.append(link);
  });
}

if (document.getElementById("attention-page")) render();
