// From a frame that arrived to pixels, and the word back to the server that they are there.
//
// The acknowledgement goes out after the paint: that alone paces the server, which keeps at most two
// frames on their way. While charts are being painted, what arrives is taken in but drawn later, once.

import { decode } from "./frames.js";

/** A paint that nobody reports (a chart released meanwhile) must not stop the flow. */
const PAINT_WITHIN_MS = 1_000;
const REMEMBER = 2_000;

export class Painter {
  /**
   * @param {import("./link.js").Link} link
   * @param {import("./views.js").Views} views
   * @param {() => Iterable<{due(paused: boolean): boolean, draw(): Promise<unknown>|null, overlay(): void}>} panels those on the screen
   */
  constructor(link, views, panels) {
    this.link = link;
    this.views = views;
    this.panels = panels;
    this.paused = false;
    /** @type {number|null} newest frame taken in and not acknowledged */
    this.owed = null;
    /** @type {number|null} wall time of the newest sample taken in */
    this.newest = null;
    this.painting = false;
    this.again = false;
    /** @type {[number, number|null, number][]} frame, newest sample, painted; wall seconds */
    this.paintedAt = [];
    link.addEventListener("frame", (event) => this.#take(/** @type {CustomEvent} */ (event).detail));
    /** Counts connections: the numbers of one mean nothing to the next. */
    this.epoch = 0;
    link.addEventListener("state", () => {
      this.epoch += 1;
      this.owed = null;
    });
    document.addEventListener("visibilitychange", () => this.paint());
  }

  /** @param {ArrayBuffer} buffer */
  #take(buffer) {
    const frame = decode(buffer);
    for (const chunk of frame.chunks) {
      this.views.apply(chunk);
      if (chunk.meta.newest !== null) this.newest = Math.max(this.newest ?? 0, chunk.meta.newest);
    }
    this.owed = frame.number;
    this.paint();
  }

  /** Draw what has changed, as soon as the last paint is over. */
  paint() {
    // A hidden tab neither paints nor acknowledges: the server stops by itself and merges.
    if (document.hidden) return;
    if (this.painting) {
      this.again = true;
      return;
    }
    const { owed, newest, epoch } = this;
    this.newest = null;
    const waiting = [];
    const drawn = [];
    for (const panel of this.panels()) {
      if (!panel.due(this.paused)) continue;
      const painted = panel.draw();
      if (!painted) continue;
      waiting.push(painted);
      drawn.push(panel);
    }
    if (waiting.length === 0) {
      this.#acknowledge(owed, epoch);
      return;
    }
    this.painting = true;
    const late = new Promise((resolve) => setTimeout(resolve, PAINT_WITHIN_MS));
    Promise.race([Promise.all(waiting), late]).then(() => {
      this.painting = false;
      if (document.hidden) return;
      // All at once and not chart by chart: each write between two paints costs a style pass.
      for (const panel of drawn) panel.overlay();
      if (owed !== null) {
        this.paintedAt.push([owed, newest, Date.now() / 1000]);
        if (this.paintedAt.length > REMEMBER) this.paintedAt.splice(0, REMEMBER / 2);
      }
      this.#acknowledge(owed, epoch);
      if (this.again) {
        this.again = false;
        this.paint();
      }
    });
  }

  /**
   * @param {number|null} number
   * @param {number} epoch
   */
  #acknowledge(number, epoch) {
    if (number === null || this.owed === null || epoch !== this.epoch) return;
    this.link.send({ op: "ack", frame: number });
    if (this.owed === number) this.owed = null;
  }
}
