// One Bokeh figure in the page: embedded from the server's panel, filled in place, released again.
// The only file that knows BokehJS.
//
// Arrays go into a source without assigning `data` and ranges change with {sync: false}: both spare
// BokehJS a comparison of everything old with everything new.

import { xTicks, yTicks } from "./ticks.js";

const { prefix = "" } = document.documentElement.dataset;

/** @type {Map<string, Promise<string>>} the panels as JSON text, by y scale */
const panels = new Map();

/** @param {"linear"|"log"} scale */
function panelText(scale) {
  let text = panels.get(scale);
  if (!text) {
    text = fetch(`${prefix}/panels/${scale}.json`, { credentials: "same-origin" }).then((answer) => {
      if (!answer.ok) throw new Error(`the chart's figure: ${answer.status}`);
      return answer.text();
    });
    panels.set(scale, text);
    // A failure (server restarting) must not be remembered.
    text.catch(() => panels.delete(scale));
  }
  return text;
}

/** Embedding costs tens of milliseconds: one at a time keeps the page responsive. */
let queue = Promise.resolve();

/**
 * Take an element out of the page once no figure is being embedded: Bokeh complains of one that
 * vanishes under its hands.
 * @param {HTMLElement} element
 */
export function removeLater(element) {
  element.hidden = true;
  queue.then(() => element.remove());
}

const SOURCES = ["gaps", "outer", "inner", "lines", "dots", "marks"];

/** Small, and mostly as they were: comparing costs less than hatching again. */
const SELDOM = ["gaps", "dots", "marks"];

/**
 * @param {Record<string, ArrayLike<unknown>>|undefined} before
 * @param {Record<string, ArrayLike<unknown>>} now
 */
function same(before, now) {
  return before !== undefined && Object.entries(now).every(([name, values]) => {
    const old = before[name];
    if (old.length !== values.length) return false;
    for (let i = 0; i < values.length; i += 1) if (old[i] !== values[i]) return false;
    return true;
  });
}

export class Plot {
  /**
   * @param {HTMLElement} element
   * @param {"linear"|"log"} scale
   * @param {() => boolean} wanted asked when its turn comes: it may have left the screen by then
   * @returns {Promise<Plot|null>}
   */
  static embed(element, scale, wanted) {
    const turn = queue.then(async () => {
      const text = await panelText(scale);
      if (!wanted()) return null;
      // Parsed anew for each: Bokeh keeps parts of what it is given.
      const views = await globalThis.Bokeh.embed.embed_item(JSON.parse(text), element);
      return new Plot(views, scale);
    });
    queue = turn.then(() => new Promise((resolve) => setTimeout(resolve)), () => undefined);
    return turn;
  }

  /**
   * @param {any} views
   * @param {"linear"|"log"} scale
   */
  constructor(views, scale) {
    this.views = views;
    this.scale = scale;
    this.view = views.roots[0];
    this.model = this.view.model;
    this.document = this.model.document;
    const named = (/** @type {string} */ name) => this.document.get_model_by_name(name);
    this.sources = new Map(SOURCES.map((name) => [name, named(name)]));
    this.glyphs = new Map(SOURCES.map((name) => [name, named(`${name}_renderer`).glyph]));
    this.axes = [named("x_axis"), named("y_axis")];
    this.grid = named("y_grid");
    /** @type {Map<string, Record<string, ArrayLike<unknown>>>} */
    this.filled = new Map();
    this.empty = new Map(SOURCES.map((name) => [name, true]));
    /** @type {"step"|"relative"|"wall"} */
    this.xAxis = "step";
    this.paints = 0;
    /** @type {(() => void)|null} */
    this.onPainted = null;
    this.view.repainted.connect(() => {
      this.paints += 1;
      this.onPainted?.();
    });
    this.#sparePasses();
    this.#ownTicks(named("x_ticker"), named("x_formatter"), (low, high) =>
      xTicks(this.xAxis, low, high, this.frame.width),
    );
    this.#ownTicks(named("y_ticker"), named("y_formatter"), (low, high) =>
      yTicks(low, high, this.scale === "log", this.frame.height),
    );
  }

  /**
   * At every paint Bokeh rewrites a style sheet for each part of a figure, to place elements that
   * nobody sees; the next text on a canvas then waits for a style pass over the whole page, chart by
   * chart. Parts need a new place only when the frame has one. (A Bokeh without such a method is
   * left as it is.)
   */
  #sparePasses() {
    for (const part of this.view.renderer_views?.values() ?? []) {
      if (typeof part.update_position !== "function") continue;
      let placed = "";
      part.update_position = () => {
        const { left, top, width, height } = this.frame;
        const place = [left, top, width, height].join();
        if (place === placed) return;
        placed = place;
        Object.getPrototypeOf(part).update_position.call(part);
      };
    }
  }

  /**
   * Put our ticks in place of a ticker's and a formatter's own, on these two objects only: Bokeh's
   * way to do so from outside is CustomJS, which needs eval.
   * @param {any} ticker
   * @param {any} formatter
   * @param {(low: number, high: number) => {at: number[], labels: string[]}} make
   */
  #ownTicks(ticker, formatter, make) {
    /** @type {Map<number, string>} */
    let labels = new Map();
    ticker.get_ticks = (/** @type {number} */ low, /** @type {number} */ high) => {
      const ticks = make(Math.min(low, high), Math.max(low, high));
      labels = new Map(ticks.at.map((at, i) => [at, ticks.labels[i]]));
      return { major: ticks.at, minor: [] };
    };
    formatter.doFormat = (/** @type {number[]} */ ticks) => ticks.map((tick) => labels.get(tick) ?? "");
  }

  /** Where the frame is, in pixels of the plot's element. */
  get frame() {
    const { left, top, width, height } = this.view.frame.bbox;
    return { left, top, width, height };
  }

  /** @returns {{start: number, end: number}} */
  get xRange() {
    return { start: this.model.x_range.start, end: this.model.x_range.end };
  }

  /** @returns {{start: number, end: number}} */
  get yRange() {
    return { start: this.model.y_range.start, end: this.model.y_range.end };
  }

  /**
   * @param {"x"|"y"} axis
   * @param {number} start
   * @param {number} end
   */
  setRange(axis, start, end) {
    const range = axis === "x" ? this.model.x_range : this.model.y_range;
    if (range.start !== start || range.end !== end) range.setv({ start, end }, { sync: false });
  }

  /**
   * Fill one source. Nothing is done if it was empty and stays so, or is one that seldom changes and
   * did not.
   * @param {string} name
   * @param {Record<string, ArrayLike<unknown>>} columns all of one length
   */
  fill(name, columns) {
    const empty = Object.values(columns).every((column) => column.length === 0);
    if (empty && this.empty.get(name)) return;
    if (SELDOM.includes(name) && same(this.filled.get(name), columns)) return;
    this.empty.set(name, empty);
    this.filled.set(name, columns);
    const source = this.sources.get(name);
    for (const [column, values] of Object.entries(columns)) source.set(column, values);
    source.change.emit();
  }

  /** @param {import("./theme.js").Palette} palette */
  recolour(palette) {
    for (const axis of this.axes) {
      axis.setv({ major_label_text_color: palette.axis, major_label_text_font: palette.font }, { sync: false });
    }
    this.axes[0].setv({ axis_line_color: palette.line }, { sync: false });
    this.grid.setv({ grid_line_color: palette.grid }, { sync: false });
    this.glyphs.get("outer").setv({ fill_color: palette.hue, fill_alpha: 0.13 }, { sync: false });
    this.glyphs.get("inner").setv({ fill_color: palette.hue, fill_alpha: 0.2 }, { sync: false });
    this.glyphs.get("gaps").setv({ fill_color: palette.ink2, hatch_color: palette.ink2 }, { sync: false });
  }

  /** @param {number} x */
  xToPixel(x) {
    const { left, width } = this.frame;
    const { start, end } = this.xRange;
    return left + ((x - start) / (end - start)) * width;
  }

  /** @param {number} pixel */
  pixelToX(pixel) {
    const { left, width } = this.frame;
    const { start, end } = this.xRange;
    return start + ((pixel - left) / width) * (end - start);
  }

  /** @param {number} y */
  yToPixel(y) {
    const { top, height } = this.frame;
    const { start, end } = this.yRange;
    const scale = this.scale === "log" ? Math.log : (/** @type {number} */ value) => value;
    return top + height * (1 - (scale(y) - scale(start)) / (scale(end) - scale(start)));
  }

  /** @param {number} pixel */
  pixelToY(pixel) {
    const { top, height } = this.frame;
    const { start, end } = this.yRange;
    const share = 1 - (pixel - top) / height;
    return this.scale === "log" ? start * (end / start) ** share : start + share * (end - start);
  }

  /** Give everything back: views, document, and Bokeh's own list of documents. */
  release() {
    this.onPainted = null;
    this.views.clear();
    this.document.clear();
    const { documents } = globalThis.Bokeh;
    const place = documents.indexOf(this.document);
    if (place >= 0) documents.splice(place, 1);
  }
}
