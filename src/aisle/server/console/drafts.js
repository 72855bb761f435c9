// The products a seller is at work on: kept while the page is open, their words over a reload too.

import { post } from "./api.js";
import { encoded } from "./pictures.js";

const PLACE = "aisle-drafts";
const WORDS = ["uid", "sku", "title", "description", "state", "path", "chosen", "offered", "token", "model", "modelId", "key", "review", "missing"];
const SHORT = 2_000, LONG = 60_000; // ms between tries to send what waits
let pause = SHORT;
let timer = 0;

/** All of them, in order. `state`: draft, sending, waiting (to be sent), placed, asked (a reviewer). */
export const drafts = read();

/** A new one, after the others. */
export function added(title = "") {
  const draft = { uid: `web-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`, sku: "", title, description: "",
    pictures: [], state: "draft" };
  drafts.push(draft);
  return draft;
}

export const untouched = (draft) => !draft.title.trim() && !draft.description.trim() && !draft.pictures.length;
export const open = (draft) => draft.state === "draft";

/** What a suggestion answers: words and pictures, as they are now. Two that are equal have the same suggestions. */
export const content = ({ title, description, pictures }) =>
  JSON.stringify([title.trim(), description.trim(), pictures.map(({ url }) => url)]);

/** What is changed is not what was placed, or is still to be sent: it is to be placed again. */
export function reopen(draft) {
  if (open(draft)) return;
  Object.assign(draft, { state: "draft", chosen: null, path: null, offered: [], token: null, key: null });
}

/** Take one away. */
export function removed(draft) {
  for (const picture of draft.pictures) URL.revokeObjectURL(picture.url);
  drafts.splice(drafts.indexOf(draft), 1);
}

/** Keep the words of all; pictures are too large for that. */
export function save() {
  try {
    const kept = drafts.map((draft) => ({ ...Object.fromEntries(WORDS.map((name) => [name, draft[name]])),
      pictured: draft.pictures.length > 0, lost: lost(draft.pictures.length + (draft.lost?.length ?? 0)) }));
    sessionStorage.setItem(PLACE, JSON.stringify(kept));
  } catch { /* full, or not allowed: then only this page remembers */ }
}

/** What becomes of pictures when the page goes: they are told, not forgotten. */
const lost = (number) => Array.from({ length: number }, (_, i) => ({ image: i + 1, url: null, reason: "it was lost when the page was reloaded; add it again" }));

function read() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "[]");
    // The pictures are gone: what was suggested for them is no suggestion for the words alone.
    return kept.map(({ pictured, ...draft }) => ({ ...draft, pictures: [], state: draft.state === "sending" ? "waiting" : draft.state,
      ...(pictured ? { offered: [], token: null } : {}) }));
  } catch {
    return [];
  }
}

/** As the API wants a product; `pictures`: how each is named. */
export function product(draft, pictures = []) {
  return { id: draft.sku.trim() || draft.uid, title: draft.title, description: draft.description, images: pictures };
}

/** Where the model would put it, read with its pictures too. */
export async function classified(draft, options = {}) {
  const form = new FormData();
  const names = draft.pictures.map((_, i) => ({ file: `picture-${i + 1}` }));
  form.append("products", JSON.stringify([product(draft, names)]));
  const about = content(draft);
  draft.pictures.forEach((picture, i) => form.append(`picture-${i + 1}`, picture.data, picture.name));
  const { review, ...more } = options;
  const answer = await post(`v1/classify${review ? "?review=true" : ""}`, form, more);
  const [one] = answer.answers;
  if (one.error) throw Object.assign(new Error(one.error.message), { code: one.error.code });
  return { ...one, model: answer.model, about };
}

/** Send what was chosen; what cannot be sent now waits, and is tried again by itself. Asked again with the same key, it is counted once. */
export async function send(draft) {
  const { key } = draft;
  const now = { ...draft, pictures: [...draft.pictures] }; // what was chosen was chosen for this
  const end = (state) => { if (draft.key === key) draft.state = state; }; // else it was changed meanwhile
  draft.state = "sending";
  save();
  try {
    const pictures = await Promise.all(now.pictures.map(async ({ data }) => ({ base64: await encoded(data) })));
    const answer = await post("v1/feedback", {
      product: product(now, pictures),
      chosen: now.chosen,
      suggested: now.offered,
      token: now.token || null,
      model: now.model || null,
      model_id: now.modelId || null,
    }, { key });
    end("placed");
    if (draft.key === key) draft.missing = [...(now.lost ?? []), ...answer.missing_images];
    pause = SHORT;
  } catch (error) {
    const later = error.status === 0 || error.status === 401 || error.status === 429 || error.status >= 500;
    end(later ? "waiting" : "draft");
    if (!later) throw error;
    // An answer such as 503 is none of "the server is back": time alone tells. Without a key nothing is tried.
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

/** Send all that could not be sent before; whoever shows them hears of it by the event `drafts-sent`. */
export function sendWaiting() {
  sending ??= sendAll().finally(() => { sending = null; });
  return sending;
}

async function sendAll() {
  clearTimeout(timer);
  for (const draft of drafts.filter((one) => one.state === "waiting")) {
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
