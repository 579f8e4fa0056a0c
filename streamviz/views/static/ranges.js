// Which values the y axis spans: what is visible, without letting one spike flatten all the rest.

import { lowerBound } from "./derive.js";
import { LINEAR, LOG } from "./scales.js";

/** What lies further out than so many spans of the bulk is cut off, and marked on the edge. */
const REACH = { spikes: 5, ranks: 12, otherwise: 2 };
/** Of fewer buckets than these none is far out: nobody knows what is usual. */
const FEW = 5;
/** Earlier attempts are shown in full while they lie within so many spans of the latest. */
const REACH_OLD = 16;
const PADDING = 0.07;
/** The axis stays as it is while the data fill at least this share of it. */
const FILL = 0.55;
const SAMPLE = 600;
const OUTER = 0.02;

/** @typedef {{start: number, end: number}} Range */

/**
 * @param {import("./derive.js").Drawing} drawing
 * @param {Range} x what is visible
 * @param {import("./scales.js").Scale|boolean} on the scale; true: logarithmic
 * @param {Range|null} current the axis as it is: kept if it still fits, so that it does not jitter
 * @param {{outliers?: ""|"ignore"|"show"}} [how] whether to span the bulk of what is drawn only, or all of it
 * @returns {Range|null} null if there is nothing to span
 */
export function yRange(drawing, x, on, current, { outliers = "" } = {}) {
  const seen = (/** @type {Float64Array} */ values) => visible(values, drawing.x, x);
  const { to: scale, from: back, kind } = on === true ? LOG : on === false ? LINEAR : on;
  // Smoothed or as it came: both are drawn.
  const lines = drawing.lines.flatMap((line) =>
    (line.y === line.raw ? [line.y] : [line.y, line.raw]).map((values) => visible(values, line.x, x)),
  );
  const ranks = drawing.lines.some((line) => line.info.kind === "rank");
  const bulk = ranks ? lines : [drawing.p10, drawing.p90, drawing.mid].map(seen);
  const all = [...[drawing.lo, drawing.hi, drawing.mid].map(seen), ...lines];
  const whole = extremes(all, scale);
  // Where the latest attempt has nothing, what is there of the others is all there is to see.
  const body = quantiles(bulk, scale) ?? quantiles(all, scale);
  const edges = quantiles(all, scale);
  if (!whole || !body || !edges) return null;
  const span = Math.max(body.end - body.start, Math.abs(body.end) * 1e-3, 1e-300);
  const shown = outliers === "" && seen(drawing.mid).length < FEW ? "show" : outliers;
  const wanted = shown !== ""
    ? { ...(shown === "show" ? whole : body) }
    : { start: -reach(-body.start, -edges.start, -whole.start, span), end: reach(body.end, edges.end, whole.end, span) };
  const old = outliers === "ignore" ? null : quantiles(oldLines(drawing, x), scale);
  if (old && body.start - old.start <= REACH_OLD * span) wanted.start = Math.min(wanted.start, old.start);
  if (old && old.end - body.end <= REACH_OLD * span) wanted.end = Math.max(wanted.end, old.end);
  const padded = pad(wanted, kind === "log");
  const held = current && { start: scale(current.start), end: scale(current.end) };
  if (held && fits(held, wanted, padded)) return current;
  return { start: back(padded.start), end: back(padded.end) };
}

/**
 * How many points of what is drawn lie outside of the frame, and how many have no place on its scale.
 * @param {import("./derive.js").Drawing} drawing
 * @param {Range} x what is visible
 * @param {Range} y
 * @param {import("./scales.js").Scale} scale
 */
export function cutOff(drawing, x, y, scale) {
  const cut = { above: 0, below: 0, without: 0 };
  const from = lowerBound(drawing.x, x.start);
  for (let i = from; i < drawing.n && drawing.x[i] <= x.end; i += 1) {
    if (drawing.hi[i] > y.end) cut.above += 1;
    if (scale.to(drawing.lo[i]) === -Infinity || Number.isNaN(scale.to(drawing.lo[i]))) cut.without += drawing.lo[i] <= 0 ? 1 : 0;
    else if (drawing.lo[i] < y.start) cut.below += 1;
  }
  return cut;
}

/**
 * @param {import("./derive.js").Drawing} drawing
 * @param {Range} x
 */
function oldLines(drawing, x) {
  return drawing.lines.filter((line) => line.info.kind === "old").map((line) => visible(line.y, line.x, x));
}

/**
 * The values within a range of x, and one beside it at each end.
 * @param {Float64Array} values
 * @param {Float64Array} at
 * @param {Range} x
 */
function visible(values, at, x) {
  return values.subarray(Math.max(0, lowerBound(at, x.start) - 1), lowerBound(at, x.end) + 2);
}

/**
 * How far up the axis goes: to everything, if it is not far out; else to all but the few furthest
 * values; else, when some ranks are always far out, to the bulk of them.
 * @param {number} body
 * @param {number} edge
 * @param {number} whole
 * @param {number} span of the bulk
 */
function reach(body, edge, whole, span) {
  if (whole <= body + REACH.spikes * span) return whole;
  if (edge <= body + REACH.ranks * span) return edge;
  return body + REACH.otherwise * span;
}

/**
 * @param {Range} held
 * @param {Range} wanted
 * @param {Range} padded
 */
function fits(held, wanted, padded) {
  const inside = held.start <= wanted.start && held.end >= wanted.end;
  return inside && padded.end - padded.start >= FILL * (held.end - held.start);
}

/**
 * @param {Range} range in the scale's own units
 * @param {boolean} log
 */
function pad({ start, end }, log) {
  const size = Math.max(Math.abs(start), Math.abs(end));
  if (end - start <= 1e-9 * size || end === start) {
    // A constant: a tenth around it.
    const room = log ? 0.15 : size === 0 ? 1 : size / 10;
    return { start: start - room, end: end + room };
  }
  const room = (end - start) * PADDING;
  // What is never negative shall not show a negative axis.
  const floor = !log && start >= 0 ? 0 : -Infinity;
  return { start: Math.max(floor, start - room), end: end + room };
}

/**
 * Where all but the outer hundredths of the values lie.
 * @param {Float64Array[]} columns
 * @param {(value: number) => number} scale
 * @returns {Range|null}
 */
function quantiles(columns, scale) {
  const total = columns.reduce((sum, column) => sum + column.length, 0);
  const stride = Math.max(1, Math.floor(total / SAMPLE));
  const values = [];
  for (const column of columns) {
    for (let i = 0; i < column.length; i += stride) {
      const value = scale(column[i]);
      if (Number.isFinite(value)) values.push(value);
    }
  }
  if (values.length === 0) return null;
  values.sort((a, b) => a - b);
  const outer = Math.floor(OUTER * (values.length - 1));
  return { start: values[outer], end: values[values.length - 1 - outer] };
}

/**
 * @param {Float64Array[]} columns
 * @param {(value: number) => number} scale
 * @returns {Range|null}
 */
function extremes(columns, scale) {
  let start = Infinity;
  let end = -Infinity;
  for (const column of columns) {
    for (const plain of column) {
      const value = scale(plain);
      if (value < start && value !== -Infinity) start = value;
      if (value > end && value !== Infinity) end = value;
    }
  }
  return start <= end ? { start, end } : null;
}
