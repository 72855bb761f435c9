// Sell: products queued, suggestions while a title is typed, one key to accept.

import { post } from "./api.js";
import { debounced, fill, h, missingImages, paced, pathText, plural, state, toast } from "./dom.js";
import * as kept from "./drafts.js";
import { pick } from "./picker.js";
import { picturesOf, taken } from "./pictures.js";
import { alternatives, placeLine } from "./places.js";

export const title = "Sell";
const PACE = 60; // ms from one question to the next while a title is typed
const PAUSE_PICTURES = 400; // ms without a key before pictures go along again
const COUNT = 5;
const MOST_PICTURES = 20;
const PAUSE_WORD = 600; // ms without a key after which the last word counts as typed out
const LATE = "The suggestions for the present text are on their way.";
const STATES = { draft: "", sending: "sending …", waiting: "waiting for the server", placed: "placed", asked: "with a reviewer" };

/** Show the page; returns what to do when it is left. */
export function show(main) {
  const page = new Sell(main);
  return () => page.close();
}

class Sell {
  constructor(main) {
    this.build(main);
    this.ending = new AbortController();
    this.adding = new Set(); // products whose pictures are being read
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    on(window, "paste", (event) => this.pasted(event));
    on(window, "dragover", (event) => { event.preventDefault(); this.drop.classList.add("over"); });
    on(window, "dragleave", (event) => { if (!event.relatedTarget) this.drop.classList.remove("over"); });
    on(window, "drop", (event) => this.dropped(event));
    on(window, "server-back", () => { if (this.found.fault || !kept.open(this.draft)) this.suggest(); });
    on(window, "drafts-sent", (event) => this.sent(event.detail));
    this.later = paced(() => this.suggest(), PACE);
    this.laterPictures = debounced(() => this.suggest(), PAUSE_PICTURES);
    this.laterWord = debounced((found) => this.asItStands(found), PAUSE_WORD);
    this.open(kept.drafts.find(kept.open) ?? kept.added());
    kept.sendWaiting();
  }

  close() {
    this.ending.abort();
    this.asking?.abort();
    this.later.cancel();
    this.laterPictures.cancel();
    this.laterWord.cancel();
  }

  build(main) {
    const typed = (name) => (event) => this.typed(name, event.target.value);
    this.title = h("input", { id: "title", class: "title", autocomplete: "off", spellcheck: "true", maxlength: "10000",
      placeholder: "for example: oak wall clock", role: "combobox", "aria-expanded": "false",
      "aria-controls": "places", "aria-autocomplete": "list", "aria-describedby": "title-help",
      oninput: typed("title"), onkeydown: (event) => this.key(event) });
    this.description = h("textarea", { id: "description", rows: "4", maxlength: "200000",
      placeholder: "Material, size, who it is for …", oninput: typed("description") });
    this.sku = h("input", { id: "sku", autocomplete: "off", spellcheck: "false", maxlength: "200",
      placeholder: "given by itself", oninput: typed("sku") });
    this.file = h("input", { id: "file", type: "file", class: "hidden", accept: "image/*", multiple: true,
      onchange: () => { this.take([...this.file.files]); this.file.value = ""; } });
    this.previews = h("ul", { class: "previews", "aria-label": "Pictures" });
    this.drop = h("div", { class: "drop" }, this.previews, this.file,
      h("label", { for: "file", class: "button" }, "Add pictures"),
      h("span", { class: "quiet wide" }, "or drop or paste them anywhere"));
    this.places = h("ul", { id: "places", class: "places", role: "listbox", "aria-label": "Suggested categories" });
    this.told = h("div", { class: "told", "aria-live": "polite" });
    this.list = h("ol", { class: "drafts" });
    this.summary = h("p", { class: "quiet", role: "status" });
    this.ask = h("button", { type: "button", onclick: () => this.askReviewer() }, "Ask a reviewer");
    const editor = h("section", { class: "card editor", "aria-labelledby": "editing" },
      h("h2", { id: "editing", class: "hidden" }, "This product"),
      h("label", { for: "title" }, "Title"), this.title,
      h("p", { id: "title-help", class: "hint" }, key("Enter"), " accepts the marked place, ", key("↑"), key("↓"),
        " mark another. Several lines pasted here become several products."),
      h("div", { class: "suggested" }, h("h3", {}, "Where it belongs"), this.told, this.places,
        h("div", { class: "row start" },
          h("button", { type: "button", onclick: () => this.browse() }, "Browse or search the tree"), this.ask)),
      h("label", { for: "description" }, "Description ", h("span", { class: "quiet" }, "(makes suggestions better)")), this.description,
      h("span", { class: "label" }, "Pictures"), this.drop,
      h("label", { for: "sku" }, "Your product number ", h("span", { class: "quiet" }, "(optional)")), this.sku);
    const queue = h("section", { class: "queue", "aria-labelledby": "queued" },
      h("div", { class: "row" }, h("h2", { id: "queued" }, "Products"),
        h("button", { type: "button", onclick: () => this.open(kept.added(), true) }, "+ New")),
      this.summary, this.list);
    fill(main, h("h1", { class: "hidden" }, "Sell: place your products"), h("div", { class: "columns" }, queue, editor));
  }

  // -- which product ---------------------------------------------------------------------------------

  open(draft, focus = false) {
    for (const other of kept.drafts.filter((one) => one !== draft && kept.open(one) && kept.untouched(one))) kept.removed(other);
    this.draft = draft;
    this.title.value = draft.title;
    this.description.value = draft.description;
    this.sku.value = draft.sku;
    this.found = { places: [] };
    this.drawPictures();
    this.drawPlaces();
    this.drawList();
    this.suggest();
    if (focus) this.title.focus();
  }

  next() {
    const at = kept.drafts.indexOf(this.draft);
    const others = [...kept.drafts.slice(at + 1), ...kept.drafts.slice(0, at)];
    this.open(others.find(kept.open) ?? kept.added(), true);
  }

  drawList() {
    const placed = kept.drafts.filter((one) => one.state === "placed" || one.state === "asked").length;
    const open = kept.drafts.filter(kept.open).length;
    this.summary.textContent = `${open} to place, ${placed} done`;
    fill(this.list, kept.drafts.map((draft) => {
      const name = draft.title.trim() || "Untitled product";
      const blank = h("span", { class: "face", "aria-hidden": "true" });
      const face = draft.pictures[0] ? h("img", { src: draft.pictures[0].url, alt: "", class: "face", onerror: (event) => event.target.replaceWith(blank) }) : blank;
      const where = draft.path && !kept.open(draft) ? draft.path.join(" › ") : "";
      return h("li", { class: `draft ${draft.state}` },
        h("button", { type: "button", class: "open", "aria-current": draft === this.draft ? "true" : null, onclick: () => this.open(draft, true) },
          face, h("span", { class: "words" }, h("span", { class: "name" }, name),
            h("span", { class: "quiet" }, [STATES[draft.state], where].filter(Boolean).join(": ") || "to be placed"))),
        h("button", { type: "button", class: "plain remove", "aria-label": `Remove ${name}`, onclick: () => this.remove(draft) }, "×"));
    }));
    this.list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    kept.save();
  }

  remove(draft) {
    kept.removed(draft);
    if (draft === this.draft) this.open(kept.drafts.find(kept.open) ?? kept.added(), true);
    else this.drawList();
  }

  // -- what is typed and shown -----------------------------------------------------------------------

  typed(name, value) {
    this.draft[name] = value;
    this.reopen();
    this.drawList();
    if (name === "sku") return;
    this.drawPlaces();
    this.began = performance.now();
    (this.draft.pictures.length ? this.laterPictures : this.later)();
  }

  /** Changing a product that is placed, or still to be sent, opens it again. */
  reopen() {
    kept.reopen(this.draft);
  }

  /** Whether what is suggested answers the words and pictures as they are now. */
  get fresh() {
    const { draft, found } = this;
    return found.about === kept.content(draft) && !this.adding.has(draft)
      && this.title.value === draft.title && this.description.value === draft.description;
  }

  pasted(event) {
    const files = picturesOf(event.clipboardData);
    if (files.length) {
      event.preventDefault();
      return this.take(files);
    }
    const lines = (event.clipboardData?.getData("text/plain") ?? "").split(/\r?\n/).map((line) => line.trim()).filter(Boolean);
    if (event.target !== this.title || lines.length < 2) return;
    event.preventDefault();
    for (const line of lines) kept.added(line);
    const first = kept.drafts[kept.drafts.length - lines.length];
    this.open(kept.untouched(this.draft) ? first : this.draft, true);
    toast(`${plural(lines.length, "product")} added, one a line.`);
  }

  dropped(event) {
    event.preventDefault();
    this.drop.classList.remove("over");
    const files = picturesOf(event.dataTransfer);
    if (files.length) this.take(files);
    else toast("Only pictures can be dropped here.", "bad");
  }

  async take(files) {
    const { draft } = this;
    const room = MOST_PICTURES - draft.pictures.length;
    if (files.length > room) toast(`A product may have ${MOST_PICTURES} pictures.`, "bad");
    draft.lost = [];
    this.adding.add(draft);
    this.drawPlaces();
    for (const file of files.slice(0, Math.max(0, room))) draft.pictures.push(await taken(file));
    this.adding.delete(draft);
    if (draft !== this.draft) return this.drawList();
    this.reopen();
    this.drawPictures();
    this.drawList();
    this.suggest();
  }

  drawPictures() {
    fill(this.previews, this.draft.pictures.map((one, i) => {
      const off = () => {
        URL.revokeObjectURL(one.url);
        this.draft.pictures.splice(this.draft.pictures.indexOf(one), 1);
        this.reopen();
        this.drawPictures();
        this.drawList();
        this.suggest();
      };
      const image = h("img", { src: one.url, alt: `Picture ${i + 1}: ${one.name}`,
        onerror: () => image.replaceWith(h("span", { class: "broken" }, "cannot be shown")) });
      return h("li", {}, image, h("button", { type: "button", "aria-label": `Remove picture ${i + 1}`, onclick: off }, "×"));
    }));
  }

  // -- suggestions -----------------------------------------------------------------------------------

  async suggest() {
    const { draft, began } = this;
    this.asking?.abort();
    this.later.cancel();
    this.laterPictures.cancel();
    if (!kept.open(draft) || kept.untouched(draft)) return this.shown(draft, { places: [] });
    const asking = new AbortController();
    this.asking = asking;
    if (this.found.fault) this.found = { places: [] };
    this.drawPlaces();
    try {
      const found = draft.pictures.length ? await this.withPictures(draft, asking.signal) : await this.fromText(draft, asking.signal);
      if (this.asking === asking && found.about === kept.content(draft)) this.shown(draft, found);
      if (began) performance.measure("aisle: typed to shown", { start: began });
    } catch (error) {
      if (!error.code) throw error;
      if (error.code === "taken_back" || this.asking !== asking) return;
      this.shown(draft, { places: [], fault: error.message });
      if (error.after) setTimeout(() => { if (this.asking === asking) this.suggest(); }, error.after * 1000);
    }
  }

  async fromText(draft, signal, finished = false) {
    const { title, description } = draft;
    if (!title.trim()) {
      const one = await kept.classified(draft, { signal });
      return ofPrediction(one, "from the description");
    }
    const about = kept.content(draft);
    const answer = await post("v1/suggest", { title, description, count: COUNT, finished }, { signal });
    const places = answer.suggestions.map(({ id, path, confidence, reason }) => ({ id, path, confidence, reason }));
    return { places, about, token: answer.token, completed: answer.completed, model: answer.model, modelId: answer.model_id };
  }

  /** After a pause the title is read as it stands, unless a person has begun to choose. */
  async asItStands(found) {
    if (this.found !== found || this.active || !this.fresh) return;
    const whole = await this.fromText(this.draft, undefined, true).catch(() => null);
    if (whole && this.found === found && !this.active && this.fresh) this.shown(this.draft, whole);
  }

  async withPictures(draft, signal) {
    const given = draft.pictures.length;
    const one = await kept.classified(draft, { signal });
    return ofPrediction(one, basis(Boolean(draft.title.trim() || draft.description.trim()), one.images_read, given));
  }

  shown(draft, found) {
    if (draft !== this.draft) return;
    this.found = found;
    this.active = 0;
    this.drawPlaces();
    if (found.completed) this.laterWord(found);
  }

  drawPlaces() {
    const { places, fault, problems } = this.found;
    const { draft } = this;
    const settled = !kept.open(draft);
    this.ask.hidden = settled;
    fill(this.told, settled ? this.settled() : fault ? state("bad", "No suggestions just now", fault, () => this.suggest())
      : !places.length && kept.untouched(draft) ? h("p", { class: "quiet" }, "Suggestions appear here as you type.") : null,
    !settled && missingImages(draft.lost),
    !settled && (problems ?? []).map((problem) => h("p", { class: "fault" }, problem)));
    fill(this.places, settled ? [] : places.map((place, i) => h("li", { id: `place-${i}`, role: "option", class: "place",
      "aria-selected": i === this.active ? "true" : "false", onclick: () => this.accept(i) }, placeLine(place, i === this.active ? "↵" : ""))));
    this.places.hidden = settled || !places.length;
    this.places.toggleAttribute("aria-busy", false);
    if (!settled && !fault && !kept.untouched(draft) && !this.fresh) this.places.setAttribute("aria-busy", "true");
    this.title.setAttribute("aria-expanded", String(!this.places.hidden));
    if (this.places.hidden) this.title.removeAttribute("aria-activedescendant");
    else this.title.setAttribute("aria-activedescendant", `place-${this.active}`);
  }

  settled() {
    const { draft } = this;
    const said = { placed: "Placed in ", sending: "Sending: ", waiting: "Kept here, to be sent when the server is back: ", asked: "A reviewer will look at it." }[draft.state];
    return [h("p", { class: `settled ${draft.state}` }, said, draft.state !== "asked" && draft.path && pathText(draft.path), " ",
      draft.state !== "sending" && h("button", { type: "button", onclick: () => { kept.reopen(draft); this.open(draft, true); } }, "Change")), missingImages(draft.missing)];
  }

  key(event) {
    const { length } = this.found.places;
    if (event.isComposing) return;
    if (event.key === "Enter") {
      event.preventDefault();
      if (!kept.open(this.draft)) this.next();
      else this.accept(this.active);
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && length && kept.open(this.draft)) {
      event.preventDefault();
      this.active = (this.active + (event.key === "ArrowDown" ? 1 : length - 1)) % length;
      this.drawPlaces();
      document.getElementById(`place-${this.active}`).scrollIntoView({ block: "nearest" });
    }
  }

  // -- deciding --------------------------------------------------------------------------------------

  /** Only what was suggested for the product as it is now can be accepted. */
  accept(i) {
    const place = this.found.places[i];
    if (this.fresh) return place && (this.found.completed ? this.finish(place, i > 0) : this.choose(place.id, place.path));
    if (!kept.untouched(this.draft) && !this.found.fault) toast(LATE);
  }

  /** What was suggested for a word that is not typed out is kept only as far as the title as it stands agrees. */
  async finish({ id, path }, chosen) {
    const { draft, found } = this;
    this.laterWord.cancel();
    let whole;
    try {
      whole = await this.fromText(draft, undefined, true);
    } catch (error) {
      if (!error.code) throw error;
      whole = { ...found, completed: null, places: [], token: null }; // a person's word, without suggestions
    }
    if (draft !== this.draft) return;
    const agrees = chosen || !whole.places.length || whole.places[0].id === id;
    this.shown(draft, whole);
    if (!this.fresh) toast(LATE);
    else if (agrees) this.choose(id, path);
    else toast("The title as it stands belongs elsewhere: look at the suggestions again.");
  }

  async browse() {
    const { draft } = this;
    const node = await pick(draft.title);
    if (node && draft === this.draft) this.choose(node.id, node.path);
  }

  async choose(chosen, path) {
    const { draft } = this;
    const found = this.fresh ? this.found : { places: [] }; // a category from the tree owes nothing to suggestions
    if (kept.untouched(draft)) return toast("Give the product a title or a picture first.", "bad");
    const offered = found.places.map(({ id, confidence }) => ({ id, confidence: Math.max(0, Math.min(1, confidence)) }));
    Object.assign(draft, { chosen, path, offered, token: found.token, model: found.model, modelId: found.modelId, key: crypto.getRandomValues(new Uint32Array(4)).join("-") });
    const sending = kept.send(draft);
    this.next();
    try {
      await sending;
      const without = draft.missing?.length ? ` ${plural(draft.missing.length, "picture")} could not be read: not kept.` : "";
      if (draft.state === "placed") toast(`Placed in ${path.join(" › ")}.${without}`, "good", { label: "Change", run: () => this.change(draft) });
    } catch (error) {
      toast(`${draft.title || "The product"} was not placed: ${error.message}`, "bad", { label: "Look", run: () => this.open(draft, true) });
    }
    this.drawList();
    if (draft === this.draft) this.drawPlaces();
  }

  change(draft) {
    if (this.ending.signal.aborted) location.hash = "#/sell";
    else {
      kept.reopen(draft);
      this.open(draft, true);
    }
  }

  async askReviewer() {
    const { draft } = this;
    if (kept.untouched(draft)) return toast("Give the product a title or a picture first.", "bad");
    try {
      const one = await kept.classified(draft, { review: true });
      if (one.about !== kept.content(draft)) toast("The product has changed meanwhile: ask again.", "bad");
      else if (one.review_id) {
        draft.state = "asked";
        toast("A reviewer will look at it.", "good");
        this.next();
      } else toast(`No need: the model is sure of ${one.prediction.path}. Accept it, or choose another place.`);
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  /** A product that waited was sent, or still waits, or was refused. */
  sent({ draft, fault }) {
    if (fault) toast(`${draft.title || "The product"} was not placed: ${fault.message}`, "bad", { label: "Look", run: () => this.open(draft, true) });
    this.drawList();
    if (draft === this.draft) this.drawPlaces();
  }
}

const key = (name) => h("kbd", {}, name);

/** What an answer was made from: words, and those of the given pictures that were really read. */
function basis(words, read, given) {
  const pictures = read === given ? plural(read, "picture") : `${read} of ${plural(given, "picture")}`;
  if (!read) return words ? "from the words alone" : "from nothing that could be read";
  return words ? `from the words and ${pictures}` : `from ${pictures}`;
}

function ofPrediction({ prediction, model, token, about }, from) {
  const places = alternatives(prediction, COUNT).map((place, i) => ({ ...place, reason: i ? "" : from }));
  return { places, about, token, model, modelId: prediction.model_id, problems: prediction.problems };
}
