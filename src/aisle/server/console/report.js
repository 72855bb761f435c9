// The evaluation report of each model, as it was written.

import { get } from "./api.js";
import { fill, h, shown } from "./dom.js";

export function draw(container, [asked]) {
  shown(container, "models", () => get("v1/models"), ({ live, models }) => {
    const choice = h("select", { id: "of", onchange: () => look(choice.value) }, models.map(({ name }) => h("option", { value: name }, name)));
    choice.value = models.some(({ name }) => name === asked) ? asked : live;
    const body = h("div", {});
    const look = (name) => {
      const page = `v1/report.html?model=${encodeURIComponent(name)}`;
      return shown(body, "report", () => get(`v1/report?model=${encodeURIComponent(name)}`), () => [
        h("p", { class: "after" }, h("a", { href: page, target: "_blank", rel: "noopener" }, "Open it in a window of its own")),
        h("iframe", { src: page, title: `Evaluation report of ${name}`, class: "report" })]);
    };
    look(choice.value);
    return [models.length > 1 && h("p", {}, h("label", { for: "of" }, "Model"), choice), body];
  });
}
