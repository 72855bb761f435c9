// Sell: products queued, suggestions while a title is typed, one key to accept.

import { post, query } from "./api.js";
import { debounced, fill, h, missingImages, paced, pathText, percent, plural, state, toast } from "./dom.js";
import * as store from "./drafts.js";
import { examples } from "./examples.js";
import { pick } from "./picker.js";
import { imagesOf, taken } from "./images.js";
import { send } from "./batch_page.js";
import { pastedTable, tableOf } from "./upload.js";
import { alternatives, suggestionLine } from "./suggestions.js";

export const title = "Sell";
const PACE = 60; // ms from one request to the next while a title is typed
const PAUSE_IMAGES = 400; // ms without a key before images are sent again
const COUNT = 5;
const MOST_IMAGES = 20;
const PAUSE_WORD = 600; // ms without a key after which the last word counts as finished
const LATE = "The suggestions for the present text are on their way.";
const STATES = { draft: "", sending: "sending …", waiting: "waiting for the server", saved: "saved", asked: "with a reviewer" };

/** Show the page; returns what to do when it is left. */
export function show(main, rest, me, address) {
  const page = new Sell(main, address);
  return () => page.close();
}

class Sell {
  constructor(main, address) {
    this.build(main);
    this.ending = new AbortController();
    this.adding = new Set(); // products whose images are being read
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    on(window, "paste", (event) => this.pasted(event));
    on(window, "dragover", (event) => { event.preventDefault(); this.drop.classList.add("over"); });
    on(window, "dragleave", (event) => { if (!event.relatedTarget) this.drop.classList.remove("over"); });
    on(window, "drop", (event) => this.dropped(event));
    on(window, "server-back", () => { if (this.found.fault || !store.open(this.draft)) this.suggest(); });
    on(window, "drafts-sent", (event) => this.sent(event.detail));
    on(window, "drafts-changed", () => this.synchronize());
    this.later = paced(() => this.suggest(), PACE);
    this.laterImages = debounced(() => this.suggest(), PAUSE_IMAGES);
    this.laterWord = debounced((found) => this.asItIs(found), PAUSE_WORD);
    this.laterAddress = debounced(() => named(this.draft), PAUSE_WORD);
    this.open(store.drafts.find(({ uid }) => uid === address.get("draft")) ?? given(address) ?? store.drafts.find(store.open) ?? store.added());
    named(this.draft);
  }

  close() {
    this.ending.abort();
    this.asking?.abort();
    this.later.cancel();
    this.laterImages.cancel();
    this.laterWord.cancel();
    this.laterAddress.cancel();
  }

  build(main) {
    const typed = (name) => (event) => this.typed(name, event.target.value);
    this.title = h("input", { id: "title", class: "title", autocomplete: "off", spellcheck: "true", maxlength: "10000",
      placeholder: "for example: oak wall clock", role: "combobox", "aria-expanded": "false",
      "aria-controls": "suggestions", "aria-autocomplete": "list", "aria-describedby": "title-help",
      oninput: typed("title"), onkeydown: (event) => this.key(event) });
    this.description = h("textarea", { id: "description", rows: "4", maxlength: "200000",
      placeholder: "Material, size, who it is for …", oninput: typed("description") });
    this.sku = h("input", { id: "sku", autocomplete: "off", spellcheck: "false", maxlength: "200",
      placeholder: "given by itself", oninput: typed("sku") });
    this.file = h("input", { id: "file", type: "file", class: "hidden", accept: "image/*", multiple: true,
      onchange: () => { this.take([...this.file.files]); this.file.value = ""; } });
    this.previews = h("ul", { class: "previews", "aria-label": "Images" });
    this.drop = h("div", { class: "drop" }, this.previews, this.file,
      h("label", { for: "file", class: "button" }, "Add images"),
      h("span", { class: "quiet wide" }, "or drop or paste them anywhere"));
    this.suggestions = h("ul", { id: "suggestions", class: "suggestions", role: "listbox", "aria-label": "Suggested categories" });
    this.status = h("div", { class: "status", "aria-live": "polite" });
    this.examples = examples((words) => { this.title.value = words; this.typed("title", words); this.title.focus(); });
    this.list = h("ol", { class: "drafts" });
    this.summary = h("p", { class: "quiet", role: "status" });
    this.ask = h("button", { type: "button", onclick: () => this.askReviewer() }, "Ask a reviewer");
    const editor = h("section", { class: "card editor", "aria-labelledby": "editing" },
      h("h2", { id: "editing", class: "hidden" }, "This product"),
      h("label", { for: "title" }, "Title"), this.title,
      h("p", { id: "title-help", class: "hint by-keys" }, key("Enter"), " accepts the marked category, ", key("↑"), key("↓"),
        " mark another. Several lines pasted here become several products."),
      this.touch = h("p", { class: "hint by-touch" }),
      h("div", { class: "suggested" }, h("h3", {}, "Where it belongs"), this.status, this.suggestions,
        h("div", { class: "row start" },
          h("button", { type: "button", onclick: () => this.browse() }, "Browse or search the tree"), this.ask)),
      h("label", { for: "description" }, "Description ", h("span", { class: "quiet" }, "(makes suggestions better)")), this.description,
      h("span", { class: "label" }, "Images"), this.drop,
      h("label", { for: "sku" }, "Your product number ", h("span", { class: "quiet" }, "(optional)")), this.sku);
    const queue = h("section", { class: "queue", "aria-labelledby": "queued" },
      h("div", { class: "row" }, h("h2", { id: "queued" }, "Products"),
        h("button", { type: "button", onclick: () => this.open(store.added(), true) }, "+ New")),
      this.summary, this.list,
      h("p", { class: "quiet many" }, "Many products? ", h("a", { href: "#/batch" }, "Drop a file"), ", or paste rows of a spreadsheet."));
    this.sending = h("div", { class: "sending" });
    fill(main, h("h1", { class: "hidden" }, "Sell: categorize your products"), this.sending, h("div", { class: "columns" }, queue, editor));
  }

  // -- which product ---------------------------------------------------------------------------------

  open(draft, focus = false) {
    for (const other of store.drafts.filter((one) => one !== draft && store.open(one) && store.untouched(one))) store.removed(other);
    const other = this.draft && this.draft !== draft;
    this.draft = draft;
    if (other) named(draft, true);
    this.title.value = draft.title;
    this.description.value = draft.description;
    this.sku.value = draft.sku;
    this.found = { suggestions: [] };
    this.drawImages();
    this.drawSuggestions();
    this.drawList();
    this.suggest();
    if (focus) this.title.focus();
  }

  next() {
    const at = store.drafts.indexOf(this.draft);
    const others = [...store.drafts.slice(at + 1), ...store.drafts.slice(0, at)];
    this.open(others.find(store.open) ?? store.added(), true);
  }

  drawList() {
    const saved = store.drafts.filter((one) => one.state === "saved" || one.state === "asked").length;
    const open = store.drafts.filter(store.open).length;
    this.summary.textContent = `${open} to categorize, ${saved} done`;
    fill(this.list, store.drafts.map((draft) => {
      const name = draft.title.trim() || "Untitled product";
      const blank = h("span", { class: "face", "aria-hidden": "true" });
      const face = draft.images[0] ? h("img", { src: draft.images[0].url, alt: "", class: "face", onerror: (event) => event.target.replaceWith(blank) }) : blank;
      const where = draft.path && !store.open(draft) ? draft.path.join(" › ") : "";
      return h("li", { class: `draft ${draft.state}` },
        h("button", { type: "button", class: "open", "aria-current": draft === this.draft ? "true" : null, onclick: () => this.open(draft, true) },
          face, h("span", { class: "words" }, h("span", { class: "name" }, name),
            h("span", { class: "quiet" }, [STATES[draft.state], where].filter(Boolean).join(": ") || "to be categorized"))),
        h("button", { type: "button", class: "plain remove", "aria-label": `Remove ${name}`, onclick: () => this.remove(draft) }, "×"));
    }));
    this.list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    store.save();
  }

  /** Another tab has changed, added or removed products. */
  synchronize() {
    const { draft } = this;
    if (!store.drafts.includes(draft)) return this.open(store.drafts.find(store.open) ?? store.added());
    const changed = ["title", "description", "sku"].filter((name) => this[name].value !== draft[name]);
    for (const name of changed) this[name].value = draft[name];
    this.drawList();
    this.drawSuggestions();
    if (changed.length) this.suggest();
  }

  remove(draft) {
    store.removed(draft);
    if (draft === this.draft) this.open(store.drafts.find(store.open) ?? store.added(), true);
    else this.drawList();
  }

  // -- what is typed and shown -----------------------------------------------------------------------

  typed(name, value) {
    this.draft[name] = value;
    this.reopen();
    this.drawList();
    this.laterAddress();
    if (name === "sku") return;
    this.drawSuggestions();
    this.began = performance.now();
    (this.draft.images.length ? this.laterImages : this.later)();
  }

  /** Changing a product that is saved, or still to be sent, opens it again. */
  reopen() {
    store.reopen(this.draft);
  }

  /** Whether what is suggested answers the words and images as they are now. */
  get fresh() {
    const { draft, found } = this;
    return found.about === store.content(draft) && !this.adding.has(draft)
      && this.title.value === draft.title && this.description.value === draft.description;
  }

  pasted(event) {
    const files = imagesOf(event.clipboardData);
    if (files.length) {
      event.preventDefault();
      return this.take(files);
    }
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const table = event.target === this.description ? null : pastedTable(text);
    if (table) {
      event.preventDefault();
      return send(table, this.sending);
    }
    const lines = text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
    if (event.target !== this.title || lines.length < 2) return;
    event.preventDefault();
    for (const line of lines) store.added(line);
    const first = store.drafts[store.drafts.length - lines.length];
    this.open(store.untouched(this.draft) ? first : this.draft, true);
    toast(`${plural(lines.length, "product")} added, one a line.`);
  }

  dropped(event) {
    event.preventDefault();
    this.drop.classList.remove("over");
    const files = imagesOf(event.dataTransfer);
    const table = tableOf(event.dataTransfer);
    if (files.length) this.take(files);
    else if (table) send(table, this.sending);
    else toast("Images, or a file of products, can be dropped here.", "bad");
  }

  async take(files) {
    const { draft } = this;
    const room = MOST_IMAGES - draft.images.length;
    if (files.length > room) toast(`A product may have ${MOST_IMAGES} images.`, "bad");
    draft.lost = [];
    this.adding.add(draft);
    this.drawSuggestions();
    for (const file of files.slice(0, Math.max(0, room))) draft.images.push(await taken(file));
    this.adding.delete(draft);
    if (draft !== this.draft) return this.drawList();
    this.reopen();
    this.drawImages();
    this.drawList();
    this.suggest();
  }

  drawImages() {
    fill(this.previews, this.draft.images.map((one, i) => {
      const off = () => {
        URL.revokeObjectURL(one.url);
        this.draft.images.splice(this.draft.images.indexOf(one), 1);
        this.reopen();
        this.drawImages();
        this.drawList();
        this.suggest();
      };
      const image = h("img", { src: one.url, alt: `Image ${i + 1}: ${one.name}`,
        onerror: () => image.replaceWith(h("span", { class: "broken" }, "cannot be shown")) });
      return h("li", {}, image, h("button", { type: "button", "aria-label": `Remove image ${i + 1}`, onclick: off }, "×"));
    }));
  }

  // -- suggestions -----------------------------------------------------------------------------------

  async suggest() {
    const { draft, began } = this;
    this.asking?.abort();
    this.later.cancel();
    this.laterImages.cancel();
    if (!store.open(draft) || store.untouched(draft)) return this.shown(draft, { suggestions: [] });
    const asking = new AbortController();
    this.asking = asking;
    if (this.found.fault) this.found = { suggestions: [] };
    this.drawSuggestions();
    try {
      const found = draft.images.length ? await this.withImages(draft, asking.signal) : await this.fromText(draft, asking.signal);
      if (this.asking === asking && found.about === store.content(draft)) this.shown(draft, found);
      if (began) performance.measure("aisle: typed to shown", { start: began });
    } catch (error) {
      if (!error.code) throw error;
      if (error.code === "cancelled" || this.asking !== asking) return;
      this.shown(draft, { suggestions: [], fault: error.message });
      if (error.after) setTimeout(() => { if (this.asking === asking) this.suggest(); }, error.after * 1000);
    }
  }

  async fromText(draft, signal, finished = false) {
    const { title, description } = draft;
    if (!title.trim()) {
      const one = await store.classified(draft, { signal });
      return ofPrediction(one, "from the description");
    }
    const about = store.content(draft);
    const answer = await post("v1/suggest", { title, description, count: COUNT, finished }, { signal });
    const suggestions = answer.suggestions.map(({ id, path, confidence, reason }) => ({ id, path, confidence, reason }));
    return { suggestions, about, token: answer.token, completed: answer.completed, unsure: answer.unsure, model: answer.model, modelId: answer.model_id };
  }

  /** After a pause the title is read as it is, unless a person has begun to choose. */
  async asItIs(found) {
    if (this.found !== found || this.moved || !this.fresh) return;
    const whole = await this.fromText(this.draft, undefined, true).catch(() => null);
    if (whole && this.found === found && !this.moved && this.fresh) this.shown(this.draft, whole);
  }

  async withImages(draft, signal) {
    const given = draft.images.length;
    const one = await store.classified(draft, { signal });
    return ofPrediction(one, basis(Boolean(draft.title.trim() || draft.description.trim()), one.images_read, given));
  }

  shown(draft, found) {
    if (draft !== this.draft) return;
    this.found = found;
    this.active = found.unsure ? -1 : 0; // what is only guessed is not marked: no single key accepts it
    this.moved = false;
    this.drawSuggestions();
    if (found.completed) this.laterWord(found);
  }

  drawSuggestions() {
    const { suggestions, fault, problems, unsure, conflict } = this.found;
    const { draft } = this;
    const settled = !store.open(draft);
    this.ask.hidden = settled;
    this.touch.textContent = unsure ? "Tapping a guess marks it, tapping it again accepts it." : "Tapping a category accepts it.";
    fill(this.status, settled ? this.settled() : fault ? state("bad", "No suggestions just now", fault, () => this.suggest())
      : !suggestions.length && store.untouched(draft) ? [h("p", { class: "quiet" }, "Suggestions appear here as you type."), this.examples] : null,
    !settled && unsure && notKnown(unsure),
    !settled && conflict && conflictText(conflict),
    !settled && missingImages(draft.lost),
    !settled && (problems ?? []).map((problem) => h("p", { class: "fault" }, problem)));
    fill(this.suggestions, settled ? [] : suggestions.map((suggestion, i) => h("li", { id: `suggestion-${i}`, role: "option", class: "suggestion",
      "aria-selected": i === this.active ? "true" : "false", onclick: () => this.pressed(i) }, suggestionLine(suggestion, i === this.active ? "↵" : ""))));
    this.suggestions.hidden = settled || !suggestions.length;
    this.suggestions.toggleAttribute("aria-busy", false);
    if (!settled && !fault && !store.untouched(draft) && !this.fresh) this.suggestions.setAttribute("aria-busy", "true");
    this.title.setAttribute("aria-expanded", String(!this.suggestions.hidden));
    if (this.suggestions.hidden || this.active < 0) this.title.removeAttribute("aria-activedescendant");
    else this.title.setAttribute("aria-activedescendant", `suggestion-${this.active}`);
  }

  settled() {
    const { draft } = this;
    const message = { saved: "Saved in ", sending: "Sending: ", waiting: "To be sent when the server is back: ", asked: "A reviewer will look at it." }[draft.state];
    return [h("p", { class: `settled ${draft.state}` }, message, draft.state !== "asked" && draft.path && pathText(draft.path), " ",
      draft.state !== "sending" && h("button", { type: "button", onclick: () => { store.reopen(draft); this.open(draft, true); } }, "Change"),
      (draft.feedback || draft.state === "waiting") && h("button", { type: "button", onclick: () => this.undo(draft) }, "Undo")), missingImages(draft.missing)];
  }

  key(event) {
    const { length } = this.found.suggestions;
    if (event.isComposing) return;
    if (event.key === "Enter") {
      event.preventDefault();
      if (!store.open(this.draft)) this.next();
      else this.accept(this.active);
    } else if (event.key === "z" && (event.ctrlKey || event.metaKey) && !this.title.value && this.last) {
      event.preventDefault();
      this.undo(this.last);
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && length && store.open(this.draft)) {
      event.preventDefault();
      this.mark(event.key === "ArrowDown" ? (this.active + 1) % length : (Math.max(this.active, 0) + length - 1) % length);
      document.getElementById(`suggestion-${this.active}`).scrollIntoView({ block: "nearest" });
    }
  }

  mark(i) {
    this.active = i;
    this.moved = true;
    this.drawSuggestions();
  }

  // -- deciding --------------------------------------------------------------------------------------

  /** A click or a tap accepts; a guess is only marked by the first one. */
  pressed(i) {
    if (!this.found.unsure || this.active === i) return this.accept(i);
    this.mark(i);
    this.title.focus({ preventScroll: true });
  }

  /** Only suggestions for the product as it is now can be accepted. */
  accept(i) {
    const suggestion = this.found.suggestions[i];
    if (this.fresh && i < 0) return toast("Nothing is likely, so nothing is accepted. Mark a guess first, or browse the tree.");
    if (this.fresh) return suggestion && (this.found.completed ? this.finish(suggestion, this.moved) : this.choose(suggestion.id, suggestion.path));
    if (!store.untouched(this.draft) && !this.found.fault) toast(LATE);
  }

  /** A suggestion for an unfinished word is saved only if the title as it is agrees. */
  async finish({ id, path }, chosen) {
    const { draft, found } = this;
    this.laterWord.cancel();
    let whole;
    try {
      whole = await this.fromText(draft, undefined, true);
    } catch (error) {
      if (!error.code) throw error;
      whole = { ...found, completed: null, suggestions: [], token: null }; // a person's choice, without suggestions
    }
    if (draft !== this.draft) return;
    const agrees = chosen || !whole.suggestions.length || (whole.suggestions[0].id === id && !whole.unsure);
    this.shown(draft, whole);
    if (!this.fresh) toast(LATE);
    else if (agrees) this.choose(id, path);
    else toast("The title as it is belongs elsewhere: look at the suggestions again.");
  }

  async browse() {
    const { draft } = this;
    const node = await pick(draft.title);
    if (node && draft === this.draft) this.choose(node.id, node.path);
  }

  async choose(chosen, path) {
    const { draft } = this;
    const found = this.fresh ? this.found : { suggestions: [] }; // a category from the tree is independent of suggestions
    if (store.untouched(draft)) return toast("Give the product a title or an image first.", "bad");
    const offered = found.suggestions.map(({ id, confidence }) => ({ id, confidence: Math.max(0, Math.min(1, confidence)) }));
    Object.assign(draft, { chosen, path, offered, token: found.token, model: found.model, modelId: found.modelId, key: crypto.getRandomValues(new Uint32Array(4)).join("-") });
    this.last = draft;
    const sending = store.send(draft);
    this.next();
    try {
      await sending;
      const without = draft.missing?.length ? ` ${plural(draft.missing.length, "image")} could not be read: not stored.` : "";
      if (draft.state === "saved") toast(`Saved in ${path.join(" › ")}.${without}`, "good", { label: "Undo", run: () => this.undo(draft) });
    } catch (error) {
      toast(`${draft.title || "The product"} was not saved: ${error.message}`, "bad", { label: "Look", run: () => this.open(draft, true) });
    }
    this.drawList();
    if (draft === this.draft) this.drawSuggestions();
  }

  /** Take the last decision back: what was stored no longer counts. */
  async undo(draft) {
    try {
      await store.undo(draft);
    } catch (error) {
      return toast(`Not undone: ${error.message}`, "bad");
    }
    store.save();
    toast(`${draft.title.trim() || "The product"} is to be categorized again.`);
    if (this.last === draft) this.last = null;
    if (this.ending.signal.aborted) location.hash = `#/sell?draft=${encodeURIComponent(draft.uid)}`;
    else this.open(draft, true);
  }

  async askReviewer() {
    const { draft } = this;
    if (store.untouched(draft)) return toast("Give the product a title or an image first.", "bad");
    try {
      const one = await store.classified(draft, { review: true });
      if (one.about !== store.content(draft)) toast("The product has changed meanwhile: ask again.", "bad");
      else if (one.review_id) {
        draft.state = "asked";
        toast("A reviewer will look at it.", "good");
        this.next();
      } else toast(`Not needed: the model accepts ${one.prediction.path}. Accept it, or choose another category.`);
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  /** A waiting product was sent, or still waits, or was refused. */
  sent({ draft, fault }) {
    if (fault) toast(`${draft.title || "The product"} was not saved: ${fault.message}`, "bad", { label: "Look", run: () => this.open(draft, true) });
    this.drawList();
    if (draft === this.draft) this.drawSuggestions();
  }
}

/** The address names the product that is worked on: Back, a reload and a link to somebody else show it again. */
function named(draft, step = false) {
  const { uid, title, description } = draft;
  const words = { title: title.slice(0, 300), description: description.slice(0, 1000) };
  const hash = `#/sell${query(store.untouched(draft) ? {} : { draft: uid, ...words })}`;
  if (hash === location.hash) return;
  history[step ? "pushState" : "replaceState"](null, "", hash);
}

/** The product of an address that another browser wrote. */
function given(address) {
  const title = address.get("title") ?? "", description = address.get("description") ?? "";
  if (!title && !description) return null;
  const same = store.drafts.find((one) => store.open(one) && one.title === title && one.description === description);
  return same ?? Object.assign(store.added(title), { description });
}

const key = (name) => h("kbd", {}, name);

/** What a prediction was made from: words, and those images that were read. */
function basis(words, read, given) {
  const images = read === given ? plural(read, "image") : `${read} of ${plural(given, "image")}`;
  if (!read) return words ? "from the words alone" : "from nothing that could be read";
  return words ? `from the words and ${images}` : `from ${images}`;
}

/** Said where nothing is likely; the guesses follow, and none of them is marked. */
function notKnown(reason) {
  return h("div", { class: "unknown" }, h("p", { class: "state-title" }, "I don’t know"),
    h("p", {}, `${reason.charAt(0).toUpperCase()}${reason.slice(1)}. What follows are guesses: say more about the product, browse the tree, or ask a reviewer.`));
}

function conflictText({ text, image }) {
  const says = ({ path, confidence }) => [pathText(path), ` (${percent(confidence)})`];
  return h("p", { class: "conflict" }, "Image and text disagree. The image says ", says(image), ", the text says ", says(text), ".");
}

function ofPrediction({ prediction, model, token, about, unsure, conflict }, from) {
  const suggestions = alternatives(prediction, COUNT).map((suggestion, i) => ({ ...suggestion, reason: i ? "" : from }));
  return { suggestions, about, token, model, unsure, conflict, modelId: prediction.model_id, problems: prediction.problems };
}
