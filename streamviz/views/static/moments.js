// The moments of the run that is shown: marks that somebody set, and alerts, each with its step.
//
// One list for all charts; what a chart draws of it is chosen by its metrics.

/**
 * @typedef {object} Moment
 * @property {number} step
 * @property {"mark"|"info"|"warning"|"error"} kind
 * @property {string} text what is said on hover
 * @property {string|null} metric null: of the whole run
 *
 * @typedef {object} Alert as the server tells it
 * @property {number} id
 * @property {string} rule
 * @property {"info"|"warning"|"error"} level
 * @property {string} text
 * @property {number|null} rank
 * @property {string} host
 * @property {string|null} metric
 * @property {number|null} step
 * @property {number} time wall time, seconds
 * @property {number|null} until null: it goes on
 * @property {number} count
 * @property {boolean} first_bad
 */

/** Rules whose alert without a metric belongs on every chart; of others every rank would draw a line. */
const EVERYWHERE = ["stall", "publisher"];

export class Moments {
  constructor() {
    /** @type {Moment[]} */
    this.marks = [];
    /** @type {Moment[]} */
    this.alerts = [];
    /** @type {WeakMap<object, Moment[]>} by chart, until something changes */
    this.chosen = new WeakMap();
  }

  /** @param {{name: string, step: number, text: string, rank: number}[]} marks */
  takeMarks(marks) {
    this.marks = marks.map(({ name, step, text, rank }) => ({ step, kind: "mark", metric: null, text: `${name}${text ? `: ${text}` : ""} (r${rank})` }));
    this.chosen = new WeakMap();
  }

  /** @param {Alert[]} alerts */
  takeAlerts(alerts) {
    this.alerts = alerts
      .filter(({ step, metric, rule }) => step !== null && (metric !== null || EVERYWHERE.includes(rule)))
      .map(({ step, level, metric, text }) => ({ step: Number(step), kind: level, metric, text }));
    this.chosen = new WeakMap();
  }

  clear() {
    this.takeMarks([]);
    this.takeAlerts([]);
  }

  /**
   * What a chart draws, by step.
   * @param {import("./chart.js").Chart} chart
   */
  of(chart) {
    const held = this.chosen.get(chart);
    if (held) return held;
    const metrics = chart.series.map((one) => ("metric" in one ? one.metric : ""));
    const own = [...this.marks, ...this.alerts].filter(({ metric }) => metric === null || metrics.includes(metric));
    own.sort((a, b) => a.step - b.step);
    this.chosen.set(chart, own);
    return own;
  }
}
