// Files of products: dropped, read, classified in the background; #/batch lists them, #/batch/ID is one of them.

import { ask, get, post } from "./api.js";
import { confirmed, count, fill, h, percent, plural, shown, state, toast } from "./dom.js";
import { BatchTable } from "./batch_table.js";
import { accepted, megabytes, pastedTable, tableOf, upload } from "./upload.js";

export const title = "Files";
const POLL = 1000; // ms
const SHOWN = 5; // problems that are listed at once
const ACTIVE = ["queued", "running"];

/** Show the page; returns what to do when it is left. */
export function show(main, [id], me, address) {
  const page = new BatchPage(main, id, address);
  page.open();
  return () => page.close();
}

/** Upload a file and show it; messages appear in `box`. */
export async function send(file, box) {
  const bar = h("progress", { max: "1", value: 0, "aria-label": "Sent" });
  const line = h("p", { role: "status" }, `Sending ${file.name} …`);
  fill(box, line, bar);
  try {
    const batch = await upload(file, (share) => {
      bar.value = share;
      line.textContent = share < 1 ? `Sending ${file.name}: ${percent(share)}` : `Reading ${file.name} …`;
    });
    location.hash = `#/batch/${batch.id}`;
  } catch (error) {
    if (!error.code) throw error;
    fill(box, state("bad", `${file.name} was not taken`, error.message));
  }
}

class BatchPage {
  constructor(main, id, address) {
    Object.assign(this, { main, id, address, ending: new AbortController() });
    const on = (name, act) => window.addEventListener(name, act, { signal: this.ending.signal });
    on("dragover", (event) => event.preventDefault());
    on("drop", (event) => this.dropped(event));
    on("paste", (event) => this.pasted(event));
    this.box = h("div", { class: "sending" });
  }

  close() {
    this.ending.abort();
    clearTimeout(this.timer);
  }

  dropped(event) {
    event.preventDefault();
    const file = tableOf(event.dataTransfer);
    if (file) this.send(file);
    else toast("Drop a file of products here: CSV, XLSX, a feed.", "bad");
  }

  pasted(event) {
    const file = pastedTable(event.clipboardData?.getData("text/plain") ?? "");
    if (!file) return;
    event.preventDefault();
    this.send(file);
  }

  send(file) {
    if (!this.box.isConnected) this.main.prepend(this.box);
    return send(file, this.box);
  }

  open() {
    if (this.id) this.one();
    else this.list();
  }

  // -- all files -------------------------------------------------------------------------------------

  list() {
    const input = h("input", { id: "table", type: "file", class: "hidden", accept: accepted,
      onchange: () => { if (input.files[0]) this.send(input.files[0]); } });
    const files = h("div", {});
    fill(this.main, h("h1", {}, "Files of products"),
      h("div", { class: "drop big" }, h("p", {}, "Drop a file here: CSV, XLSX, JSON lines, Parquet, or a feed of a shop platform."),
        input, h("label", { for: "table", class: "button" }, "Choose a file"),
        h("p", { class: "quiet" }, "Rows copied from a spreadsheet can be pasted, with their line of names. ",
          h("button", { type: "button", class: "link", onclick: () => this.send(example()) }, "Try it with an example"))),
      this.box, files);
    shown(files, "files", () => get("v1/batches", { signal: this.ending.signal }), ({ batches }) => batches.length
      ? [h("h2", {}, "Yours"), h("ul", { class: "files" }, batches.map((batch) => h("li", {}, h("a", { href: `#/batch/${batch.id}`, class: "card-link" },
        h("strong", {}, batch.name), h("span", { class: "quiet" }, `${plural(batch.rows, "product")}, ${said(batch)}`)))))]
      : h("p", { class: "quiet" }, "You have no files here."));
  }

  // -- one file --------------------------------------------------------------------------------------

  async one() {
    shown(this.main, "file", () => get(`v1/batches/${this.id}`, { signal: this.ending.signal }), (batch) => {
      this.head = h("div", {});
      this.body = h("div", {});
      this.update(batch);
      return [this.head, this.box, this.body];
    });
  }

  update(batch) {
    const before = this.batch;
    this.batch = batch;
    document.title = `${batch.name} · Aisle`;
    fill(this.head, h("p", {}, h("a", { href: "#/batch" }, "‹ All files")), h("h1", {}, batch.name),
      h("p", { class: "quiet" }, [plural(batch.rows, "product"), batch.dialect, megabytes(batch.bytes), said(batch)].filter(Boolean).join(", ")),
      this.progress(batch), this.actions(batch));
    const active = ACTIVE.includes(batch.state);
    if (active) this.timer = setTimeout(() => this.poll(), POLL);
    const table = batch.classified > 0 && !(active && batch.task === "classify");
    if (table && (!before || !this.table || ACTIVE.includes(before.state))) {
      this.table = new BatchTable(batch, this.address, () => this.poll());
      fill(this.body, this.table.element, columns(batch, false));
      this.table.load();
    } else if (!table) {
      this.table = null;
      if (!before || before.state !== batch.state) fill(this.body, columns(batch, true));
    }
  }

  async poll() {
    clearTimeout(this.timer);
    try {
      this.update(await get(`v1/batches/${this.id}`, { signal: this.ending.signal }));
    } catch (error) {
      if (error.code === "cancelled") return;
      if (error.status === 404) return fill(this.main, state("bad", "This file is not here any more", error.message));
      this.timer = setTimeout(() => this.poll(), 3 * POLL);
    }
  }

  progress({ state: now, task, done, rows, rest, error }) {
    if (now === "failed") return state("bad", "It was not done", error, () => this.act("start"));
    if (!ACTIVE.includes(now)) return null;
    const whole = task === "review" ? done + rest : rows;
    const doing = now === "queued" ? "Waiting for other files" : task === "review" ? "Into the review queue" : "Classifying";
    return h("div", { class: "progress" }, h("p", { role: "status" }, `${doing}: ${count(done)} of ${count(whole)}${this.left(done, whole)}`),
      h("progress", { max: String(Math.max(1, whole)), value: done, "aria-label": doing }),
      h("p", { class: "quiet" }, "This page may be closed: the server goes on by itself."));
  }

  /** The time that is left, from what was done since this page was opened. */
  left(done, whole) {
    const time = performance.now();
    if (!this.began || this.began.done > done) this.began = { time, done };
    const rate = (done - this.began.done) / (time - this.began.time);
    if (!(rate > 0) || done >= whole) return "";
    const seconds = Math.ceil((whole - done) / rate / 1000);
    return seconds < 90 ? `, about ${seconds} s left` : `, about ${Math.round(seconds / 60)} min left`;
  }

  actions(batch) {
    const active = ACTIVE.includes(batch.state);
    const whole = batch.classified >= batch.rows;
    const start = !whole && !active && batch.state !== "failed";
    const href = (form) => `v1/batches/${batch.id}/download?form=${form}`;
    return h("div", { class: "row start" },
      start && h("button", { type: "button", class: "main", onclick: () => this.act("start") },
        batch.classified ? `Go on with the other ${count(batch.rows - batch.classified)}` : `Classify ${plural(batch.rows, "product")}`),
      active && h("button", { type: "button", onclick: () => this.act("cancel") }, "Cancel"),
      whole && !active && batch.can_fill && h("a", { class: "button main", href: href("filled"), download: "" }, "Download the file with categories"),
      whole && !active && h("a", { class: "button", href: href("table"), download: "" }, "Download a table of predictions"),
      h("button", { type: "button", onclick: () => this.remove() }, "Delete"));
  }

  async act(what) {
    try {
      this.update(await post(`v1/batches/${this.id}/${what}`));
    } catch (error) {
      toast(error.message, "bad");
      this.poll();
    }
  }

  async remove() {
    const lines = ["The file and its predictions are deleted here. What is in the review queue stays there."];
    if (!(await confirmed(`Delete ${this.batch.name}?`, lines, "Delete"))) return;
    try {
      await ask("DELETE", `v1/batches/${this.id}`);
      location.hash = "#/batch";
    } catch (error) {
      toast(error.message, "bad");
    }
  }
}

const STATES = { ready: "not classified", queued: "waiting", running: "in progress", cancelled: "cancelled", failed: "failed" };

function said({ state: now, rows, classified, rest }) {
  if (now !== "done") return STATES[now];
  return classified < rows ? `${count(classified)} classified` : rest ? `${count(rest)} to be looked at` : "all decided";
}

const ROLES = { id: "number", title: "title", description: "description", images: "images", category: "category", level: "category level",
  field: "text", attribute: "attribute", group: "variants", ignored: "not read", unused: "not read" };

/** The columns as they were recognised, and what is wrong with rows. */
function columns(batch, open) {
  const known = batch.columns.filter(({ role, filled }) => filled || !["ignored", "unused"].includes(role));
  const lines = known.map(({ name, role, filled, example }) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, ROLES[role] ?? role),
    h("td", { class: "number" }, percent(filled / Math.max(1, batch.source_rows || batch.rows))), h("td", { class: "example" }, example)));
  const more = batch.problem_count - Math.min(SHOWN, batch.problems.length);
  return h("details", { open, class: "columns-read" }, h("summary", {}, `${plural(batch.columns.length, "column")} as they were recognised`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Columns" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Column", "Read as", "Filled", "Most frequent value"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, lines))),
    batch.problem_count > 0 && [h("h2", {}, plural(batch.problem_count, "problem")),
      h("ul", {}, batch.problems.slice(0, SHOWN).map(({ row, column, message, value }) =>
        h("li", {}, [row && `row ${count(row)}`, column].filter(Boolean).join(", "), ": ", message, value && ` (${value.slice(0, 60)})`))),
      more > 0 && h("p", { class: "quiet" }, `and ${count(more)} more`)]);
}

/** A small file to try the page with. */
function example() {
  const rows = [["sku", "title", "description", "category"], ["A-1", "Oak wall clock, 30 cm", "silent movement", ""],
    ["A-2", "Red running shoes, size 42", "light, for the road", ""], ["A-3", "Garden chair made of teak", "", ""], ["A-4", "qzxv wrtk plmf", "", ""]];
  return new File([rows.map((row) => row.map((cell) => `"${cell}"`).join(",")).join("\r\n")], "example.csv", { type: "text/csv" });
}
