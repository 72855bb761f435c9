// Titles to try on an empty page: names of the categories that most training products are in.

import { get } from "./api.js";
import { h } from "./dom.js";

const COUNT = 4; // top categories
const DEEPEST = 8;
let names = null; // once for each visit

/** Buttons that call `use` with a title; nothing where the tree cannot be read. */
export function examples(use) {
  const box = h("div", { class: "examples" });
  names ??= frequent().catch(() => { names = null; return []; });
  names.then((titles) => {
    if (titles.length) box.append(h("p", { class: "quiet" }, "Or try one of these:"));
    box.append(...titles.map((title) => h("button", { type: "button", onclick: () => use(title) }, title)));
  });
  return box;
}

async function frequent() {
  const { nodes } = await children("");
  const tops = nodes.sort((one, other) => other.products - one.products).slice(0, COUNT);
  return Promise.all(tops.map(below));
}

/** The name of the most frequent category at the end of a branch. */
async function below(node, depth = 1) {
  if (!node.children || depth === DEEPEST) return node.path.at(-1);
  const { nodes } = await children(node.id);
  return below(nodes.reduce((best, one) => (one.products > best.products ? one : best)), depth + 1);
}

const children = (id) => get(`v1/taxonomy?parent=${encodeURIComponent(id)}`);
