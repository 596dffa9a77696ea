// Translates source ids, which end with 3, to the ids of the best target and its score in Node.js:
//   node translate.mjs FILE ID ...
// tools/examples/fixed_file.py writes FILE. First run `npm install @litertjs/core` here.
// LiteRT.js is made for web pages; in Node.js it only needs a function that loads its script.
import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {dirname, resolve} from "node:path";
import {fileURLToPath, pathToFileURL} from "node:url";
import {runInThisContext} from "node:vm";

function fail(message) {
  console.error(message);
  process.exit(1);
}

const [path, ...words] = process.argv.slice(2);
const ids = words.map(Number);
if (!ids.length) fail("arguments: expected FILE ID ..., got too few");
const invalid = words.find((word) => !/^\d+$/.test(word));
if (invalid !== undefined) fail(`ID: expected a number, got ${invalid}`);
let content;
try {
  content = new Uint8Array(readFileSync(path));
} catch (error) {
  fail(`${path}: expected a file, got ${error.code}`);
}

const require = createRequire(resolve("translate.mjs"));
const main = require.resolve("@litertjs/core");
const wasm = resolve(dirname(main), "../wasm");
Object.assign(globalThis, {
  self: globalThis, require, __dirname: wasm, __filename: resolve(wasm, "litert.js"),
  importScripts: (script) => runInThisContext(readFileSync(script, "utf8"), script),
});
console.warn = console.error = () => {}; // hides warnings about the GPU and LiteRT's log

try {
  const {loadLiteRt, loadAndCompile, Tensor} = await import(pathToFileURL(main));
  await loadLiteRt(wasm);
  const model = await loadAndCompile(content, {accelerator: "wasm"});
  const run = model.signatures.translate_fixed;
  const {shape} = run.getInputDetails()[0];
  if (ids.length > shape[1]) throw Error(`IDs: expected ${shape[1]} at most, got ${ids.length}`);
  const input = new Tensor(Int32Array.from({length: shape[1]}, (_, i) => ids[i] ?? 0), shape);
  const {found, lengths, score} = await run.run({ids: input});
  console.log([...found.toTypedArray().slice(0, lengths.toTypedArray()[0])].join(" "));
  console.log(score.toTypedArray()[0].toFixed(6));
  for (const object of [input, found, lengths, score]) object.delete();
} catch (error) {
  process.stderr.write(`${path}: ${error.message}\n`);
  process.exit(1);
}
