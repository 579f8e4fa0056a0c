// When finer rows than a chart's whole history are asked for: of a range somebody zoomed to, and of a
// window that follows what comes in.

import { stepsWithin } from "./derive.js";
import { refineFrom } from "./windows.js";

/** Room beside a zoomed range that is asked for too, so that a small pan shows fine data at once. */
const MARGIN = 0.25;
/** Most buckets of a range. */
const MOST_POINTS = 4096;
/** While a range moves, its rows are asked for so often. */
const EVERY_MS = 60;

export class Finer {
  /**
   * @param {import("./panel.js").Panel} panel
   * @param {() => number} points of its whole history
   * @param {() => void} changed
   */
  constructor(panel, points, changed) {
    this.panel = panel;
    this.points = points;
    this.changed = changed;
    this.timer = 0;
    this.again = false;
  }

  /** At once, and while the range goes on moving once in a while. */
  soon() {
    this.again = this.timer !== 0;
    if (this.again) return;
    this.ask();
    this.timer = setTimeout(() => {
      this.timer = 0;
      if (this.again) this.soon();
    }, EVERY_MS);
  }

  /** Ask for the range that is zoomed to. */
  ask() {
    const { panel } = this;
    const { drawing, zoom } = panel;
    if (!panel.near || panel.following || !drawing || drawing.n === 0 || !zoom) return;
    const room = (zoom.end - zoom.start) * MARGIN;
    panel.detailShown = false;
    // Sent once, not thirty times a second, and margins lie outside the screen: it may be finer.
    const points = Math.min(4 * this.points(), MOST_POINTS);
    for (const layer of panel.layers) {
      // The same place on the axis is another step in another run.
      const of = layer.drawing && layer.drawing.n > 0 ? layer.drawing : drawing;
      const [first, last] = stepsWithin(of, zoom.start - room, zoom.end + room);
      const start = Math.max(0, Math.floor(first));
      const stop = Math.max(start + 1, Math.ceil(last));
      layer.refine(panel.app.views, { start, stop, points }, this.changed);
    }
  }

  /**
   * A window that follows shows finer rows than the whole history has.
   * @param {import("./look.js").Look} look
   */
  window({ window }) {
    const { panel } = this;
    for (const layer of panel.layers) {
      const held = layer.sources[0]?.detail ?? null;
      if (window.kind === "all") {
        if (held) layer.coarsen();
        continue;
      }
      if (!layer.drawing || layer.sources.every(({ live }) => live.rows.shift === 0)) continue;
      const start = refineFrom(layer.drawing, window, held?.spec.start ?? null);
      const points = Math.min(2 * this.points(), MOST_POINTS);
      if (start !== null) layer.refine(panel.app.views, { start, stop: null, points }, this.changed);
    }
  }

  /** Nothing is zoomed any more. */
  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.again = false;
  }
}
