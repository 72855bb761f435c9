// Rules as text: checked, set, rolled back; who changed them when. For administrators.

import { ask, get, post } from "./api.js";
import { confirmed, count, fill, h, plural, shown, state, toast } from "./dom.js";

export function draw(container) {
  shown(container, "rules", () => Promise.all([get("v1/rules"), get("v1/rules/history")]),
    ([rules, { changes }]) => [editor(container, rules, changes.length > 0), history(changes)]);
}

function editor(container, rules, changed) {
  const text = h("textarea", { id: "rules-text", class: "rules-text", rows: "18", spellcheck: "false", autocomplete: "off",
    "aria-describedby": "rules-result rules-lists" });
  text.value = rules.text;
  const result = h("div", { id: "rules-result", "aria-live": "polite" });
  const lists = Object.fromEntries(Object.entries(rules.lists).map(([name, entries]) => [name, entries.join("\n")]));
  const send = async (only) => {
    try {
      const found = await ask("PUT", "v1/rules", { text: text.value, lists, check_only: only });
      if (only) return fill(result, state("good", "These rules fit", summary(found)));
      toast(`${plural(found.rules, "rule")} set.`);
      draw(container);
    } catch (error) {
      if (!error.code) throw error;
      fill(result, state("bad", "These rules cannot be used", error.message));
    }
  };
  const rollBack = async () => {
    if (!await confirmed("Roll back the rules?", ["The version before this one acts at once."], "Roll back")) return;
    try {
      await post("v1/rules/rollback");
      toast("Rolled back.");
      draw(container);
    } catch (error) {
      if (!error.code) throw error;
      fill(result, state("bad", "Not rolled back", error.message));
    }
  };
  const names = Object.entries(rules.lists).map(([name, entries]) => `${name} (${plural(entries.length, "entry", "entries")})`);
  return h("section", { class: "card", "aria-labelledby": "rules-title" }, h("h2", { id: "rules-title" }, "Rules"),
    h("p", { class: "quiet" }, summary(rules)),
    h("label", { for: "rules-text" }, "rules.toml"), text,
    h("p", { id: "rules-lists", class: "quiet" }, names.length ? `Lists: ${names.join(", ")}` : ""),
    h("p", { class: "after" }, h("button", { type: "button", onclick: () => send(true) }, "Check"), " ",
      h("button", { type: "button", class: "main", onclick: () => send(false) }, "Set"), " ",
      changed && !rules.saved_with_model && h("button", { type: "button", onclick: rollBack }, "Roll back …")), result);
}

function summary({ rules, version, expired, saved_with_model: fromModel }) {
  if (!version) return "No rules act.";
  const expiredText = expired.length ? ` Expired: ${expired.join(", ")}.` : "";
  return `${plural(rules, "rule")}, version ${version}${fromModel ? ", saved with the model" : ""}.${expiredText}`;
}

function history(changes) {
  const title = h("h2", { id: "rules-history" }, "Changes");
  if (!changes.length) return h("section", { class: "card", "aria-labelledby": "rules-history" }, title, h("p", { class: "quiet" }, "None yet."));
  const row = ({ at, person, action, version, rules }) => h("tr", {}, h("td", {}, new Date(at).toLocaleString("en")), h("td", {}, person),
    h("td", {}, action), h("td", {}, version ?? "saved with the model"), h("td", {}, count(rules)));
  return h("section", { class: "card scroll", tabindex: "0", "aria-labelledby": "rules-history" }, title, h("table", { class: "changes" },
    h("thead", {}, h("tr", {}, ["When", "Who", "What", "Version", "Rules"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, changes.map(row))));
}
