// Review: the queue in order of expected gain, by mouse or by keyboard.

import { ask, get, imageUrl, post } from "./api.js";
import { acceptTogether, confidence } from "./batch.js";
import { count, fill, h, loading, missingImages, pathText, percent, plural, state, toast } from "./dom.js";
import { Lease, MINUTES, settled } from "./lease.js";
import { showEvidence } from "./evidence.js";
import { pick } from "./picker.js";
import { Filters } from "./review_filters.js";
import { alternatives, decisionText, suggestionLine } from "./suggestions.js";
import { zoom } from "./zoom.js";

export const title = "Review";
const BATCH = 30; // items leased at a time
const QUICK = 3; // suggestions in the bar of a phone
const KEYS = [["1 – 9", "choose that category"], ["A", "accept the first"], ["E", "keep the category that it has"], ["S", "skip"], ["D", "discard"], ["F", "flag"],
  ["U", "undo"], ["/", "search the tree"], ["R", "refine the first"],
  ["J K", "next, previous"], ["X", "select for accepting together"], ["Shift A", "accept all selected, once confirmed"]];

export function show(main, [item], me, parameters) {
  if (me.role === "seller") {
    fill(main, h("h1", {}, "Review"), state("empty", "This needs a reviewer's key",
      `${me.person} is a ${me.role}. Sign out, on top, to enter another key.`));
    return;
  }
  const page = new Review(main, Number(item) || null, parameters);
  return () => page.close();
}

class Review {
  constructor(main, first, parameters) {
    this.first = first; // the item that the address names
    this.filters = new Filters(parameters, () => this.refilter());
    this.items = [];
    this.selected = new Set();
    this.at = 0;
    this.floor = 0;
    this.build(main);
    this.ending = new AbortController();
    window.addEventListener("keydown", (event) => this.key(event), { signal: this.ending.signal });
    this.lease = new Lease(() => this.items.map(({ id }) => id), (ids) => this.lost(ids));
    this.borrow();
    this.measure();
  }

  close() {
    this.ending.abort();
    this.lease.end();
    document.getElementById("toasts").replaceChildren(); // their buttons work on this page only
  }

  build(main) {
    this.progress = h("div", { class: "progress", role: "status" });
    this.people = h("div", {});
    this.history = h("div", {});
    this.body = h("div", {});
    this.keys = h("input", { type: "checkbox", id: "keys", checked: stored("keys") !== "off",
      onchange: () => store("keys", this.keys.checked ? "on" : "off") });
    const help = h("dl", { class: "keys" }, KEYS.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what))));
    fill(main,
      h("div", { class: "row head" }, h("h1", {}, "Review"), h("div", { class: "row" },
        h("button", { type: "button", onclick: () => this.undo() }, "Undo"),
        h("button", { type: "button", onclick: () => this.add() }, "Add products"))),
      this.progress, this.filters.element, this.body,
      h("div", { class: "below" },
        h("details", {}, h("summary", {}, "By keyboard"), h("label", { class: "check", for: "keys" }, this.keys, "Single keys work"), help),
        h("details", { ontoggle: (event) => event.target.open && this.listHistory() }, h("summary", {}, "What you did"), this.history),
        h("details", {}, h("summary", {}, "Who reviewed, and how well people agree"), this.people)));
  }

  // -- the queue -------------------------------------------------------------------------------------

  async borrow() {
    if (!this.items.length) fill(this.body, loading("the queue"));
    try {
      await settled();
      const asked = this.filters.request();
      const found = await post("v1/review/next", { count: BATCH, minutes: MINUTES, ...asked });
      if (JSON.stringify(asked) !== JSON.stringify(this.filters.request())) { // asked anew meanwhile
        await post("v1/review/release", { ids: found.items.map(({ id }) => id).filter((id) => !this.items.some((item) => item.id === id)) });
        return;
      }
      this.items = found.items;
      this.floor = found.batch_min_confidence;
      this.filters.count(found.matching);
      await this.bringFirst();
      if (this.ending.signal.aborted) return this.lease.release(); // left meanwhile
      this.at = 0;
      this.selected.clear();
      this.draw();
    } catch (error) {
      fill(this.body, state("bad", "The queue cannot be shown", error.message, () => this.borrow()));
    }
  }

  /** Put the item that the address names on top. */
  async bringFirst() {
    const id = this.first;
    this.first = null;
    if (id === null) return;
    const found = this.items.find((item) => item.id === id);
    const others = this.items.filter((item) => item !== found);
    if (found) {
      this.items = [found, ...others];
      return;
    }
    try {
      await post("v1/review/renew", { ids: [id], minutes: MINUTES });
      const item = await get(`v1/review/items/${id}`);
      if (item.leased_to_you && item.state === "open") this.items = [item, ...others];
      else toast(item.state === "open" ? `Somebody else is looking at item ${id}.` : `Item ${id} is ${item.state === "done" ? "decided" : "discarded"} already.`, "bad");
    } catch (error) {
      if (!error.code) throw error;
      toast(error.message, "bad");
    }
  }

  async refilter() {
    history.replaceState(null, "", this.filters.address());
    this.lease.release();
    this.items = [];
    await this.borrow();
  }

  get item() {
    return this.items[this.at];
  }

  go(at) {
    this.at = Math.max(0, Math.min(this.items.length - 1, at));
    this.draw(true);
  }

  draw(focus = false) {
    const { item } = this;
    history.replaceState(null, "", this.filters.address(item?.id ?? null));
    if (!item && this.filters.any) {
      fill(this.body, state("empty", "No product passes these filters"),
        h("p", { class: "centre" }, h("button", { type: "button", onclick: () => this.filters.clear() }, "All products")));
      return;
    }
    if (!item) {
      fill(this.body, state("empty", "Nothing waits for you",
        "Products come here when a seller asks, or when the model did not accept its prediction. You may also add some yourself."),
      h("p", { class: "centre" }, h("button", { type: "button", class: "main", onclick: () => this.add() }, "Add products"), " ",
        h("button", { type: "button", onclick: () => this.borrow() }, "Reload")));
      return;
    }
    this.heading = h("h2", { id: "item", tabindex: "-1" }, item.product.title || "Without a title");
    this.evidence = h("div", { class: "evidence" });
    const product = this.product(item);
    fill(this.body, h("div", { class: "desk" }, this.queue(), product, this.choices(item)), this.quick(item));
    showEvidence(this.evidence, item, product);
    if (focus) this.heading.focus({ preventScroll: true });
    this.body.querySelector(".waiting [aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  queue() {
    const sure = this.items.filter((item) => confidence(item) >= this.floor);
    const all = sure.length > 0 && sure.every(({ id }) => this.selected.has(id));
    const toggleAll = () => {
      this.selected = new Set(all ? [] : sure.map(({ id }) => id));
      this.draw();
      document.getElementById("all").focus();
    };
    const number = this.selected.size;
    return h("section", { class: "waiting", "aria-labelledby": "waiting" },
      h("h2", { id: "waiting", class: "hidden" }, "Waiting"),
      h("div", { class: "bulk" },
        h("input", { type: "checkbox", id: "all", checked: all, disabled: !sure.length, onchange: toggleAll }),
        h("label", { for: "all" }, this.floor > 0 ? `All from ${percent(this.floor)}` : "All"),
        h("button", { type: "button", disabled: !number, onclick: () => this.acceptSelected() },
          number ? `Accept ${plural(number, "first suggestion")}` : "Accept selected")),
      h("ol", {}, this.items.map((item, i) => this.line(item, i))));
  }

  line(item, i) {
    const name = item.product.title || "Without a title";
    const [first] = alternatives(item.prediction, 1);
    const box = h("input", { type: "checkbox", checked: this.selected.has(item.id), "aria-label": `Select ${name}`,
      onchange: () => { this.toggle(item); this.body.querySelectorAll(".waiting li input")[i].focus(); } });
    const face = item.images[0] ? h("img", { class: "face", src: imageUrl(item.images[0]), alt: "", loading: "lazy" }) : h("span", { class: "face" });
    return h("li", {}, box, h("button", { type: "button", class: "open", "aria-current": i === this.at ? "true" : null, onclick: () => this.go(i) },
      face, h("span", { class: "words" }, h("span", { class: "name" }, name),
        h("span", { class: "quiet" }, `${percent(first.confidence)} ${first.path.at(-1)}`))));
  }

  toggle(item) {
    if (!this.selected.delete(item.id)) this.selected.add(item.id);
    this.draw();
  }

  product(item) {
    const { title: _, description, id, ...others } = item.product;
    const images = item.images.map((address, i) => h("button", { type: "button", class: "picture", onclick: () => zoom(imageUrl(address), `Image ${i + 1} of the product`) },
      h("img", { src: imageUrl(address), alt: `Image ${i + 1} of the product. Zoom` })));
    const facts = Object.entries(others).filter(([, value]) => value);
    return h("section", { class: "card product", "aria-labelledby": "item" },
      this.heading,
      h("p", { class: "quiet" }, id && `Product ${id} · `, `queued ${age(item.queued_at)} by `,
        h("button", { type: "button", class: "link", onclick: () => this.filters.set("by", item.queued_by) }, item.queued_by)),
      h("p", { class: "quiet" }, [`item ${item.id}`, item.priority !== 1 && `priority ${count(item.priority)}`,
        item.needed > 1 && "two people decide it"].filter(Boolean).join(" · ")),
      images.length ? h("div", { class: "images" }, images) : h("p", { class: "no-image" }, "No image"),
      missingImages(item.missing_images),
      description && h("p", { class: "description" }, description),
      facts.length > 0 && h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      this.note(item));
  }

  note(item) {
    const text = h("textarea", { rows: "2", maxlength: "2000", "aria-label": "Note for other reviewers", placeholder: "A note for other reviewers",
      value: item.note, onchange: () => this.annotate(item, { note: text.value }) });
    return h("div", { class: "note" }, text, h("button", { type: "button", class: "facet", "aria-pressed": String(item.flagged), onclick: () => this.flag() }, item.flagged ? "⚑ Flagged" : "⚐ Flag"));
  }

  /** On a phone the first suggestions stay in sight. */
  quick(item) {
    return h("div", { class: "quick", role: "group", "aria-label": "First suggestions" }, alternatives(item.prediction, QUICK).map((one) =>
      h("button", { type: "button", onclick: () => this.choose(one.id, one.path) }, h("span", { class: "name" }, one.path.at(-1)), h("span", { class: "quiet" }, percent(one.confidence)))));
  }

  choices(item) {
    const suggestions = alternatives(item.prediction, 9);
    return h("section", { class: "card", "aria-labelledby": "choices" },
      h("h2", { id: "choices" }, "Where does it belong?"),
      h("p", { class: "quiet why" }, decisionText(item.prediction)),
      item.label && h("p", { class: "kept" }, "It is in ", pathText(item.label), " now. ",
        h("button", { type: "button", onclick: () => this.keep() }, "Keep it")),
      otherProblems(item).map((problem) => h("p", { class: "fault" }, problem)),
      h("ul", { class: "suggestions" }, suggestions.map((suggestion, i) => h("li", {},
        h("button", { type: "button", class: "suggestion", onclick: () => this.choose(suggestion.id, suggestion.path) }, suggestionLine(suggestion, String(i + 1)))))),
      h("div", { class: "row start" },
        h("button", { type: "button", onclick: () => this.refine() }, "Refine the first …"),
        h("button", { type: "button", onclick: () => this.browse() }, "Another category …"),
        h("button", { type: "button", onclick: () => this.skip() }, "Skip"),
        h("button", { type: "button", onclick: () => this.discard() }, "Discard")), this.evidence);
  }

  // -- deciding --------------------------------------------------------------------------------------

  /** One action at a time: a second key during the first is not meant for the next product. */
  async alone(act) {
    if (this.busy) return;
    this.busy = true;
    this.body.setAttribute("aria-busy", "true");
    try {
      await act();
    } catch (error) {
      if (!error.code) throw error;
      toast(error.message, "bad");
    } finally {
      this.busy = false;
      this.body.removeAttribute("aria-busy");
    }
  }

  choose(chosen, path) {
    const { item } = this;
    item.key ??= crypto.getRandomValues(new Uint32Array(4)).join("-");
    return this.alone(async () => {
      try {
        await post(`v1/review/items/${item.id}/decide`, { chosen, token: item.token }, { key: `${item.key}-${chosen}`.slice(0, 180) });
      } catch (error) {
        if (error.code === "stale_suggestion") return this.changed(item);
        if (error.status !== 409) throw error;
        toast(error.message, "bad");
        return this.gone([item.id]);
      }
      toast(`${path.join(" › ")}.`, "good", { label: "Undo", run: () => this.undo() });
      await this.gone([item.id]);
    });
  }

  /** Nothing was decided: the product was sent again since it is shown here. */
  async changed(item) {
    toast("This product has changed meanwhile. Look at it again.", "bad");
    const now = await get(`v1/review/items/${item.id}`);
    this.items = this.items.map((one) => (one.id === now.id ? now : one));
    this.selected.delete(item.id);
    this.draw(true);
  }

  skip() {
    const { item } = this;
    return this.alone(async () => {
      await post(`v1/review/items/${item.id}/skip`);
      toast("Left to others.", "", { label: "Undo", run: () => this.undo() });
      await this.gone([item.id]);
    });
  }

  /** Confirm the category that the product has. */
  keep() {
    const { label } = this.item;
    return label ? this.choose(label, label.split(" > ")) : null;
  }

  discard() {
    const { item } = this;
    return this.alone(async () => {
      await post(`v1/review/items/${item.id}/discard`);
      toast("Discarded without a decision.", "", { label: "Undo", run: () => this.undo() });
      await this.gone([item.id]);
    });
  }

  flag() {
    return this.annotate(this.item, { flagged: !this.item.flagged });
  }

  annotate(item, change) {
    return this.alone(async () => {
      const now = await ask("PUT", `v1/review/items/${item.id}/note`, change);
      Object.assign(item, { note: now.note, flagged: now.flagged });
      const box = this.body.querySelector(".note");
      if (item === this.item && box) box.replaceWith(this.note(item));
    });
  }

  /** What this person did, each with a button that undoes it. */
  async listHistory() {
    const { actions } = await get("v1/review/history");
    const line = (one) => h("li", {}, h("span", {}, `${age(one.at)}: ${one.kind} `, h("strong", {}, one.title || `item ${one.item_id}`), one.chosen.length > 0 && ` › ${one.chosen.at(-1)}`), " ",
      one.undone ? h("span", { class: "quiet" }, "undone") : h("button", { type: "button", class: "link", onclick: () => this.undoItem(one.item_id) }, "Undo"));
    fill(this.history, actions.length ? h("ol", { class: "done" }, actions.map(line)) : h("p", { class: "quiet" }, "Nothing yet."));
  }

  undoItem(id) {
    return this.alone(async () => {
      const item = await post(`v1/review/items/${id}/undo`);
      if (item.leased_to_you) {
        this.items = [item, ...this.items.filter((one) => one.id !== id)];
        this.filters.count(this.filters.number + 1);
        this.at = 0;
      }
      this.draw(true);
      this.measure();
      await this.listHistory();
    });
  }

  /** Take back the last decision, skip or discard; `times`: that many, where they were accepted together. */
  undo(times = 1) {
    return this.alone(async () => {
      let elsewhere = 0;
      for (let i = 0; i < times; i += 1) {
        const item = await post("v1/review/undo");
        const others = this.items.filter(({ id }) => id !== item.id);
        this.items = item.leased_to_you ? [item, ...others] : others;
        if (!item.leased_to_you) elsewhere += 1;
      }
      this.filters.count(this.filters.number + times - elsewhere);
      this.at = 0;
      this.draw(true);
      if (elsewhere) toast(`Undone. ${plural(elsewhere, "product is", "products are")} leased to somebody else just now.`);
      else toast(times > 1 ? `${plural(times, "product")} undone: they are in your queue again.` : "Undone: it is in your queue again.");
      this.measure();
    });
  }

  async browse() {
    const { item } = this;
    const node = await pick(item.product.title ?? "");
    if (node && item === this.item) this.choose(node.id, node.path);
  }

  /** Open the tree at the first suggestion: its neighbors, and what lies above and below. */
  async refine() {
    const { item } = this;
    const node = await pick(item.product.title ?? "", { at: item.prediction.best.split(" > ") });
    if (node && item === this.item) this.choose(node.id, node.path);
  }

  acceptSelected() {
    const ids = [...this.selected];
    if (!ids.length) return;
    return this.alone(async () => {
      const shown = this.items.filter(({ id }) => this.selected.has(id));
      const items = await acceptTogether(ids, Object.fromEntries(shown.map(({ id, token }) => [id, token])));
      if (!items) return;
      const failed = items.filter(({ error }) => error);
      const changed = failed.filter(({ error }) => error.code === "stale_suggestion").map(({ id }) => id);
      const done = items.length - failed.length;
      if (done) toast(`${plural(done, "first suggestion")} accepted.`, "good", { label: "Undo all", run: () => this.undo(done) });
      if (failed.length) toast(`${count(failed.length)} not accepted: ${failed[0].error.message}`, "bad");
      await this.gone(items.map(({ id }) => id).filter((id) => !changed.includes(id)));
      for (const item of this.items.filter(({ id }) => changed.includes(id))) await this.changed(item);
    });
  }

  /** These are leased to somebody else, or decided: unless one is being decided here. */
  lost(ids) {
    if (this.busy) return;
    this.gone(ids);
    toast(`${plural(ids.length, "product")} went to somebody else.`);
  }

  async gone(ids) {
    this.filters.count(Math.max(0, this.filters.number - ids.length));
    this.items = this.items.filter(({ id }) => !ids.includes(id));
    for (const id of ids) this.selected.delete(id);
    this.at = Math.min(this.at, Math.max(0, this.items.length - 1));
    this.measure();
    if (this.items.length) this.draw(true);
    else await this.borrow();
  }

  key(event) {
    const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog");
    if (!this.keys.checked || typing || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const act = this.act(event);
    if (!act) return;
    event.preventDefault();
    act();
  }

  act({ key, shiftKey }) {
    const name = key.toLowerCase();
    if (name === "u") return () => this.undo();
    if (!this.item) return null;
    if (/^[1-9]$/.test(key)) {
      const suggestion = alternatives(this.item.prediction, 9)[Number(key) - 1];
      return suggestion && (() => this.choose(suggestion.id, suggestion.path));
    }
    if (name === "a" && shiftKey) return () => this.acceptSelected();
    return {
      a: () => this.choose(this.item.prediction.best_id, this.item.prediction.best.split(" > ")),
      e: () => this.keep(), s: () => this.skip(), d: () => this.discard(), f: () => this.flag(), r: () => this.refine(), "/": () => this.browse(), x: () => this.toggle(this.item),
      j: () => this.go(this.at + 1), k: () => this.go(this.at - 1),
    }[name];
  }

  // -- how it goes, and more to do -------------------------------------------------------------------

  async measure() {
    try {
      const progress = await get("v1/review/progress");
      const all = progress.open + progress.done;
      const { agreement } = progress;
      const done = h("span", {});
      done.style.width = all ? `${(progress.done / all) * 100}%` : "0";
      fill(this.progress, h("span", { class: "share", "aria-hidden": "true" }, done), h("div", { class: "numbers" },
        figure(`${count(progress.done)} of ${count(all)}`, "reviewed"), figure(percent(progress.acceptance), "first suggestion right"),
        progress.batch > 0 && figure(count(progress.batch), "accepted together"),
        figure(percent(agreement.rate), "reviewers agree"), progress.skipped_by_you > 0 && figure(count(progress.skipped_by_you), "skipped by you")));
      fill(this.people, peopleTable(progress));
    } catch (error) {
      if (!error.code) throw error;
      fill(this.progress, h("p", { class: "quiet" }, `Progress is not known: ${error.message}`));
    }
  }

  add() {
    const lines = h("textarea", { id: "lines", rows: "8", placeholder: "One title a line" });
    const every = h("input", { type: "checkbox", id: "every" });
    const fault = h("p", { class: "fault", role: "alert" });
    const send = async (event) => {
      event.preventDefault();
      const products = lines.value.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => ({ title: line }));
      if (!products.length) return lines.focus();
      try {
        const { queued, auto_accepted: accepted } = await post(`v1/review/items${every.checked ? "?include_accepted=true" : ""}`, { products });
        dialog.close();
        toast(`${plural(queued, "product")} added${accepted ? `; the model accepts ${count(accepted)} more` : ""}.`, "good");
        await this.borrow();
        this.measure();
      } catch (error) {
        fault.textContent = error.message;
      }
    };
    const dialog = h("dialog", { "aria-labelledby": "adding", onclose: () => dialog.remove() },
      h("form", { onsubmit: send }, h("h2", { id: "adding" }, "Add products to the queue"),
        h("label", { for: "lines" }, "Titles, one a line"), lines,
        h("label", { class: "check", for: "every" }, every, "Also those that the model accepts"), fault,
        h("div", { class: "row start" }, h("button", { type: "submit", class: "main" }, "Add"),
          h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"))));
    document.body.append(dialog);
    dialog.showModal();
  }
}

/** Problems of the prediction, without those of images, which are listed under the product. */
const otherProblems = ({ prediction, missing_images: missing }) => prediction.problems.filter((problem) =>
  !missing.some(({ image, reason }) => problem === `image ${image}: ${reason}`));

/** How long ago, in words. */
function age(at) {
  const minutes = Math.round((Date.now() - at) / 60000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${plural(minutes, "minute")} ago`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${plural(hours, "hour")} ago` : `${plural(Math.round(hours / 24), "day")} ago`;
}

const figure = (value, what) => h("span", { class: "figure" }, h("strong", {}, value), " ", h("span", { class: "quiet" }, what));

function peopleTable({ people, agreement, by_pair: pairs, disagreements }) {
  const corrected = agreement.scotts_pi === null ? "" : ` (${agreement.scotts_pi.toFixed(2)} corrected for chance, Scott's pi)`;
  const agree = agreement.pairs ? `On ${plural(agreement.pairs, "product")} that two people decided, they agree on ${percent(agreement.rate)}${corrected}.`
    : "No two people have decided the same product yet.";
  if (!people.length) return h("p", {}, "Nobody has decided anything yet. ", agree);
  return [h("table", {}, h("thead", {}, h("tr", {}, ["Person", "Decided", "Together", "First suggestion right"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, people.map((one) => h("tr", {}, h("th", { scope: "row" }, one.person), h("td", {}, count(one.decided)), h("td", {}, count(one.batch)), h("td", {}, percent(one.acceptance)))))),
  h("p", {}, agree), pairs.length > 1 && matrix(pairs), disagreements.length > 0 && [h("p", {}, "Chosen for the same product:"),
    h("ul", {}, disagreements.slice(0, 8).map(({ categories, items }) => h("li", {}, pathText(categories[0]), " and ", pathText(categories[1]), `: ${plural(items, "product")}`)))]];
}

/** Who agrees with whom: the share of the products that both decided. */
function matrix(pairs) {
  const names = [...new Set(pairs.flatMap(({ people }) => people))].sort();
  const cell = (one, other) => {
    const pair = pairs.find(({ people }) => people.includes(one) && people.includes(other));
    return h("td", { title: pair ? `${pair.agreed} of ${plural(pair.items, "product")}` : null }, one === other || !pair ? "" : percent(pair.agreed / pair.items));
  };
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Who agrees with whom" }, h("table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Agree"), names.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, names.map((one) => h("tr", {}, h("th", { scope: "row" }, one), names.map((other) => cell(one, other)))))));
}

const stored = (name) => { try { return localStorage.getItem(`aisle-${name}`); } catch { return null; } };
const store = (name, value) => { try { localStorage.setItem(`aisle-${name}`, value); } catch { /* not allowed */ } };
