// Review of a mapping onto another tree: for each category the candidates, and what a person sets.

import { ask, get, query } from "./api.js";
import { count, debounced, fill, h, pathText, percent, plural, state, toast } from "./dom.js";
import { pick } from "./picker.js";

const STATES = { review: "To review", override: "Set by people", decided: "Decided", all: "All" };
const PAGE = 50;

export function draw(container, _, __, parameters) {
  const page = new Mapping(container, parameters);
  page.load();
}

class Mapping {
  constructor(container, parameters) {
    this.state = parameters?.get("state") ?? "review";
    if (!(this.state in STATES)) this.state = "review";
    this.words = parameters?.get("q") ?? "";
    this.facets = h("div", { class: "facet-row", role: "group", "aria-label": "State" });
    this.search = h("input", { type: "search", "aria-label": "Words of a category or target", placeholder: "Words of a category or target",
      value: this.words, oninput: debounced(() => this.ask({ words: this.search.value.trim() }), 300) });
    this.list = h("ul", { class: "mappings" });
    this.more = h("p", {});
    fill(container, h("section", { class: "card", "aria-labelledby": "mapping-title" }, h("h2", { id: "mapping-title" }, "Mapping onto another tree"),
      h("p", { class: "quiet after" }, "What you set is written into the mapping file, and the next “aisle map” keeps it."),
      h("div", { class: "filters" }, this.search, this.facets), this.list, this.more));
  }

  ask(change) {
    Object.assign(this, change);
    history.replaceState(null, "", `#/explore/mapping${query({ state: this.state, q: this.words })}`);
    this.load();
  }

  async load(start = 0) {
    const asked = query({ state: this.state === "all" ? null : this.state, q: this.words, start, count: PAGE });
    this.latest = asked;
    try {
      const found = await get(`v1/mapping${asked}`);
      if (this.latest !== asked) return;
      this.drawFacets(found.counts);
      const lines = found.rows.map((row) => this.line(row));
      if (start) this.list.append(...lines);
      else fill(this.list, lines, !lines.length && h("li", {}, state("empty", this.state === "review" ? "Nothing is left to review" : "No category is here")));
      const shown = start + found.rows.length;
      fill(this.more, found.total > shown && h("button", { type: "button", onclick: () => this.load(shown) }, `Show more of ${count(found.total)}`));
    } catch (error) {
      if (!error.code) throw error;
      if (this.latest === asked) fill(this.list, h("li", {}, state("bad", "The mapping cannot be shown", error.message, () => this.load())));
    }
  }

  drawFacets(counts) {
    fill(this.facets, Object.entries(STATES).map(([id, name]) => h("button", { type: "button", class: "facet", "aria-pressed": String(id === this.state),
      onclick: () => this.ask({ state: id }) }, id === "all" ? name : `${name} (${count(counts[id])})`)));
  }

  line(row) {
    const item = h("li", { class: "mapping" });
    const set = async (target) => {
      try {
        const now = await ask("PUT", "v1/mapping", { kind: row.kind, key: row.key, target });
        item.replaceWith(this.line(now));
        const undo = { label: "Undo", run: () => this.restore(row) };
        toast(target === null ? "Taken back." : `${row.kind === "product" ? row.title || row.key : row.category.split(" > ").at(-1)} › ${now.override}.`, "good", undo);
        this.drawFacets((await get(`v1/mapping${query({ count: 1 })}`)).counts);
      } catch (error) {
        if (!error.code) throw error;
        toast(error.message, "bad");
      }
    };
    const other = async () => {
      const node = await pick(row.kind === "product" ? row.title : row.category, { tree: "v1/mapping/targets", anyNode: true, at: row.targets[0]?.path.split(" > ") ?? [] });
      if (node) set(node.id);
    };
    const candidates = row.targets.map((target) => h("li", {}, h("button", { type: "button", class: "suggestion", "aria-pressed": String(row.override === target.path),
      onclick: () => set(target.id || target.path) }, h("span", { class: "key", "aria-hidden": "true" }, row.override === target.path ? "✓" : ""), pathText(target.path), h("span", { class: "number" }, percent(target.probability)))));
    const told = { review: "left for review", decided: "decided", override: `set: ${row.override}` }[row.state];
    return fill(item, h("div", {}, row.kind === "product" && h("strong", {}, row.title || row.key), h("p", {}, pathText(row.category)),
      h("p", { class: "quiet" }, row.kind === "product" ? "a product" : plural(row.products, "product"), ` · ${told}`)),
    h("div", {}, h("ul", { class: "suggestions" }, candidates), h("div", { class: "row start" },
      h("button", { type: "button", onclick: other }, "Another category …"),
      row.override && h("button", { type: "button", onclick: () => set(null) }, "Take back"))));
  }

  async restore(row) {
    await ask("PUT", "v1/mapping", { kind: row.kind, key: row.key, target: row.override || null });
    this.load();
  }
}
