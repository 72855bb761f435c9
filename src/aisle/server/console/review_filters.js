// Which items of the review queue are shown, and in which order. The address holds it, so that Back, reload and
// links work.

import { debounced, fill, h, plural } from "./dom.js";
import { pick } from "./picker.js";

const ORDERS = { gain: "Most to gain first", "least-confident": "Least confident first", "most-confident": "Most confident first",
  oldest: "Oldest first", newest: "Newest first" };
const BANDS = { "": "Any confidence", "0-0.5": "Below 50 %", "0.5-0.8": "50 to 80 %", "0.8-1": "From 80 %" };
const NAMES = ["order", "query", "branch", "confidence", "by", "flagged"];

export class Filters {
  /** parameters: of the address; changed: called when a person changes a filter. */
  constructor(parameters, changed) {
    this.values = Object.fromEntries(NAMES.map((name) => [name, parameters?.get(name) ?? ""]));
    if (!ORDERS[this.values.order]) this.values.order = "gain";
    if (!(this.values.confidence in BANDS)) this.values.confidence = "";
    this.changed = changed;
    this.matching = h("span", { class: "quiet", role: "status" });
    this.element = h("form", { class: "filters", role: "search", "aria-label": "Queue", onsubmit: (event) => event.preventDefault() });
    this.draw();
  }

  get any() {
    return NAMES.some((name) => name !== "order" && this.values[name]);
  }

  /** The fields of a request for items. */
  request() {
    const { order, query, branch, confidence, by, flagged } = this.values;
    const [low, high] = confidence ? confidence.split("-").map(Number) : [null, null];
    return { order, query: query || null, branch: branch || null, min_confidence: low, max_confidence: high,
      queued_by: by || null, flagged: flagged ? true : null };
  }

  /** The address of an item, or of the queue, with these filters. */
  address(id = null) {
    const set = Object.entries(this.values).filter(([name, value]) => value && !(name === "order" && value === "gain"));
    const search = new URLSearchParams(set).toString();
    return `#/review${id === null ? "" : `/${id}`}${search ? `?${search}` : ""}`;
  }

  set(name, value) {
    if (this.values[name] === value) return;
    this.values[name] = value;
    if (name !== "query") this.draw();
    this.changed();
  }

  clear() {
    for (const name of NAMES) if (name !== "order") this.values[name] = "";
    this.draw();
    this.changed();
  }

  /** matching: how many items pass the filters. */
  count(matching) {
    this.number = matching;
    this.matching.textContent = `${plural(matching, "product")} ${this.any ? (matching === 1 ? "passes" : "pass") : "for you"}`;
  }

  draw() {
    const select = (name, label, choices) => h("select", { "aria-label": label, onchange: (event) => this.set(name, event.target.value) },
      Object.entries(choices).map(([value, text]) => h("option", { value, selected: this.values[name] === value }, text)));
    const branch = async () => {
      const node = await pick("Predictions at or below it are shown", { anyNode: true });
      if (node) this.set("branch", node.path.join(" > "));
    };
    const query = h("input", { type: "search", "aria-label": "Words of the title", placeholder: "Words of the title", value: this.values.query,
      oninput: debounced((event) => this.set("query", query.value.trim()), 300) });
    fill(this.element, query, select("order", "Order", ORDERS), select("confidence", "Confidence", BANDS),
      h("button", { type: "button", onclick: branch }, this.values.branch ? `In ${this.values.branch.split(" > ").at(-1)}` : "Any branch"),
      h("button", { type: "button", "aria-pressed": String(Boolean(this.values.flagged)), class: "facet",
        onclick: () => this.set("flagged", this.values.flagged ? "" : "yes") }, "Flagged"),
      this.values.by && h("button", { type: "button", class: "facet", "aria-pressed": "true", onclick: () => this.set("by", "") }, `Queued by ${this.values.by} ×`),
      this.any && h("button", { type: "button", class: "link", onclick: () => this.clear() }, "All products"), this.matching);
  }
}
