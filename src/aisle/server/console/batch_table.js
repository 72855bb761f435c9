// The products of a file: sorted, filtered, accepted above a confidence, the rest sent to review.

import { get, post, query } from "./api.js";
import { confirmed, count, debounced, fill, h, pathText, percent, plural, shown, toast } from "./dom.js";
import { pick } from "./picker.js";

const SIZE = 50; // products of a page
const DECISIONS = { accept: "full path decided", partial: "branch decided", review: "left to a person" };
const VERDICTS = { open: "open", accepted: "accepted", chosen: "chosen", review: "with reviewers" };
const NAMES = { branch: "Branch", decision: "The model", verdict: "You" };
const SORTS = { confidence: "least sure first", "-confidence": "surest first", row: "as in the file" };
const FILTERS = ["branch", "decision", "verdict", "q", "sort"];

export class BatchTable {
  /** address: the page's, which names filters and page; changed: called when counts have changed. */
  constructor(batch, address, changed) {
    Object.assign(this, { id: batch.id, batch, changed });
    this.filters = Object.fromEntries(FILTERS.map((name) => [name, address.get(name) ?? ""]));
    this.page = Math.max(1, Number.parseInt(address.get("page") ?? "1", 10) || 1);
    this.facets = h("div", { class: "facets" });
    this.list = h("div", {});
    const search = h("input", { type: "search", id: "find", value: this.filters.q, autocomplete: "off", placeholder: "words of a title, or a number",
      oninput: debounced(() => this.filter("q", search.value.trim()), 250) });
    const floor = h("input", { id: "floor", type: "number", min: "0", max: "100", step: "1", value: "90", inputmode: "numeric" });
    this.element = h("section", { class: "batch", "aria-labelledby": "products" }, h("h2", { id: "products" }, "Products"),
      h("div", { class: "row start together" },
        h("div", { class: "row start" }, h("label", { for: "floor" }, "Confidence ≥"), floor, h("span", {}, "%"),
          h("button", { type: "button", class: "main", onclick: () => this.accept(Number(floor.value) / 100) }, "Accept all")),
        h("button", { type: "button", onclick: () => this.review() }, "Send the rest to review"),
        h("button", { type: "button", onclick: () => this.undo() }, "Undo")),
      h("label", { for: "find" }, "Find"), search, this.facets, this.list);
  }

  get parameters() {
    return { ...this.filters, page: this.page > 1 ? this.page : "" };
  }

  filter(name, value) {
    this.filters[name] = value;
    this.turn(1);
  }

  /** Show another page; the address names it. */
  turn(page) {
    this.page = page;
    history.pushState(null, "", `#/batch/${this.id}${query(this.parameters)}`);
    this.load();
  }

  load() {
    const asked = query({ ...this.parameters, size: SIZE });
    return shown(this.list, "products", () => get(`v1/batches/${this.id}/products${asked}`), (found) => {
      this.drawFacets(found.facets);
      return this.rows(found);
    });
  }

  drawFacets(facets) {
    const chosen = (name, value) => this.filters[name] === value;
    const button = (name, { value, count: number }) => h("button", { type: "button", class: "facet", "aria-pressed": String(chosen(name, value)),
      onclick: () => this.filter(name, chosen(name, value) ? "" : value) }, label(name, value), h("span", { class: "quiet" }, ` ${count(number)}`));
    const sort = h("select", { id: "sort", onchange: () => this.filter("sort", sort.value) }, Object.entries(SORTS).map(([value, text]) =>
      h("option", { value, selected: value === (this.filters.sort || "confidence") }, text)));
    fill(this.facets, Object.entries(facets).map(([name, values]) => h("div", { class: "facet-row", role: "group", "aria-label": NAMES[name] },
      h("span", { class: "label" }, NAMES[name]), values.map((value) => button(name, value)))),
    h("div", { class: "facet-row" }, h("label", { for: "sort" }, "Order"), sort));
  }

  rows({ total, products }) {
    const pages = Math.max(1, Math.ceil(total / SIZE));
    if (!total) return h("p", { class: "empty" }, "No product has all of these.");
    if (this.page > pages) return h("p", {}, h("button", { type: "button", onclick: () => this.turn(1) }, "Back to the first page"));
    const turn = (step, text) => h("button", { type: "button", disabled: this.page + step < 1 || this.page + step > pages,
      onclick: () => this.turn(this.page + step) }, text);
    return [h("p", { class: "quiet", role: "status" }, plural(total, "product")),
      h("ul", { class: "batch-rows" }, products.map((product) => this.row(product))),
      h("nav", { class: "row", "aria-label": "Pages" }, turn(-1, "‹ Before"), h("span", {}, `Page ${count(this.page)} of ${count(pages)}`), turn(1, "Next ›"))];
  }

  row(product) {
    const { title, id, best, confidence, decision, verdict, chosen, problems } = product;
    const settled = verdict === "accepted" || verdict === "chosen";
    return h("li", { class: `batch-row ${verdict}` },
      h("div", { class: "what" }, h("span", { class: "name" }, title || id || "Untitled product"), pathText(chosen ?? best),
        problems.length > 0 && h("span", { class: "fault" }, problems[0])),
      h("span", { class: "number" }, percent(confidence)),
      h("span", { class: "quiet" }, verdict === "open" ? DECISIONS[decision] : VERDICTS[verdict]),
      h("div", { class: "row start" },
        !settled && h("button", { type: "button", "aria-label": `Accept ${best.at(-1)} for ${title}`, onclick: () => this.choose(product, best.join(" > ")) }, "Accept"),
        h("button", { type: "button", "aria-label": `Choose another category for ${title}`, onclick: () => this.another(product) }, "Other …")));
  }

  // -- deciding --------------------------------------------------------------------------------------

  async another(product) {
    const node = await pick(product.title);
    if (node) this.choose(product, node.id);
  }

  choose(product, chosen) {
    return this.tried(async () => {
      await post(`v1/batches/${this.id}/products/${product.row}`, { chosen });
      toast(`${product.title}: kept.`, "good", { label: "Undo", run: () => this.undo() });
    });
  }

  accept(floor) {
    const { branch, decision, q } = this.filters;
    const which = { min_confidence: Math.min(1, Math.max(0, floor || 0)), branch, decision, q };
    return this.tried(async () => {
      const path = `v1/batches/${this.id}/accept`;
      const found = await post(path, which);
      const lines = found.count ? [`The least sure of them has ${percent(found.lowest, 1)} confidence.`,
        branch || decision || q ? "Only products that the filters below let through." : "",
        "They are filled into the download. Nobody looks at each, so no model is trained on them."].filter(Boolean)
        : [`No open product has ${percent(which.min_confidence)} confidence.`];
      if (!(await confirmed(found.count ? `Accept ${plural(found.count, "product")}?` : "None to accept", lines, found.count ? `Accept ${count(found.count)}` : ""))) return;
      const { count: done } = await post(path, { ...which, confirm: true });
      toast(`${plural(done, "product")} accepted.`, "good", { label: "Undo", run: () => this.undo() });
    });
  }

  review() {
    return this.tried(async () => {
      const path = `v1/batches/${this.id}/review`;
      const found = await post(path);
      const lines = found.count ? ["Reviewers find them in their queue. What they decide is in your later downloads."]
        : ["The model or you accepted all others, or they are in the queue already."];
      if (!(await confirmed(found.count ? `Send ${plural(found.count, "product")} to review?` : "There is no rest", lines, found.count ? `Send ${count(found.count)}` : ""))) return;
      await post(path, { confirm: true });
    });
  }

  undo() {
    return this.tried(async () => {
      const { count: open } = await post(`v1/batches/${this.id}/undo`);
      toast(`${plural(open, "product is", "products are")} open again.`);
    });
  }

  /** Do it, and show what has changed. */
  async tried(act) {
    try {
      await act();
    } catch (error) {
      if (!error.code) throw error;
      return toast(error.message, "bad");
    }
    this.changed();
    await this.load();
  }
}

const label = (name, value) => (name === "decision" ? DECISIONS[value] : name === "verdict" ? VERDICTS[value] : value) ?? value;
