// From the rows of a view to what is drawn: the x axis of choice, smoothing, gaps, marks.
// Everything here is a copy, so that a paused chart stays as it is while rows go on arriving.

import { nameOf } from "./frames.js";
import { smooth } from "./smoothing.js";

/**
 * @typedef {import("./frames.js").Rows} Rows
 * @typedef {import("./frames.js").LineInfo} LineInfo
 * @typedef {{info: LineInfo, y: Float64Array, raw: Float64Array}} DrawnLine
 *
 * @typedef {object} Drawing
 * @property {number} n
 * @property {Float64Array} x in units of the axis: steps, seconds since the start, or ms since the epoch
 * @property {Float64Array} step
 * @property {Float64Array} t wall time, seconds
 * @property {Float64Array} lo
 * @property {Float64Array} p10
 * @property {Float64Array} mid smoothed
 * @property {Float64Array} raw the median as it came
 * @property {Float64Array} p90
 * @property {Float64Array} hi
 * @property {Float64Array} bad
 * @property {DrawnLine[]} lines
 * @property {number} ranks
 * @property {number} shift
 * @property {[number, number, number][]} gaps x0, x1, rows lost
 * @property {number[]} breaks rows before which a gap left nothing: no line goes there
 * @property {boolean} complete
 * @property {number} nonfinite
 */

/**
 * @param {Rows} live
 * @param {Rows|null} detail finer rows of some range, which stand in for the live ones there
 * @param {{x: "step"|"relative"|"wall", smoothing: number, started: number}} how
 * @returns {Drawing}
 */
export function derive(live, detail, how) {
  const cut = cuts(live, detail);
  const column = (/** @type {string} */ name) =>
    joined(live.column(name), detail?.column(name) ?? null, cut);
  const step = column("x");
  const t = column("t");
  const raw = column("mid");
  const bad = column("bad");
  const x = onAxis(step, t, how);
  let nonfinite = 0;
  for (const count of bad) if (count > 0) nonfinite += count;
  const gaps = detail?.gaps.length ? detail.gaps : live.gaps;
  return {
    n: x.length,
    x,
    step,
    t,
    lo: column("lo"),
    p10: column("p10"),
    raw,
    mid: smooth(raw, how.smoothing),
    p90: column("p90"),
    hi: column("hi"),
    bad,
    lines: drawnLines(live, detail, cut, how.smoothing),
    ranks: (detail ?? live).ranks || live.ranks,
    shift: detail && cut.detail > 0 ? detail.shift : live.shift,
    breaks: breaksOf(step, gaps, detail && cut.detail > 0 ? detail.shift : live.shift),
    gaps: gaps.map(([first, last, rows]) => [
      between(step, x, first),
      between(step, x, last),
      rows,
    ]),
    complete: detail ? detail.complete : live.complete,
    nonfinite,
  };
}

/**
 * A gap of one rank among many leaves rows of the others, and one within a bucket leaves the bucket:
 * both are no break. Nor is a short one between two far points of a metric that seldom comes.
 * @param {Float64Array} step
 * @param {[number, number, number][]} gaps
 * @param {number} shift
 */
function breaksOf(step, gaps, shift) {
  const width = 2 ** shift;
  const rows = new Set();
  for (const [first, last] of gaps) {
    const row = lowerBound(step, first);
    if (row === 0 || row >= step.length || step[row] + width <= last) continue;
    const hole = step[row] - step[row - 1];
    if (hole > width && last - first + 1 >= hole / 2 - width) rows.add(row);
  }
  return [...rows].sort((a, b) => a - b);
}

/**
 * Live rows [0, head), all detail rows, live rows [tail, …).
 * @param {Rows} live
 * @param {Rows|null} detail
 */
function cuts(live, detail) {
  const steps = live.column("x");
  if (!detail || detail.length === 0) return { head: steps.length, detail: 0, tail: steps.length };
  const fine = detail.column("x");
  return {
    head: lowerBound(steps, fine[0]),
    detail: fine.length,
    tail: lowerBound(steps, fine[fine.length - 1] + 1),
  };
}

/**
 * @param {Float64Array} live
 * @param {Float64Array|null} detail
 * @param {{head: number, detail: number, tail: number}} cut
 */
function joined(live, detail, cut) {
  if (!detail || cut.detail === 0) return live.slice();
  const out = new Float64Array(cut.head + cut.detail + (live.length - cut.tail));
  out.set(live.subarray(0, cut.head));
  out.set(detail, cut.head);
  out.set(live.subarray(cut.tail), cut.head + cut.detail);
  return out;
}

/**
 * @param {Rows} live
 * @param {Rows|null} detail
 * @param {{head: number, detail: number, tail: number}} cut
 * @param {number} smoothing
 * @returns {DrawnLine[]}
 */
function drawnLines(live, detail, cut, smoothing) {
  const coarse = new Map(live.lines.map((line) => [nameOf(line.info), line]));
  const fine = new Map((detail?.lines ?? []).map((line) => [nameOf(line.info), line]));
  const names = new Map([...coarse, ...fine]);
  return [...names].map(([name, { info }]) => {
    const absent = (/** @type {number} */ n) => new Float64Array(n).fill(NaN);
    const raw = joined(
      coarse.get(name)?.column.values ?? absent(live.length),
      detail ? (fine.get(name)?.column.values ?? absent(detail.length)) : null,
      cut,
    );
    return { info, raw, y: smooth(raw, smoothing) };
  });
}

/**
 * @param {Float64Array} step
 * @param {Float64Array} t
 * @param {{x: "step"|"relative"|"wall", started: number}} how
 */
function onAxis(step, t, { x, started }) {
  if (x === "step") return step.slice();
  return t.map(x === "wall" ? (at) => at * 1000 : (at) => at - started);
}

/**
 * First index whose value is not below `value`; `values` ascend.
 * @param {Float64Array} values
 * @param {number} value
 */
export function lowerBound(values, value) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * The place on one axis of a value on another, straight between its neighbours and beyond the ends.
 * @param {Float64Array} from
 * @param {Float64Array} to
 * @param {number} value
 */
export function between(from, to, value) {
  const n = from.length;
  if (n === 0) return value;
  if (n === 1) return to[0] + (value - from[0]);
  const right = Math.min(n - 1, Math.max(1, lowerBound(from, value)));
  const left = right - 1;
  const width = from[right] - from[left];
  return width === 0 ? to[left] : to[left] + ((to[right] - to[left]) * (value - from[left])) / width;
}
