// Where records come from: TensorBoard's server, or the page itself.
import { decode } from "./format.js";

const KEEP = 96 << 20; // bytes of decoded records

function remembering(load) {
  const kept = new Map();
  const total = () => [...kept.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  return async (run, tag, step) => {
    const key = JSON.stringify([run, tag, step]);
    const entry = kept.get(key) ?? { made: load(run, tag, step), bytes: 0 };
    kept.delete(key);
    kept.set(key, entry); // the last used stands last
    try {
      const record = await entry.made;
      entry.bytes = record.bytes;
      while (kept.size > 2 && total() > KEEP) kept.delete(kept.keys().next().value);
      return record;
    } catch (error) {
      kept.delete(key);
      throw error;
    }
  };
}

export function serverSource(base) {
  const get = async (route, query = {}) => {
    const url = new URL(route, base);
    url.search = new URLSearchParams(query);
    const answer = await fetch(url);
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error ?? `the server answers ${answer.status}`);
  };
  return {
    live: true,
    index: async () => (await get("index")).json(),
    steps: async (run, tag) => (await (await get("steps", { run, tag })).json()).steps,
    record: remembering(async (run, tag, step) =>
      decode(await (await get("record", { run, tag, step })).arrayBuffer()),
    ),
  };
}

// Records are a list of {run, tag, label, step, data}, data in base64.
export function inlineSource(records) {
  const runs = {};
  for (const { run, tag, label } of records) (runs[run] ??= {})[tag] ??= { label };
  const of = (run, tag) => records.filter((record) => record.run === run && record.tag === tag);
  return {
    live: false,
    index: async () => ({ runs }),
    steps: async (run, tag) => of(run, tag).map(({ step }) => step).sort((a, b) => a - b),
    record: remembering(async (run, tag, step) => {
      const { data } = of(run, tag).find((record) => record.step === step);
      return decode(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer);
    }),
  };
}
