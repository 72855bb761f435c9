// Products: found by words or an image if the server has an index, else among those with feedback.

import { get, imageUrl, post, query } from "./api.js";
import { count, fill, h, loading, missingImages, pathText, percent, plural, shown, state } from "./dom.js";
import { encoded, taken } from "./images.js";
import { decisionText, alternatives, suggestionLine } from "./suggestions.js";

const MOST = 200;
const HOW = { chosen: "chosen by a person", accepted: "suggestion accepted", batch: "accepted with others", default: "suggestion not looked at" };

export function draw(container, [id]) {
  if (id) return one(container, id);
  const list = h("div", {});
  const status = h("div", { role: "status" });
  const words = h("input", { id: "words", type: "search", autocomplete: "off", placeholder: "blue wool scarf" });
  const file = h("input", { id: "like", type: "file", accept: "image/*", class: "hidden", onchange: async () => {
    const [first] = file.files;
    file.value = "";
    if (first) search(status, list, "", [{ base64: await encoded((await taken(first)).data) }]);
  } });
  const go = (event) => {
    event.preventDefault();
    if (words.value.trim()) search(status, list, words.value.trim(), []);
    else { asked = null; fill(status); recent(list); }
  };
  fill(container, h("form", { class: "find", role: "search", onsubmit: go },
    h("label", { for: "words", class: "hidden" }, "Search products by words"), words,
    h("button", { type: "submit", class: "main" }, "Search"), h("span", {}, file, h("label", { for: "like", class: "button" }, "By image"))),
  status, list);
  recent(list);
}

function recent(list, words = "", category = null) {
  const fits = ({ title, id, chosen }) => words.toLowerCase().split(/\s+/).every((word) => `${title} ${id} ${chosen.join(" ")}`.toLowerCase().includes(word));
  const ask = () => get(`v1/products${query({ category, limit: MOST })}`);
  return shown(list, "products", ask, ({ products, total }) => {
    const found = words ? products.filter(fits) : products;
    if (!found.length) return state("empty", words ? "No product with feedback has these words" : "No product has feedback yet",
      words ? "Fewer words find more." : "Products appear here as soon as somebody saves one, in Sell or in Review.");
    const among = products.length < total ? `the ${count(products.length)} saved most recently` : "those with feedback";
    const head = words ? `${plural(found.length, "product")} of ${among}` : `Placed most recently: ${firstOf(found.length, total)}`;
    return cards(head, found);
  });
}

/** How many are shown of how many there are. */
const firstOf = (number, total) => (number < total ? `first ${count(number)} of ${plural(total, "product")}` : plural(total, "product"));

/** Products that people assigned to a category, or below it. */
export const productsIn = (list, category) => recent(list, "", category);

const cards = (head, products) => [h("h2", { class: "above" }, head), h("ul", { class: "cards" }, products.map(card))];

function card({ id, title, images, chosen, category, ...found }) {
  return h("li", {}, h("a", { class: "card-link", href: `#/explore/products/${encodeURIComponent(id)}` },
    images?.[0] ? face(images[0]) : blank(),
    h("span", { class: "words" }, h("span", { class: "name" }, title || id), pathText(chosen ?? category),
      h("span", { class: "quiet" }, found.how ? `${HOW[found.how] ?? found.how}, ${when(found.at)}` : why(found)))));
}

const blank = () => h("span", { class: "face" });
// The file behind a found product may be gone or broken.
const face = (address) => h("img", { class: "face", src: imageUrl(address), alt: "", loading: "lazy", onerror: (event) => event.target.replaceWith(blank()) });

/** How a product was found; match: the score of a search by words and by similarity. */
function why({ similarity, bm25, match }) {
  const similar = similarity !== null && `${percent(Math.max(0, similarity))} similar`;
  return [match !== undefined && `match ${percent(Math.max(0, match))}`, similar, bm25 !== null && "words match"].filter(Boolean).join(", ");
}

let asked = null; // the latest search: results of an earlier one are dropped

async function search(status, list, words, images) {
  const mine = asked = {};
  fill(status, loading("results"));
  try {
    const { products, total, missing_images: missing } = await post("v1/search", { query: words, images, count: 50 });
    if (asked !== mine) return;
    fill(status, missingImages(missing));
    const mixed = products.some((one) => one.bm25 !== null) && products.some((one) => one.similarity !== null);
    const found = mixed ? products.map((one) => ({ ...one, match: one.score })) : products;
    const order = mixed ? "best match first" : products[0]?.similarity === null ? "best matching words first" : "most similar first";
    const head = `${firstOf(products.length, total)}, ${order}`;
    fill(list, products.length ? cards(head.charAt(0).toUpperCase() + head.slice(1), found) : state("empty", "Nothing found", "Other words may find something."));
  } catch (error) {
    if (!error.code) throw error;
    if (asked !== mine) return;
    const without = error.code === "no_index";
    fill(status, state(without ? "note" : "bad", without ? "This server has no search index" : "The search failed", words && without
      ? `${error.message} Below are the products with feedback that have these words.` : error.message));
    if (words) recent(list, words);
  }
}

// -- a product's page ---------------------------------------------------------------------------------

function one(container, id) {
  shown(container, "product", () => get(`v1/products/${encodeURIComponent(id)}`), (found) => {
    const { title, description, ...others } = found.fields;
    const facts = Object.entries({ Product: found.id, ...others });
    const alike = found.indexed && h("section", { class: "card" }, h("h2", {}, "Products like it"));
    if (alike) more(alike, found.id);
    const there = found.category.length > 0 && h("p", { class: "quiet after" }, "In the catalog: ", pathText(found.category));
    return [h("p", {}, h("a", { href: "#/explore/products" }, "‹ All products")),
      h("div", { class: "two" },
        h("article", { class: "card product" }, h("h2", {}, title || "Without a title"), there,
          found.images.length > 0 && h("div", { class: "images" }, found.images.map((address, i) => h("img", { src: imageUrl(address), alt: `Image ${i + 1}`, onerror: (event) => event.target.remove() }))),
          description && h("p", { class: "description" }, description),
          h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))))),
        h("div", { class: "tab" }, h("section", { class: "card" }, h("h2", {}, "Feedback"),
          found.feedback.length ? h("ol", { class: "story" }, found.feedback.map(saying)) : h("p", { class: "quiet" }, "Nobody has decided yet."),
          found.reviews.map(waiting)), alike))];
  });
}

async function more(section, id) {
  const list = h("div", {});
  section.append(list);
  await shown(list, "products", () => post("v1/search", { more_like: id, count: 6 }), ({ products }) =>
    products.length ? h("ul", { class: "cards above" }, products.map(card)) : h("p", { class: "quiet" }, "There is none."));
}

function saying(row) {
  const offered = row.suggested.slice(0, 5).map(([id, confidence]) => h("li", {}, `${id.split(" > ").join(" › ")} ${percent(confidence)}`));
  return h("li", { class: row.undone ? "undone" : "" }, pathText(row.chosen),
    h("p", { class: "quiet" }, [HOW[row.how] ?? row.how, row.person ? `${row.person} (${row.role})` : row.role, when(row.at), `model ${row.model}`, row.undone && "undone"].filter(Boolean).join(" · ")),
    missingImages(row.missing_images),
    offered.length > 0 && h("details", {}, h("summary", {}, "What was suggested"), h("ol", { class: "plain-list" }, offered)));
}

function waiting(item) {
  return h("div", {}, h("h3", {}, item.state === "open" ? "Waits for review" : "Reviewed"),
    h("p", { class: "quiet" }, decisionText(item.prediction)),
    missingImages(item.missing_images),
    h("ul", { class: "suggestions" }, alternatives(item.prediction, 5).map((one) => h("li", { class: "suggestion still" }, suggestionLine(one)))));
}

const when = (at) => new Date(at).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
