// The pixels of a heatmap: one a cell, written in place, stretched by the browser.
//
// A column that is new is the only one written; all are when the colours or the order of rows change.

import { HATCH, lookup, NAN_PIXEL } from "./ramps.js";

const COLUMNS = 1024;

export class HeatCanvas {
  constructor() {
    this.element = document.createElement("canvas");
    this.element.className = "heat-canvas";
    this.element.width = this.element.height = 1;
    this.context = /** @type {CanvasRenderingContext2D} */ (this.element.getContext("2d"));
    /** @type {ImageData|null} */
    this.image = null;
    this.pixels = new Uint32Array(0);
    /** @type {Uint32Array|null} */
    this.table = null;
    this.epoch = -1;
    /** @type {number[]} the data's row on each line of the picture */
    this.order = [];
    /** Milliseconds that the last few drawings took. */
    this.took = /** @type {number[]} */ ([]);
  }

  /**
   * @param {import("./heatdata.js").HeatData} data
   * @param {import("./ramps.js").Ramp} ramp
   * @param {number[]} order
   */
  draw(data, ramp, order) {
    const began = performance.now();
    const { rows, length } = data;
    let from = data.dirtyFrom;
    if (rows === 0 || length === 0) {
      this.element.hidden = true;
      return;
    }
    this.element.hidden = false;
    if (this.epoch !== data.epoch || this.order !== order || !this.image || this.image.height !== rows) {
      from = 0;
      this.order = order;
      this.epoch = data.epoch;
      if (!this.image || this.image.height !== rows) {
        this.element.width = COLUMNS;
        this.element.height = rows;
        this.image = new ImageData(COLUMNS, rows);
        this.pixels = new Uint32Array(this.image.data.buffer);
      }
      this.pixels.fill(0);
    }
    if (data.recolour || !this.table) {
      this.table = lookup(data.gauge, data.scale, ramp);
      from = 0;
    }
    data.recolour = false;
    data.dirtyFrom = Infinity;
    if (from < length) {
      this.#write(data, order, from, this.table);
      this.context.putImageData(/** @type {ImageData} */ (this.image), 0, 0, from, 0, length - from, rows);
    }
    this.took.push(performance.now() - began);
    if (this.took.length > 200) this.took.splice(0, 100);
  }

  /**
   * @param {import("./heatdata.js").HeatData} data
   * @param {number[]} order
   * @param {number} from
   * @param {Uint32Array} table
   */
  #write({ codes, rows, length }, order, from, table) {
    const { pixels } = this;
    // Column by column: the codes are read in one go, and a line of the picture is 4 kB further on.
    for (let column = from; column < length; column += 1) {
      const at = column * rows;
      for (let line = 0, place = column; line < rows; line += 1, place += COLUMNS) {
        const colour = table[codes[at + order[line]]];
        pixels[place] = colour === NAN_PIXEL && (column + line) % 3 === 0 ? HATCH : colour;
      }
    }
  }

  /**
   * Stretch the columns there are over the width, but few of them not over all of it.
   * @param {number} length
   * @param {number} least columns that the width is made for at least
   */
  stretch(length, least) {
    const share = COLUMNS / Math.max(length, least, 1);
    this.element.style.setProperty("width", `${(100 * share).toFixed(4)}%`);
  }
}
