// Acceptance over time: of what people looked at, how often the first suggestion was right.

import { get, query } from "./api.js";
import { count, fill, h, percent, shown, state, svg } from "./dom.js";

const SPANS = [[30, "30 days"], [90, "90 days"], [365, "a year"]];
const HIGH = 260, LEFT = 52, BELOW = 30;
const DAY = 86_400_000;

export function draw(container, _, me) {
  if (me.role === "seller") return fill(container, state("empty", "This needs a reviewer's key", `${me.person} is a ${me.role}.`));
  const body = h("div", {});
  const days = h("select", { id: "days", onchange: () => look() }, SPANS.map(([value, name]) => h("option", { value }, `Last ${name}`)));
  const look = () => shown(body, "acceptance", () => get(`v1/acceptance${query({ days: days.value })}`), (found) => chart(found.days, Number(days.value)));
  fill(container, h("section", { class: "card" }, h("div", { class: "row after" }, h("h2", {}, "First suggestion right, day by day"),
    h("div", {}, h("label", { for: "days", class: "hidden" }, "Which days"), days)), body));
  look();
}

function chart(days, span) {
  if (!days.length) return state("empty", "No feedback in these days", "As soon as people accept or correct suggestions, a curve appears.");
  const looked = days.reduce((sum, day) => sum + day.accepted + day.chosen, 0);
  const accepted = days.reduce((sum, day) => sum + day.accepted, 0);
  const together = days.reduce((sum, day) => sum + day.batch, 0);
  const stood = days.reduce((sum, day) => sum + day.default, 0);
  const drawn = days.filter(({ acceptance }) => acceptance !== null);
  return [h("p", { class: "quiet" }, `${percent(looked ? accepted / looked : null)} of ${count(looked)} choices that people looked at; ${count(together)} more were accepted together, and ${count(stood)} were not looked at. Days are UTC.`),
    drawn.length > 0 && figure(drawn, span), table(days)];
}

function figure(days, span) {
  const wide = Math.max(280, Math.min(900, window.innerWidth - 60)); // drawn as large as it is shown, so that phones can read it
  const end = Math.floor(Date.now() / DAY) * DAY, start = Math.min(end - (span - 1) * DAY, days[0].day);
  const x = (day) => LEFT + 12 + ((day - start) / Math.max(DAY, end - start)) * (wide - LEFT - 30);
  const y = (share) => 12 + (1 - share) * (HIGH - 12 - BELOW);
  const most = Math.max(...days.map((day) => day.accepted + day.chosen));
  const lines = [0, 0.25, 0.5, 0.75, 1].map((share) => [svg("line", { x1: LEFT, x2: wide, y1: y(share), y2: y(share), class: "grid" }),
    svg("text", { x: LEFT - 8, y: y(share) + 4, "text-anchor": "end" }, percent(share))]);
  const name = (day) => new Date(day).toLocaleDateString("en", { day: "numeric", month: "short", timeZone: "UTC" });
  const dates = [0, 0.5, 1].map((part) => svg("text", { x: x(start + part * (end - start)), y: HIGH - 8, "text-anchor": ["start", "middle", "end"][part * 2] }, name(start + part * (end - start))));
  const dots = days.map((day) => svg("circle", { cx: x(day.day), cy: y(day.acceptance), r: 4 + 6 * Math.sqrt((day.accepted + day.chosen) / most), class: "dot" },
    svg("title", {}, `${name(day.day)}: ${percent(day.acceptance)} of ${day.accepted + day.chosen}`)));
  return h("div", { class: "chart" }, svg("svg", { viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "aria-label": "Acceptance by day; the table below has the numbers" }, lines, dates,
    svg("polyline", { points: days.map((day) => `${x(day.day)},${y(day.acceptance)}`).join(" "), class: "curve" }), dots));
}

function table(days) {
  const head = ["Day", "Accepted", "Chosen otherwise", "Together", "Not looked at", "First right"];
  const rows = [...days].reverse().map((day) => h("tr", {}, h("th", { scope: "row" }, new Date(day.day).toISOString().slice(0, 10)),
    [count(day.accepted), count(day.chosen), count(day.batch), count(day.default), percent(day.acceptance)].map((text) => h("td", {}, text))));
  return h("details", {}, h("summary", {}, "As a table"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Acceptance by day" }, h("table", {}, h("thead", {}, h("tr", {}, head.map((text) => h("th", { scope: "col" }, text)))), h("tbody", {}, rows))));
}
