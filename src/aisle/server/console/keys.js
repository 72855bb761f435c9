// API keys: who may use the server, in which role. For administrators.

import { ask, get, post } from "./api.js";
import { confirmed, fill, h, shown, state, toast } from "./dom.js";

const ROLES = { seller: "Seller: classify and give feedback", reviewer: "Reviewer: also the review queue", admin: "Administrator: also models, rules and keys" };

export function draw(container, _, me) {
  shown(container, "keys", () => get("v1/keys"), ({ keys }) => [creation(container, me, keys), table(container, me, keys)]);
}

function creation(container, me, keys) {
  const first = me.open && !keys.length;
  const person = h("input", { id: "key-person", required: true, maxlength: "200", autocomplete: "off" });
  const role = h("select", { id: "key-role" }, Object.entries(ROLES).filter(([name]) => !first || name === "admin").map(([value, label]) => h("option", { value }, label)));
  const result = h("div", { id: "key-result", "aria-live": "polite" });
  const create = async (event) => {
    event.preventDefault();
    const lines = ["From then on every request to this server needs a key. You are asked for yours at once."];
    if (first && !await confirmed("Create the first key?", lines, "Create")) return;
    try {
      const { secret } = await post("v1/keys", { person: person.value, role: role.value });
      await showSecret(person.value, secret);
      draw(container, null, me);
    } catch (error) {
      if (!error.code) throw error;
      fill(result, state("bad", "No key was created", error.message));
    }
  };
  return h("section", { class: "card", "aria-labelledby": "key-new" }, h("h2", { id: "key-new" }, "New key"),
    h("form", { onsubmit: create }, h("label", { for: "key-person" }, "Person"), person, h("label", { for: "key-role" }, "Role"), role,
      h("p", { class: "after" }, h("button", { type: "submit", class: "main" }, "Create"))), result);
}

/** Shown until the dialog is closed: the server does not keep it. */
async function showSecret(person, secret) {
  const shownKey = confirmed(`The key of ${person}`, ["Copy it now. It cannot be shown again."], null);
  const dialog = document.querySelector("dialog");
  const copy = async () => {
    await navigator.clipboard.writeText(secret);
    toast("Copied.");
  };
  dialog.querySelector(".row").before(h("p", {}, h("code", { id: "secret", class: "secret" }, secret)));
  if (navigator.clipboard) dialog.querySelector(".row").prepend(h("button", { type: "button", class: "main", onclick: copy }, "Copy"));
  await shownKey;
}

function table(container, me, keys) {
  const revoke = async (key) => {
    const lines = [`${key.person} cannot use the server with it any more. A new key can be created.`, ...(key.yours ? ["It is your own: you are signed out."] : [])];
    if (!await confirmed(`Revoke the key ${key.id}?`, lines, "Revoke")) return;
    try {
      await ask("DELETE", `v1/keys/${encodeURIComponent(key.id)}`);
      toast("Revoked.");
      draw(container, null, me);
    } catch (error) {
      if (!error.code) throw error;
      fill(document.getElementById("key-result"), state("bad", "Not revoked", error.message));
    }
  };
  const title = h("h2", { id: "key-list" }, "Keys");
  if (!keys.length) return h("section", { class: "card", "aria-labelledby": "key-list" }, title, h("p", { class: "quiet" }, "None. Requests need no key."));
  const day = (at) => new Date(at).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" });
  const line = (key) => h("tr", {}, h("td", {}, h("code", {}, key.id)), h("td", {}, key.person, key.yours && h("span", { class: "quiet" }, " (you)")), h("td", {}, key.role), h("td", {}, day(key.created)),
    h("td", {}, key.revoked === null ? h("button", { type: "button", "aria-label": `Revoke the key ${key.id} of ${key.person}`, onclick: () => revoke(key) }, "Revoke …") : `revoked ${day(key.revoked)}`));
  return h("section", { class: "card scroll", tabindex: "0", "aria-labelledby": "key-list" }, title, h("table", { class: "changes" },
    h("thead", {}, h("tr", {}, ["Id", "Person", "Role", "Created", "State"].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, keys.map(line))));
}
