// The tree, with training products and accuracy of each category.

import { get } from "./api.js";
import { bar, count, fill, h, pathText, percent, plural, shown, state } from "./dom.js";
import { productsIn } from "./products.js";

export function draw(container, [chosen]) {
  const rows = h("div", {});
  const side = h("section", { class: "card side", "aria-live": "polite" }, state("empty", "Choose a category", "Its numbers and its products appear here."));
  const head = h("div", { class: "tree-head", "aria-hidden": "true" }, h("span", {}, "Category"), h("span", {}, "Products"), h("span", {}, "Right"));
  fill(container, h("div", { class: "two" }, h("section", { class: "card", "aria-label": "Categories" }, head, rows), side));
  branch(rows, "", side);
  if (chosen) named(chosen, side);
}

async function named(id, side) {
  await shown(side, "category", () => get(`v1/taxonomy?q=${encodeURIComponent(id.split(" > ").at(-1).slice(0, 190))}`),
    ({ nodes }) => { const node = nodes.find((one) => one.id === id); return node ? about(node) : state("empty", "There is no such category"); });
}

function branch(container, parent, side) {
  return shown(container, "categories", () => get(`v1/taxonomy?parent=${encodeURIComponent(parent)}`),
    ({ nodes }) => h("ul", { class: parent ? null : "tree" }, nodes.map((node) => line(node, side))));
}

function line(node, side) {
  const inside = h("div", { hidden: true });
  const name = node.path.at(-1);
  const open = h("button", { type: "button", class: "twist", "aria-expanded": "false", "aria-label": `What is inside ${name}`,
    onclick: () => {
      inside.hidden = !inside.hidden;
      open.setAttribute("aria-expanded", String(!inside.hidden));
      if (!inside.childElementCount) branch(inside, node.id, side);
    } }, "›");
  const choose = h("button", { type: "button", class: "link", onclick: () => {
    for (const one of document.querySelectorAll(".tree [aria-current]")) one.removeAttribute("aria-current");
    choose.setAttribute("aria-current", "true");
    fill(side, about(node));
    if (window.innerWidth <= 800) side.scrollIntoView({ block: "start" }); // there it lies below the tree
  } }, name);
  const right = node.test_products ? `${percent(node.accuracy)} of ${plural(node.test_products, "test product")} right` : "not measured";
  return h("li", {}, h("div", { class: "node" }, node.children ? open : h("span", { class: "twist" }), choose,
    h("span", { class: "number quiet" }, count(node.products)),
    h("span", { class: "measured", title: right }, h("span", { class: "hidden" }, right), h("span", { "aria-hidden": "true" }, percent(node.accuracy)), bar(node.accuracy ?? 0))), inside);
}

function about(node) {
  const products = h("div", {});
  productsIn(products, node.id);
  const accuracy = node.test_products ? `Of ${plural(node.test_products, "test product")} that belong here, ${percent(node.accuracy)} are predicted correctly.` : "No test product belongs here, so its accuracy is not known.";
  return [h("h2", {}, pathText(node.path)), h("p", { class: "quiet" }, `${plural(node.products, "product")} in training. ${accuracy}`),
    node.id !== node.path.join(" > ") && h("p", { class: "quiet" }, `Its id is ${node.id}.`), products];
}
