// The card of one chart: its title row, the place of its figure, and the way back to live data.

import { inUnit, plural, unitOf, whole } from "./format.js";

export class Card {
  /**
   * @param {string} metric
   * @param {string} title
   * @param {() => void} goLive
   */
  constructor(metric, title, goLive) {
    this.unit = unitOf(metric);
    this.newest = NaN;
    this.noted = "";
    this.element = document.createElement("article");
    this.element.className = "card";
    this.element.dataset.metric = metric;
    this.element.setAttribute("aria-label", metric);
    const head = append("div", "card-head", this.element);
    const name = append("h3", "card-title", head);
    name.textContent = title;
    name.title = metric;
    this.notes = append("div", "card-notes", head);
    this.value = append("div", "card-value", head);
    this.box = append("div", "plot", this.element);
    this.figure = append("div", "figure", this.box);
    this.over = append("div", "over", this.box);
    this.blank = append("div", "blank", this.box);
    this.backLive = /** @type {HTMLButtonElement} */ (append("button", "back-live", this.element));
    this.backLive.type = "button";
    this.backLive.textContent = "live ▸";
    this.backLive.title = "follow the newest data again";
    this.backLive.hidden = true;
    this.backLive.addEventListener("click", goLive);
  }

  /**
   * Title row: the newest value, and what one should know about the data.
   * @param {import("./derive.js").Drawing} drawing
   * @param {boolean} zoomed
   */
  tell(drawing, zoomed) {
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
