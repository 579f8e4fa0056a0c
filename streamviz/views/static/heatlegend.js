// What a heatmap's colours mean, in numbers; and in words what is a pixel of a thousand.

import { inUnit, plural, whole } from "./format.js";
import { rowName } from "./heatdata.js";
import { div, span } from "./make.js";
import { ABOVE, BELOW, endsOf, gradient, NAN } from "./ramps.js";

/** How often all cells are looked through for what is marked. */
const MARK_EVERY_MS = 2_000;

export class HeatLegend {
  /** @param {(row: number, column: number) => void} goTo */
  constructor(goTo) {
    this.goTo = goTo;
    this.bar = span("heat-bar");
    this.ends = { lo: span("heat-end"), hi: span("heat-end") };
    this.below = keyed(BELOW, "");
    this.above = keyed(ABOVE, "");
    const nan = keyed("", "NaN or ∞");
    const hatch = /** @type {HTMLElement} */ (nan.firstElementChild);
    hatch.style.setProperty("background", `repeating-linear-gradient(135deg, ${NAN[0]} 0 3px, ${NAN[1]} 3px 5px)`);
    this.note = span("board-note");
    this.marked = div("heat-marked");
    this.marked.setAttribute("role", "status");
    const legend = div("heat-legend", this.ends.lo, this.bar, this.ends.hi, this.below, this.above, nan, keyed("none", "no row"));
    this.element = div("heat-head", legend, this.note, this.marked);
    this.markedAt = -Infinity;
    this.markedFor = -1;
  }

  /**
   * @param {import("./heatdata.js").HeatData} data
   * @param {import("./ramps.js").Ramp} ramp
   * @param {string} unit
   * @param {{relative: boolean, worst: boolean}} cells what they show
   */
  show(data, ramp, unit, { relative, worst }) {
    const { lo, hi, under, over } = endsOf(data.scale, ramp);
    const text = (/** @type {number} */ value) => inUnit(value, unit).join(" ").trim();
    this.bar.style.setProperty("background", gradient(ramp));
    this.ends.lo.textContent = text(lo);
    this.ends.hi.textContent = text(hi);
    say(this.below, `below ${text(under)}`);
    // Durations and counts have nothing below zero to be marked.
    this.below.hidden = lo >= 0 && under < 0;
    say(this.above, `above ${text(over)}`);
    const parts = [
      plural(data.rows, data.fold > 1 ? "row" : "rank"),
      data.shift > 0 ? `a column is ${whole(2 ** data.shift)} steps` : "a column is a step",
    ];
    if (data.fold > 1) parts.push(`a row is ${data.fold} ranks, the one furthest from the median is shown`);
    if (data.shift > 0) parts.push(worst ? "its mean, or the extreme that stands out" : "its mean");
    if (relative) parts.push("a cell is its distance from the median of its step's ranks");
    parts.push("colours from the 1st to the 99th percentile");
    this.note.textContent = parts.join(" · ");
    this.#mark(data, under, over, text);
  }

  /**
   * @param {import("./heatdata.js").HeatData} data
   * @param {number} under
   * @param {number} over
   * @param {(value: number) => string} text
   */
  #mark(data, under, over, text) {
    const now = performance.now();
    if (now - this.markedAt < MARK_EVERY_MS && this.markedFor === data.epoch) return;
    this.markedAt = now;
    this.markedFor = data.epoch;
    const found = data.marked(under, over);
    const said = [
      { word: "▲ NaN or ∞", cells: found.bad, tone: "red" },
      { word: `above ${text(over)}`, cells: found.above, tone: "" },
      { word: `below ${text(under)}`, cells: found.below, tone: "" },
    ];
    this.marked.replaceChildren(...said.filter(({ cells }) => cells.count > 0).map(({ word, cells: { count, row, column }, tone }) => {
      const go = document.createElement("button");
      go.type = "button";
      go.className = "text-button";
      go.textContent = `${rowName(data.ranks[row])} at step ${whole(data.steps[column])}`;
      go.addEventListener("click", () => this.goTo(row, column));
      const line = span("heat-mark", `${word}: ${plural(count, "cell")}, first `, go);
      line.dataset.tone = tone;
      return line;
    }));
  }
}

/**
 * @param {string} colour "" or "none" for a swatch without one
 * @param {string} text
 */
function keyed(colour, text) {
  const swatch = span("heat-swatch");
  if (colour && colour !== "none") swatch.style.setProperty("background", colour);
  if (colour === "none") swatch.classList.add("heat-swatch-none");
  return span("heat-key", swatch, text);
}

/**
 * @param {HTMLElement} key
 * @param {string} text
 */
function say(key, text) {
  if (key.lastChild?.textContent !== text) key.replaceChildren(/** @type {Element} */ (key.firstElementChild), text);
}
