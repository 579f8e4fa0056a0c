// One name's distribution on a card: fetched and drawn while it is near the screen, read at the pointer.

import { DistData } from "./distdata.js";
import { columnsOf, drawBands, drawHeat, drawRidges, feetOf, frameOf, MARGIN, RIDGE_LABEL, ridgesOf } from "./distdraw.js";
import { isolated, measure, plural, whole } from "./format.js";
import { div, span } from "./make.js";
import { Sheet } from "./sheet.js";

const HEIGHT = 200;
const WIDE_HEIGHT = 360;
/** Bins that are asked for: a line of pixels or three each. */
const BINS = 64;
const WIDE_BINS = 128;

/** @typedef {"heat"|"ridge"|"bands"} Picture */

/**
 * @typedef {object} Look what all cards have in common
 * @property {Picture} picture
 * @property {boolean} log
 * @property {string} rank "" for all of them, merged
 */

export class DistCard {
  /**
   * @param {string} name
   * @param {object} page
   * @param {import("./theme.js").Theme} page.theme
   * @param {import("./asking.js").Asking} page.asking
   * @param {import("./sheet.js").Tip} page.tip
   * @param {Look} page.look
   * @param {() => string} page.run
   * @param {() => boolean} page.held whether nothing new is to come
   */
  constructor(name, page) {
    this.name = name;
    this.page = page;
    this.near = false;
    this.wide = false;
    /** The newest number among what it shows, and among what it was last asked for. */
    this.newest = -1;
    this.asked = "";
    /** @type {DistData|null} */
    this.data = null;
    this.problem = "";
    /** @type {number|undefined} the ridge under the pointer */
    this.ridge = undefined;
    this.sheet = new Sheet("dist-sheet");
    const title = document.createElement("h3");
    title.className = "card-title";
    title.textContent = isolated(name.includes("/") ? name.slice(name.indexOf("/") + 1) : name);
    title.title = name;
    this.notes = span("card-notes");
    this.blank = div("blank");
    const widen = document.createElement("button");
    widen.type = "button";
    widen.className = "icon-button small dist-widen";
    widen.title = "full width";
    widen.setAttribute("aria-label", `full width: ${name}`);
    widen.setAttribute("aria-pressed", "false");
    widen.append("↔");
    widen.addEventListener("click", () => {
      this.wide = !this.wide;
      widen.setAttribute("aria-pressed", String(this.wide));
      this.element.classList.toggle("wide", this.wide);
      this.asked = "";
      this.renew();
      this.draw();
    });
    this.element = div("dist-card", div("card-head", title, this.notes, widen), div("dist-plot", this.sheet.element, this.blank));
    this.sheet.element.setAttribute("role", "img");
    const { element } = this.sheet;
    for (const kind of ["pointermove", "pointerdown"]) element.addEventListener(kind, (event) => this.#point(/** @type {PointerEvent} */ (event)));
    element.addEventListener("pointerleave", () => this.#leave());
  }

  /** It came near the screen, or left it. @param {boolean} near */
  approach(near) {
    this.near = near;
    if (near) {
      this.renew();
      this.draw();
      return;
    }
    this.page.asking.withdraw(this);
    // What is not looked at holds no pixels and no numbers.
    this.data = null;
    this.asked = "";
    this.sheet.element.width = this.sheet.element.height = 0;
  }

  /** Ask again where there is something new of it. */
  async renew() {
    const { look, asking } = this.page;
    const run = this.page.run();
    const key = `${run} ${this.newest} ${look.rank} ${this.wide}`;
    // A card that shows nothing yet is filled also while the page is paused.
    if (!this.near || key === this.asked || (this.data && this.page.held())) return;
    this.asked = key;
    try {
      const told = await asking.ask(this, "distribution", { run, name: this.name, bins: this.wide ? WIDE_BINS : BINS, ...(look.rank === "" ? {} : { rank: look.rank }) });
      if (told === null) {
        if (this.asked === key) this.asked = "";
        return;
      }
      if (!this.near || run !== this.page.run()) return;
      this.data = new DistData(told);
      this.problem = "";
    } catch (error) {
      if (this.asked !== key) return;
      this.data = null;
      this.problem = /** @type {Error} */ (error).message;
    }
    this.draw();
  }

  draw() {
    if (!this.near) return;
    const { data } = this;
    this.blank.hidden = data !== null;
    this.blank.textContent = this.problem;
    this.sheet.element.hidden = data === null;
    if (!data) {
      this.notes.textContent = "";
      return;
    }
    const { look, theme } = this.page;
    const frame = frameOf(this.sheet, this.wide ? WIDE_HEIGHT : HEIGHT, theme.palette);
    if (look.picture === "heat") drawHeat(frame, data, look.log);
    else if (look.picture === "ridge") drawRidges(frame, data, look.log, this.ridge);
    else drawBands(frame, data);
    this.#words(data);
  }

  /** @param {DistData} data */
  #words(data) {
    const { told } = data;
    const last = told.steps.length - 1;
    const parts = [`step ${whole(told.steps[last])}`];
    if (told.merged) parts.push(plural(told.ranks.length, "rank"));
    if (told.unreadable > 0) parts.push(`${plural(told.unreadable, "histogram")} unreadable`);
    this.notes.textContent = parts.join(" · ");
    const values = told.percentiles.values[last];
    const said = values[0] === null ? "nothing counted" : `median ${measure(/** @type {number} */ (values[data.percentile(50)]))}, from ${measure(values[0])} to ${measure(/** @type {number} */ (values.at(-1)))}`;
    this.sheet.element.setAttribute("aria-label", `${isolated(this.name)} at step ${whole(told.steps[last])}: ${said}`);
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const { data } = this;
    const { look, tip } = this.page;
    if (!data) return;
    const { x, y } = this.sheet.at(event);
    const width = this.sheet.width - MARGIN.left - MARGIN.right;
    const height = this.sheet.height - MARGIN.top - MARGIN.bottom;
    if (look.picture === "ridge") {
      const ridges = ridgesOf(data);
      const feet = feetOf(ridges.length, height);
      const below = feet.findIndex((foot) => foot >= y - MARGIN.top);
      const ridge = below < 0 ? ridges.length - 1 : below;
      const bin = data.binAt((x - MARGIN.left) / (width - RIDGE_LABEL));
      if (ridge !== this.ridge) {
        this.ridge = ridge;
        this.draw();
      }
      tip.show(event, `step ${whole(data.steps[ridges[ridge]])}`, this.#rows(data, ridges[ridge], bin));
      return;
    }
    const step = Math.floor(((x - MARGIN.left) / width) * columnsOf(data));
    if (step < 0 || step >= data.steps.length) {
      tip.hide();
      return;
    }
    const title = `step ${whole(data.steps[step])}`;
    if (look.picture === "heat") {
      tip.show(event, title, this.#rows(data, step, data.binAt(1 - (y - MARGIN.top) / height)));
      return;
    }
    const { p, values } = data.told.percentiles;
    const row = values[step];
    const rows = p.map((hundredth, i) => ({ key: hundredth === 0 ? "least" : hundredth === 100 ? "greatest" : hundredth === 50 ? "median" : `${hundredth} %`, text: row[i] === null ? "–" : measure(/** @type {number} */ (row[i])) }));
    tip.show(event, title, rows.reverse());
  }

  /**
   * @param {DistData} data
   * @param {number} step
   * @param {number} bin
   */
  #rows(data, step, bin) {
    const { edges, counts, tails } = data.told;
    const far = (bin === 0 && tails[0]) || (bin === data.bins - 1 && tails[1]);
    return [
      { key: far ? "far out" : "values", text: `${measure(edges[bin])} to ${measure(edges[bin + 1])}` },
      { key: "count", text: measure(counts[step][bin]) },
      { key: "share", text: `${measure(Number((100 * data.share(step, bin)).toPrecision(3)))} %` },
    ];
  }

  #leave() {
    this.page.tip.hide();
    if (this.ridge === undefined) return;
    this.ridge = undefined;
    this.draw();
  }

  /** For tests. */
  inspect() {
    const { data } = this;
    return { name: this.name, near: this.near, problem: this.problem, steps: data?.steps ?? [], ranks: data?.told.ranks ?? [], counts: data?.told.counts ?? [], notes: this.notes.textContent };
  }
}
