// A dialog to search the tree, or to walk down it.

import { get, query } from "./api.js";
import { count, debounced, fill, h, pathText, plural, state } from "./dom.js";

const MOST = 60;

/** Let a person pick a category: its node as in the API, or null. `at`: the path where the tree opens; `anyNode`:
 * branches that take no products can be chosen, too; `tree`: where the tree is in the API. */
export function pick(about = "", { at = [], anyNode = false, tree = "v1/taxonomy" } = {}) {
  return new Promise((resolve) => new Picker(about, resolve, { at, anyNode, tree }));
}

class Picker {
  constructor(about, resolve, { at, anyNode, tree }) {
    this.above = [];
    Object.assign(this, { anyNode, tree });
    this.search = h("input", { type: "search", id: "pick-words", autocomplete: "off", spellcheck: "false",
      placeholder: "clocks, garden chair, …", oninput: debounced(() => this.look(), 120) });
    this.crumbs = h("nav", { class: "crumbs", "aria-label": "Where you are in the tree" });
    this.list = h("ul", { class: "picks" });
    this.status = h("p", { class: "quiet", role: "status" });
    const close = h("button", { type: "button", class: "plain", "aria-label": "Close", onclick: () => this.done(null) }, "×");
    this.dialog = h("dialog", { class: "picker", "aria-labelledby": "pick-title" },
      h("div", { class: "row" }, h("h2", { id: "pick-title" }, "Choose a category"), close),
      about && h("p", { class: "quiet clip" }, about),
      h("label", { for: "pick-words" }, "Search, or open branch by branch"), this.search,
      this.crumbs, this.status, this.list);
    this.resolve = resolve;
    this.dialog.addEventListener("close", () => { this.dialog.remove(); resolve(this.found ?? null); });
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.search.focus();
    this.open(at.slice(0, -1));
  }

  /** Walk down to a path, as far as it is in the tree. */
  async open(path) {
    try {
      for (const name of path) {
        const { nodes } = await get(`${this.tree}?parent=${encodeURIComponent(this.above.at(-1)?.id ?? "")}`);
        const node = nodes.find((one) => one.path.at(-1) === name);
        if (!node) break;
        this.above.push(node);
      }
    } catch (error) {
      if (!error.code) throw error; // `look` shows what is wrong
    }
    this.look();
  }

  done(node) {
    this.found = node;
    this.dialog.close();
  }

  async look() {
    const words = this.search.value.trim();
    const parent = this.above.at(-1)?.id ?? "";
    const asked = words ? query({ q: words, limit: MOST }) : `?parent=${encodeURIComponent(parent)}`;
    this.latest = asked;
    try {
      const found = await get(`${this.tree}${asked}`);
      if (this.latest !== asked) return;
      this.drawn = words;
      this.draw(words, found);
    } catch (error) {
      if (this.latest === asked) fill(this.list, h("li", {}, state("bad", "The tree cannot be shown", error.message, () => this.look())));
    }
  }

  draw(words, found) {
    const steps = [{ path: ["All categories"] }, ...this.above];
    fill(this.crumbs, words ? [] : steps.map((node, i) => {
      const go = () => { this.above = this.above.slice(0, i); this.look(); };
      const here = i === steps.length - 1;
      return [i > 0 && h("span", { class: "sep", "aria-hidden": "true" }, "›"),
        h("button", { type: "button", class: "link", "aria-current": here ? "true" : null, onclick: go }, node.path.at(-1))];
    }));
    const more = found.total > found.nodes.length ? `; these ${found.nodes.length} fit best` : "";
    this.status.textContent = words ? (found.total ? `${plural(found.total, "category", "categories")} found${more}` : "") : "";
    const here = !words && this.above.at(-1);
    const itself = here && (here.assignable || this.anyNode) && h("li", {}, h("button", { type: "button", class: "pick", onclick: () => this.done(here) },
      h("span", {}, h("strong", {}, here.path.at(-1)), " itself"), h("span", { class: "quiet" }, "choose")));
    fill(this.list, itself, found.nodes.map((node) => h("li", {}, this.line(node, words))),
      !found.nodes.length && h("li", {}, state("empty", "No category has these words", "Try another word, or fewer.")));
  }

  line(node, words) {
    const open = () => { this.above = this.lineage(node); this.search.value = ""; this.look(); this.search.focus(); };
    const opens = node.children > 0 && (!node.assignable || !words);
    const name = words ? pathText(node.path) : h("strong", {}, node.path.at(-1));
    const inside = node.children ? `${plural(node.children, "category", "categories")} inside ›` : node.products === undefined ? "" : `${count(node.products)} training products`;
    return h("button", { type: "button", class: "pick", onclick: opens ? open : () => this.done(node) }, name,
      h("span", { class: "quiet" }, opens ? inside : "choose"));
  }

  lineage(node) {
    if (node.parent === this.above.at(-1)?.id || (node.parent === null && !this.above.length)) return [...this.above, node];
    return [node];
  }

  key(event) {
    const lines = [...this.list.querySelectorAll("button.pick")];
    const at = lines.indexOf(document.activeElement);
    if (event.key === "ArrowDown") lines[Math.min(at + 1, lines.length - 1)]?.focus();
    else if (event.key === "ArrowUp") (at > 0 ? lines[at - 1] : this.search).focus();
    else if (event.key === "Enter" && event.target === this.search) {
      if (this.drawn === this.search.value.trim()) lines[0]?.click(); // else the list is still of other words
    }
    else if (event.key === "Backspace" && this.above.length && (event.target !== this.search || !this.search.value)) {
      this.above.pop();
      this.look();
    } else return;
    event.preventDefault();
  }
}
