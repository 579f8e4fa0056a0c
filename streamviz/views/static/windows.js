// Which part of a run a chart that follows it shows: all, the last steps, or the last span of time.

import { between } from "./derive.js";

/**
 * @typedef {{kind: "all"}|{kind: "steps", steps: number}|{kind: "last", seconds: number}} Span
 * @typedef {{start: number, end: number}} Range
 */

const UNITS = new Map([["s", 1], ["m", 60], ["h", 3600], ["d", 86_400]]);
const MOST_STEPS = 2 ** 53;
const MOST_SECONDS = 3660 * 86_400;

/**
 * What an address says: `all`, `steps:5000`, `last:90s`, `last:10m`, `last:2h`, `last:1d`.
 * @param {string|null} text
 * @returns {Span|null} null where it is none of these
 */
export function parseWindow(text) {
  if (text === "all") return { kind: "all" };
  const steps = /^steps:(\d{1,16})$/.exec(text ?? "");
  if (steps && Number(steps[1]) >= 2 && Number(steps[1]) <= MOST_STEPS) return { kind: "steps", steps: Number(steps[1]) };
  const last = /^last:(\d{1,9}(?:\.\d{1,3})?)([smhd])$/.exec(text ?? "");
  const seconds = last ? Number(last[1]) * /** @type {number} */ (UNITS.get(last[2])) : 0;
  return seconds > 0 && seconds <= MOST_SECONDS ? { kind: "last", seconds } : null;
}

/**
 * What a person types, as the address has it: `5000`, `5k`, `10m`, `2 h`, or nothing for all.
 * @param {string} typed
 * @returns {string|null} null where it says nothing
 */
export function windowFrom(typed) {
  const text = typed.trim().toLowerCase().replace(/[\s,_\u202f]/g, "");
  if (text === "" || text === "all") return "all";
  const count = /^(\d+(?:\.\d+)?)(k|steps?)?$/.exec(text);
  const wanted = count ? `steps:${Math.round(Number(count[1]) * (count[2] === "k" ? 1000 : 1))}` : `last:${text.replace(/(\d)(min|sec|hours?|days?)$/, (_, digit, unit) => digit + unit[0])}`;
  return parseWindow(wanted) ? wanted : null;
}

/** @param {string} text as the address has it */
export function windowWords(text) {
  const span = parseWindow(text);
  if (!span || span.kind === "all") return "";
  return span.kind === "steps" ? String(span.steps) : text.slice("last:".length);
}

/**
 * The first step of a window that ends where the data end; -Infinity for all.
 * @param {import("./derive.js").Drawing} drawing
 * @param {Span} span
 */
export function firstStep(drawing, span) {
  if (span.kind === "all" || drawing.n === 0) return -Infinity;
  let last = -Infinity;
  for (const step of drawing.step) if (step > last) last = step;
  if (span.kind === "steps") return last + 2 ** drawing.shift - span.steps;
  let newest = -Infinity;
  for (const t of drawing.t) if (t > newest) newest = t;
  return between(drawing.t, drawing.step, newest - span.seconds);
}

/**
 * From which step on finer rows are to be asked for, so that a window moves on within them for a while.
 * @param {import("./derive.js").Drawing} drawing
 * @param {Span} span not all
 * @param {number|null} asked from where on they were asked for
 * @returns {number|null} null: those asked for will do
 */
export function refineFrom(drawing, span, asked) {
  const first = firstStep(drawing, span);
  if (!Number.isFinite(first)) return null;
  let last = -Infinity;
  for (const step of drawing.step) if (step > last) last = step;
  const length = Math.max(1, last - first);
  if (asked !== null && (asked <= first || asked === 0) && first - asked <= length) return null;
  return Math.max(0, Math.floor(first - length / 4));
}

/**
 * What of the x axis is seen while a chart follows.
 * @param {import("./derive.js").Drawing} drawing not empty
 * @param {Span} span
 * @param {"step"|"relative"|"wall"|string} axis
 * @param {boolean} log
 * @returns {Range}
 */
export function followed(drawing, span, axis, log) {
  const { start, end } = drawing.span;
  const from = Math.max(log ? positiveStart(drawing, start) : start, windowStart(drawing, span, axis));
  return from < end ? { start: from, end } : { start: Math.min(start, end), end };
}

/**
 * @param {import("./derive.js").Drawing} drawing
 * @param {Span} span
 * @param {string} axis
 */
function windowStart(drawing, span, axis) {
  if (span.kind === "all") return -Infinity;
  const { x, step } = drawing;
  // Time passes also where no step was taken.
  if (span.kind === "last" && (axis === "relative" || axis === "wall")) {
    return drawing.span.end - span.seconds * (axis === "wall" ? 1000 : 1);
  }
  const first = firstStep(drawing, span);
  if (axis === "step") return first;
  let low = Infinity;
  for (let i = 0; i < x.length; i += 1) if (step[i] >= first && x[i] < low) low = x[i];
  return low === Infinity ? -Infinity : low;
}

/**
 * A log axis begins with the first value that is above zero.
 * @param {import("./derive.js").Drawing} drawing
 * @param {number} start
 */
function positiveStart(drawing, start) {
  if (start > 0) return start;
  let low = Infinity;
  for (const { x } of [drawing, ...drawing.lines]) {
    for (const value of x) {
      if (value <= 0) continue;
      // They ascend.
      if (value < low) low = value;
      break;
    }
  }
  return low === Infinity ? start : low;
}
