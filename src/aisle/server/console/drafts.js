// The products a seller works on. Their texts are kept in localStorage, for each person, one entry a product, so
// that closing a tab loses nothing. Tabs share them: a tab writes only what was changed in it, and shows what
// another one changed. Images are too large to be kept: they stay in the tab where they were added.

import { post, query } from "./api.js";
import { encoded } from "./images.js";

const FIELDS = ["uid", "created", "finished", "sku", "title", "description", "state", "path", "chosen", "offered", "token", "model",
  "modelId", "key", "review", "missing", "feedback"];
const KEPT = 86_400_000; // ms that a finished product stays in the list
const SHORT = 2_000, LONG = 60_000; // ms between tries to send what waits
const ANSWER = 250; // ms in which another tab says which images it has
let pause = SHORT;
let timer = 0;
let prefix = null; // of this person's entries; null: nobody is signed in
const entries = new Map(); // uid -> {text: of the entry as last read or written, own: what this tab would write then}
const elsewhere = new Set(); // uids of products whose images another open tab has

/** All of them, in order. `state`: draft, sending, waiting (to be sent), saved, asked (a reviewer). */
export const drafts = [];

/** A new one, after the others. */
export function added(title = "") {
  const created = Math.max(Date.now(), (drafts.at(-1)?.created ?? 0) + 1);
  const draft = { uid: `web-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`, created, sku: "", title, description: "",
    images: [], state: "draft" };
  drafts.push(draft);
  return draft;
}

export const untouched = (draft) => !draft.title.trim() && !draft.description.trim() && !draft.images.length && !draft.lost?.length;
export const open = (draft) => draft.state === "draft";
export const unsaved = () => drafts.filter((draft) => !untouched(draft) && !finished(draft));
const finished = ({ state }) => state === "saved" || state === "asked";

/** What a suggestion is for: texts and images, as they are now. Equal contents have equal suggestions. */
export const content = ({ title, description, images }) =>
  JSON.stringify([title.trim(), description.trim(), images.map(({ url }) => url)]);

/** A product that is changed is not what was saved, or is still to be sent: it is a draft again. */
export function reopen(draft) {
  if (open(draft)) return;
  Object.assign(draft, { state: "draft", chosen: null, path: null, offered: [], token: null, key: null, feedback: null });
}

/** Take back what was accepted: the product is a draft again, with its suggestions. */
export async function undo(draft) {
  if (draft.feedback) await post(`v1/feedback/${draft.feedback}/undo`);
  reopen(draft);
}

/** Remove one, in all tabs. */
export function removed(draft) {
  drop(draft);
  try {
    localStorage.removeItem(prefix + draft.uid);
  } catch { /* not allowed */ }
}

function drop(draft) {
  for (const image of draft.images) URL.revokeObjectURL(image.url);
  drafts.splice(drafts.indexOf(draft), 1);
  entries.delete(draft.uid);
}

// -- localStorage, and other tabs ----------------------------------------------------------------------

/** Show the drafts of this person, and those of nobody else. */
export function signedIn(person) {
  const next = `aisle-draft:${encodeURIComponent(person)}:`;
  if (next !== prefix) {
    for (const draft of [...drafts]) drop(draft);
    prefix = next;
    elsewhere.clear();
    channel?.postMessage({ asked: prefix });
    readAll();
    for (const draft of drafts) if (draft.state === "sending") draft.state = "waiting"; // if it was sent, it is counted once
  }
  setTimeout(sendWaiting, ANSWER);
}

/** Delete this person's drafts from this browser; other tabs ask for a key, too. */
export function signedOut() {
  try {
    for (const key of keys()) localStorage.removeItem(key);
    localStorage.setItem("aisle-signed-out", String(Date.now()));
  } catch { /* not allowed */ }
  prefix = null;
}

const keys = () => Object.keys(localStorage).filter((key) => prefix && key.startsWith(prefix));

/** Write the texts of those that were changed here. */
export function save() {
  if (!prefix) return;
  try {
    for (const draft of drafts) {
      if (finished(draft)) draft.finished ??= Date.now();
      else draft.finished = null;
      const text = untouched(draft) ? undefined : entry(draft);
      if (entries.get(draft.uid)?.own === text) continue;
      if (text) localStorage.setItem(prefix + draft.uid, text);
      else localStorage.removeItem(prefix + draft.uid);
      if (text) entries.set(draft.uid, { text, own: text });
      else entries.delete(draft.uid);
    }
  } catch { /* full, or not allowed: then only this page remembers */ }
}

const entry = (draft) => JSON.stringify({ ...Object.fromEntries(FIELDS.map((name) => [name, draft[name] ?? null])),
  images: draft.images.length, lost: lost(draft.images.length + (draft.lost?.length ?? 0)) });

/** What is said of images that are not in this tab. */
const lost = (number) => Array.from({ length: number }, (_, i) =>
  ({ image: i + 1, url: null, reason: "images stay in the tab where they were added; add it again" }));

function readAll() {
  let found;
  try {
    found = keys();
    for (const key of found) read(key.slice(prefix.length), localStorage.getItem(key));
  } catch {
    return; // not allowed
  }
  for (const draft of [...drafts]) if (entries.has(draft.uid) && !found.includes(prefix + draft.uid)) drop(draft);
}

/** Take over an entry; null: it was removed. */
function read(uid, text) {
  const draft = drafts.find((one) => one.uid === uid);
  if (text === entries.get(uid)?.text) return;
  if (text === null) return draft && drop(draft);
  let given;
  try {
    given = JSON.parse(text);
  } catch {
    return;
  }
  if (finished(given) && Date.now() - given.finished > KEPT) return localStorage.removeItem(prefix + uid);
  const { images, ...fields } = given;
  if (draft) Object.assign(draft, { ...fields, lost: draft.images.length ? draft.lost : fields.lost });
  else drafts.push({ ...fields, images: [] });
  const now = draft ?? drafts.at(-1);
  if (images && !now.images.length) Object.assign(now, { offered: [], token: null }); // they were for the images, too
  entries.set(uid, { text, own: entry(now) });
  drafts.sort((one, other) => one.created - other.created);
}

const changed = () => window.dispatchEvent(new Event("drafts-changed"));

window.addEventListener("storage", ({ key, newValue }) => {
  if (key === "aisle-signed-out") return location.reload();
  if (!prefix || !key?.startsWith(prefix)) return;
  read(key.slice(prefix.length), newValue);
  changed();
});
for (const name of ["visibilitychange", "pageshow"]) { // a tab that slept has missed events
  window.addEventListener(name, () => { if (prefix && !document.hidden) { readAll(); changed(); } });
}

const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("aisle-drafts");
const withImages = () => drafts.filter(({ images }) => images.length).map(({ uid }) => uid);
channel?.addEventListener("message", ({ data: { asked, has, gone } }) => {
  if (asked && asked === prefix) channel.postMessage({ has: withImages() });
  for (const uid of has ?? []) elsewhere.add(uid);
  for (const uid of gone ?? []) elsewhere.delete(uid);
});
window.addEventListener("pagehide", () => channel?.postMessage({ gone: withImages() }));

// -- requests ------------------------------------------------------------------------------------------

/** As the API wants a product; `images`: how each is named. */
export function product(draft, images = []) {
  return { id: draft.sku.trim() || draft.uid, title: draft.title, description: draft.description, images };
}

/** The model's prediction, also from the images. */
export async function classified(draft, options = {}) {
  const form = new FormData();
  const names = draft.images.map((_, i) => ({ file: `image-${i + 1}` }));
  form.append("products", JSON.stringify([product(draft, names)]));
  const about = content(draft);
  draft.images.forEach((image, i) => form.append(`image-${i + 1}`, image.data, image.name));
  const { review, ...more } = options;
  const answer = await post(`v1/classify${query({ review, conflicts: draft.images.length > 0 || null })}`, form, more);
  const [one] = answer.results;
  if (one.error) throw Object.assign(new Error(one.error.message), { code: one.error.code });
  return { ...one, model: answer.model, about };
}

/** Send what was chosen. What cannot be sent now waits, and is tried again; sent again with the same key, it is counted once. */
export async function send(draft) {
  const { key } = draft;
  const now = { ...draft, images: [...draft.images] }; // what was chosen was chosen for this
  const end = (state) => { if (draft.key === key) draft.state = state; }; // else it was changed meanwhile
  draft.state = "sending";
  save();
  try {
    const images = await Promise.all(now.images.map(async ({ data }) => ({ base64: await encoded(data) })));
    const answer = await post("v1/feedback", {
      product: product(now, images),
      chosen: now.chosen,
      suggested: now.offered,
      token: now.token || null,
      model: now.model || null,
      model_id: now.modelId || null,
    }, { key });
    end("saved");
    if (draft.key === key) Object.assign(draft, { feedback: answer.id, missing: [...(now.lost ?? []), ...answer.missing_images] });
    pause = SHORT;
  } catch (error) {
    const later = error.status === 0 || error.status === 401 || error.status === 429 || error.status >= 500;
    end(later ? "waiting" : "draft");
    if (!later) throw error;
    // A response such as 503 does not mean that the server is back: only time tells. Without a key nothing is tried.
    if (error.status !== 401) tryAgain(error.after * 1000);
  } finally {
    save();
  }
}

function tryAgain(least) {
  clearTimeout(timer);
  timer = setTimeout(sendWaiting, Math.max(pause, least));
  pause = Math.min(LONG, pause * 2);
}

let sending = null;

/** Send all that could not be sent before; the event `drafts-sent` tells of each. */
export function sendWaiting() {
  sending ??= sendAll().finally(() => { sending = null; });
  return sending;
}

async function sendAll() {
  clearTimeout(timer);
  // A product whose images are in another tab is sent by that tab, with them.
  for (const draft of drafts.filter(({ uid, state, images }) => state === "waiting" && (images.length || !elsewhere.has(uid)))) {
    let fault = null;
    await send(draft).catch((error) => { fault = error; });
    window.dispatchEvent(new CustomEvent("drafts-sent", { detail: { draft, fault } }));
    if (draft.state === "waiting") return;
  }
}

window.addEventListener("server-back", () => {
  pause = SHORT;
  sendWaiting();
});
