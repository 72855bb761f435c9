// Models side by side: their metrics, and their predictions of the same product; administrators change which is live.

import { get, post } from "./api.js";
import { curves } from "./curve.js";
import { administration } from "./model_admin.js";
import { count, fill, h, loading, percent, shown, state } from "./dom.js";
import { alternatives, decisionText, suggestionLine } from "./suggestions.js";

export function draw(container, _, me) {
  const isAdmin = me.open || me.role === "admin";
  shown(container, "models", () => Promise.all([get("v1/models"), isAdmin ? get("v1/models/history") : null]), ([found, history]) => [
    isAdmin && administration(found, history.changes, () => draw(container, _, me)), compare(found.models), curves(found.models), metrics(found)]);
}

function metrics({ models }) {
  const names = [...new Set(models.flatMap(({ metrics }) => Object.keys(metrics)))];
  const role = (one) => [one.live && "live", one.shadow && "shadow", one.guarantee && "has a guarantee"].filter(Boolean).join(", ");
  const lines = [["Role", (one) => role(one) || "on request"], ["Recipe", (one) => one.recipe ?? "–"], ["Reads", (one) => one.views.join(", ")],
    ["Training products", (one) => (one.training_products === null ? "–" : count(one.training_products))], ["Categories", (one) => count(one.categories)],
    ...names.map((name) => [words(name), (one) => number(name, one.metrics[name])]), ["Id", (one) => one.model_id]];
  return h("section", { class: "card scroll", tabindex: "0", "aria-label": "Metrics" }, h("table", { class: "changes" },
    h("thead", {}, h("tr", {}, h("td", {}), models.map((one) => h("th", { scope: "col" }, h("strong", {}, one.name))))),
    h("tbody", {}, lines.map(([name, tell]) => h("tr", {}, h("th", { scope: "row" }, name), models.map((one) => h("td", {}, tell(one))))))));
}

const words = (name) => (name.charAt(0).toUpperCase() + name.slice(1)).replaceAll("_", " ");
const number = (name, value) => (value === undefined ? "–" : value >= 0 && value <= 1 ? percent(value, 1) : Number(value.toPrecision(3)));

function compare(models) {
  const title = h("input", { id: "compare-title", placeholder: "A title to classify", autocomplete: "off" });
  const description = h("textarea", { id: "compare-description", rows: "2" });
  const answers = h("div", { "aria-live": "polite" });
  let latest = null;
  const asked = async (event) => {
    event.preventDefault();
    fill(answers, loading("predictions"));
    const product = { title: title.value, description: description.value };
    const asking = latest = {};
    try {
      const names = models.map(({ name }) => name);
      const { results: [one] } = await post(`v1/classify?models=${encodeURIComponent(names.join(","))}`, { products: [product] });
      if (asking !== latest) return;
      if (one.error) throw Object.assign(new Error(one.error.message), one.error);
      const predictions = one.models ?? { [names[0]]: one.prediction };
      fill(answers, h("div", { class: "side-by-side" }, Object.entries(predictions).map(([name, prediction]) => column(name, prediction))));
    } catch (error) {
      if (!error.code) throw error;
      if (asking === latest) fill(answers, state("bad", "No prediction", error.message));
    }
  };
  return h("section", { class: "card", "aria-labelledby": "compare" }, h("h2", { id: "compare" }, "Predictions of the same product"),
    h("form", { onsubmit: asked }, h("label", { for: "compare-title" }, "Title"), title, h("label", { for: "compare-description" }, "Description"), description,
      h("p", { class: "after" }, h("button", { type: "submit", class: "main" }, "Ask"))), answers);
}

function column(name, prediction) {
  return h("div", {}, h("h3", {}, name), h("p", { class: "quiet" }, decisionText(prediction)),
    h("ul", { class: "suggestions" }, alternatives(prediction, 5).map((one) => h("li", { class: "suggestion still" }, suggestionLine(one)))));
}
