// Products: found by words or a picture where this server can search, else among those that people placed.

import { get, picture, post, query } from "./api.js";
import { count, fill, h, loading, missingImages, pathText, percent, plural, shown, state } from "./dom.js";
import { encoded, taken } from "./pictures.js";
import { decisionText, alternatives, placeLine } from "./places.js";

const MOST = 200;
const HOW = { chosen: "chosen by a person", accepted: "suggestion accepted", batch: "accepted with others", default: "suggestion stood" };

export function draw(place, [id]) {
  if (id) return one(place, id);
  const list = h("div", {});
  const told = h("div", { role: "status" });
  const words = h("input", { id: "words", type: "search", autocomplete: "off", placeholder: "blue wool scarf" });
  const file = h("input", { id: "like", type: "file", accept: "image/*", class: "hidden", onchange: async () => {
    const [first] = file.files;
    file.value = "";
    if (first) search(told, list, "", [{ base64: await encoded((await taken(first)).data) }]);
  } });
  const go = (event) => {
    event.preventDefault();
    if (words.value.trim()) search(told, list, words.value.trim(), []);
    else { asked = null; fill(told); recent(list); }
  };
  fill(place, h("form", { class: "find", role: "search", onsubmit: go },
    h("label", { for: "words", class: "hidden" }, "Search products by words"), words,
    h("button", { type: "submit", class: "main" }, "Search"), h("span", {}, file, h("label", { for: "like", class: "button" }, "By picture"))),
  told, list);
  recent(list);
}

function recent(list, words = "", category = null) {
  const fits = ({ title, id, chosen }) => words.toLowerCase().split(/\s+/).every((word) => `${title} ${id} ${chosen.join(" ")}`.toLowerCase().includes(word));
  const ask = () => get(`v1/products${query({ category, limit: MOST })}`);
  return shown(list, "products", ask, ({ products, total }) => {
    const found = words ? products.filter(fits) : products;
    if (!found.length) return state("empty", words ? "No placed product has these words" : "No product was placed yet",
      words ? "Fewer words find more." : "Products appear here as soon as somebody places one, in Sell or in Review.");
    const among = products.length < total ? `the ${count(products.length)} placed most recently` : "those that people placed";
    const head = words ? `${plural(found.length, "product")} of ${among}` : `Placed most recently: ${firstOf(found.length, total)}`;
    return cards(head, found);
  });
}

/** How many are shown of how many there are. */
const firstOf = (number, total) => (number < total ? `first ${count(number)} of ${plural(total, "product")}` : plural(total, "product"));

/** Products placed at or below a category. */
export const placedIn = (list, category) => recent(list, "", category);

const cards = (head, products) => [h("h2", { class: "above" }, head), h("ul", { class: "cards" }, products.map(card))];

function card({ id, title, pictures, chosen, category, ...found }) {
  return h("li", {}, h("a", { class: "card-link", href: `#/explore/products/${encodeURIComponent(id)}` },
    pictures?.[0] ? face(pictures[0]) : blank(),
    h("span", { class: "words" }, h("span", { class: "name" }, title || id), pathText(chosen ?? category),
      h("span", { class: "quiet" }, found.how ? `${HOW[found.how] ?? found.how}, ${when(found.at)}` : why(found)))));
}

const blank = () => h("span", { class: "face" });
// The file behind a found product may be gone or broken.
const face = (address) => h("img", { class: "face", src: picture(address), alt: "", loading: "lazy", onerror: (event) => event.target.replaceWith(blank()) });

/** How a product was found; match: what products found by words and by likeness are ordered by. */
function why({ similarity, words, match }) {
  const alike = similarity !== null && `${percent(Math.max(0, similarity))} alike`;
  return [match !== undefined && `match ${percent(Math.max(0, match))}`, alike, words !== null && "words match"].filter(Boolean).join(", ");
}

let asked = null; // the latest search: an answer to an earlier one comes too late

async function search(told, list, words, images) {
  const mine = asked = {};
  fill(told, loading("what fits"));
  try {
    const { products, total, missing_images: missing } = await post("v1/search", { query: words, images, count: 50 });
    if (asked !== mine) return;
    fill(told, missingImages(missing));
    const mixed = products.some((one) => one.words !== null) && products.some((one) => one.similarity !== null);
    const found = mixed ? products.map((one) => ({ ...one, match: one.score })) : products;
    const order = mixed ? "best match first" : products[0]?.similarity === null ? "best fitting words first" : "most alike first";
    const head = `${firstOf(products.length, total)}, ${order}`;
    fill(list, products.length ? cards(head.charAt(0).toUpperCase() + head.slice(1), found) : state("empty", "Nothing fits", "Other words may."));
  } catch (error) {
    if (!error.code) throw error;
    if (asked !== mine) return;
    const without = error.status === 501 || error.code === "no_index";
    fill(told, state(without ? "note" : "bad", without ? "This server has no search index" : "The search failed", words && without
      ? `${error.message} Below are the products that people placed and that have these words.` : error.message));
    if (words) recent(list, words);
  }
}

// -- a product's page ---------------------------------------------------------------------------------

function one(place, id) {
  shown(place, "product", () => get(`v1/products/${encodeURIComponent(id)}`), (found) => {
    const { title, description, ...others } = found.fields;
    const facts = Object.entries({ Product: found.id, ...others });
    const alike = found.indexed && h("section", { class: "card" }, h("h2", {}, "Products like it"));
    if (alike) more(alike, found.id);
    const there = found.category.length > 0 && h("p", { class: "quiet after" }, "In the catalogue: ", pathText(found.category));
    return [h("p", {}, h("a", { href: "#/explore/products" }, "‹ All products")),
      h("div", { class: "two" },
        h("article", { class: "card product" }, h("h2", {}, title || "Without a title"), there,
          found.pictures.length > 0 && h("div", { class: "pictures" }, found.pictures.map((address, i) => h("img", { src: picture(address), alt: `Picture ${i + 1}`, onerror: (event) => event.target.remove() }))),
          description && h("p", { class: "description" }, description),
          h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))))),
        h("div", { class: "tab" }, h("section", { class: "card" }, h("h2", {}, "What was said of it"),
          found.feedback.length ? h("ol", { class: "story" }, found.feedback.map(saying)) : h("p", { class: "quiet" }, "Nobody has decided yet."),
          found.reviews.map(waiting)), alike))];
  });
}

async function more(section, id) {
  const list = h("div", {});
  section.append(list);
  await shown(list, "products", () => post("v1/search", { like: id, count: 6 }), ({ products }) =>
    products.length ? h("ul", { class: "cards above" }, products.map(card)) : h("p", { class: "quiet" }, "There is none."));
}

function saying(row) {
  const offered = row.suggested.slice(0, 5).map(([id, confidence]) => h("li", {}, `${id.split(" > ").join(" › ")} ${percent(confidence)}`));
  return h("li", { class: row.undone ? "undone" : "" }, pathText(row.chosen),
    h("p", { class: "quiet" }, [HOW[row.how] ?? row.how, row.person ? `${row.person} (${row.role})` : row.role, when(row.at), `model ${row.model}`, row.undone && "taken back"].filter(Boolean).join(" · ")),
    missingImages(row.missing_images),
    offered.length > 0 && h("details", {}, h("summary", {}, "What was suggested"), h("ol", { class: "plain-list" }, offered)));
}

function waiting(item) {
  return h("div", {}, h("h3", {}, item.state === "open" ? "Waits for review" : "Reviewed"),
    h("p", { class: "quiet" }, decisionText(item.prediction)),
    missingImages(item.missing_images),
    h("ul", { class: "places" }, alternatives(item.prediction, 5).map((place) => h("li", { class: "place still" }, placeLine(place)))));
}

const when = (at) => new Date(at).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
