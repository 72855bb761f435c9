// Accepting several first suggestions at once: what the server would accept is shown, and confirmed.

import { post } from "./api.js";
import { confirmed, count, percent, plural } from "./dom.js";

/** The confidence of an item's first suggestion. */
export const confidence = (item) => item.prediction.confidence.at(-1);

/** Accept what a person confirms of these: the answer's items and those that have changed since they were
 *  shown, or null where nothing was confirmed. tokens: of each item, as it was shown. */
export async function acceptTogether(ids, tokens) {
  const { items, min_confidence: floor } = await post("v1/review/accept", { ids, tokens, confirm: false });
  const good = items.filter(({ error }) => !error);
  const low = items.filter(({ error }) => error?.code === "low_confidence");
  const other = items.filter(({ error }) => error && error.code !== "low_confidence");
  const lines = [
    good.length > 0 && `The least sure of them has ${percent(Math.min(...good.map((one) => one.confidence)), 1)} confidence.`,
    low.length > 0 && `${plural(low.length, "product is", "products are")} below ${percent(floor, 1)} confidence: look at ${low.length === 1 ? "it" : "each"} by itself.`,
    other.length > 0 && `${plural(other.length, "product")} cannot be accepted just now: ${other[0].error.message}.`,
    good.length > 0 && "Nobody looks at each of them, so they do not count in “first suggestion right”.",
  ].filter(Boolean);
  const title = good.length ? `Accept ${plural(good.length, "first suggestion")}?` : "None of these can be accepted together";
  const stale = other.filter(({ error }) => error.code === "stale_suggestion");
  if (!(await confirmed(title, lines, good.length ? `Accept ${count(good.length)}` : ""))) return stale.length ? stale : null;
  const answer = await post("v1/review/accept", { ids: good.map(({ id }) => id), tokens, confirm: true });
  return [...answer.items, ...stale];
}
