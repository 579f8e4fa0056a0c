// The binary frames of the data plane, read in place, and the rows of one view they add up to.

const MAGIC = 0x53;
const VERSION = 1;
const FRAME_BYTES = 16;
const CHUNK_BYTES = 16;

/**
 * @typedef {{rank: number|null, attempt: number, label: string, kind: "outlier"|"rank"|"old"}} LineInfo
 * @typedef {[number, number, string]} Start step, wall time and name of an attempt's first row
 * @typedef {object} Meta
 * @property {number} v
 * @property {"reset"|"tail"} op
 * @property {number} from
 * @property {number} n
 * @property {number|null} newest
 * @property {number} shift
 * @property {string[]} columns
 * @property {LineInfo[]} lines
 * @property {number} times how many of the lines, the last ones, have times of their own
 * @property {number} ranks
 * @property {number} attempt the newest
 * @property {Start[]} starts
 * @property {[number, number, number][]} [gaps]
 * @property {boolean} complete
 * @property {"heat"} [kind] a heatmap's chunk has a payload of its own (heatdata.js)
 * @property {number} [rows]
 * @property {boolean} [changed] of its cells only those that changed
 * @typedef {{key: number, meta: Meta, columns: Map<string, Float64Array>, lines: Float64Array[], times: Float64Array[], heat?: {steps: Float64Array, codes: Uint16Array, changed: Uint8Array|null}}} Chunk
 * @typedef {{number: number, time: number, chunks: Chunk[]}} Frame
 */

const decoder = new TextDecoder();

/**
 * Take a frame apart. The arrays are views of `buffer`; whoever keeps them copies them.
 * @param {ArrayBuffer} buffer
 * @returns {Frame}
 */
export function decode(buffer) {
  const view = new DataView(buffer);
  if (buffer.byteLength < FRAME_BYTES || view.getUint8(0) !== MAGIC) throw new Error("not a frame");
  if (view.getUint8(1) !== VERSION) throw new Error(`frame of version ${view.getUint8(1)}, this page reads ${VERSION}`);
  const count = view.getUint16(2, true);
  const frame = { number: view.getUint32(4, true), time: view.getFloat64(8, true), chunks: /** @type {Chunk[]} */ ([]) };
  let at = FRAME_BYTES;
  for (let i = 0; i < count; i += 1) {
    const key = view.getUint32(at, true);
    const metaBytes = view.getUint32(at + 4, true);
    const payloadBytes = view.getUint32(at + 8, true);
    at += CHUNK_BYTES;
    /** @type {Meta} */
    const meta = JSON.parse(decoder.decode(new Uint8Array(buffer, at, metaBytes)));
    at += metaBytes;
    if (meta.kind === "heat") {
      frame.chunks.push({ key, meta, columns: new Map(), lines: [], times: [], heat: heatOf(buffer, at, at + payloadBytes, meta) });
      at += payloadBytes;
      continue;
    }
    let offset = at;
    const next = () => {
      const values = new Float64Array(buffer, offset, meta.n);
      offset += meta.n * 8;
      return values;
    };
    const columns = new Map(meta.columns.map((name) => [name, next()]));
    const lines = meta.lines.map(next);
    const times = meta.lines.slice(meta.lines.length - meta.times).map(next);
    if (offset !== at + payloadBytes) throw new Error("a chunk's payload is not as long as its columns");
    frame.chunks.push({ key, meta, columns, lines, times });
    at = offset;
  }
  return frame;
}

/**
 * The steps of a heatmap's columns, and their cells or, after a bit for each, those that changed.
 * @param {ArrayBuffer} buffer
 * @param {number} from
 * @param {number} to
 * @param {Meta} meta
 */
function heatOf(buffer, from, to, { n, rows = 0, changed = false }) {
  const steps = new Float64Array(buffer, from, n);
  const at = from + 8 * n;
  if (!changed) return { steps, codes: new Uint16Array(buffer, at, n * rows), changed: null };
  const bits = 2 * Math.ceil((n * rows) / 16);
  return { steps, codes: new Uint16Array(buffer, at + bits, (to - at - bits) >> 1), changed: new Uint8Array(buffer, at, bits) };
}

/** An array that grows: the rows [0, length) are real. */
class Column {
  constructor() {
    this.buffer = new Float64Array(256);
    this.length = 0;
  }

  /**
   * Put values in place of the rows from `from` on.
   * @param {number} from
   * @param {Float64Array} values
   */
  write(from, values) {
    const length = from + values.length;
    if (length > this.buffer.length) {
      const grown = new Float64Array(Math.max(length, 2 * this.buffer.length));
      grown.set(this.buffer.subarray(0, this.length));
      this.buffer = grown;
    }
    // Rows nobody sent are absent, not zero.
    if (from > this.length) this.buffer.fill(NaN, this.length, from);
    this.buffer.set(values, from);
    this.length = length;
  }

  get values() {
    return this.buffer.subarray(0, this.length);
  }
}

/** What the server has sent of one view so far. */
export class Rows {
  constructor() {
    /** @type {Map<string, Column>} */
    this.columns = new Map();
    /** @type {{info: LineInfo, column: Column, times: Column|null}[]} earlier attempts have times of their own */
    this.lines = [];
    /** @type {Start[]} where attempts begin but for the first */
    this.starts = [];
    this.attempt = 0;
    /** @type {[number, number, number][]} */
    this.gaps = [];
    this.length = 0;
    this.shift = 0;
    this.ranks = 0;
    this.complete = true;
    /** @type {number|null} wall time of the newest sample */
    this.newest = null;
  }

  /** @param {Chunk} chunk */
  apply({ meta, columns, lines, times }) {
    const from = meta.op === "reset" ? 0 : meta.from;
    if (meta.op === "reset") this.gaps = [];
    for (const [name, values] of columns) {
      let column = this.columns.get(name);
      if (!column) this.columns.set(name, (column = new Column()));
      column.write(from, values);
    }
    // Lines are kept by who they are, not by their place: an outlier may come or go.
    const held = new Map(this.lines.map((line) => [nameOf(line.info), line]));
    this.lines = meta.lines.map((info, i) => {
      const before = from > 0 ? held.get(nameOf(info)) : undefined;
      const column = before?.column ?? new Column();
      column.write(from, lines[i]);
      const own = i - (lines.length - times.length);
      if (own < 0) return { info, column, times: null };
      const when = before?.times ?? new Column();
      when.write(from, times[own]);
      return { info, column, times: when };
    });
    this.starts = meta.starts;
    this.attempt = meta.attempt;
    this.length = from + meta.n;
    this.shift = meta.shift;
    this.ranks = meta.ranks;
    this.complete = meta.complete !== false;
    this.newest = meta.newest ?? this.newest;
    if (meta.gaps) this.gaps = meta.gaps;
  }

  /**
   * @param {string} name
   * @returns {Float64Array}
   */
  column(name) {
    return this.columns.get(name)?.values ?? new Float64Array(this.length).fill(NaN);
  }
}

/** @param {LineInfo} info */
export function nameOf(info) {
  return `${info.kind} ${info.attempt} ${info.label}`;
}
