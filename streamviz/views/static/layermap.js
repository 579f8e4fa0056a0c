// Layer by step: one measure of every layer in one picture, in which the one that explodes or dies stands out.

import { isolated, measure, plural, whole } from "./format.js";
import { choice, div, span } from "./make.js";
import { layersByModule } from "./modulevalues.js";
import { gradient, NAN, shade } from "./ramps.js";
import { MEASURES } from "./measures.js";
import { scaleOf } from "./layerscale.js";
import { seam, Sheet } from "./sheet.js";

/** What is asked anew so often while somebody looks; what takes long to answer, less often. */
const EVERY_MS = 3_000;
const SHARE = 4;
const POINTS = 128;
const LEAST_COLUMNS = 24;
const TALLEST_ROW = 18;
const LOWEST_ROW = 3;
const HEIGHT = 320;
const TOP = 5;
const BOTTOM = 18;
const natural = new Intl.Collator("en", { numeric: true });

/** @typedef {{layers: string[], steps: number[], width: number, values: (number|string|null)[][], ranks: number[], of_ranks: number, left_off: number}} Told */

export class LayerMap {
  /**
   * @param {object} page
   * @param {import("./asking.js").Asking} page.asking
   * @param {import("./sheet.js").Tip} page.tip
   * @param {(to: {rank: number, metric?: string}) => void} page.goTo
   * @param {() => boolean} page.held whether nothing new is to come
   */
  constructor(page) {
    this.page = page;
    this.run = "";
    this.shown = false;
    /** @type {string[]} */
    this.measures = [];
    this.measure = "";
    /** @type {Told|null} */
    this.told = null;
    /** @type {string[]} of the model's modules, in their order */
    this.paths = [];
    /** @type {number[]} the data's row on each line */
    this.order = [];
    this.problem = "";
    this.timer = 0;
    this.sheet = new Sheet("layer-sheet clickable");
    this.sheet.element.setAttribute("role", "img");
    this.low = span("heat-end");
    this.high = span("heat-end");
    this.note = span("board-note");
    const bar = span("heat-bar");
    bar.style.setProperty("background", gradient("viridis"));
    const hatch = span("heat-swatch");
    hatch.style.setProperty("background", NAN[0]);
    this.choose = choice("measure", (value) => {
      this.measure = value;
      this.#renew();
    });
    const title = document.createElement("h2");
    title.className = "board-title";
    title.textContent = "every layer, over the steps";
    this.element = div("board-part layer-map", div("board-head", title, this.choose), div("heat-legend", this.low, bar, this.high, span("heat-key", hatch, "NaN or ∞"), this.note), this.sheet.element);
    this.element.hidden = true;
    const { element } = this.sheet;
    for (const kind of ["pointermove", "pointerdown"]) element.addEventListener(kind, (event) => this.#point(/** @type {PointerEvent} */ (event)));
    element.addEventListener("pointerleave", () => page.tip.hide());
    element.addEventListener("click", (event) => {
      const cell = this.#cell(event);
      if (cell && this.told) page.goTo({ rank: this.told.ranks[0] ?? 0, metric: `watch/${this.measure}/${this.told.layers[cell.row]}` });
    });
  }

  /**
   * @param {string} run
   * @param {string[]} metrics
   */
  take(run, metrics) {
    if (run !== this.run) {
      this.run = run;
      this.told = null;
      this.paths = [];
    }
    const found = new Set(metrics.filter((metric) => metric.startsWith("watch/")).map((metric) => metric.split("/")[1]));
    const known = [...MEASURES.keys()].filter((name) => found.has(name));
    const measures = [...known, ...[...found].filter((name) => !MEASURES.has(name)).sort(natural.compare)].slice(0, 8);
    if (measures.join("\n") === this.measures.join("\n")) return;
    this.measures = measures;
    if (!measures.includes(this.measure)) this.measure = measures[0] ?? "";
    this.choose.replaceChildren(...measures.map((name) => {
      const option = document.createElement("option");
      option.value = name;
      option.textContent = MEASURES.get(name) ?? isolated(name);
      return option;
    }));
    this.choose.value = this.measure;
    this.element.hidden = measures.length === 0;
    if (this.shown) this.#renew();
  }

  /** @param {string[]} paths of the model's modules, in their order */
  arrange(paths) {
    this.paths = paths;
    this.draw();
  }

  show() {
    this.shown = true;
    this.#renew();
  }

  leave() {
    this.shown = false;
    clearTimeout(this.timer);
    this.page.asking.withdraw(this);
  }

  async #renew() {
    clearTimeout(this.timer);
    const began = performance.now();
    if (!this.shown || !this.run || !this.measure) return;
    const { run, measure: wanted } = this;
    if (!this.told || wanted !== this.drawn || !this.page.held()) {
      try {
        const told = await this.page.asking.ask(this, "layers", { run, measure: wanted, points: POINTS });
        if (told && run === this.run && wanted === this.measure) {
          this.told = told;
          this.drawn = wanted;
          this.problem = "";
          this.draw();
        }
      } catch (error) {
        this.problem = /** @type {Error} */ (error).message;
        this.note.textContent = this.problem;
      }
    }
    clearTimeout(this.timer);
    if (this.shown) this.timer = setTimeout(() => this.#renew(), Math.max(EVERY_MS, SHARE * (performance.now() - began)));
  }

  draw() {
    const { told } = this;
    if (!told || !this.shown || told.layers.length === 0) return;
    // In the order of the model where one was sent: what is beside each other is on the screen too.
    const place = placesOf(told.layers, this.paths);
    this.order = told.layers.map((_, row) => row).sort((a, b) => place[a] - place[b] || natural.compare(told.layers[a], told.layers[b]));
    const rows = told.layers.length;
    this.each = Math.max(LOWEST_ROW, Math.min(TALLEST_ROW, Math.floor(HEIGHT / rows)));
    const context = this.sheet.clear(TOP + this.each * rows + BOTTOM);
    this.left = Math.min(240, Math.round(this.sheet.width * 0.34));
    const columns = Math.max(told.steps.length, LEAST_COLUMNS);
    const wide = (this.sheet.width - this.left) / columns;
    const { low, high, below, place: colour } = scaleOf(told.values);
    for (const [line, row] of this.order.entries()) {
      for (const [column, value] of told.values[row].entries()) {
        if (value === null) continue;
        const x = Math.floor(this.left + column * wide);
        context.fillStyle = typeof value === "string" ? NAN[0] : shade("viridis", colour(value));
        context.fillRect(x, TOP + line * this.each, Math.floor(this.left + (column + 1) * wide) - x + seam(), this.each > 5 ? this.each - 1 : this.each);
      }
    }
    this.#labels(context, wide);
    this.low.textContent = `${below ? "≤ " : ""}${measure(low)}`;
    this.high.textContent = measure(high);
    const parts = [plural(rows, "layer")];
    if (told.left_off > 0) parts.push(`${plural(told.left_off, "further one")} left off`);
    if (told.of_ranks > 1) parts.push(`median over ${told.ranks.length < told.of_ranks ? `${told.ranks.length} of ` : ""}${plural(told.of_ranks, "rank")}`);
    if (told.width > 1) parts.push(`a column is ${whole(told.width)} steps`);
    parts.push("a click leads to its line");
    this.note.textContent = parts.join(" · ");
    this.sheet.element.setAttribute("aria-label", `${MEASURES.get(this.measure) ?? this.measure} of ${plural(rows, "layer")} over ${plural(told.steps.length, "step")}, from ${measure(low)} to ${measure(high)}`);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} wide
   */
  #labels(context, wide) {
    const { told, each = 1, left = 0 } = this;
    if (!told) return;
    const style = getComputedStyle(document.documentElement);
    context.font = `11px ${style.getPropertyValue("--font")}`;
    context.fillStyle = style.getPropertyValue("--axis-ink").trim();
    context.textBaseline = "middle";
    context.textAlign = "right";
    const every = 2 ** Math.max(0, Math.ceil(Math.log2(13 / each)));
    for (let line = 0; line < this.order.length; line += every) {
      context.fillText(fromEnd(context, told.layers[this.order[line]], left - 8), left - 8, TOP + (line + 0.5) * each);
    }
    context.textAlign = "left";
    const step = 2 ** Math.max(0, Math.ceil(Math.log2(72 / wide)));
    for (let column = 0; column < told.steps.length; column += step) {
      context.fillText(whole(told.steps[column]), left + column * wide, TOP + each * this.order.length + BOTTOM / 2 + 1);
    }
  }

  /** @param {MouseEvent} event */
  #cell(event) {
    const { told, left = 0, each = 1 } = this;
    if (!told) return null;
    const { x, y } = this.sheet.at(event);
    const column = Math.floor(((x - left) / (this.sheet.width - left)) * Math.max(told.steps.length, LEAST_COLUMNS));
    const row = this.order[Math.floor((y - TOP) / each)];
    return row === undefined || column >= told.steps.length ? null : { row, column: Math.max(-1, column) };
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const cell = this.#cell(event);
    const { told } = this;
    if (!cell || !told) {
      this.page.tip.hide();
      return;
    }
    const rows = [];
    if (cell.column >= 0) {
      const value = told.values[cell.row][cell.column];
      const first = told.steps[cell.column];
      rows.push({ key: "step", text: told.width > 1 ? `${whole(first)}–${whole(first + told.width - 1)}` : whole(first) });
      rows.push({ key: MEASURES.get(this.measure) ?? this.measure, text: value === null ? "none sent" : typeof value === "string" ? "NaN or ∞" : measure(value) });
    }
    this.page.tip.show(event, isolated(told.layers[cell.row]), rows, "click: its line");
  }

  /** For tests. */
  inspect() {
    return { measure: this.measure, measures: this.measures, layers: this.order.map((row) => this.told?.layers[row]), steps: this.told?.steps ?? [], values: this.order.map((row) => this.told?.values[row]), problem: this.problem };
  }
}

/**
 * A path cut from its front: its end says which layer it is.
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} width
 */
function fromEnd(context, text, width) {
  let shown = text.length > 120 ? `…${text.slice(-119)}` : text;
  for (let cut = 1; context.measureText(shown).width > width && cut < shown.length; cut += 2) shown = `…${text.slice(text.length - shown.length + 2)}`;
  return isolated(shown);
}

/**
 * Where each layer's module stands in the model; behind all others where it has none.
 * @param {string[]} layers
 * @param {string[]} paths
 */
function placesOf(layers, paths) {
  const places = layers.map(() => Infinity);
  for (const [module, rows] of layersByModule(layers, paths)) {
    for (const row of rows) places[row] = module;
  }
  // Infinity less Infinity is not a number, which is no order.
  return places.map((place) => (place === Infinity ? paths.length : place));
}
