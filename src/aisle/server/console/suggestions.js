// Suggested categories: paths with confidence and reason.

import { apart, bar, h, pathText, percent } from "./dom.js";

/** One line; `key`: the key that chooses it. */
export function suggestionLine({ path, confidence, reason }, key = "") {
  return [
    h("span", { class: "key", "aria-hidden": "true" }, key),
    h("span", { class: "what" }, pathText(path), reason && h("span", { class: "reason" }, reason)),
    h("span", { class: "number" }, percent(confidence)),
    bar(confidence),
  ];
}

/** The suggestions of a prediction, best first, as {id, path, confidence}; ids are paths but for the best. */
export function alternatives(prediction, most = 5) {
  return prediction.alternatives.slice(0, most).map((one) => ({
    id: one.path === prediction.best ? prediction.best_id : one.path,
    path: one.path.split(" > "),
    confidence: one.confidence,
  }));
}

const DECISIONS = { accept: "decides this by itself", partial: "decides the branch by itself", review: "leaves this to a person" };

/** What the model does with a product, and why: its confidence beside what it needs, as the bars show it. */
export function decisionText({ decision, confidence, threshold, reason }) {
  const full = confidence.at(-1);
  const [has, needed] = apart(full, threshold);
  const does = `The model ${DECISIONS[decision] ?? decision}.`;
  if (threshold === null) return `${does} Its confidence is ${percent(full)}, but: ${reason}.`;
  if (decision !== "accept" && full >= threshold) return `${does} Its confidence is ${has}, and ${needed} would be enough, but: ${reason}.`;
  const why = decision === "accept" ? "" : ` ${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`;
  return `${does} Its confidence is ${has}; ${needed} is needed to decide.${why}`;
}
