// Why the model predicts a category: words, image regions, similar products.

import { get, imageUrl } from "./api.js";
import { fill, h, pathText, percent } from "./dom.js";

const MOST_WORDS = 5;
const LEAST = 0.1; // a smaller change of the log-odds is no reason

/** Show the evidence of an item of the review queue in `container`, and on the first image of `images`. */
export async function showEvidence(container, item, images) {
  fill(container, h("p", { class: "quiet", role: "status" }, "Looking for the reasons …"));
  try {
    const found = await get(`v1/review/items/${item.id}/evidence`);
    if (!container.isConnected) return;
    fill(container, reasons(found), similar(found));
    if (found.regions) heat(images, found.regions);
  } catch (error) {
    if (!error.code) throw error;
    fill(container, h("p", { class: "quiet" }, `The reasons are not known: ${error.message}`));
  }
}

function reasons({ words, regions }) {
  const strong = (sign) => words.filter(({ weight }) => sign * weight >= LEAST)
    .sort((a, b) => sign * (b.weight - a.weight)).slice(0, MOST_WORDS);
  const line = (label, found) => found.length > 0 && h("p", {}, h("span", { class: "quiet" }, `${label} `), found.map(({ word }, i) => [i > 0 && ", ", h("strong", {}, word)]));
  const lines = [line("For it:", strong(1)), line("Against it:", strong(-1))].filter(Boolean);
  if (!lines.length) lines.push(h("p", { class: "quiet" }, "No word stands out."));
  if (regions) lines.push(h("p", { class: "quiet" }, "Shaded parts of the image speak for it."));
  return [h("h3", {}, "Why"), lines];
}

function similar({ similar: products, nearest }) {
  if (products.length) {
    return [h("h3", {}, "Similar products"), h("ul", { class: "similar" }, products.map((one) => h("li", {},
      one.images[0] ? h("img", { class: "face", src: imageUrl(one.images[0]), alt: "", loading: "lazy" }) : h("span", { class: "face" }),
      h("span", { class: "words" }, h("span", { class: "name" }, one.title || one.id), pathText(one.category)))))];
  }
  if (!nearest.length) return null;
  return [h("h3", {}, "Most similar training products"), h("ul", { class: "similar" }, nearest.map(({ path, similarity }) =>
    h("li", {}, h("span", { class: "number" }, percent(similarity)), pathText(path))))];
}

/** Shade the regions of an image that speak for the category. */
function heat(images, regions) {
  const image = images.querySelector("img");
  if (!image) return;
  const most = Math.max(...regions.flat());
  if (!(most > LEAST / 10)) return;
  const cells = regions.flat().map((weight) => {
    const cell = h("span", {});
    cell.style.opacity = Math.max(0, weight / most) * 0.55;
    return cell;
  });
  const shade = h("span", { class: "heat", "aria-hidden": "true" }, cells);
  const place = () => {
    if (!image.naturalWidth) return;
    const { naturalWidth, naturalHeight, clientWidth, clientHeight } = image;
    const scale = Math.min(clientWidth / naturalWidth, clientHeight / naturalHeight);
    Object.assign(shade.style, { width: `${naturalWidth * scale}px`, height: `${naturalHeight * scale}px`,
      left: `${(clientWidth - naturalWidth * scale) / 2}px`, top: `${(clientHeight - naturalHeight * scale) / 2}px`,
      gridTemplateColumns: `repeat(${regions[0].length}, 1fr)` });
  };
  image.parentElement.append(shade);
  image.addEventListener("load", place, { once: true });
  new ResizeObserver(place).observe(image);
}
