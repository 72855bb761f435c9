// Explore: a row of tabs; each is a module of its own with `draw(container, rest, me)`.

import { fill, h } from "./dom.js";
import * as acceptance from "./acceptance.js";
import * as keys from "./keys.js";
import * as mapping from "./mapping.js";
import * as models from "./models.js";
import * as products from "./products.js";
import * as report from "./report.js";
import * as rules from "./rules.js";
import * as tree from "./tree.js";

export const title = "Explore";
const TABS = { products: ["Products", products], tree: ["Tree", tree], models: ["Models", models],
  report: ["Report", report], acceptance: ["Acceptance", acceptance], mapping: ["Mapping", mapping], rules: ["Rules", rules], keys: ["Keys", keys] };
const ADMIN = new Set(["rules", "keys"]);

export function show(main, [name, ...rest], me, parameters) {
  const role = me?.open ? "admin" : me?.role;
  const tabs = Object.entries(TABS).filter(([id]) => (id === "mapping" ? role !== "seller" : !ADMIN.has(id) || role === "admin"));
  const chosen = tabs.some(([id]) => id === name) ? name : "products";
  const container = h("div", { class: "tab" });
  fill(main, h("h1", { class: "hidden" }, `Explore: ${TABS[chosen][0]}`),
    h("nav", { class: "tabs", "aria-label": "Explore" }, tabs.map(([id, [label]]) =>
      h("a", { href: `#/explore/${id}`, "aria-current": id === chosen ? "page" : null }, label))), container);
  return TABS[chosen][1].draw(container, rest, me, parameters);
}
