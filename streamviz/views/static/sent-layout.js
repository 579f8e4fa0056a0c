// The charts that a run's own ranks asked for: which metrics are to be drawn together.
//
// Law: the server is asked once for each that is newer, and whatever it answers makes a bounded
// number of charts.

/** Charts of one layout, and lines of one chart. */
const MOST = { charts: 64, lines: 16 };
const LONGEST = 200;

/** @typedef {{title: string, columns: number|null, charts: {title: string, metrics: string[]}[]}} SentSection */

export class SentLayout {
  /**
   * @param {import("./payloads.js").Payloads} payloads
   * @param {(sections: SentSection[]) => void} taken
   */
  constructor(payloads, taken) {
    this.payloads = payloads;
    this.taken = taken;
    this.run = "";
    /** @type {number|null} the payload that is shown, or asked for */
    this.number = null;
  }

  /** Another run is shown. @param {string} run "" for none */
  show(run) {
    if (run === this.run) return;
    this.run = run;
    if (this.number !== null) this.taken([]);
    this.number = null;
  }

  /** @param {string} run @param {number|null|undefined} number of its newest layout */
  async take(run, number) {
    if (run !== this.run || number === this.number || number === null || number === undefined) return;
    this.number = number;
    try {
      const { body } = await this.payloads.get(number);
      if (this.run === run && this.number === number) this.taken(sectionsOf(body));
    } catch {
      // The next one may be better.
    }
  }
}

/**
 * @param {any} body
 * @returns {SentSection[]} by category, in the order in which they come
 */
export function sectionsOf(body) {
  /** @type {Map<string, SentSection>} */
  const found = new Map();
  const charts = Array.isArray(body?.charts) ? body.charts.slice(0, MOST.charts) : [];
  for (const { category, title, metrics } of charts.filter(Boolean)) {
    const names = Array.isArray(metrics) ? metrics.filter((name) => typeof name === "string" && name.length > 0 && name.length <= 500).slice(0, MOST.lines) : [];
    if (names.length === 0) continue;
    const named = String(category ?? "").slice(0, LONGEST);
    const section = found.get(named) ?? { title: named || "custom scalars", columns: null, charts: [] };
    found.set(named, section);
    section.charts.push({ title: String(title ?? "").slice(0, LONGEST), metrics: names });
  }
  return [...found.values()];
}
