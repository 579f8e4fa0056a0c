// How a chart is drawn: what the side panel says, and what the chart's own menu says instead.

import { METRIC } from "./derive.js";
import { SCALE_KINDS } from "./scales.js";
import { parseSmooth, smoothText } from "./smoothing.js";
import { parseWindow } from "./windows.js";

/** As it is unless somebody chose otherwise. */
export const LOOK = {
  x: "step",
  logx: false,
  y: /** @type {import("./scales.js").ScaleKind} */ ("linear"),
  smooth: "",
  outliers: /** @type {""|"ignore"|"show"} */ (""),
  window: "all",
  band: /** @type {"quantiles"|"std"} */ ("quantiles"),
};

/** In the span of the y axis: as far as they leave room for the rest, none, all. */
export const OUTLIERS = /** @type {const} */ (["", "ignore", "show"]);

const X_AXES = ["step", "relative", "wall"];
/** Longest name of a metric that an address may ask for, as the server has it. */
const MOST_NAME = 256;

/**
 * What an address says of it; whatever it does not say, or says wrongly, is as it is without.
 * @param {URLSearchParams} query
 */
export function lookFrom(query) {
  const look = { ...LOOK };
  const x = query.get("x") ?? "";
  if (X_AXES.includes(x) || (x.length > METRIC.length && x.startsWith(METRIC) && x.length <= MOST_NAME + METRIC.length)) look.x = x;
  look.logx = query.get("logx") === "1";
  look.y = SCALE_KINDS.find((kind) => kind === query.get("y")) ?? LOOK.y;
  look.smooth = smoothText(parseSmooth(query.get("smooth")));
  look.outliers = OUTLIERS.find((one) => one === query.get("outliers")) ?? "";
  const window = query.get("window");
  if (parseWindow(window)) look.window = String(window);
  if (query.get("band") === "std") look.band = "std";
  return look;
}

/** The next of the axes that every run has. @param {string} x */
export function xFrom(x) {
  return X_AXES[(X_AXES.indexOf(x) + 1) % X_AXES.length];
}

/**
 * @typedef {import("./state.js").Choices} Choices
 * @typedef {Partial<Pick<Choices, "smooth"|"y"|"outliers"|"band">>} Own what one chart has of its own
 * @typedef {object} Look
 * @property {string} x step, relative, wall or metric:<name>
 * @property {boolean} logx
 * @property {import("./scales.js").ScaleKind} y
 * @property {import("./smoothing.js").Smooth|null} smooth
 * @property {""|"ignore"|"show"} outliers
 * @property {import("./windows.js").Span} window
 * @property {"quantiles"|"std"} band
 * @property {"band"|"std"|"lines"} mode what the server folds ranks into
 */

/**
 * @param {Choices} choices
 * @param {Own} [own]
 * @returns {Look}
 */
export function lookOf(choices, own = {}) {
  const all = { ...choices, ...own };
  return {
    x: all.x,
    // The time of day has no zero to be far from.
    logx: all.logx && all.x !== "wall",
    y: all.y,
    smooth: parseSmooth(all.smooth),
    outliers: all.outliers,
    window: parseWindow(all.window) ?? { kind: "all" },
    band: all.band,
    mode: all.mode === "lines" ? "lines" : all.band === "std" ? "std" : "band",
  };
}

/** @param {string} x @returns {string|null} the metric on the x axis */
export function xMetric(x) {
  return x.startsWith(METRIC) ? x.slice(METRIC.length) : null;
}

/** Metrics that people most often put on the x axis, the likeliest first. */
const LIKELY = [/tokens?(_seen|_total)?$/i, /epochs?$/i, /samples?(_seen|_total)?$/i, /iterations?$/i, /examples?$/i, /(time|seconds|hours)$/i];

/**
 * The metrics of a run as candidates for the x axis: likely ones first, then the others as they come.
 * @param {string[]} metrics
 */
export function xCandidates(metrics) {
  const place = (/** @type {string} */ name) => {
    const found = LIKELY.findIndex((pattern) => pattern.test(name));
    return found < 0 ? LIKELY.length : found;
  };
  return [...metrics].sort((a, b) => place(a) - place(b));
}
