// What drawings put into a plot: one as band, outliers and lines; several as a line each.

import { banded, plain } from "./composite.js";
import { area, dots, marks, strokes } from "./strokes.js";

/**
 * @typedef {import("./layers.js").Layer} Layer
 * @typedef {import("./derive.js").Drawing} Drawing
 * @typedef {import("./theme.js").Palette} Palette
 * @typedef {import("./plot.js").Plot} Plot
 * @typedef {import("./strokes.js").Strokes} Strokes
 */

const BAND_ALPHA = 0.12;
/** Of the room a point has, how much its bar takes. */
const BAR = 0.7;
const NOTHING = { x: [], y1: [], y2: [] };

/**
 * @param {Plot} plot
 * @param {Drawing} drawing
 * @param {Palette} palette
 * @param {{asLines: boolean, smoothed: boolean, bars: boolean}} how
 * @returns {Strokes}
 */
export function fillOne(plot, drawing, palette, { asLines, smoothed, bars }) {
  const positive = (/** @type {Float64Array} */ values) => {
    // An area that reaches to zero or below has its edge at the foot of a log axis.
    if (plot.scale !== "log") return values;
    const foot = plot.yRange.start / 10;
    return values.map((value) => (value <= 0 ? foot : value));
  };
  plot.fill("bands", { xs: [], ys: [], color: [], alpha: [] });
  plot.fill("outer", bars ? NOTHING : area(drawing, positive(drawing.lo), positive(drawing.hi)));
  plot.fill("inner", asLines || bars || drawing.ranks < 2 ? NOTHING : area(drawing, positive(drawing.p10), positive(drawing.p90)));
  const stroked = strokes(drawing, palette, { asLines, smoothed });
  plot.fill("lines", bars ? barred(stroked, plot) : stroked.columns);
  plot.fill("dots", bars ? { x: [], y: [], color: [] } : dots(drawing, stroked, plot.xRange));
  plot.fill("marks", marks(drawing, plot.xRange, plot.yRange, plot.frame.width, palette));
  return stroked;
}

/**
 * @param {Layer[]} layers
 * @param {(layer: Layer) => string} colourOf
 */
function drawn(layers, colourOf) {
  return layers.flatMap((layer) => (layer.drawing && layer.drawing.n > 0 ? [{ drawing: plain(layer.drawing, layers.length), colour: colourOf(layer) }] : []));
}

/**
 * Fill a plot with all layers; the first on top.
 * @param {Plot} plot
 * @param {Layer[]} layers
 * @param {(layer: Layer) => string} colourOf
 * @param {Palette} palette
 * @param {{smoothed: boolean, bars: boolean}} how
 * @returns {Strokes} the lines of earlier attempts are named
 */
export function fillLayers(plot, layers, colourOf, palette, { smoothed, bars }) {
  const each = drawn(layers, colourOf).map(({ drawing, colour }) => {
    const own = { ...palette, hue: colour };
    return { drawing, own, strokes: strokes(drawing, own, { asLines: false, smoothed }) };
  });
  each.reverse();
  for (const name of ["outer", "inner"]) plot.fill(name, NOTHING);
  const bands = banded(layers.length) && !bars ? each.filter(({ drawing }) => drawing.ranks > 1 || drawing.shift > 0) : [];
  plot.fill("bands", {
    xs: [], ys: [],
    ...glued(bands.map(({ drawing }) => outline(drawing))),
    color: bands.map(({ own }) => own.hue),
    alpha: bands.map(() => BAND_ALPHA),
  });
  const lines = { xs: [], ys: [], color: [], alpha: [], width: [], ...glued(each.map((one) => (bars ? barred(one.strokes, plot) : one.strokes.columns))) };
  plot.fill("lines", lines);
  plot.fill("dots", { x: [], y: [], color: [], ...(bars ? {} : glued(each.map((one) => dots(one.drawing, one.strokes, plot.xRange)))) });
  plot.fill("marks", { x: [], edge: [], angle: [], color: [], ...glued(each.map((one) => marks(one.drawing, plot.xRange, plot.yRange, plot.frame.width, one.own))) });
  return { columns: lines, named: each.flatMap((one) => one.strokes.named) };
}

/**
 * The outline of p10 to p90, as one polygon: there and back.
 * @param {Drawing} drawing
 */
function outline(drawing) {
  const { x, y1, y2 } = area(drawing, drawing.p10, drawing.p90);
  const [xs, ys] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([])];
  const put = (/** @type {number} */ i, /** @type {Float64Array} */ y) => {
    if (!Number.isFinite(y1[i]) || !Number.isFinite(y2[i])) return;
    xs.push(x[i]);
    ys.push(y[i]);
  };
  for (let i = 0; i < x.length; i += 1) put(i, y1);
  for (let i = x.length - 1; i >= 0; i -= 1) put(i, y2);
  return { xs: [Float64Array.from(xs)], ys: [Float64Array.from(ys)] };
}

/**
 * Columns of several, one after the other.
 * @param {Record<string, ArrayLike<unknown>>[]} parts of the same columns
 * @returns {any}
 */
function glued(parts) {
  const names = parts.length > 0 ? Object.keys(parts[0]) : [];
  return Object.fromEntries(names.map((name) => [name, parts.flatMap((part) => [...Array.from(part[name])])]));
}

/**
 * Lines as bars: from zero, or the foot of the axis, to each value.
 * @param {Strokes} drawn
 * @param {Plot} plot
 */
function barred({ columns }, plot) {
  const foot = plot.scale === "log" ? plot.yRange.start : 0;
  const { start, end } = plot.xRange;
  const seen = Math.max(2, ...columns.xs.map((xs) => xs.filter((x) => x >= start && x <= end).length));
  const width = Math.max(1, Math.min(48, (BAR * plot.frame.width) / seen));
  const each = (/** @type {Float64Array} */ values, /** @type {(value: number, at: number) => number} */ pick) => {
    const out = new Float64Array(3 * values.length);
    for (let i = 0; i < out.length; i += 1) out[i] = pick(values[Math.floor(i / 3)], i % 3);
    return out;
  };
  return {
    ...columns,
    xs: columns.xs.map((xs) => each(xs, (x) => x)),
    ys: columns.ys.map((ys) => each(ys, (y, at) => [foot, y, NaN][at])),
    width: columns.width.map(() => width),
  };
}
