// What the server has sent of one heatmap so far: two bytes a cell, a column a bucket of steps.

import { ABSENT, isAbsent, valueOf } from "./ramps.js";

/**
 * @typedef {object} HeatChunk
 * @property {any} meta
 * @property {{steps: Float64Array, codes: Uint16Array, changed: Uint8Array|null}} heat
 */

export class HeatData {
  constructor() {
    this.codes = new Uint16Array(0);
    this.steps = new Float64Array(0);
    /** How many rows a rank has at most in each column; none where the view is not one of means. */
    this.counts = new Float64Array(0);
    /** Columns. */
    this.length = 0;
    /** @type {[number, number][]} first and last rank of each row */
    this.ranks = [];
    this.shift = 0;
    this.fold = 1;
    this.complete = true;
    this.gauge = { base: 0, exponent: 0 };
    /** @type {[number, number, number]} */
    this.scale = [0, 0, 0];
    /** The first column that was not drawn yet; Infinity for none. */
    this.dirtyFrom = Infinity;
    /** Whether colours mean something else than when it was last drawn. */
    this.recolour = true;
    /** Counts new starts: rows and columns are others then. */
    this.epoch = 0;
  }

  get rows() {
    return this.ranks.length;
  }

  /** @param {HeatChunk} chunk */
  apply({ meta, heat }) {
    const from = meta.from;
    if (meta.op === "reset") {
      this.ranks = meta.ranks;
      this.shift = meta.shift;
      this.fold = meta.fold;
      this.complete = meta.complete !== false;
      this.epoch += 1;
      this.recolour = true;
      this.codes = new Uint16Array(0);
      this.length = 0;
    }
    const length = from + meta.n;
    const cells = length * this.rows;
    if (cells > this.codes.length) {
      const codes = new Uint16Array(Math.max(cells, Math.ceil(1.5 * this.codes.length)));
      codes.set(this.codes.subarray(0, this.length * this.rows));
      this.codes = codes;
    }
    if (length > this.steps.length) {
      const steps = new Float64Array(Math.max(length, 1024));
      steps.set(this.steps.subarray(0, this.length));
      this.steps = steps;
      const counts = new Float64Array(steps.length);
      counts.set(this.counts.subarray(0, this.length));
      this.counts = counts;
    }
    if (heat.changed) this.#change(from, length, heat.codes, heat.changed);
    else this.codes.set(heat.codes.subarray(0, meta.n * this.rows), from * this.rows);
    this.steps.set(heat.steps, from);
    if (meta.counts) this.counts.set(meta.counts, from);
    this.length = length;
    this.dirtyFrom = Math.min(this.dirtyFrom, from);
    this.gauge = { base: meta.base, exponent: meta.exponent };
    if (meta.scale.some((/** @type {number} */ end, /** @type {number} */ i) => end !== this.scale[i])) {
      this.scale = meta.scale;
      this.recolour = true;
    }
  }

  /**
   * Change the cells that have their bit set; in columns that are new the others are absent.
   * @param {number} from first column
   * @param {number} to column after the last
   * @param {Uint16Array} codes
   * @param {Uint8Array} changed
   */
  #change(from, to, codes, changed) {
    const first = from * this.rows;
    this.codes.fill(ABSENT, this.length * this.rows, to * this.rows);
    let next = 0;
    for (let i = 0, cells = (to - from) * this.rows; i < cells; i += 1) {
      if (changed[i >> 3] & (1 << (i & 7))) this.codes[first + i] = codes[next++];
    }
  }

  /**
   * @param {number} column
   * @param {number} row
   * @returns {number|null} null: no row of this rank; NaN: NaN or an infinity came
   */
  at(column, row) {
    const code = this.codes[column * this.rows + row];
    return isAbsent(code) ? null : valueOf(code, this.gauge);
  }

  /**
   * A row's mean over some columns, what is not finite left out.
   * @param {number} row
   * @param {number} from first column
   * @returns {number} NaN where there is none
   */
  mean(row, from) {
    let sum = 0;
    let count = 0;
    for (let column = Math.max(0, from); column < this.length; column += 1) {
      const value = this.at(column, row);
      if (value === null || !Number.isFinite(value)) continue;
      sum += value;
      count += 1;
    }
    return count ? sum / count : NaN;
  }

  /**
   * What is no colour of the ramp: how many cells of each kind, and the first of them in time.
   * @param {number} under
   * @param {number} over
   */
  marked(under, over) {
    const none = () => ({ count: 0, row: 0, column: 0 });
    const found = { bad: none(), above: none(), below: none() };
    const { codes, rows, gauge } = this;
    const kinds = kindsOf(gauge, under, over);
    for (let at = 0, end = this.length * rows; at < end; at += 1) {
      const kind = kinds[codes[at]];
      if (kind === 0) continue;
      const one = kind === 1 ? found.bad : kind === 2 ? found.above : found.below;
      if (one.count === 0) [one.row, one.column] = [at % rows, Math.floor(at / rows)];
      one.count += 1;
    }
    return found;
  }

  /** The newest value of a row: null where it never had one. @param {number} row */
  last(row) {
    for (let column = this.length - 1; column >= 0; column -= 1) {
      const value = this.at(column, row);
      if (value !== null) return value;
    }
    return null;
  }

  /** @param {number} rank */
  rowOf(rank) {
    return this.ranks.findIndex(([first, last]) => first <= rank && rank <= last);
  }
}

/**
 * Of every code: 0 a colour of the ramp or nothing, 1 not a number, 2 above, 3 below.
 * @param {{base: number, exponent: number}} gauge
 * @param {number} under
 * @param {number} over
 */
function kindsOf(gauge, under, over) {
  const kinds = new Uint8Array(65_536);
  for (let code = 0; code < kinds.length; code += 1) {
    if (isAbsent(code)) continue;
    const value = valueOf(code, gauge);
    kinds[code] = Number.isNaN(value) ? 1 : value > over ? 2 : value < under ? 3 : 0;
  }
  return kinds;
}

/** @param {[number, number]} ranks */
export function rowName([first, last]) {
  return first === last ? `r${first}` : `r${first}–${last}`;
}

/**
 * The middle of some numbers; NaN without any.
 * @param {number[]} values finite
 */
export function median(values) {
  if (values.length === 0) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
