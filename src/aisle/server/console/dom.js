// Elements from text, never from markup: a title is never parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on…` are listeners, `class`, `aria-…` and others attributes; null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same, of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace all children of an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  return filled(element, {}, children);
}

/** `wait` ms after the last call; `.now()` at once, `.cancel()` not at all. */
export function debounced(action, wait) {
  let timer = 0;
  const later = (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), wait);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/** At once, but no sooner than `wait` ms after the last time; `.cancel()` what still waits. */
export function paced(action, wait) {
  let timer = 0;
  let last = -Infinity;
  const run = (...given) => {
    last = performance.now();
    action(...given);
  };
  const soon = (...given) => {
    clearTimeout(timer);
    const left = last + wait - performance.now();
    if (left <= 0) run(...given);
    else timer = setTimeout(run, left, ...given);
  };
  soon.cancel = () => clearTimeout(timer);
  return soon;
}

export function percent(share, digits = 0) {
  if (share === null || share === undefined) return "–";
  const value = share * 100;
  if (digits === 0 && value > 0 && value < 0.5) return "<1 %";
  if (digits === 0 && value < 100 && value >= 99.5) return ">99 %";
  const text = value.toFixed(digits);
  return value < 100 && Number(text) === 100 ? `>${(100 - 10 ** -digits).toFixed(digits)} %` : `${text} %`;
}

/** Two shares with as many digits as it takes to tell them apart; null is no share. */
export function apart(one, other) {
  let digits = 0;
  while (digits < 4 && one !== other && percent(one, digits) === percent(other, digits)) digits += 1;
  return [percent(one, digits), percent(other, digits)];
}

export const count = (number) => number.toLocaleString("en");
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** A category's path: its branches quiet, its own name strong. */
export function pathText(path) {
  const parts = typeof path === "string" ? path.split(" > ") : path;
  return h(
    "span",
    { class: "path" },
    parts.slice(0, -1).map((part) => [h("span", { class: "branch" }, part), h("span", { class: "sep" }, " › ")]),
    h("strong", {}, parts.at(-1) ?? ""),
  );
}

/** A share as a bar; the number stands beside it as text. */
export function bar(share, kind = "") {
  const inner = h("span", {});
  inner.style.width = `${Math.max(0, Math.min(1, share ?? 0)) * 100}%`;
  return h("span", { class: `share ${kind}`, "aria-hidden": "true" }, inner);
}

/** Show a message for some seconds, read out by screen readers; `action`: {label, run}. */
export function toast(message, kind = "", action = null) {
  const box = document.getElementById("toasts");
  const close = () => one.remove();
  const one = h("div", { class: `toast ${kind}` }, h("span", {}, message));
  if (action) one.append(h("button", { type: "button", onclick: () => { close(); action.run(); } }, action.label));
  one.append(h("button", { type: "button", class: "plain", "aria-label": "Close this message", onclick: close }, "×"));
  while (box.children.length > (kind === "bad" ? 2 : 0)) box.firstChild.remove();
  box.append(one);
  // A message with a button stays longer, and none goes away under a pointer.
  const leave = () => (one.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : close());
  setTimeout(leave, kind === "bad" || action ? 12000 : 5000);
}

/** What is shown where there is nothing (yet), or where something failed; `again`: tries anew, which is also done
 * once the server is back. */
export function state(kind, title, text = "", again = null) {
  const box = stateBox(kind, title, text, again);
  if (!again) return box;
  window.addEventListener("server-back", () => { if (box.isConnected) again(); }, { once: true });
  return box;
}

function stateBox(kind, title, text, again) {
  return h(
    "div",
    { class: `state ${kind}`, role: kind === "bad" ? "alert" : null, "aria-busy": kind === "loading" ? "true" : null },
    h("p", { class: "state-title" }, title),
    text && h("p", {}, text),
    again && h("button", { type: "button", onclick: again }, "Try again"),
  );
}

export const loading = (what) => state("loading", `Loading ${what} …`);

/** Images that could not be read, a line each. */
export const missingImages = (missing) => (missing ?? []).map(({ image, url, reason }) =>
  h("p", { class: "fault" }, `Image ${image}${url ? ` (${url})` : ""} could not be read: ${reason}`));

/** Show a part of a page that comes from the server: loading, then what `make` makes of it, or the error. */
export async function shown(container, what, ask, make) {
  const wait = loading(what);
  fill(container, wait);
  try {
    const found = await ask();
    if (wait.parentNode === container) fill(container, make(found)); // else something else is shown there now
  } catch (error) {
    if (!error.code) throw error;
    if (wait.parentNode === container) fill(container, state("bad", `No ${what} to show`, error.message, () => shown(container, what, ask, make)));
  }
}

/** Ask in a dialog; action: the label of the button that confirms; without one there is nothing to confirm. */
export function confirmed(title, lines, action) {
  return new Promise((resolve) => {
    let yes = false;
    const end = (value) => { yes = value; dialog.close(); };
    const button = action && h("button", { type: "button", class: "main", onclick: () => end(true) }, action);
    const no = h("button", { type: "button", onclick: () => end(false) }, action ? "Cancel" : "Close");
    const dialog = h("dialog", { "aria-labelledby": "confirming", onclose: () => { dialog.remove(); resolve(yes); } },
      h("h2", { id: "confirming" }, title), lines.map((line) => h("p", {}, line)),
      h("div", { class: "row start" }, button, no));
    document.body.append(dialog);
    dialog.showModal();
    (button || no).focus();
  });
}
