// The three pictures of a distribution over steps: a heatmap, a ridgeline, bands of percentiles.

import { tickLabels, whole } from "./format.js";
import { shade } from "./ramps.js";
import { seam } from "./sheet.js";
import { mix } from "./theme.js";
import { niceStep } from "./ticks.js";

/** Fewer steps than this do not fill the width: one more then moves nothing. */
export const LEAST_COLUMNS = 24;
/** Histograms of a ridgeline; of more steps every so many, the newest always. */
const RIDGES = 28;
/** Fewer do not fill the height: one more then moves only those behind it. */
const LEAST_RIDGES = 10;
export const MARGIN = { left: 52, right: 8, top: 6, bottom: 18 };
const SHADES = 64;

/**
 * @typedef {object} Frame where on the canvas something is drawn
 * @property {CanvasRenderingContext2D} context
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 * @property {import("./theme.js").Palette} palette
 */

/** @param {import("./sheet.js").Sheet} sheet @param {number} height @param {import("./theme.js").Palette} palette @returns {Frame} */
export function frameOf(sheet, height, palette) {
  const context = sheet.clear(height);
  context.font = `11px ${palette.font}`;
  return {
    context, palette, left: MARGIN.left, top: MARGIN.top,
    width: Math.max(1, sheet.width - MARGIN.left - MARGIN.right), height: height - MARGIN.top - MARGIN.bottom,
  };
}

/** @param {import("./distdata.js").DistData} data */
export function columnsOf(data) {
  return Math.max(data.steps.length, LEAST_COLUMNS);
}

/**
 * Step by value, the brighter the more.
 * @param {Frame} frame
 * @param {import("./distdata.js").DistData} data
 * @param {boolean} log
 */
export function drawHeat(frame, data, log) {
  const { context, left, top, width, height } = frame;
  const columns = columnsOf(data);
  const colours = Array.from({ length: SHADES }, (_, i) => shade("viridis", i / (SHADES - 1)));
  valueAxis(frame, data);
  const ys = Array.from({ length: data.bins + 1 }, (_, i) => Math.round(top + height * (1 - i / data.bins)));
  for (let step = 0; step < data.steps.length; step += 1) {
    const x = Math.floor(left + (step / columns) * width);
    const wide = Math.floor(left + ((step + 1) / columns) * width) - x;
    for (let bin = 0; bin < data.bins; bin += 1) {
      const share = data.share(step, bin);
      // An empty bin has no colour: how far the values reach is seen too.
      if (share === 0) continue;
      context.fillStyle = colours[Math.round(data.strength(share, log, data.bright) * (SHADES - 1))];
      context.fillRect(x, ys[bin + 1], wide + seam(), ys[bin] - ys[bin + 1]);
    }
  }
  stepAxis(frame, data);
}

/**
 * The ends, and what one, two and three halves of the values lie between, over the steps.
 * @param {Frame} frame
 * @param {import("./distdata.js").DistData} data
 */
export function drawBands(frame, data) {
  const { context, left, top, width, height, palette } = frame;
  valueAxis(frame, data);
  const columns = columnsOf(data);
  const { values } = data.told.percentiles;
  const x = (/** @type {number} */ step) => left + ((step + 0.5) / columns) * width;
  const y = (/** @type {number} */ step, /** @type {number} */ p) => top + height * (1 - data.place(/** @type {number} */ (values[step][p])));
  const there = data.steps.map((_, step) => step).filter((step) => values[step][0] !== null);
  const middle = data.percentile(50);
  for (let p = 0; p < middle; p += 1) {
    const other = values[0].length - 1 - p;
    context.beginPath();
    // A step alone is as wide as its column.
    const edge = there.length === 1 ? width / columns / 2 : 0;
    for (const step of there) context.lineTo(x(step) - edge, y(step, other));
    if (edge) for (const step of there) context.lineTo(x(step) + edge, y(step, other));
    for (const step of [...there].reverse()) context.lineTo(x(step) + edge, y(step, p));
    if (edge) for (const step of there) context.lineTo(x(step) - edge, y(step, p));
    context.closePath();
    context.globalAlpha = [0.12, 0.18, 0.24, 0.3][p] ?? 0.3;
    context.fillStyle = palette.hue;
    context.fill();
  }
  context.globalAlpha = 1;
  context.beginPath();
  for (const step of there) context.lineTo(x(step), y(step, middle));
  context.strokeStyle = palette.hue;
  context.lineWidth = 1.5;
  context.stroke();
  stepAxis(frame, data);
}

/**
 * The steps that a ridgeline shows, oldest first.
 * @param {import("./distdata.js").DistData} data
 */
export function ridgesOf(data) {
  const count = data.steps.length;
  if (count <= RIDGES) return data.steps.map((_, step) => step);
  return Array.from({ length: RIDGES }, (_, i) => Math.round((i / (RIDGES - 1)) * (count - 1)));
}

/**
 * Where the feet of some ridges are, from the top of the frame; the last one's at its bottom.
 * @param {number} ridges how many
 * @param {number} height of the frame
 */
export function feetOf(ridges, height) {
  const each = (height * 0.62) / (Math.max(ridges, LEAST_RIDGES) - 1);
  return Array.from({ length: ridges }, (_, i) => height - 1 - (ridges - 1 - i) * each);
}

/**
 * A histogram for each of some steps, the newest in front.
 * @param {Frame} frame
 * @param {import("./distdata.js").DistData} data
 * @param {boolean} log
 * @param {number} [chosen] the ridge under the pointer
 */
export function drawRidges(frame, data, log, chosen = -1) {
  const { context, left, top, width, height, palette } = frame;
  const ridges = ridgesOf(data);
  const tall = height * 0.36;
  const feet = feetOf(ridges.length, height);
  const right = left + width - RIDGE_LABEL;
  const x = (/** @type {number} */ bin) => left + (bin / data.bins) * (right - left);
  context.textBaseline = "middle";
  context.textAlign = "left";
  for (const [i, step] of ridges.entries()) {
    const foot = top + feet[i];
    const age = ridges.length > 1 ? i / (ridges.length - 1) : 1;
    const path = new Path2D();
    path.moveTo(x(0), foot);
    for (let bin = 0; bin < data.bins; bin += 1) {
      const rise = foot - tall * data.strength(data.share(step, bin), log, data.most);
      path.lineTo(x(bin + 0.5), rise);
    }
    path.lineTo(x(data.bins), foot);
    context.fillStyle = mix(palette.surface, mix(palette.away, palette.hue, age), 0.45 + 0.35 * age);
    context.fill(path);
    context.strokeStyle = i === chosen ? palette.ink : palette.surface;
    context.lineWidth = i === chosen ? 1.5 : 1;
    context.stroke(path);
    if (i === ridges.length - 1 || i === chosen || (i === 0 && ridges.length > 6)) {
      context.fillStyle = palette.axis;
      context.fillText(tickLabels([data.steps[step]])[0], right + 6, foot);
    }
  }
  flatAxis(frame, data, right);
}

/** Room beside the ridges for their steps. */
export const RIDGE_LABEL = 44;

/**
 * Values from the bottom to the top.
 * @param {Frame} frame
 * @param {import("./distdata.js").DistData} data
 */
function valueAxis({ context, left, top, width, height, palette }, data) {
  const { at, labels } = valueTicks(data, Math.max(2, height / 44));
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const [i, tick] of at.entries()) {
    const y = top + height * (1 - data.place(tick));
    context.fillStyle = palette.grid;
    context.globalAlpha = 0.6;
    context.fillRect(left, Math.round(y), width, 1);
    context.globalAlpha = 1;
    context.fillStyle = palette.axis;
    context.fillText(labels[i], left - 6, y);
  }
}

/**
 * Values from left to right.
 * @param {Frame} frame
 * @param {import("./distdata.js").DistData} data
 * @param {number} right
 */
function flatAxis({ context, left, top, height, palette }, data, right) {
  const { at, labels } = valueTicks(data, Math.max(2, (right - left) / 80));
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillStyle = palette.axis;
  for (const [i, tick] of at.entries()) {
    context.fillText(labels[i], left + (right - left) * data.place(tick), top + height + MARGIN.bottom / 2 + 1);
  }
}

/**
 * @param {import("./distdata.js").DistData} data
 * @param {number} count
 */
function valueTicks({ low, high }, count) {
  const step = niceStep(high - low, count);
  const at = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9 && at.length < 20; i += 1) at.push(Number((i * step).toPrecision(12)));
  return { at, labels: tickLabels(at) };
}

/**
 * @param {Frame} frame
 * @param {import("./distdata.js").DistData} data
 */
function stepAxis({ context, left, top, width, height, palette }, data) {
  const columns = columnsOf(data);
  const room = context.measureText(whole(data.steps.at(-1))).width + 20;
  const every = Math.max(1, Math.ceil(room / (width / columns)));
  context.textBaseline = "middle";
  context.fillStyle = palette.axis;
  for (let step = 0; step < data.steps.length; step += every) {
    const middle = left + ((step + 0.5) / columns) * width;
    const label = whole(data.steps[step]);
    const half = context.measureText(label).width / 2;
    context.textAlign = "center";
    context.fillText(label, Math.max(left + half, Math.min(left + width - half, middle)), top + height + MARGIN.bottom / 2 + 1);
  }
}
