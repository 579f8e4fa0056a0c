// From the rows of a view to what is drawn: the x axis of choice, smoothing, gaps, marks.
// Everything here is a copy, so that a paused chart stays as it is while rows go on arriving.

import { nameOf } from "./frames.js";
import { smooth } from "./smoothing.js";

export const METRIC = "metric:";

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
 * @property {number} offAxis points that the metric of the x axis says no place for
 * @property {boolean} folded whether that metric goes back somewhere, so that points stand in its order
 * @property {number[]} breaks rows before which a gap left nothing: no line goes there
 * @property {boolean} complete
 * @property {number} nonfinite
 */

/**
 * @typedef {{name: string, shift: number, step: Float64Array, value: Float64Array}} Along the metric on
 *   the x axis: its median over the ranks, by the first step of each bucket
 * @typedef {object} How
 * @property {string} x step, relative, wall or metric:<name>
 * @property {import("./smoothing.js").Smooth|number|null} smoothing
 * @property {number} started wall time, seconds
 * @property {number} [shift] a bucket spans 2 ** shift steps; found from the rows
 * @property {Along|null} [along] null while the metric of the x axis is not here yet
 *
 * @param {Rows} live
 * @param {Rows|null} detail finer rows of some range, which stand in for the live ones there
 * @param {How} wanted
 * @returns {Drawing}
 */
export function derive(live, detail, wanted) {
  const cut = cuts(live, detail);
  const column = (/** @type {string} */ name) =>
    joined(live.column(name), detail?.column(name) ?? null, cut);
  const shift = detail && cut.detail > 0 ? detail.shift : live.shift;
  const how = { ...wanted, shift };
  const gaps = detail?.gaps.length ? detail.gaps : live.gaps;
  const steps = column("x");
  const breaks = breaksOf(steps, gaps, shift);
  const times = column("t");
  const lines = joinedLines(live, detail, cut);
  const place = onAxis(steps, times, how);
  // A bucket that only an earlier attempt has is no hole in the latest one's line.
  const here = kept(times, breaks, place);
  const alone = here.rows.length === 0;
  if (alone) {
    // This metric has come from earlier attempts only: their rows are all there is.
    for (const line of lines) line.times?.forEach((t, row) => (times[row] = Number.isNaN(times[row]) ? t : times[row]));
    Object.assign(here, kept(times, breaks, onAxis(steps, times, how)));
  }
  const unsorted = picked(onAxis(steps, times, how), here.rows);
  const order = how.x.startsWith(METRIC) ? orderOf(unsorted) : null;
  // Smoothed as they came, and only then put in the order of the axis.
  const own = (/** @type {string} */ name) => ordered(picked(column(name), here.rows), order);
  const step = ordered(picked(steps, here.rows), order);
  const t = ordered(picked(times, here.rows), order);
  const came = picked(column("mid"), here.rows);
  const smoothed = smooth(came, how.smoothing);
  const raw = ordered(came, order);
  const mid = smoothed === came ? raw : ordered(smoothed, order);
  const bad = own("bad");
  const x = ordered(unsorted, order);
  let nonfinite = 0;
  for (const count of bad) if (count > 0) nonfinite += count;
  const drawn = lines.map((line) => drawnLine(line, steps, { x, step, here, order }, breaks, how));
  let offAxis = 0;
  if (how.x.startsWith(METRIC)) times.forEach((at, row) => (offAxis += !Number.isNaN(at) && Number.isNaN(place[row]) ? 1 : 0));
  return {
    n: x.length,
    x,
    step,
    t,
    lo: own("lo"),
    p10: own("p10"),
    raw,
    mid,
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
    breaks: order ? [] : here.breaks,
    offAxis,
    folded: order !== null,
    gaps: order ? [] : gaps.map(([first, last, rows]) => [
      between(step, x, first),
      between(step, x, last),
      rows,
    ]),
    complete: detail ? detail.complete : live.complete,
    nonfinite,
  };
}

/**
 * The rows that have a time and a place on the axis, and the breaks as they stand among them.
 * @param {Float64Array} times
 * @param {number[]} breaks
 * @param {Float64Array} at where each would be on the axis
 */
function kept(times, breaks, at) {
  const rows = [];
  for (let row = 0; row < times.length; row += 1) if (!Number.isNaN(times[row]) && !Number.isNaN(at[row])) rows.push(row);
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
function placeOf(step, t, how) {
  return onAxis(Float64Array.of(step), Float64Array.of(t), how)[0];
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
    if (drawing.folded) {
      for (let row = lowerBound(x, start); row < x.length && x[row] <= end; row += 1) {
        low = Math.min(low, step[row]);
        high = Math.max(high, step[row]);
      }
      continue;
    }
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
 * @param {{x: Float64Array, step: Float64Array, here: {rows: number[], breaks: number[]}, order: Uint32Array|null}} drawing
 * @param {number[]} breaks among all rows
 * @param {How} how
 * @returns {DrawnLine}
 */
function drawnLine({ info, raw, times }, steps, { x, step, here, order }, breaks, how) {
  const shown = (/** @type {Float64Array} */ came, /** @type {Uint32Array|null} */ place) => {
    const smoothed = smooth(came, how.smoothing);
    const values = ordered(came, place);
    return { raw: values, y: smoothed === came ? values : ordered(smoothed, place) };
  };
  if (!times) return { info, x, step, ...shown(picked(raw, here.rows), order), breaks: order ? [] : here.breaks };
  const all = onAxis(steps, times, how);
  const own = kept(times, breaks, all);
  const unsorted = picked(all, own.rows);
  const place = how.x.startsWith(METRIC) ? orderOf(unsorted) : null;
  return {
    info,
    x: ordered(unsorted, place),
    step: ordered(picked(steps, own.rows), place),
    ...shown(picked(raw, own.rows), place),
    breaks: place ? [] : own.breaks,
  };
}

/**
 * @param {Float64Array} step
 * @param {Float64Array} t
 * @param {How} how
 */
function onAxis(step, t, { x, started, along = null, shift = 0 }) {
  if (x === "step") return step.slice();
  if (x.startsWith(METRIC)) return step.map((at) => (along ? joinedAt(along, at, shift) : NaN));
  return t.map(x === "wall" ? (at) => at * 1000 : (at) => at - started);
}

/**
 * What the metric of the x axis was in the middle of a bucket: straight between its neighbours,
 * nothing further out than a bucket of its own.
 * @param {Along} along
 * @param {number} first step of the bucket
 * @param {number} shift of the bucket
 */
function joinedAt({ step, value, shift: own }, first, shift) {
  const n = step.length;
  const at = first + (2 ** shift - 2 ** own) / 2;
  if (n === 0 || at <= step[0] - 2 ** own || at >= step[n - 1] + 2 ** own) return NaN;
  const right = lowerBound(step, at);
  return step[right] === at ? value[right] : between(step, value, at);
}

/**
 * In which order places ascend; null where they do as they are.
 * @param {Float64Array} places
 * @returns {Uint32Array|null}
 */
function orderOf(places) {
  let ascends = true;
  for (let i = 1; i < places.length && ascends; i += 1) ascends = places[i] >= places[i - 1];
  if (ascends) return null;
  return Uint32Array.from(places, (_, i) => i).sort((a, b) => places[a] - places[b] || a - b);
}

/**
 * @param {Float64Array} values
 * @param {Uint32Array|null} order
 */
function ordered(values, order) {
  return order ? Float64Array.from(order, (row) => values[row]) : values;
}

/**
 * The metric on the x axis, from its rows: only where it has a finite value.
 * @param {string} name
 * @param {Rows} rows
 * @returns {Along}
 */
export function alongOf(name, rows) {
  const [step, value] = [rows.column("x"), rows.column("mid")];
  const finite = [];
  for (let row = 0; row < value.length; row += 1) if (Number.isFinite(value[row])) finite.push(row);
  return { name, shift: rows.shift, step: picked(step, finite), value: picked(value, finite) };
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
