// Several layers in one chart: what they come to together, and what each of them says at a place.

import { nearest } from "./derive.js";
import { inUnit } from "./format.js";

/**
 * @typedef {import("./layers.js").Layer} Layer
 * @typedef {import("./derive.js").Drawing} Drawing
 * @typedef {{label: string, colour: string, value: number, text: string}} Reading
 */


/**
 * One drawing that stands for all: the rows are those of the first layer that has any, the others are
 * lines with rows of their own, as earlier attempts are.
 * @param {Layer[]} layers
 * @returns {Drawing}
 */
export function merged(layers) {
  const drawings = layers.flatMap(({ drawing }) => (drawing ? [drawing] : []));
  const shown = layers.filter(({ drawing }) => drawing && drawing.n > 0);
  const first = /** @type {Drawing} */ (shown[0]?.drawing ?? drawings[0]);
  const others = shown.slice(1).map(({ spec, drawing }) => lineOf(spec.label, /** @type {Drawing} */ (drawing)));
  const spans = shown.map(({ drawing }) => /** @type {Drawing} */ (drawing).span);
  return {
    ...plain(first, layers.length),
    lines: [...drawings.flatMap((drawing) => drawing.lines.filter(isOld)), ...others],
    span: spans.length > 0 ? { start: Math.min(...spans.map(({ start }) => start)), end: Math.max(...spans.map(({ end }) => end)) } : first.span,
    gaps: drawings.flatMap(({ gaps }) => gaps),
    starts: shown.length > 1 ? [] : first.starts,
    shift: Math.max(...drawings.map(({ shift }) => shift)),
    complete: drawings.every(({ complete }) => complete),
    nonfinite: drawings.reduce((sum, { nonfinite }) => sum + nonfinite, 0),
  };
}

/**
 * @param {string} label
 * @param {Drawing} drawing
 */
function lineOf(label, { attempt, x, step, mid, raw, breaks }) {
  const info = /** @type {any} */ ({ rank: null, attempt, label, kind: "layer" });
  return { info, x, step, y: mid, raw, breaks };
}

/** @param {import("./derive.js").DrawnLine} line */
function isOld(line) {
  return line.info.kind === "old";
}

/** Bands of more layers than this would be a fog. */
const BANDS = 4;

/** Whether so many layers have their bands. @param {number} layers */
export function banded(layers) {
  return layers <= BANDS;
}

/**
 * The drawing of one layer as it is drawn beside others: no outliers, only its median, p10 to p90 where
 * they are few, and its past; what is not drawn takes no room on the axis.
 * @param {Drawing} drawing
 * @param {number} layers of its chart
 * @returns {Drawing}
 */
export function plain(drawing, layers) {
  const [p10, p90] = banded(layers) ? [drawing.p10, drawing.p90] : [drawing.mid, drawing.mid];
  return { ...drawing, p10, p90, lo: p10, hi: p90, lines: drawing.lines.filter(isOld) };
}

/**
 * What each layer has at a place on the x axis, or last; in the order of the layers.
 * @param {Layer[]} layers
 * @param {(layer: Layer) => string} colourOf
 * @param {number|null} x null: the newest
 * @param {string} unit
 * @returns {Reading[]}
 */
export function readings(layers, colourOf, x, unit) {
  return layers.map((layer) => {
    const value = valueAt(layer.drawing, x);
    const text = Number.isFinite(value) ? inUnit(value, unit).join(" ").trimEnd() : "–";
    return { label: layer.spec.label, colour: colourOf(layer), value, text };
  });
}

/**
 * @param {Drawing|null} drawing
 * @param {number|null} x
 */
function valueAt(drawing, x) {
  if (!drawing || drawing.n === 0) return NaN;
  if (x === null) {
    let last = drawing.n - 1;
    while (last > 0 && !Number.isFinite(drawing.raw[last])) last -= 1;
    return drawing.raw[last];
  }
  // Where a run has nothing there is nothing to say of it.
  if (x < drawing.x[0] || x > drawing.x[drawing.n - 1]) return NaN;
  return drawing.raw[nearest(drawing.x, x)];
}
