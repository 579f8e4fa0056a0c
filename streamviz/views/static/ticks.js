// Where an axis has its ticks and what they say, for steps, spans of time, the time of day and values;
// on linear, logarithmic and symlog scales.

import { clock, elapsed, measure, tickLabels, whole } from "./format.js";

/** @typedef {import("./scales.js").Scale} Scale */

/** Rather a few more ticks than were asked for than half as many. */
const GENEROUS = 1.4;

const SECOND_STEPS = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900,
  1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
];

/**
 * The round distance (1, 2 or 5 times a power of ten) that gives at most about `count` ticks.
 * @param {number} span
 * @param {number} count
 */
export function niceStep(span, count) {
  const rough = span / Math.max(1, count) / GENEROUS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const share = rough / power;
  return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

/**
 * @param {number} low
 * @param {number} high
 * @param {number} step
 * @param {number} [phase]
 */
function multiples(low, high, step, phase = 0) {
  const ticks = [];
  const first = Math.ceil((low - phase) / step - 1e-9);
  const last = Math.floor((high - phase) / step + 1e-9);
  for (let i = first; i <= last && ticks.length < 50; i += 1) ticks.push(Number((i * step + phase).toPrecision(15)));
  return ticks;
}

/**
 * @param {string} axis step, relative, wall or metric:<name>
 * @param {number} low
 * @param {number} high
 * @param {number} width pixels
 * @param {boolean} [log]
 * @returns {{at: number[], labels: string[]}}
 */
export function xTicks(axis, low, high, width, log = false) {
  const span = high - low;
  if (!(span > 0)) return { at: [], labels: [] };
  if (log && axis !== "wall" && low > 0 && high / low > 3) {
    const at = logTicks(low, high, Math.max(2, Math.floor(width / 96)));
    const say = axis === "step" ? (/** @type {number} */ tick) => tickLabels([tick])[0] : axis === "relative" ? (/** @type {number} */ tick) => elapsed(tick, Math.min(1, tick)) : measure;
    if (at.length >= 2) return { at, labels: at.map(say) };
  }
  const count = Math.max(2, Math.floor(width / (axis === "wall" ? 84 : 72)));
  if (axis === "step") {
    const at = multiples(low, high, Math.max(1, niceStep(span, count)));
    return { at, labels: at.map(whole) };
  }
  if (axis !== "relative" && axis !== "wall") {
    const at = multiples(low, high, niceStep(span, count));
    return { at, labels: tickLabels(at) };
  }
  const unit = axis === "wall" ? 1000 : 1;
  const wanted = span / unit / count / GENEROUS;
  const step = SECOND_STEPS.find((size) => size >= wanted) ?? Math.ceil(wanted / 604_800) * 604_800;
  // Days and hours begin where this clock's do, not where UTC's do.
  const phase = axis === "wall" ? (new Date(low).getTimezoneOffset() * 60_000) % (step * 1000) : 0;
  const at = multiples(low, high, step * unit, phase);
  return { at, labels: at.map((tick) => (axis === "wall" ? clock(tick, step * 1000) : elapsed(tick, step))) };
}

/**
 * @param {number} low
 * @param {number} high
 * @param {Scale} scale
 * @param {number} height pixels
 * @param {string} [unit] of the values
 * @returns {{at: number[], labels: string[]}}
 */
export function yTicks(low, high, scale, height, unit = "") {
  if (unit === "s" && scale.kind === "linear") return secondTicks(low, high, scale, height);
  const count = Math.max(2, Math.round(height / 38));
  if (!(high > low)) return { at: [], labels: [] };
  const log = scale.kind === "log";
  if (scale.kind === "symlog" && Math.max(Math.abs(low), Math.abs(high)) > 3 * scale.bend) {
    const at = symlogTicks(low, high, scale, count);
    if (at.length >= 2) return { at, labels: at.map((tick) => tickLabels([tick])[0]) };
  }
  // Over less than about half a decade a logarithm is nearly straight: plain ticks tell more.
  if (log && low > 0 && high / low > 3) {
    const at = logTicks(low, high, count);
    if (at.length >= 2) return { at, labels: at.map((tick) => tickLabels([tick])[0]) };
  }
  const at = multiples(low, high, niceStep(high - low, count));
  return { at, labels: tickLabels(at) };
}

/**
 * Below a second in the unit that suits, as the value above the chart is.
 * @param {number} low
 * @param {number} high
 * @param {Scale} scale
 * @param {number} height pixels
 */
function secondTicks(low, high, scale, height) {
  const largest = Math.max(Math.abs(low), Math.abs(high));
  const [times, unit] = largest >= 1 ? [1, "s"] : largest >= 1e-3 ? [1e3, "ms"] : [1e6, "µs"];
  const { at, labels } = yTicks(low * times, high * times, scale, height);
  return { at: at.map((tick) => tick / times), labels: labels.map((label) => (label === "0" ? label : `${label} ${unit}`)) };
}

/**
 * @param {number} low
 * @param {number} high
 * @param {number} count
 */
function logTicks(low, high, count) {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const stride = Math.max(1, Math.ceil((last - first) / (count + 1)));
  const mantissas = Math.log10(high / low) <= 0.7 * count ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = Math.ceil(first / stride) * stride - stride; power <= last; power += stride) {
    for (const mantissa of mantissas) {
      const tick = Number((mantissa * 10 ** power).toPrecision(12));
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  }
  return ticks;
}

/**
 * Zero and powers of ten to both sides, none nearer to its neighbour than labels can stand.
 * @param {number} low
 * @param {number} high
 * @param {Scale} scale
 * @param {number} count
 */
function symlogTicks(low, high, scale, count) {
  const apart = (scale.to(high) - scale.to(low)) / (1.5 * count);
  const powers = Math.ceil(Math.log10(Math.max(Math.abs(low), Math.abs(high)) / scale.bend)) + 1;
  const sizes = [];
  let last = 0;
  for (let power = 0; power <= powers; power += 1) {
    const size = Number((scale.bend * 10 ** power).toPrecision(12));
    if (scale.to(size) - last < apart) continue;
    sizes.push(size);
    last = scale.to(size);
  }
  const all = [...sizes.map((size) => -size).reverse(), 0, ...sizes];
  return all.filter((tick) => tick >= low && tick <= high);
}
