// Which model is live: compare, promote, roll back, shadow, load, remove; each is confirmed and recorded. For administrators.

import { ask, get, imageUrl, post } from "./api.js";
import { confirmed, count, fill, h, loading, pathText, percent, plural, state, toast } from "./dom.js";

/** What an administrator sees; redraw: called after a change. */
export function administration(found, history, redraw) {
  const result = h("div", { id: "admin-result", "aria-live": "polite" });
  const run = async (action, done) => {
    try {
      const response = await action();
      toast(done);
      redraw();
      return response;
    } catch (error) {
      if (!error.code) throw error;
      fill(result, state("bad", "Nothing was changed", error.message));
      return null;
    }
  };
  return [h("section", { class: "card", "aria-labelledby": "admin" }, h("h2", { id: "admin" }, "Live model"),
    h("ul", { class: "plain-list" }, found.models.map((model) => row(model, found, run, result))), loadForm(run), result), changesTable(history)];
}

function row(model, found, run, result) {
  const { name } = model;
  const path = `v1/models/${encodeURIComponent(name)}`;
  const promote = async () => {
    const lines = [`${name} answers all requests at once; running ones finish with ${found.live}.`,
      "First both are compared on the golden set. If it gets fewer products right, nothing changes."];
    if (await confirmed(`Promote ${name}?`, lines, "Promote")) await run(() => post(`${path}/promote`), `${name} is live.`);
  };
  const rollBack = async () => {
    const before = found.previous.at(-1);
    if (await confirmed("Roll back?", [`${before} answers all requests at once, without a comparison.`], "Roll back")) await run(() => post("v1/models/rollback"), `${before} is live.`);
  };
  const remove = async () => {
    const lines = ["It is unloaded. Its folder stays, so that it can be loaded again."];
    if (await confirmed(`Remove ${name}?`, lines, "Remove")) await run(() => ask("DELETE", path), `${name} is removed.`);
  };
  const shadow = (chosen) => run(() => post("v1/shadow", { model: chosen }), chosen ? `${name} is the shadow model.` : "There is no shadow model.");
  const button = (label, onclick, kind = null) => h("button", { type: "button", class: kind, onclick, "aria-label": `${label} (${name})` }, label);
  const actions = model.live
    ? [found.previous.length > 0 && button("Roll back …", rollBack)]
    : [button("What would change", () => showChanges(result, path)), button("Promote …", promote), button(model.shadow ? "No shadow" : "Shadow", () => shadow(model.shadow ? null : name)),
      model.shadow && button("Shadow results", () => showShadow(result)), button("Remove …", remove)];
  return h("li", { class: "row after model-row" }, h("span", {}, h("strong", {}, name), " ", h("span", { class: "quiet" }, [model.live && "live", model.shadow && "shadow"].filter(Boolean).join(", "))),
    h("span", { class: "actions" }, actions));
}

function loadForm(run) {
  const name = h("input", { id: "load-name", autocomplete: "off", required: true });
  const folder = h("input", { id: "load-folder", autocomplete: "off", required: true, placeholder: "shop-3" });
  const load = (event) => {
    event.preventDefault();
    return run(() => post("v1/models", { name: name.value.trim(), folder: folder.value.trim() }), `${name.value.trim()} is loaded.`);
  };
  return h("details", {}, h("summary", {}, "Load another model"), h("form", { onsubmit: load },
    h("label", { for: "load-folder" }, "Folder below the server's library"), folder, h("label", { for: "load-name" }, "Name"), name,
    h("p", { class: "after" }, h("button", { type: "submit" }, "Load"))));
}

async function showChanges(result, path) {
  fill(result, loading("changes"));
  try {
    fill(result, changes(await get(`${path}/changes`)));
  } catch (error) {
    if (!error.code) throw error;
    fill(result, state("bad", "No comparison", error.message));
  }
}

function changes(found) {
  if (!found.products) return state("empty", "No products to compare", "Start the server with a golden set, or wait for feedback.");
  const trees = [[found.new_categories, "only in the new tree"], [found.missing_categories, "missing there"]].filter(([names]) => names.length);
  return [h("h3", {}, `${plural(found.changed, "product")} of ${count(found.products)} would get another category`),
    h("p", {}, `Decided automatically: ${percent(found.automatic / found.products, 1)} with ${found.model}, ${percent(found.live_automatic / found.products, 1)} with ${found.live}.`),
    trees.length > 0 && h("p", { class: "fault" }, "The trees differ: ", trees.map(([names, what]) => `${plural(names.length, "category", "categories")} ${what}`).join(", "), "."),
    found.branches.length > 0 && h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Changes by branch" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Branch now", "Changes", "Products"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, found.branches.map((one) => h("tr", {}, h("th", { scope: "row" }, one.branch), h("td", {}, count(one.changed)), h("td", {}, count(one.products))))))),
    found.sample.length > 0 && h("ul", { class: "plain-list changed-products" }, found.sample.map(changedProduct))];
}

function changedProduct(one) {
  const line = (label, path, confidence, decision) => h("div", {}, h("span", { class: "quiet" }, `${label} `), pathText(path), h("span", { class: "quiet" }, ` ${percent(confidence)}, ${decision}`));
  return h("li", {}, one.images.length > 0 && h("img", { src: imageUrl(one.images[0]), alt: "", width: "56", height: "56", loading: "lazy" }),
    h("div", {}, h("strong", {}, one.title || one.id), line("now", one.live, one.live_confidence, one.live_decision), line("then", one.candidate, one.candidate_confidence, one.candidate_decision),
      one.label !== null && h("div", {}, h("span", { class: "quiet" }, "label "), pathText(one.label))));
}

async function showShadow(result) {
  try {
    const found = await get("v1/shadow");
    const lines = Object.entries(found.decisions).map(([pair, number]) => h("li", {}, `${pair.replace("->", "→")}: ${count(number)}`));
    fill(result, h("h3", {}, `${found.model} beside ${found.live}`),
      h("p", {}, found.products ? `Same category for ${percent(found.agreement, 1)} of ${plural(found.products, "product")}.` : "It has classified no product yet."),
      lines.length > 0 && h("p", { class: "quiet" }, "Decisions of the live model → of the shadow:"), h("ul", {}, lines));
  } catch (error) {
    if (!error.code) throw error;
    fill(result, state("bad", "No comparison", error.message));
  }
}

function changesTable(history) {
  const title = h("h2", { id: "promotions" }, "Changes");
  if (!history.length) return h("section", { class: "card", "aria-labelledby": "promotions" }, title, h("p", { class: "quiet" }, "None yet."));
  const compared = (one) => (one ? `${count(one.candidate)} right, ${count(one.live)} before, of ${count(one.products)}` : "–");
  const line = ({ at, person, action, model, previous, comparison }) => h("tr", {}, h("td", {}, new Date(at).toLocaleString("en")), h("td", {}, person || "–"), h("td", {}, action), h("td", {}, model),
    h("td", {}, previous), h("td", {}, compared(comparison)));
  return h("section", { class: "card scroll", tabindex: "0", "aria-labelledby": "promotions" }, title, h("table", { class: "changes" },
    h("thead", {}, h("tr", {}, ["When", "Who", "What", "Model", "Before", "Golden set"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, history.map(line))));
}
