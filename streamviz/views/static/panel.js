// One chart: its card, its layers, and what of them is drawn.
//
// The plain chart is one layer, drawn as band, outliers and attempts. Several layers are a line each.

import { attemptMarks } from "./attempts.js";
import { Card } from "./card.js";
import { merged, readings } from "./composite.js";
import { between, nearest, stepsWithin } from "./derive.js";
import { Finer } from "./finer.js";
import { fillLayers, fillOne } from "./fill.js";
import { xSpan, ySpan } from "./frame.js";
import { attachGestures } from "./gestures.js";
import { endLabels } from "./labels.js";
import { inspected } from "./inspect.js";
import { relayered } from "./layers.js";
import { lookOf, xMetric } from "./look.js";
import { attachMenu } from "./menu.js";
import { notesOf, notesOn } from "./notes.js";
import { momentMarks } from "./markers.js";
import { Plot, removeLater } from "./plot.js";
import { LINEAR, LOG, bendFor, scaleOf } from "./scales.js";

/** Buckets asked for, by the pixels they will cover: more are only work, extremes are kept anyway. */
const POINTS = { least: 256, most: 1024, perPixel: 1.2 };
const RIGHT = { plain: 12, labels: 38 };
/** Runs of fewer ranks have no outliers worth a name. */
const LABELS_FROM_RANKS = 4;

/**
 * @typedef {object} App what a chart needs of the page
 * @property {import("./state.js").State} state
 * @property {import("./theme.js").Theme} theme
 * @property {import("./views.js").Views} views
 * @property {import("./painter.js").Painter} painter
 * @property {import("./cursor.js").Cursor} cursor
 * @property {{name: string, started: number, ranks: number}} run
 * @property {(chart: import("./chart.js").Chart) => {layers: import("./layers.js").LayerSpec[], left: number, problem: string}} layersOf
 * @property {(layers: import("./layers.js").LayerSpec[]) => string} missing what no run has of these
 *   what a chart draws, how many layers it leaves out, and why an expression is not drawn
 * @property {(run: string) => number} startOf wall time of a run's start, seconds
 * @property {() => void} arranged what is shown of the charts is another selection
 * @property {import("./arrangement.js").Arrangement} arrangement
 * @property {(source: Panel, range: {start: number, end: number}|null) => void} zoomed
 * @property {import("./moments.js").Moments} [moments] marks and alerts, to be drawn over charts
 */

export class Panel {
  /**
   * @param {App} app
   * @param {import("./chart.js").Chart} chart
   */
  constructor(app, chart) {
    this.app = app;
    this.chart = chart;
    this.metric = chart.key;
    /** @type {import("./look.js").Own} what it has of its own, instead of the page's */
    this.own = chart.scale ? { y: chart.scale } : {};
    this.card = new Card(chart, () => app.zoomed(this, null));
    this.following = true;
    this.manualY = false;
    this.dirty = false;
    this.forced = false;
    this.near = false;
    /** @type {Plot|null} */
    this.plot = null;
    this.embedding = false;
    /** Whether it is gone for good. */
    this.dropped = false;
    /** @type {import("./layers.js").Layer[]} */
    this.layers = [];
    /** Layers that are left out, because there are too many. */
    this.left = 0;
    /** Why an expression is not drawn. */
    this.problem = "";
    /** @type {import("./derive.js").Drawing|null} of all layers */
    this.drawing = null;
    /** @type {import("./strokes.js").Strokes|null} */
    this.drawn = null;
    /** @type {{start: number, end: number}|null} what the person zoomed to, on the x axis */
    this.zoom = null;
    /** @type {{start: number, end: number}|null} the y axis as last chosen for the data */
    this.spanned = null;
    /** @type {{line: HTMLElement, dot: HTMLElement}|null} */
    this.crosshair = null;
    attachMenu(this, app);
    this.finer = new Finer(this, () => this.#points(), () => this.#changed());
    /** @type {number|null} where symlog turns */
    this.bend = null;
    /** Whether the finer rows have been on the screen since they were asked for. */
    this.detailShown = true;
  }

  /** Whether it draws several lines of different things, rather than the ranks of one. */
  get layered() {
    return this.layers.length > 1;
  }

  /** It comes near the screen: subscribe, and build the figure when its turn comes. */
  approach() {
    if (this.near) return;
    this.near = true;
    if (!this.gestures) this.gestures = attachGestures(this, this.app);
    this.relayer();
    if (!this.following) this.finer.ask();
    this.#embed();
  }

  /** It has left the screen: no more data. The figure stays, in case it comes back. */
  leave() {
    if (!this.near) return;
    this.near = false;
    for (const layer of this.layers) layer.close();
  }

  /** It is far away, or gone for good: nothing is kept. */
  release() {
    this.leave();
    this.plot?.release();
    this.plot = null;
    this.drawing = null;
    this.layers = [];
    this.card.over.replaceChildren();
    this.crosshair = null;
    this.gestures?.forget();
  }

  /** Its metric is not there any more. */
  drop() {
    this.dropped = true;
    this.release();
    removeLater(this.card.element);
  }

  /** What is compared, the mode or the ranks are others now. */
  relayer() {
    if (!this.near) return;
    const { layers, left, problem } = this.app.layersOf(this.chart);
    const before = this.layers.map(({ spec }) => spec.id).join("\n");
    this.left = left;
    this.problem = problem;
    const { mode, x } = this.look;
    // Several layers are a line each, whatever the ranks of one are drawn as.
    const how = { mode: mode === "lines" && layers.length > 1 ? "band" : mode, points: this.#points(), axis: xMetric(x) };
    this.layers = relayered(this.layers, layers, this.app.views, how, () => this.#changed());
    this.card.legend.show(this.layered, this.left);
    if (before !== this.layers.map(({ spec }) => spec.id).join("\n")) {
      this.spanned = null;
      if (!this.following) this.finer.ask();
      this.redraw();
    }
  }

  /** The scale of an axis is another one. */
  rescale() {
    this.manualY = false;
    this.spanned = null;
    this.redraw();
  }

  /**
   * It shows something else, or under another name.
   * @param {import("./chart.js").Chart} chart
   */
  become(chart) {
    if (JSON.stringify(chart) === JSON.stringify(this.chart)) return;
    const before = this.chart;
    this.chart = chart;
    this.card.become(chart);
    if (chart.scale !== before.scale) this.own = chart.scale ? { ...this.own, y: chart.scale } : {};
    this.rescale();
    this.relayer();
  }

  /**
   * Draw it otherwise than the page says.
   * @param {import("./look.js").Own|null} patch null: as the page says again
   */
  setOwn(patch) {
    this.own = patch === null ? {} : { ...this.own, ...patch };
    this.rescale();
    this.relayer();
  }

  /** How it is drawn: as the page says, but for what it has of its own. */
  get look() {
    return lookOf(this.app.state.choices, this.own);
  }

  #points() {
    const wanted = this.card.box.clientWidth * Math.min(2, devicePixelRatio) * POINTS.perPixel;
    return Math.min(POINTS.most, Math.max(POINTS.least, 2 ** Math.ceil(Math.log2(Math.max(1, wanted)))));
  }

  #changed() {
    this.dirty = true;
    // Also while paused: the person asked for these rows after pausing.
    if (!this.detailShown) {
      this.detailShown = this.layers.every(({ refined }) => refined);
      this.forced = true;
    }
    if (!this.drawing || this.drawing.n === 0) this.forced = true;
  }

  async #embed() {
    if (this.plot || this.embedding) return;
    this.embedding = true;
    try {
      this.plot = await Plot.embed(this.card.figure, this.look.y, () => this.near);
    } catch (problem) {
      // The server is away; `approach` comes round again when the line is back.
      console.warn(String(problem));
    }
    this.embedding = false;
    if (this.dropped) {
      this.plot?.release();
      this.plot = null;
    }
    if (!this.plot) return;
    this.recolour();
    this.redraw();
  }

  recolour() {
    const { palette } = this.app.theme;
    const { hue } = this;
    this.plot?.recolour({ ...palette, hue });
    this.card.colour(hue === palette.hue ? null : hue);
  }

  /** The colour of what is drawn: of a run that stands beside the one shown it is that run's. */
  get hue() {
    return this.layers.length === 1 ? this.#colour(this.layers[0]) : this.app.theme.palette.hue;
  }

  /** Draw again though no data came: a choice was changed. */
  redraw() {
    this.dirty = this.forced = true;
    this.app.painter.paint();
  }

  /**
   * Is there something to draw, and may it be?
   * @param {boolean} paused
   */
  due(paused) {
    return this.dirty && this.near && this.plot !== null && (!paused || this.forced);
  }

  /** @returns {Promise<void>|null} kept when it is on the canvas */
  draw() {
    this.dirty = this.forced = false;
    const { plot, layers } = this;
    if (layers.length === 0) this.card.blank.textContent = this.problem;
    if (!plot || layers.length === 0 || !this.near) return null;
    const { run, theme } = this.app;
    const { look } = this;
    for (const layer of layers) layer.derive({ x: look.x, smoothing: look.smooth, started: this.app.startOf(layer.spec.run) });
    const drawing = this.layered ? merged(layers) : /** @type {import("./derive.js").Drawing} */ (layers[0].drawing);
    this.drawing = drawing;
    plot.xAxis = look.x;
    plot.unit = this.card.unit;
    this.#choosePlaces(drawing, look);
    if (this.layered) this.card.legend.fill(readings(layers, this.#colour, null, this.card.unit));
    this.#offerLive();
    if (drawing.n === 0) {
      this.card.tell(drawing, !this.following, notesOf(this));
      this.card.blank.textContent = this.#whyEmpty();
      for (const name of plot.sources.keys()) this.#clear(name);
      return null;
    }
    this.card.blank.textContent = "";
    const right = run.ranks >= LABELS_FROM_RANKS && !this.layered ? RIGHT.labels : RIGHT.plain;
    if (plot.model.min_border_right !== right) plot.model.setv({ min_border_right: right }, { sync: false });
    this.#follow(look);
    this.card.tell(drawing, !this.following, [...notesOf(this), ...notesOn(drawing, plot, look)]);
    if (plot.hue !== this.hue) this.recolour();
    this.#fill(drawing, { ...theme.palette, hue: this.hue }, look);
    if (this.following) this.finer.window(look);
    return new Promise((resolve) => {
      plot.onPainted = resolve;
    });
  }

  /** The colour of a layer: its own, or the run's as the page has it. */
  #colour = (/** @type {import("./layers.js").Layer} */ layer) => layer.spec.colour ?? this.app.theme.palette.hue;

  #whyEmpty() {
    const refusal = this.layers.map((layer) => layer.refusal).find((reason) => reason !== null);
    const missing = this.app.missing(this.layers.map(({ spec }) => spec));
    return this.problem || (refusal ?? (missing || (this.layers.every(({ loaded }) => loaded) ? "no data yet" : "")));
  }

  /**
   * What each layer has at a place on the x axis; none where there is but one layer.
   * @param {number} x
   */
  readingsAt(x) {
    return this.layered ? readings(this.layers, this.#colour, x, this.card.unit) : [];
  }

  #offerLive() {
    this.card.backLive.hidden = this.following && !this.manualY;
  }

  #clear(/** @type {string} */ name) {
    const source = this.plot?.sources.get(name);
    if (source) this.plot?.fill(name, Object.fromEntries(source.columns().map((/** @type {string} */ c) => [c, []])));
  }

  /**
   * On which scales the values lie.
   * @param {import("./derive.js").Drawing} drawing
   * @param {import("./look.js").Look} look
   */
  #choosePlaces(drawing, { logx, y }) {
    const plot = /** @type {Plot} */ (this.plot);
    if (y === "symlog") this.bend = bendFor([drawing.lo, drawing.mid, drawing.hi, ...drawing.lines.map((line) => line.y)], this.bend);
    if (plot.setScales(logx ? LOG : LINEAR, scaleOf(y, this.bend ?? 1))) this.spanned = null;
  }

  /** Set both ranges to what is to be seen. @param {import("./look.js").Look} look */
  #follow(look) {
    const { plot, drawing } = this;
    if (!plot || !drawing) return;
    if (this.following) {
      const { start, end } = xSpan(drawing, look);
      plot.setRange("x", start, end);
    }
    if (this.manualY) return;
    const range = ySpan(this.layers, drawing, plot.xRange, plot.scales.y, look, this.spanned);
    if (!range) return;
    this.spanned = range;
    plot.setRange("y", range.start, range.end);
  }

  /**
   * @param {import("./derive.js").Drawing} drawing
   * @param {import("./theme.js").Palette} palette
   * @param {import("./look.js").Look} look
   */
  #fill(drawing, palette, look) {
    const plot = /** @type {Plot} */ (this.plot);
    plot.fill("gaps", { x0: drawing.gaps.map((gap) => gap[0]), x1: drawing.gaps.map((gap) => gap[1]) });
    const asLines = look.mode === "lines" && drawing.lines.some((line) => line.info.kind === "rank");
    const how = { asLines, smoothed: look.smooth !== null, bars: this.chart.kind === "bar" };
    this.drawn = this.layered ? fillLayers(plot, this.layers, this.#colour, palette, how) : fillOne(plot, drawing, palette, how);
  }

  /** What the page draws over the figure follows the figure, once all figures are painted. */
  overlay() {
    if (!this.plot || !this.drawing || !this.drawn) return;
    attemptMarks(this.card.over, this.plot, this.drawing);
    if (this.app.moments) momentMarks(this.card.over, this.plot, this.drawing, this.app.moments.of(this.chart));
    endLabels(this.card.over, this.plot, this.drawing, this.drawn, this.app.run.ranks >= LABELS_FROM_RANKS && !this.layered);
    this.app.cursor.follow(this);
  }

  /** The x axis counts something else now: the same steps stay in view. */
  changeAxis() {
    const { drawing, plot, zoom } = this;
    this.spanned = null;
    this.relayer();
    // Where a metric puts the same steps is known only once it is here.
    if (zoom && xMetric(this.look.x) !== null) this.follow();
    else if (zoom && drawing && plot && drawing.n > 0) {
      const steps = stepsWithin(drawing, zoom.start, zoom.end);
      this.draw();
      const [start, end] = steps.map((step) => between(this.drawing.step, this.drawing.x, step));
      this.zoom = { start, end };
      plot.setRange("x", start, end);
    }
    this.redraw();
  }

  /**
   * Show a range of x, and ask for its finer data.
   * @param {number} start
   * @param {number} end
   */
  zoomTo(start, end) {
    const { plot, drawing } = this;
    if (!drawing || !(end > start)) return;
    this.following = false;
    this.#offerLive();
    this.zoom = { start, end };
    if (!plot) return;
    plot.setRange("x", start, end);
    this.spanned = null;
    this.redraw();
    this.finer.soon();
  }

  /** Show everything, and follow what comes in. */
  follow() {
    this.following = true;
    this.manualY = false;
    this.zoom = null;
    this.spanned = null;
    this.finer.stop();
    for (const layer of this.layers) layer.coarsen();
    this.detailShown = true;
    this.redraw();
  }

  /**
   * @param {number} start
   * @param {number} end
   */
  zoomY(start, end) {
    if (!this.plot || !(end > start)) return;
    this.manualY = true;
    this.#offerLive();
    this.plot.setRange("y", start, end);
    this.redraw();
  }

  /**
   * The point nearest to a place on the x axis, of whichever attempt; null where there is none.
   * @param {number} x
   * @returns {{x: number, step: number, row: number|null}|null} row: of the latest attempt
   */
  pointAt(x) {
    const { drawing } = this;
    if (!drawing || drawing.n === 0) return null;
    const row = nearest(drawing.x, x);
    let point = { x: drawing.x[row], step: drawing.step[row] };
    for (const line of drawing.lines) {
      if (line.x === drawing.x || line.x.length === 0) continue;
      const at = nearest(line.x, x);
      if (Math.abs(line.x[at] - x) < Math.abs(point.x - x)) point = { x: line.x[at], step: line.step[at] };
    }
    const inside = point.x >= drawing.x[0] && point.x <= drawing.x[drawing.n - 1];
    return { ...point, row: inside ? row : null };
  }

  /** For tests: what stands on the screen. */
  inspect() {
    return inspected(this);
  }

  /** The colour of each layer, as it is drawn. */
  get colours() {
    return this.layers.map(this.#colour);
  }
}
