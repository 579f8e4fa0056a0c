// One Bokeh figure in the page: embedded from the server's panel, filled in place, released again.
// The only file that knows BokehJS.
//
// The figure is linear: other scales are done to the values on their way in, and undone on the way out,
// so that everybody else speaks of values. Arrays go into a source without assigning `data` and ranges change with {sync: false}: both spare
// BokehJS a comparison of everything old with everything new.

import { paintAreaInPieces, paintLinesInPieces } from "./pieces.js";
import { LINEAR, onScale, scaleOf } from "./scales.js";
import { xTicks, yTicks } from "./ticks.js";

const { prefix = "" } = document.documentElement.dataset;

/** @type {Promise<string>|null} the figure as JSON text */
let figure = null;

function figureText() {
  if (!figure) {
    figure = fetch(`${prefix}/panel.json`, { credentials: "same-origin" }).then((answer) => {
      if (!answer.ok) throw new Error(`the chart's figure: ${answer.status}`);
      return answer.text();
    });
    // A failure (server restarting) must not be remembered.
    figure.catch(() => (figure = null));
  }
  return figure;
}

// Asked for at once: by the time that a run and its metrics are known it is here.
figureText();

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

const SOURCES = ["gaps", "outer", "inner", "bands", "lines", "dots", "marks"];

/** On which axis the values of a column lie; the others lie on none. */
const AXIS = new Map(/** @type {const} */ ([["x", "x"], ["x0", "x"], ["x1", "x"], ["xs", "x"], ["y", "y"], ["y1", "y"], ["y2", "y"], ["ys", "y"]]));

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
   * @param {import("./scales.js").ScaleKind} scale of y
   * @param {() => boolean} wanted asked when its turn comes: it may have left the screen by then
   * @returns {Promise<Plot|null>}
   */
  static embed(element, scale, wanted) {
    const turn = queue.then(async () => {
      const text = await figureText();
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
   * @param {import("./scales.js").ScaleKind} scale of y
   */
  constructor(views, scale) {
    this.views = views;
    this.scales = { x: LINEAR, y: scaleOf(scale) };
    this.view = views.roots[0];
    this.model = this.view.model;
    this.document = this.model.document;
    const named = (/** @type {string} */ name) => this.document.get_model_by_name(name);
    this.sources = new Map(SOURCES.map((name) => [name, named(name)]));
    this.glyphs = new Map(SOURCES.map((name) => [name, named(`${name}_renderer`).glyph]));
    this.axes = [named("x_axis"), named("y_axis")];
    this.grid = named("y_grid");
    /** @type {Map<string, Record<string, ArrayLike<unknown>>>} by source, in values */
    this.filled = new Map();
    /** @type {Record<"x"|"y", {values: {start: number, end: number}, places: {start: number, end: number}}|null>} */
    this.ranges = { x: null, y: null };
    this.empty = new Map(SOURCES.map((name) => [name, true]));
    /** step, relative, wall or metric:<name> */
    this.xAxis = "step";
    /** Of the values, "" where nobody knows. */
    this.unit = "";
    /** As it was coloured last. */
    this.hue = "";
    this.paints = 0;
    /** @type {(() => void)|null} */
    this.onPainted = null;
    this.view.repainted.connect(() => {
      this.paints += 1;
      this.onPainted?.();
    });
    this.#sparePasses();
    for (const name of ["outer", "inner"]) paintAreaInPieces(this.#drawerOf(name));
    paintLinesInPieces(this.#drawerOf("lines"));
    this.#ownTicks(named("x_ticker"), named("x_formatter"), "x");
    this.#ownTicks(named("y_ticker"), named("y_formatter"), "y");
  }

  /** Of y. @returns {import("./scales.js").ScaleKind} */
  get scale() {
    return this.scales.y.kind;
  }

  /**
   * @param {import("./scales.js").Scale} x
   * @param {import("./scales.js").Scale} y
   * @returns {boolean} whether they are others now: then all is to be filled again, and both ranges set
   */
  setScales(x, y) {
    const before = this.scales;
    if (before.x.kind === x.kind && before.y.kind === y.kind && before.y.bend === y.bend) return false;
    this.scales = { x, y };
    this.filled.clear();
    return true;
  }

  /** The ticks of both axes as they are now, in values. */
  get ticks() {
    const [x, y] = [this.xRange, this.yRange];
    return {
      x: xTicks(this.xAxis, x.start, x.end, this.frame.width, this.scales.x.kind === "log"),
      y: yTicks(y.start, y.end, this.scales.y, this.frame.height, this.unit),
    };
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

  /** What paints a source. @param {string} name */
  #drawerOf(name) {
    return this.view.renderer_views?.get(this.document.get_model_by_name(`${name}_renderer`))?.glyph;
  }

  /**
   * Put our ticks in place of a ticker's and a formatter's own, on these two objects only: Bokeh's
   * way to do so from outside is CustomJS, which needs eval.
   * @param {any} ticker
   * @param {any} formatter
   * @param {"x"|"y"} axis
   */
  #ownTicks(ticker, formatter, axis) {
    /** @type {Map<number, string>} */
    let labels = new Map();
    ticker.get_ticks = () => {
      const ticks = this.ticks[axis];
      const places = ticks.at.map(this.scales[axis].to);
      labels = new Map(places.map((place, i) => [place, ticks.labels[i]]));
      return { major: places, minor: [] };
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
    return this.#rangeOf("x");
  }

  /** @returns {{start: number, end: number}} */
  get yRange() {
    return this.#rangeOf("y");
  }

  /** As it was set, not as it comes back from the scale: nobody shall see it drift. @param {"x"|"y"} axis */
  #rangeOf(axis) {
    const { start, end } = axis === "x" ? this.model.x_range : this.model.y_range;
    const held = this.ranges[axis];
    if (held && held.places.start === start && held.places.end === end) return { ...held.values };
    const { from } = this.scales[axis];
    return { start: from(start), end: from(end) };
  }

  /**
   * @param {"x"|"y"} axis
   * @param {number} start
   * @param {number} end
   */
  setRange(axis, start, end) {
    const range = axis === "x" ? this.model.x_range : this.model.y_range;
    const { to } = this.scales[axis];
    const places = { start: to(start), end: to(end) };
    // What has no place on the scale cannot be an end of it.
    if (!Number.isFinite(places.start) || !Number.isFinite(places.end)) return;
    this.ranges[axis] = { values: { start, end }, places };
    if (range.start !== places.start || range.end !== places.end) range.setv(places, { sync: false });
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
    for (const [column, values] of Object.entries(columns)) source.set(column, this.#placed(column, values));
    source.change.emit();
  }

  /**
   * @param {string} column
   * @param {any} values
   */
  #placed(column, values) {
    const axis = AXIS.get(column);
    const scale = axis && this.scales[axis];
    if (!scale || scale.kind === "linear") return values;
    return column.endsWith("s") ? values.map((/** @type {Float64Array} */ one) => onScale(one, scale)) : onScale(values, scale);
  }

  /** @param {import("./theme.js").Palette} palette */
  recolour(palette) {
    this.hue = palette.hue;
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
    const { start, end } = this.model.x_range;
    return left + ((this.scales.x.to(x) - start) / (end - start)) * width;
  }

  /** @param {number} pixel */
  pixelToX(pixel) {
    const { left, width } = this.frame;
    const { start, end } = this.model.x_range;
    return this.scales.x.from(start + ((pixel - left) / width) * (end - start));
  }

  /** @param {number} y */
  yToPixel(y) {
    const { top, height } = this.frame;
    const { start, end } = this.model.y_range;
    return top + height * (1 - (this.scales.y.to(y) - start) / (end - start));
  }

  /** @param {number} pixel */
  pixelToY(pixel) {
    const { top, height } = this.frame;
    const { start, end } = this.model.y_range;
    return this.scales.y.from(start + (1 - (pixel - top) / height) * (end - start));
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
