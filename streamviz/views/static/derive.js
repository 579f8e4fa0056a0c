// From the rows of a view to what is drawn: the x axis of choice, smoothing, gaps, marks.
// Everything here is a copy, so that a paused chart stays as it is while rows go on arriving.

import { nameOf } from "./frames.js";
import { smooth } from "./smoothing.js";

/**
 * @typedef {import("./frames.js").Rows} Rows
 * @typedef {import("./frames.js").LineInfo} LineInfo
 * @typedef {{info: LineInfo, x: Float64Array, step: Float64Array, y: Float64Array, raw: Float64Array, breaks: number[]}} DrawnLine
 *   an earlier attempt has rows of its own; the others have those of the drawing
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
 * @property {{start: number, end: number}} span of x, earlier attempts included
 * @property {number} ranks
 * @property {number} attempt the newest
 * @property {{x: number, step: number, label: string}[]} starts where attempts begin but for the first
 * @property {number} shift
 * @property {[number, number, number][]} gaps x0, x1, rows lost
 * @property {number[]} breaks rows before which a gap left nothing: no line goes there
 * @property {boolean} complete
 * @property {number} nonfinite
 */

/**
 * @typedef {{x: "step"|"relative"|"wall", smoothing: number, started: number}} How
 *
 * @param {Rows} live
 * @param {Rows|null} detail finer rows of some range, which stand in for the live ones there
 * @param {How} how
 * @returns {Drawing}
 */
export function derive(live, detail, how) {
  const cut = cuts(live, detail);
  const column = (/** @type {string} */ name) =>
    joined(live.column(name), detail?.column(name) ?? null, cut);
  const shift = detail && cut.detail > 0 ? detail.shift : live.shift;
  const gaps = detail?.gaps.length ? detail.gaps : live.gaps;
  const steps = column("x");
  const breaks = breaksOf(steps, gaps, shift);
  const times = column("t");
  const lines = joinedLines(live, detail, cut);
  // A bucket that only an earlier attempt has is no hole in the latest one's line.
  const here = kept(times, breaks);
  const alone = here.rows.length === 0;
  if (alone) {
    // This metric has come from earlier attempts only: their rows are all there is.
    for (const line of lines) line.times?.forEach((t, row) => (times[row] = Number.isNaN(times[row]) ? t : times[row]));
    Object.assign(here, kept(times, breaks));
  }
  const own = (/** @type {string} */ name) => picked(column(name), here.rows);
  const step = picked(steps, here.rows);
  const t = picked(times, here.rows);
  const raw = own("mid");
  const bad = own("bad");
  const x = onAxis(step, t, how);
  let nonfinite = 0;
  for (const count of bad) if (count > 0) nonfinite += count;
  const drawn = lines.map((line) => drawnLine(line, steps, { x, step, here }, breaks, how));
  return {
    n: x.length,
    x,
    step,
    t,
    lo: own("lo"),
    p10: own("p10"),
    raw,
    mid: smooth(raw, how.smoothing),
    p90: own("p90"),
    hi: own("hi"),
    bad,
    lines: drawn,
    // A gap before the first row is seen too, where it is known on this axis.
    span: spanOf([x, ...drawn.map((line) => line.x), ...(how.x === "step" ? gaps.map(([first, last]) => Float64Array.of(first, last)) : [])]),
    ranks: (detail ?? live).ranks || live.ranks,
    attempt: Math.max(live.attempt, detail?.attempt ?? 0),
    starts: starts(live, detail).map(([at, when, label]) => ({ x: placeOf(at, when, how), step: at, label })),
    shift,
    breaks: here.breaks,
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
 * The rows that have a time, and the breaks as they stand among them.
 * @param {Float64Array} times
 * @param {number[]} breaks
 */
function kept(times, breaks) {
  const rows = [];
  for (let row = 0; row < times.length; row += 1) if (!Number.isNaN(times[row])) rows.push(row);
  const places = breaks.map((row) => lowerBound(rows, row)).filter((place) => place > 0 && place < rows.length);
  return { rows, breaks: [...new Set(places)] };
}

/**
 * @param {Float64Array} values
 * @param {number[]} rows
 */
function picked(values, rows) {
  if (rows.length === values.length) return values;
  return Float64Array.from(rows, (row) => values[row]);
}

/**
 * Where attempts begin: by the finer rows where they reach that far back.
 * @param {Rows} live
 * @param {Rows|null} detail
 */
function starts(live, detail) {
  const first = detail?.column("x")[0] ?? Infinity;
  const fine = new Map((detail?.starts ?? []).filter(([step]) => step > first).map((start) => [start[2], start]));
  return live.starts.map((start) => fine.get(start[2]) ?? start);
}

/**
 * @param {number} step
 * @param {number} t
 * @param {How} how
 */
function placeOf(step, t, { x, started }) {
  return x === "step" ? step : x === "wall" ? t * 1000 : t - started;
}

/** @param {Float64Array[]} axes */
function spanOf(axes) {
  let [start, end] = [Infinity, -Infinity];
  for (const x of axes) {
    if (x.length === 0) continue;
    start = Math.min(start, x[0]);
    end = Math.max(end, x[x.length - 1]);
  }
  return start <= end ? { start, end } : { start: 0, end: 1 };
}

/**
 * The first and last step that lie in a range of x, of whichever attempt.
 * @param {Drawing} drawing
 * @param {number} start
 * @param {number} end
 * @returns {[number, number]}
 */
export function stepsWithin(drawing, start, end) {
  let [low, high] = [Infinity, -Infinity];
  for (const { x, step } of [drawing, ...drawing.lines]) {
    if (x.length === 0 || x[0] > end || x[x.length - 1] < start) continue;
    low = Math.min(low, between(x, step, Math.max(start, x[0])));
    high = Math.max(high, between(x, step, Math.min(end, x[x.length - 1])));
  }
  if (low <= high) return [low, high];
  return [between(drawing.x, drawing.step, start), between(drawing.x, drawing.step, end)];
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
 * @typedef {{info: LineInfo, raw: Float64Array, times: Float64Array|null}} JoinedLine
 *
 * @param {Rows} live
 * @param {Rows|null} detail
 * @param {{head: number, detail: number, tail: number}} cut
 * @returns {JoinedLine[]}
 */
function joinedLines(live, detail, cut) {
  const coarse = new Map(live.lines.map((line) => [nameOf(line.info), line]));
  const fine = new Map((detail?.lines ?? []).map((line) => [nameOf(line.info), line]));
  const names = new Map([...coarse, ...fine]);
  const absent = (/** @type {number} */ n) => new Float64Array(n).fill(NaN);
  return [...names].map(([name, { info, times }]) => {
    const join = (/** @type {"column"|"times"} */ which) => joined(
      coarse.get(name)?.[which]?.values ?? absent(live.length),
      detail ? (fine.get(name)?.[which]?.values ?? absent(detail.length)) : null,
      cut,
    );
    return { info, raw: join("column"), times: times && join("times") };
  });
}

/**
 * @param {JoinedLine} line
 * @param {Float64Array} steps of all rows
 * @param {{x: Float64Array, step: Float64Array, here: {rows: number[], breaks: number[]}}} drawing
 * @param {number[]} breaks among all rows
 * @param {How} how
 * @returns {DrawnLine}
 */
function drawnLine({ info, raw, times }, steps, { x, step, here }, breaks, how) {
  if (!times) {
    const values = picked(raw, here.rows);
    return { info, x, step, raw: values, y: smooth(values, how.smoothing), breaks: here.breaks };
  }
  const own = kept(times, breaks);
  const values = picked(raw, own.rows);
  const at = picked(steps, own.rows);
  return { info, x: onAxis(at, picked(times, own.rows), how), step: at, raw: values, y: smooth(values, how.smoothing), breaks: own.breaks };
}

/**
 * @param {Float64Array} step
 * @param {Float64Array} t
 * @param {How} how
 */
function onAxis(step, t, { x, started }) {
  if (x === "step") return step.slice();
  return t.map(x === "wall" ? (at) => at * 1000 : (at) => at - started);
}

/**
 * First index whose value is not below `value`; `values` ascend.
 * @param {ArrayLike<number>} values
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
 * Index of the value nearest to `value`; `values` ascend and are not empty.
 * @param {Float64Array} values
 * @param {number} value
 */
export function nearest(values, value) {
  const right = Math.min(values.length - 1, lowerBound(values, value));
  const left = Math.max(0, right - 1);
  return value - values[left] <= values[right] - value ? left : right;
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
