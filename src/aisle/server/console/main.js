// Which page is shown, who is asking, and whether the server is there.

import { ask, get, post } from "./api.js";
import { confirmed, fill, h, plural, state, toast } from "./dom.js";
import * as batch from "./batch_page.js";
import * as drafts from "./drafts.js";
import * as explore from "./explore.js";
import * as review from "./review.js";
import * as sell from "./sell.js";

const PAGES = { sell, batch, review, explore };
const PART_OF = { batch: sell }; // pages without a link of their own in the header
const main = document.getElementById("main");
const notice = document.getElementById("notice");
const who = document.getElementById("who");
let leave = () => {};
let signingIn = false;
let me = null;

/** Show the page that the address names. */
function route() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [name, ...rest] = path.split("/").map(unescaped);
  const page = PAGES[name] ?? sell;
  leave();
  leave = () => {};
  signingIn = false;
  for (const link of document.querySelectorAll("header nav a")) {
    if (PAGES[link.hash.slice(2)] === (PART_OF[name] ?? page)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${page.title} · Aisle`;
  fill(main);
  main.className = page === sell ? "page sell" : `page ${name}`;
  leave = page.show(main, rest, me, new URLSearchParams(search)) ?? (() => {});
}

function unescaped(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

async function identify() {
  me = await get("v1/me");
  drafts.signedIn(me.person);
  who.hidden = me.open;
  who.textContent = `${me.person} (${me.role})`;
  who.setAttribute("aria-label", `Signed in as ${me.person}, ${me.role}. Sign out`);
}

/** Shown instead of the page, until there is a key; what was typed is kept. */
function signIn(why) {
  if (signingIn) return;
  leave();
  leave = () => {};
  signingIn = true;
  who.hidden = true;
  document.title = "Sign in · Aisle";
  const field = h("input", { id: "key", type: "password", autocomplete: "current-password", required: true,
    spellcheck: "false", "aria-describedby": "key-why" });
  const status = h("p", { id: "key-why", class: "quiet" }, "Whoever runs this server makes one with “aisle keys add”. ",
    "It is kept in a cookie of this browser that no script can read.");
  const fault = h("p", { class: "fault", role: "alert" });
  const enter = async (event) => {
    event.preventDefault();
    try {
      await post("v1/session", { key: field.value.trim() });
      await identify();
      route();
    } catch (error) {
      fault.textContent = error.message;
      field.select();
    }
  };
  main.className = "page narrow";
  fill(main, h("form", { class: "card sign-in", onsubmit: enter },
    h("h1", {}, "Your key, please"),
    h("p", {}, why),
    h("label", { for: "key" }, "Key"), field, status, fault,
    h("button", { type: "submit", class: "main" }, "Sign in")));
  field.focus();
}

async function signOut() {
  const unsaved = drafts.unsaved().length;
  const lines = ["They are deleted from this browser when you sign out."];
  if (unsaved && !(await confirmed(`${plural(unsaved, "product is", "products are")} not saved yet`, lines, "Sign out"))) return;
  await ask("DELETE", "v1/session").catch(() => {});
  drafts.signedOut();
  location.reload();
}

async function start() {
  try {
    await identify();
  } catch (error) {
    if (error.status === 401) return refused(error);
    fill(main, state("bad", "Nothing can be shown yet", error.message, start));
    return;
  }
  route();
}

/** A cookie whose key was revoked may hide that no key is needed any more. */
async function refused(error) {
  await ask("DELETE", "v1/session").catch(() => {});
  try {
    await identify();
    route();
  } catch {
    signIn(error.message);
  }
}

function theme() {
  const kinds = ["auto", "light", "dark"];
  const button = document.getElementById("theme");
  const use = (kind) => {
    if (kind === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = kind;
    const name = { auto: "Auto", light: "Light", dark: "Dark" }[kind];
    button.textContent = `◐ ${name}`;
    button.setAttribute("aria-label", `${name} colours. Change`);
    remember(kind);
    return kind;
  };
  let now = use(kinds.includes(remembered()) ? remembered() : "auto");
  button.addEventListener("click", () => { now = use(kinds[(kinds.indexOf(now) + 1) % 3]); });
}

const remembered = () => { try { return localStorage.getItem("aisle-theme"); } catch { return null; } };
const remember = (kind) => { try { localStorage.setItem("aisle-theme", kind); } catch { /* not allowed */ } };

let there = true;
window.addEventListener("reached", (event) => {
  if (event.detail === there) return;
  there = event.detail;
  notice.hidden = there;
  notice.textContent = there ? "" : "The server cannot be reached. What you typed is kept; it is tried again by itself.";
  if (!there) return wait();
  toast("The server is back.");
  window.dispatchEvent(new Event("server-back")); // "reached" comes with every answer
});
/** Ask now and then whether the server is back. */
function wait() {
  setTimeout(() => get("health").catch(() => wait()), 3000);
}
window.addEventListener("offline", () => window.dispatchEvent(new CustomEvent("reached", { detail: false })));
window.addEventListener("key-needed", (event) => { if (me) signIn(event.detail); });
window.addEventListener("hashchange", () => { if (me) route(); });
who.addEventListener("click", signOut);
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
theme();
start();
