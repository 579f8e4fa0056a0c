// The card of one chart: its title row, the place of its figure, and the way back to live data.

import { unitOfChart } from "./chart.js";
import { inUnit, plural, unitOf, whole } from "./format.js";
import { Legend } from "./legend.js";

export class Card {
  /**
   * @param {import("./chart.js").Chart} chart
   * @param {() => void} goLive
   */
  constructor(chart, goLive) {
    this.newest = NaN;
    this.noted = "";
    this.element = document.createElement("article");
    this.element.className = "card";
    this.element.dataset.metric = chart.key;
    const head = append("div", "card-head", this.element);
    this.name = append("h3", "card-title", head);
    this.notes = append("div", "card-notes", head);
    this.value = append("div", "card-value", head);
    this.box = append("div", "plot empty", this.element);
    this.legend = new Legend(this.element, this.box);
    this.figure = append("div", "figure", this.box);
    this.over = append("div", "over", this.box);
    this.blank = append("div", "blank", this.box);
    this.backLive = /** @type {HTMLButtonElement} */ (append("button", "back-live", this.element));
    this.backLive.type = "button";
    this.backLive.textContent = "live ▸";
    this.backLive.title = "follow the newest data again";
    this.backLive.hidden = true;
    this.backLive.addEventListener("click", goLive);
    this.labels = { x: append("div", "axis-name x", this.box), y: append("div", "axis-name y", this.box) };
    this.become(chart);
  }

  /** What it is called, and how large it is. @param {import("./chart.js").Chart} chart */
  become(chart) {
    const { title, series, size = "", xLabel = "", yLabel = "" } = chart;
    this.unit = unitOfChart(chart, unitOf);
    const whole_ = series.map((one) => ("metric" in one ? one.metric : one.expression)).join(", ");
    this.element.setAttribute("aria-label", series.length === 1 && "metric" in series[0] ? series[0].metric : title);
    this.name.textContent = title;
    this.name.title = whole_;
    this.labels.x.textContent = xLabel;
    this.labels.y.textContent = yLabel;
    this.element.classList.toggle("wide", size === "wide");
    this.element.dataset.size = size;
  }

  /** @param {string|null} hue null: the page's */
  colour(hue) {
    if (hue === null) this.element.style.removeProperty("--hue");
    else this.element.style.setProperty("--hue", hue);
  }

  /**
   * Title row: the newest value, and what one should know about the data.
   * @param {import("./derive.js").Drawing} drawing
   * @param {boolean} zoomed
   * @param {string[]} [more] further notes
   */
  tell(drawing, zoomed, more = []) {
    // Axes of nothing would have numbers that nobody sent.
    this.box.classList.toggle("empty", drawing.n === 0);
    let last = drawing.n - 1;
    // The last bucket may be empty for other reasons than NaN: an old attempt went further.
    while (last > 0 && Number.isNaN(drawing.raw[last]) && !(drawing.bad[last] > 0)) last -= 1;
    this.newest = last >= 0 ? drawing.raw[last] : NaN;
    // What only earlier attempts have sent has no value now.
    this.shows = last >= 0 && (!Number.isNaN(this.newest) || drawing.bad[last] > 0);
    this.showValue(null);
    const notes = [];
    if (drawing.nonfinite > 0) notes.push(["bad", `▲ ${whole(drawing.nonfinite)} NaN/Inf`]);
    if (drawing.gaps.length > 0) notes.push(["", plural(drawing.gaps.length, "gap")]);
    if (zoomed && drawing.shift > 0) notes.push(["", `${whole(2 ** drawing.shift)} steps a point`]);
    if (zoomed && !drawing.complete) notes.push(["", "finer is not kept"]);
    for (const words of more) notes.push([words.startsWith("▲") ? "bad" : "", words]);
    const text = notes.map((note) => note[1]).join();
    if (text === this.noted) return;
    this.noted = text;
    this.notes.replaceChildren(
      ...notes.map(([name, words]) => {
        const span = document.createElement("span");
        span.className = name;
        span.textContent = words;
        return span;
      }),
    );
  }

  /**
   * Show the value under the crosshair, or the newest one.
   * @param {number|null} value
   */
  showValue(value) {
    this.value.classList.toggle("at-cursor", value !== null);
    const [number, unit] = this.shows ? inUnit(value ?? this.newest, this.unit) : ["", ""];
    this.value.textContent = number;
    if (!unit) return;
    const shown = append("span", "unit", this.value);
    shown.textContent = unit;
  }
}

/**
 * @param {string} tag
 * @param {string} name
 * @param {Element} parent
 */
function append(tag, name, parent) {
  const element = document.createElement(tag);
  element.className = name;
  parent.append(element);
  return element;
}
