// Which layers a chart has: its metrics, of the runs that are compared, by groups of ranks or of runs.

import { BadExpression, parse } from "./expression.js";
import { mix } from "./theme.js";

/**
 * @typedef {import("./chart.js").Chart} Chart
 * @typedef {import("./chart.js").Series} Series
 * @typedef {import("./layers.js").LayerSpec} LayerSpec
 * @typedef {{rank: number, attempt: number, host: string, mesh?: Record<string, number>}} Worker
 * @typedef {{metrics: string[], workers: Worker[], config?: Record<string, unknown>, started: number|null}} Detail
 * @typedef {object} Compared one run that is drawn
 * @property {string} name
 * @property {string} colour
 * @property {Detail|null} detail null while it is not known
 *
 * @typedef {object} Setting what is the same for all charts
 * @property {Compared[]} runs the one that is shown first
 * @property {string} group none, node, mesh:<axis> or config:<key>
 * @property {string} ranks "" is all
 * @property {import("./theme.js").Palette} palette
 */

/** Runs and groups that are drawn, and lines of one chart: more is a fog, and what is left out is said. */
export const MOST = { runs: 8, groups: 16, layers: 16 };

/**
 * @param {Chart} chart
 * @param {Setting} setting
 * @returns {{layers: LayerSpec[], left: number, problem: string}} problem: why an expression is not drawn
 */
export function layersOf(chart, setting) {
  const { runs, group, palette } = setting;
  const problems = [];
  const series = chart.series.flatMap((one) => {
    if ("metric" in one) return [{ name: one.metric, metric: one.metric, expression: null }];
    try {
      return [{ name: one.expression, metric: "", expression: parse(one.expression, (name) => runs.some(({ detail }) => detail?.metrics.includes(name))) }];
    } catch (problem) {
      if (!(problem instanceof BadExpression)) throw problem;
      problems.push(`${one.expression}: ${problem.message}`);
      return [];
    }
  });
  const byConfig = group.startsWith("config:") ? group.slice("config:".length) : null;
  const values = byConfig === null ? [] : [...new Set(runs.map((run) => configOf(run, byConfig)))];
  /** @type {LayerSpec[]} */
  const layers = [];
  let left = 0;
  for (const run of runs) {
    const groups = groupsOf(run, setting);
    left += Math.max(0, groups.length - MOST.groups) * series.length;
    groups.slice(0, MOST.groups).forEach(({ label, ranks }, g, all) => {
      series.forEach((one, s) => {
        // A run that has none of it is no line of it.
        const known = run.detail === null || one.expression !== null || run.detail.metrics.includes(one.metric);
        if (!known && !(run === runs[0] && nobody(runs, one.metric))) return;
        const value = byConfig === null ? null : configOf(run, byConfig);
        const base = byConfig === null ? run.colour : palette.runs[values.indexOf(value) % palette.runs.length];
        const parts = [value === null ? "" : `${byConfig} ${value}`, runs.length > 1 ? run.name : "", label, series.length > 1 ? one.name : ""];
        layers.push({
          id: JSON.stringify([run.name, one.name, one.expression !== null, label]),
          run: run.name,
          metric: one.metric,
          expression: one.expression,
          ranks,
          label: parts.filter(Boolean).join(" · "),
          colour: runs.length === 1 ? among(base, s + g * series.length, palette) : variant(base, s + g * series.length, series.length * all.length, palette),
        });
      });
    });
  }
  left += Math.max(0, layers.length - MOST.layers);
  const drawn = layers.slice(0, MOST.layers);
  // The plain chart of the run that is shown takes the colour as the page has it, and needs no name.
  if (drawn.length === 1) Object.assign(drawn[0], { colour: drawn[0].run === runs[0].name ? null : drawn[0].colour, label: drawn[0].label || series[0].name });
  return { layers: drawn, left, problem: problems.join("; ") };
}

/**
 * The metrics of a chart that no run has that is drawn; none while it is not known what they have.
 * @param {LayerSpec[]} layers
 * @param {Setting} setting
 */
export function missingOf(layers, { runs }) {
  const names = layers.flatMap(({ metric, expression }) => (expression ? expression.names : [metric]));
  return [...new Set(names)].filter((name) => nobody(runs, name));
}

/** Whether no run has it: then the one that is shown says so. @param {Compared[]} runs @param {string} metric */
function nobody(runs, metric) {
  return runs.every(({ detail }) => detail !== null && !detail.metrics.includes(metric));
}

/** @param {Compared} run @param {string} key */
function configOf(run, key) {
  const value = run.detail?.config?.[key];
  return value === undefined ? "–" : String(value);
}

/**
 * @param {Compared} run
 * @param {Setting} setting
 * @returns {{label: string, ranks: string|null}[]} all of them
 */
function groupsOf({ detail }, { group, ranks }) {
  const whole = [{ label: "", ranks: ranks || null }];
  const axis = group.startsWith("mesh:") ? group.slice("mesh:".length) : null;
  if (!detail || (group !== "node" && axis === null)) return whole;
  const wanted = wantedRanks(ranks);
  /** @type {Map<string, number[]>} */
  const found = new Map();
  for (const [rank, worker] of latest(detail.workers)) {
    if (!wanted(rank)) continue;
    const value = axis === null ? worker.host : worker.mesh?.[axis];
    const label = axis === null ? String(value || "unknown node") : value === undefined ? `no ${axis}` : `${axis} ${value}`;
    const held = found.get(label);
    if (held) held.push(rank);
    else found.set(label, [rank]);
  }
  if (found.size === 0) return whole;
  const order = new Intl.Collator("en", { numeric: true });
  return [...found].sort(([a], [b]) => order.compare(a, b)).map(([label, list]) => ({ label, ranks: rangesOf(list) }));
}

/** The last attempt of each rank. @param {Worker[]} workers */
function latest(workers) {
  /** @type {Map<number, Worker>} */
  const found = new Map();
  for (const worker of workers) {
    const held = found.get(worker.rank);
    if (!held || worker.attempt >= held.attempt) found.set(worker.rank, worker);
  }
  return found;
}

/** @param {string} text as `0,8-15` @returns {(rank: number) => boolean} */
export function wantedRanks(text) {
  if (!text) return () => true;
  const ranges = text.split(",").map((part) => part.split("-").map(Number));
  return (rank) => ranges.some(([first, last = first]) => rank >= first && rank <= last);
}

/** @param {number[]} ranks */
export function rangesOf(ranks) {
  const sorted = [...ranks].sort((a, b) => a - b);
  /** @type {[number, number][]} */
  const ranges = [];
  for (const rank of sorted) {
    const last = ranges.at(-1);
    if (last && rank <= last[1] + 1) last[1] = rank;
    else ranges.push([rank, rank]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`)).join(",");
}

/**
 * The i-th colour of several lines of one run: its own, then the others of the set.
 * @param {string} own
 * @param {number} i
 * @param {import("./theme.js").Palette} palette
 */
function among(own, i, { runs, ink }) {
  const others = [own, ...runs.filter((colour) => colour !== own)];
  const colour = others[i % others.length];
  return i < others.length ? colour : mix(colour, ink, 0.45);
}

/**
 * The i-th of n shades of a run's colour, where several runs have several lines each.
 * @param {string} own
 * @param {number} i
 * @param {number} n
 * @param {import("./theme.js").Palette} palette
 */
function variant(own, i, n, { ink, away }) {
  if (i === 0 || n < 2) return own;
  return mix(own, i % 2 ? ink : away, (0.7 * Math.ceil(i / 2)) / Math.ceil(n / 2));
}

/**
 * By what the runs can be grouped, as the choice has it.
 * @param {Compared[]} runs
 * @returns {{value: string, label: string}[]}
 */
export function groupings(runs) {
  const axes = new Set(runs.flatMap(({ detail }) => detail?.workers.flatMap(({ mesh }) => Object.keys(mesh ?? {})) ?? []));
  const keys = new Set(runs.flatMap(({ detail }) => Object.keys(detail?.config ?? {})));
  return [
    { value: "none", label: "nothing" },
    { value: "node", label: "node" },
    ...[...axes].sort().map((axis) => ({ value: `mesh:${axis}`, label: `mesh axis ${axis}` })),
    ...[...keys].sort().map((key) => ({ value: `config:${key}`, label: `config ${key}` })),
  ];
}
