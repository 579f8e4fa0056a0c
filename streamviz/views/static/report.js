// A run in one file: its charts are drawn where they come into view, and show the same steps.

import { ShownChart } from "./chart-look.js";

const THEMES = ["system", "light", "dark"];
/** Pixels before the edge of the window at which a chart is drawn. */
const AHEAD = "400px";

const byId = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const root = document.documentElement;
const items = JSON.parse(byId("charts").textContent);

/** @type {Set<ShownChart>} */
const shown = new Set();
/** What somebody zoomed to, null: all steps. @type {{start: number, end: number}|null} */
let steps = null;
let busy = false;

/** The range of steps of a chart, null for one that has none. @param {ShownChart} chart */
function rangeOf(chart) {
  const range = chart.root?.x_range;
  return range?.name === "x" ? range : null;
}

/** Show the same steps everywhere. @param {{start: number, end: number}|null} wanted @param {any} from */
function link(wanted, from) {
  if (busy) return;
  busy = true;
  steps = wanted;
  byId("reset").disabled = wanted === null;
  for (const chart of shown) {
    const range = rangeOf(chart);
    if (range === null || range === from) continue;
    if (wanted === null) range.reset();
    else range.setv(wanted);
  }
  busy = false;
}

/** @param {HTMLElement} place */
async function draw(place) {
  const item = items[Number(place.dataset.chart)];
  const chart = await ShownChart.embed(item, place);
  shown.add(chart);
  place.dataset.drawn = "";
  const range = rangeOf(chart);
  if (range === null) return;
  const whole = { start: range.start, end: range.end };
  if (steps !== null) range.setv(steps);
  range.change.connect(() => {
    const { start, end } = range;
    link(start === whole.start && end === whole.end ? null : { start, end }, range);
  });
}

const watch = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      draw(/** @type {HTMLElement} */ (target));
    }
  },
  { rootMargin: AHEAD },
);
for (const place of document.querySelectorAll(".chart")) watch.observe(place);

function recolour() {
  for (const chart of shown) chart.recolour();
}

byId("reset").addEventListener("click", () => link(null, null));
byId("filter").addEventListener("input", () => {
  const wanted = byId("filter").value.toLowerCase();
  for (const card of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".card"))) {
    const name = card.dataset.name ?? card.querySelector("h3")?.textContent ?? "";
    card.hidden = !name.toLowerCase().includes(wanted);
  }
  for (const group of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".group"))) {
    group.hidden = group.querySelector(".card:not([hidden])") === null;
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
byId("theme").addEventListener("click", () => {
  const chosen = THEMES[(THEMES.indexOf(root.dataset.theme ?? "system") + 1) % THEMES.length];
  root.dataset.theme = chosen;
  byId("theme").textContent = `theme: ${chosen}`;
  recolour();
});
