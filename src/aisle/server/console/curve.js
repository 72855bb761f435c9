// What each model decides automatically at each precision, with a slider.

import { fill, h, percent } from "./dom.js";

export function curves(models) {
  return h("section", { class: "card", "aria-labelledby": "curves" }, h("h2", { id: "curves" }, "What is decided automatically"),
    h("div", { class: "curves" }, models.map(curve)));
}

function curve({ name, operating_curve: found }, number) {
  const points = found.points.toReversed(); // the strictest on the right
  const note = found.advice && h("p", { class: "fault" }, sentence(found.advice), found.instead && ` To use it: aisle serve --precision ${found.instead}`);
  if (!points.length) return h("div", {}, h("h3", {}, name), note);
  const id = `precision-${number}`;
  const shown = h("div", { "aria-live": "polite" });
  const slider = h("input", { id, type: "range", min: 0, max: points.length - 1, step: 1, oninput: () => show() });
  const show = () => {
    const point = points[slider.valueAsNumber];
    slider.setAttribute("aria-valuetext", exact(point.precision));
    fill(shown, h("p", {}, h("strong", {}, `At ${exact(point.precision)}`), point.precision === found.precision && h("span", { class: "quiet" }, " (used here)"), ": ",
      spaced(point.text), "."), stack(point));
  };
  const chosen = points.findIndex(({ precision }) => precision === found.precision);
  slider.value = chosen < 0 ? 0 : chosen;
  show();
  return h("div", { class: "operating" }, h("h3", {}, name), note, h("label", { for: id }, "Guaranteed precision"), slider,
    h("p", { class: "stops", "aria-hidden": "true" }, points.map(({ precision }) => h("span", {}, exact(precision)))), shown,
    h("p", { class: "hint" }, spaced(found.statement)), h("p", { class: "hint" }, spaced(found.labels)));
}

function stack({ full, decided, review }) {
  const parts = [["full", "full path", full], ["branch", "branch", decided - full], ["rest", "review", review]];
  const bar = h("div", { class: "stack", "aria-hidden": "true" }, parts.map(([kind, , share]) => {
    const part = h("span", { class: kind });
    part.style.width = `${100 * share}%`;
    return part;
  }));
  return [bar, h("ul", { class: "stack-key" }, parts.map(([kind, label, share]) => h("li", {}, h("span", { class: `dot ${kind}`, "aria-hidden": "true" }), `${label} ${percent(share, 1)}`)))];
}

const exact = (precision) => `${Number((100 * precision).toFixed(4))} %`;
const spaced = (text) => text.replaceAll("%", " %");
const sentence = (text) => `${spaced(text).charAt(0).toUpperCase()}${spaced(text).slice(1)}.`;
