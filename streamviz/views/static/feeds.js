// Several heatmaps' data at once, one for each metric of a set: opened while they are looked at.

import { HeatData } from "./heatdata.js";

/** Buckets of the whole run: the newest is at most a 128th of it. */
const POINTS = 256;
const ROWS = 1024;
/** Drawn no more often than people read numbers. */
const DRAW_EVERY_MS = 500;

export class Feeds {
  /**
   * @param {import("./views.js").Views} views
   * @param {() => void} paint asks for a turn of the painter
   * @param {() => void} redraw
   */
  constructor(views, paint, redraw) {
    this.views = views;
    this.paint = paint;
    this.redraw = redraw;
    /** @type {Map<string, {view: import("./views.js").View, data: HeatData}>} by metric */
    this.open = new Map();
    this.dirty = false;
    this.drawnAt = -Infinity;
    this.timer = 0;
  }

  /**
   * Follow these metrics of a run, and no others.
   * @param {string} run
   * @param {string[]} metrics
   */
  follow(run, metrics) {
    for (const [metric, { view }] of this.open) {
      if (metrics.includes(metric) && view.spec.run === run) continue;
      view.close();
      this.open.delete(metric);
    }
    for (const metric of metrics) {
      if (this.open.has(metric)) continue;
      const data = new HeatData();
      const spec = /** @type {any} */ ({ kind: "heat", run, metric, ranks: null, start: null, stop: null, points: POINTS, rows: ROWS, cells: "mean", relative: false });
      this.open.set(metric, { data, view: this.views.open(spec, () => this.#changed(), data) });
    }
    this.touch();
  }

  stop() {
    for (const { view } of this.open.values()) view.close();
    this.open.clear();
    clearTimeout(this.timer);
  }

  /** Those that have something, in the order of their names. @returns {[string, HeatData][]} */
  get ready() {
    return [...this.open].filter(([, { data }]) => data.length > 0).map(([metric, { data }]) => [metric, data]);
  }

  touch() {
    this.dirty = true;
    this.drawnAt = -Infinity;
    this.paint();
  }

  #changed() {
    this.dirty = true;
    const wait = DRAW_EVERY_MS - (performance.now() - this.drawnAt);
    clearTimeout(this.timer);
    if (wait > 0) this.timer = setTimeout(() => this.paint(), wait + 1);
  }

  // What the painter calls.

  /** @param {boolean} paused */
  due(paused) {
    return this.dirty && !paused && performance.now() - this.drawnAt >= DRAW_EVERY_MS;
  }

  draw() {
    this.dirty = false;
    this.drawnAt = performance.now();
    this.redraw();
    return null;
  }

  overlay() {
    // The pointer's readout goes with the pointer alone.
  }
}
