// One chart: its card, the views behind it, and what of them is drawn.

import { attemptMarks } from "./attempts.js";
import { Card } from "./card.js";
import { between, derive, nearest, stepsWithin } from "./derive.js";
import { attachGestures } from "./gestures.js";
import { endLabels } from "./labels.js";
import { Plot, removeLater } from "./plot.js";
import { yRange } from "./ranges.js";
import { DOTS_UP_TO, area, dots, marks, strokes } from "./strokes.js";

/** Buckets asked for, by the pixels they will cover: more are only work, extremes are kept anyway. */
const POINTS = { least: 256, most: 1024, detail: 4096, perPixel: 1.2 };
/** Room beside a zoomed range that is asked for too, so that a small pan shows fine data at once. */
const MARGIN = 0.25;
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
 * @property {(source: Panel, range: {start: number, end: number}|null) => void} zoomed
 */

export class Panel {
  /**
   * @param {App} app
   * @param {string} metric
   * @param {string} title
   */
  constructor(app, metric, title) {
    this.app = app;
    this.metric = metric;
    this.card = new Card(metric, title, () => app.zoomed(this, null));
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
    /** @type {import("./views.js").View|null} the whole history, and what comes in */
    this.live = null;
    /** @type {import("./views.js").View|null} finer rows of the range zoomed to */
    this.detail = null;
    /** @type {import("./derive.js").Drawing|null} */
    this.drawing = null;
    /** @type {import("./strokes.js").Strokes|null} */
    this.drawn = null;
    /** @type {{start: number, end: number}|null} what the person zoomed to, on the x axis */
    this.zoom = null;
    /** @type {{start: number, end: number}|null} the y axis as last chosen for the data */
    this.spanned = null;
    /** @type {{line: HTMLElement, dot: HTMLElement}|null} */
    this.crosshair = null;
    this.asking = 0;
    /** Whether the finer rows have been on the screen since they were asked for. */
    this.detailShown = true;
  }

  /** It comes near the screen: subscribe, and build the figure when its turn comes. */
  approach() {
    if (this.near) return;
    this.near = true;
    if (!this.gestures) this.gestures = attachGestures(this, this.app);
    const { run, views } = this.app;
    this.live = views.open(this.#spec(run.name, null, null), () => this.#changed());
    if (!this.following) this.#askDetail();
    this.#embed();
  }

  /** It has left the screen: no more data. The figure stays, in case it comes back. */
  leave() {
    if (!this.near) return;
    this.near = false;
    this.live?.close();
    this.detail?.close();
    this.live = this.detail = null;
  }

  /** It is far away, or gone for good: nothing is kept. */
  release() {
    this.leave();
    this.plot?.release();
    this.plot = null;
    this.drawing = null;
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

  /** Run, mode or ranks are others now. */
  reopen() {
    if (!this.near) return;
    const { run } = this.app;
    const spec = this.#spec(run.name, null, null);
    this.live?.set({ run: spec.run, mode: spec.mode, ranks: spec.ranks });
    this.detail?.set({ run: spec.run, mode: spec.mode, ranks: spec.ranks });
  }

  /** Log y is another figure. */
  rescale() {
    this.plot?.release();
    this.plot = null;
    this.manualY = false;
    if (this.near) this.#embed();
  }

  #spec(/** @type {string} */ run, /** @type {number|null} */ start, /** @type {number|null} */ stop) {
    const { mode, ranks } = this.app.state.choices;
    return { run, metric: this.metric, mode, ranks: ranks || null, start, stop, points: this.#points() };
  }

  #points() {
    const wanted = this.card.box.clientWidth * Math.min(2, devicePixelRatio) * POINTS.perPixel;
    return Math.min(POINTS.most, Math.max(POINTS.least, 2 ** Math.ceil(Math.log2(Math.max(1, wanted)))));
  }

  #changed() {
    this.dirty = true;
    // Also while paused: the person asked for these rows after pausing.
    if (this.detail && !this.detailShown) {
      this.detailShown = this.detail.loaded;
      this.forced = true;
    }
    if (this.live && !this.drawing) this.forced = true;
  }

  async #embed() {
    if (this.plot || this.embedding) return;
    this.embedding = true;
    const scale = this.app.state.choices.log ? "log" : "linear";
    try {
      this.plot = await Plot.embed(this.card.figure, scale, () => this.near);
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
    // The person may have switched meanwhile.
    if ((this.app.state.choices.log ? "log" : "linear") !== scale) {
      this.rescale();
      return;
    }
    this.recolour();
    this.redraw();
  }

  recolour() {
    this.plot?.recolour(this.app.theme.palette);
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
    const { plot, live } = this;
    if (!plot || !live) return null;
    const { state, run, theme } = this.app;
    const { choices } = state;
    const drawing = derive(live.rows, this.detail?.loaded ? this.detail.rows : null, {
      x: choices.x,
      smoothing: choices.smoothing,
      started: run.started,
    });
    this.drawing = drawing;
    plot.xAxis = choices.x;
    this.card.tell(drawing, !this.following);
    this.#offerLive();
    if (drawing.n === 0) {
      this.card.blank.textContent = live.refusal ?? (live.loaded ? "no data yet" : "");
      for (const name of ["outer", "inner", "lines", "dots", "marks", "gaps"]) this.#clear(name);
      return null;
    }
    this.card.blank.textContent = "";
    const right = run.ranks >= LABELS_FROM_RANKS ? RIGHT.labels : RIGHT.plain;
    if (plot.model.min_border_right !== right) plot.model.setv({ min_border_right: right }, { sync: false });
    this.#follow();
    this.#fill(drawing, theme.palette, choices);
    return new Promise((resolve) => {
      plot.onPainted = resolve;
    });
  }

  #offerLive() {
    this.card.backLive.hidden = this.following && !this.manualY;
  }

  #clear(/** @type {string} */ name) {
    const source = this.plot?.sources.get(name);
    if (source) this.plot?.fill(name, Object.fromEntries(source.columns().map((/** @type {string} */ c) => [c, []])));
  }

  /** Set both ranges to what is to be seen. */
  #follow() {
    const { plot, drawing } = this;
    if (!plot || !drawing) return;
    if (this.following) {
      const { start, end } = drawing.span;
      // Few points are drawn as dots, which the frame must not cut in half.
      const least = this.app.state.choices.x === "wall" ? 1000 : 1;
      const room = drawing.n > DOTS_UP_TO ? 0 : end > start ? (end - start) * 0.02 : least;
      plot.setRange("x", start - room, end + room);
    }
    if (!this.manualY) {
      const range = yRange(drawing, plot.xRange, plot.scale === "log", this.spanned);
      if (range) {
        this.spanned = range;
        plot.setRange("y", range.start, range.end);
      }
    }
  }

  /**
   * @param {import("./derive.js").Drawing} drawing
   * @param {import("./theme.js").Palette} palette
   * @param {import("./state.js").Choices} choices
   */
  #fill(drawing, palette, choices) {
    const plot = /** @type {Plot} */ (this.plot);
    const asLines = choices.mode === "lines" && drawing.lines.some((line) => line.info.kind === "rank");
    const positive = (/** @type {Float64Array} */ values) => {
      // An area that reaches to zero or below has its edge at the foot of a log axis.
      if (plot.scale !== "log") return values;
      const foot = plot.yRange.start / 10;
      return values.map((value) => (value <= 0 ? foot : value));
    };
    const none = { x: [], y1: [], y2: [] };
    plot.fill("outer", area(drawing, positive(drawing.lo), positive(drawing.hi)));
    plot.fill("inner", asLines || drawing.ranks < 2 ? none : area(drawing, positive(drawing.p10), positive(drawing.p90)));
    this.drawn = strokes(drawing, palette, { asLines, smoothed: choices.smoothing > 0 });
    plot.fill("lines", this.drawn.columns);
    plot.fill("dots", dots(drawing, this.drawn, plot.xRange));
    plot.fill("marks", marks(drawing, plot.xRange, plot.yRange, plot.frame.width, palette));
    plot.fill("gaps", { x0: drawing.gaps.map((gap) => gap[0]), x1: drawing.gaps.map((gap) => gap[1]) });
  }

  /** What the page draws over the figure follows the figure, once all figures are painted. */
  overlay() {
    if (!this.plot || !this.drawing || !this.drawn) return;
    attemptMarks(this.card.over, this.plot, this.drawing);
    endLabels(this.card.over, this.plot, this.drawing, this.drawn, this.app.run.ranks >= LABELS_FROM_RANKS);
    this.app.cursor.follow(this);
  }

  /** The x axis counts something else now: the same steps stay in view. */
  changeAxis() {
    const { drawing, plot, zoom } = this;
    this.spanned = null;
    if (zoom && drawing && plot && drawing.n > 0) {
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
    clearTimeout(this.asking);
    this.asking = setTimeout(() => this.#askDetail(), 60);
  }

  #askDetail() {
    const { drawing, zoom } = this;
    if (!this.near || this.following || !drawing || drawing.n === 0 || !zoom) return;
    const room = (zoom.end - zoom.start) * MARGIN;
    const [first, last] = stepsWithin(drawing, zoom.start - room, zoom.end + room);
    const start = Math.max(0, Math.floor(first));
    const stop = Math.max(start + 1, Math.ceil(last));
    this.detailShown = false;
    if (this.detail) {
      this.detail.set({ start, stop });
    } else {
      // Sent once, not thirty times a second, and margins lie outside the screen: it may be finer.
      const spec = this.#spec(this.app.run.name, start, stop);
      spec.points = Math.min(4 * spec.points, POINTS.detail);
      this.detail = this.app.views.open(spec, () => this.#changed());
    }
  }

  /** Show everything, and follow what comes in. */
  follow() {
    this.following = true;
    this.manualY = false;
    this.zoom = null;
    this.spanned = null;
    clearTimeout(this.asking);
    this.detail?.close();
    this.detail = null;
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
    const { drawing, plot } = this;
    return {
      metric: this.metric,
      painted: plot?.paints ?? 0,
      newest: this.live?.rows.newest ?? null,
      value: this.card.value.textContent,
      columns: drawing && {
        x: [...drawing.x], step: [...drawing.step], t: [...drawing.t], lo: [...drawing.lo], p10: [...drawing.p10],
        mid: [...drawing.mid], raw: [...drawing.raw], p90: [...drawing.p90], hi: [...drawing.hi], bad: [...drawing.bad],
      },
      lines: drawing?.lines.map((line) => ({ ...line.info, x: [...line.x], y: [...line.raw] })) ?? [],
      starts: drawing?.starts ?? [],
      complete: drawing?.complete ?? true,
      gaps: drawing?.gaps ?? [],
      ranks: drawing?.ranks ?? 0,
      shift: drawing?.shift ?? 0,
      range: plot?.xRange ?? null,
      yRange: plot?.yRange ?? null,
      following: this.following,
    };
  }
}
