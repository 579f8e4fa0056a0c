// Which lines, dots and marks stand for a drawing, and in which shade.

import { lowerBound } from "./derive.js";
import { mix } from "./theme.js";

/**
 * @typedef {import("./derive.js").Drawing} Drawing
 * @typedef {import("./theme.js").Palette} Palette
 * @typedef {{label: string, color: string, text: string, x: Float64Array, y: Float64Array, raw: Float64Array, kind: string}} NamedLine
 * @typedef {object} Strokes
 * @property {{xs: Float64Array[], ys: Float64Array[], color: string[], alpha: number[], width: number[]}} columns
 * @property {NamedLine[]} named lines that stand for one rank
 */

/** More raw lines than this behind smoothed ones are a fog. */
const GHOSTS = 8;
/** Few points are drawn as points too: a lone one would not be seen at all. */
export const DOTS_UP_TO = 24;
const CLIP_MARK_EVERY_PX = 10;
/** Earlier attempts: there, and never mistaken for what goes on now. */
const FAINT = 0.35;

/**
 * @param {Drawing} drawing
 * @param {Palette} palette
 * @param {{asLines: boolean, smoothed: boolean}} how
 * @returns {Strokes}
 */
export function strokes(drawing, palette, { asLines, smoothed }) {
  const columns = { xs: [], ys: [], color: [], alpha: [], width: [] };
  /** @type {NamedLine[]} */
  const named = [];
  const x = broken(drawing.x, drawing.breaks);
  const add = (/** @type {Float64Array} */ y, /** @type {string} */ color, /** @type {number} */ alpha, /** @type {number} */ width, line = drawing) => {
    columns.xs.push(line.x === drawing.x ? x : broken(line.x, line.breaks));
    columns.ys.push(broken(y, line.breaks, () => NaN));
    columns.color.push(color);
    columns.alpha.push(alpha);
    columns.width.push(width);
  };
  const old = drawing.lines.filter((line) => line.info.kind === "old");
  const ranks = drawing.lines.filter((line) => line.info.kind !== "old");
  for (const line of old) {
    add(line.y, palette.hue, FAINT, 1.2, line);
    named.push({ label: line.info.label, color: palette.hue, text: palette.hue, x: line.x, y: line.y, raw: line.raw, kind: "old" });
  }
  if (smoothed && asLines && ranks.length <= GHOSTS) {
    ranks.forEach((line, i) => add(line.raw, shade(palette, i, ranks.length), 0.25, 1));
  }
  if (smoothed && !asLines) add(drawing.raw, palette.hue, 0.35, 1);
  ranks.forEach((line, i) => {
    const color = asLines ? shade(palette, i, ranks.length) : mix(palette.hue, palette.ink, 0.35 + 0.15 * i);
    add(line.y, color, asLines && ranks.length > 16 ? 0.75 : 0.95, asLines && ranks.length <= 8 ? 1.4 : 1);
    named.push({ label: line.info.label, color, text: mix(color, palette.ink, 0.4), x: line.x, y: line.y, raw: line.raw, kind: line.info.kind });
  });
  if (!asLines) add(drawing.mid, palette.hue, 1, 1.6);
  return { columns, named };
}

/**
 * The columns of an area: closed to nothing at each break, since an area has no holes.
 * @param {Drawing} drawing
 * @param {Float64Array} low
 * @param {Float64Array} high
 */
export function area(drawing, low, high) {
  const middle = (/** @type {number} */ i) => drawing.raw[i];
  return {
    x: broken(drawing.x, drawing.breaks),
    y1: broken(low, drawing.breaks, middle),
    y2: broken(high, drawing.breaks, middle),
  };
}

/**
 * Values with two more at each break, at the places of its neighbours.
 * @param {Float64Array} values
 * @param {number[]} breaks rows before which nothing is known
 * @param {(row: number) => number} [fill]
 */
function broken(values, breaks, fill = (row) => values[row]) {
  if (breaks.length === 0) return values;
  const out = new Float64Array(values.length + 2 * breaks.length);
  let from = 0;
  breaks.forEach((row, i) => {
    out.set(values.subarray(from, row), from + 2 * i);
    out[row + 2 * i] = fill(row - 1);
    out[row + 2 * i + 1] = fill(row);
    from = row;
  });
  out.set(values.subarray(from), from + 2 * breaks.length);
  return out;
}

/**
 * The i-th of n shades of the run's hue, from towards the ink to towards the ground: never a rainbow.
 * @param {Palette} palette
 * @param {number} i
 * @param {number} n
 */
function shade(palette, i, n) {
  const place = n > 1 ? i / (n - 1) : 0.4;
  return place < 0.4 ? mix(palette.hue, palette.ink, 0.45 * (1 - place / 0.4)) : mix(palette.hue, palette.away, (0.75 * (place - 0.4)) / 0.6);
}

/**
 * Dots where lines would not be seen: few points, or one alone between two holes.
 * @param {Drawing} drawing
 * @param {Strokes} drawn
 * @param {{start: number, end: number}} range
 */
export function dots(drawing, drawn, range) {
  const from = lowerBound(drawing.x, range.start);
  const to = lowerBound(drawing.x, range.end + Number.EPSILON * Math.abs(range.end));
  const few = to - from <= DOTS_UP_TO;
  const columns = { x: /** @type {number[]} */ ([]), y: /** @type {number[]} */ ([]), color: /** @type {string[]} */ ([]) };
  drawn.columns.ys.forEach((ys, line) => {
    if (drawn.columns.alpha[line] < 0.7) return;
    const xs = drawn.columns.xs[line];
    for (let i = Math.max(0, lowerBound(xs, range.start)); i < xs.length && xs[i] <= range.end; i += 1) {
      if (!Number.isFinite(ys[i])) continue;
      if (!few && (Number.isFinite(ys[i - 1]) || Number.isFinite(ys[i + 1]))) continue;
      columns.x.push(xs[i]);
      columns.y.push(ys[i]);
      columns.color.push(drawn.columns.color[line]);
    }
  });
  return columns;
}

/**
 * Red triangles on the lower edge where NaN or Inf came; carets where values leave the frame.
 * @param {Drawing} drawing
 * @param {{start: number, end: number}} x
 * @param {{start: number, end: number}} y
 * @param {number} width pixels
 * @param {Palette} palette
 */
export function marks(drawing, x, y, width, palette) {
  const columns = { x: /** @type {number[]} */ ([]), edge: /** @type {number[]} */ ([]), angle: /** @type {number[]} */ ([]), color: /** @type {string[]} */ ([]) };
  const add = (/** @type {number} */ at, /** @type {number} */ edge, /** @type {number} */ angle, /** @type {string} */ color) => {
    columns.x.push(at);
    columns.edge.push(edge);
    columns.angle.push(angle);
    columns.color.push(color);
  };
  const apart = ((x.end - x.start) / Math.max(1, width)) * CLIP_MARK_EVERY_PX;
  const last = { above: -Infinity, below: -Infinity };
  const from = lowerBound(drawing.x, x.start);
  for (let i = from; i < drawing.n && drawing.x[i] <= x.end; i += 1) {
    const at = drawing.x[i];
    if (drawing.hi[i] > y.end && at - last.above >= apart) {
      last.above = at;
      add(at, 1, 0, palette.hue);
    }
    if (drawing.lo[i] < y.start && drawing.bad[i] === 0 && at - last.below >= apart) {
      last.below = at;
      add(at, 0, Math.PI, palette.hue);
    }
  }
  for (let i = from; i < drawing.n && drawing.x[i] <= x.end; i += 1) {
    if (drawing.bad[i] > 0) add(drawing.x[i], 0, 0, palette.red);
  }
  return columns;
}
