// An image in a dialog, to zoom and pan.

import { h } from "./dom.js";

const STEPS = [1, 2, 4];

export function zoom(address, name) {
  let step = 0;
  const image = h("img", { src: address, alt: name, draggable: "false" });
  const frame = h("div", { class: "frame", tabindex: "0", role: "group", "aria-label": `${name}, zoomed. Arrow keys move it` }, image);
  const level = h("span", { class: "quiet", role: "status" });
  const show = (next) => {
    const centre = [(frame.scrollLeft + frame.clientWidth / 2) / frame.scrollWidth, (frame.scrollTop + frame.clientHeight / 2) / frame.scrollHeight];
    step = Math.max(0, Math.min(STEPS.length - 1, next));
    image.style.width = `${STEPS[step] * 100}%`;
    level.textContent = `${STEPS[step] * 100} %`;
    frame.scrollTo(centre[0] * frame.scrollWidth - frame.clientWidth / 2, centre[1] * frame.scrollHeight - frame.clientHeight / 2);
  };
  frame.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") return; // touch pans by itself
    const from = [event.clientX + frame.scrollLeft, event.clientY + frame.scrollTop];
    const drag = (move) => frame.scrollTo(from[0] - move.clientX, from[1] - move.clientY);
    const end = () => window.removeEventListener("pointermove", drag);
    window.addEventListener("pointermove", drag);
    window.addEventListener("pointerup", end, { once: true });
  });
  frame.addEventListener("dblclick", () => show(step ? 0 : 1));
  const dialog = h("dialog", { class: "zoom", "aria-label": name, onclose: () => dialog.remove() },
    h("div", { class: "row start" }, h("button", { type: "button", "aria-label": "Smaller", onclick: () => show(step - 1) }, "−"),
      h("button", { type: "button", "aria-label": "Larger", onclick: () => show(step + 1) }, "+"), level,
      h("button", { type: "button", onclick: () => dialog.close() }, "Close")), frame);
  document.body.append(dialog);
  dialog.showModal();
  show(0);
}
