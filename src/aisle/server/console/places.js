// Places that a model suggests: full paths with how probable each is, and why.

import { bar, h, pathText, percent } from "./dom.js";

/** What one line shows; `key`: the key that takes it. */
export function placeLine({ path, share, reason }, key = "") {
  return [
    h("span", { class: "key", "aria-hidden": "true" }, key),
    h("span", { class: "what" }, pathText(path), reason && h("span", { class: "reason" }, reason)),
    h("span", { class: "number" }, percent(share)),
    bar(share),
  ];
}

/** The places of a prediction, most probable first, as {id, path, share}; ids are paths but for the best. */
export function alternatives(prediction, most = 5) {
  return prediction.alternatives.slice(0, most).map((one) => ({
    id: one.path === prediction.best ? prediction.best_id : one.path,
    path: one.path.split(" > "),
    share: one.probability,
  }));
}

const DECISIONS = { accept: "sure enough to decide by itself", partial: "sure of the branch only", review: "not sure: worth a look" };
export const decisionText = (prediction) => DECISIONS[prediction.decision] ?? prediction.decision;
