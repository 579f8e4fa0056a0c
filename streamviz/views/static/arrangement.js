// How the charts are arranged: pinned ones, charts made on this page, those of a layout, and what was
// changed of others. Kept in the address, so that a link shows what its sender saw.

import { MOST_OWN, listOf, textOf } from "./choices.js";
import { plainChart } from "./chart.js";

/**
 * @typedef {import("./chart.js").Chart} Chart
 * @typedef {Partial<Pick<Chart, "title"|"xLabel"|"yLabel"|"scale"|"kind"|"size">>} Change
 * @typedef {{id: string, title: string, columns: number, keys: string[]}} Section
 * @typedef {{size: string, rest: boolean, sections: {title: string, columns: number|null, charts: any[]}[]}} Layout as the server reads it
 */

/** Charts made on one page, and lines of one: what goes beyond is a layout file's. */
export const MOST_CHARTS = { own: 32, series: 16 };
const LONGEST = 200;
const KINDS = ["line", "bar"];
const SCALES = ["linear", "log", "symlog"];
const CARD_SIZES = ["s", "m", "l", "wide"];

export class Arrangement {
  /**
   * @param {import("./state.js").State} state
   * @param {() => void} changed
   */
  constructor(state, changed) {
    this.state = state;
    this.changed = changed;
    /** @type {Layout|null} the server's, or one that was loaded here */
    this.layout = null;
    /** @type {import("./sent-layout.js").SentSection[]} what the run's ranks asked for */
    this.sent = [];
    /** What was too much for the address. */
    this.overflow = false;
    this.#read();
    state.addEventListener("change", (event) => {
      const { detail } = /** @type {CustomEvent<Set<string>>} */ (event);
      if (!["own", "pins", "layout", "size"].some((name) => detail.has(name))) return;
      if (detail.has("own") && this.written !== state.choices.own) this.#read();
      this.changed();
    });
  }

  #read() {
    const found = readOwn(this.state.choices.own);
    /** @type {Chart[]} made on this page */
    this.own = found.charts;
    /** @type {Map<string, Change>} of other charts, by key */
    this.changes = found.changes;
  }

  /** Keep what was changed, in the address while it has room for it. */
  #write() {
    const text = this.own.length === 0 && this.changes.size === 0 ? "" : JSON.stringify({
      ...(this.own.length > 0 ? { charts: this.own.map(packed) } : {}),
      ...(this.changes.size > 0 ? { of: Object.fromEntries(this.changes) } : {}),
    });
    this.overflow = text.length > MOST_OWN;
    this.written = this.overflow ? this.state.choices.own : text;
    this.state.set({ own: this.written });
    this.changed();
  }

  /** @param {Layout|null} layout */
  load(layout) {
    this.layout = layout;
    this.changed();
  }

  /** The charts that are not simply a metric of the run, and where they stand. */
  get sections() {
    /** @type {Map<string, Chart>} */
    const charts = new Map(this.own.map((chart) => [chart.key, chart]));
    /** @type {Section[]} */
    const sections = [];
    if (this.own.length > 0) sections.push({ id: "\0own", title: "own charts", columns: 0, keys: this.own.map(({ key }) => key) });
    const { layout } = this;
    if (layout && this.state.choices.layout !== "off") {
      layout.sections.forEach(({ title, columns, charts: listed }, s) => {
        const keys = listed.map((one, c) => {
          const chart = ofLayout(one, `\0layout:${s}:${c}`);
          charts.set(chart.key, chart);
          return chart.key;
        });
        sections.push({ id: `\0layout:${s}`, title, columns: columns ?? 0, keys });
      });
    }
    this.sent.forEach(({ title, charts: listed }, s) => {
      const keys = listed.map((one, c) => {
        const chart = ofLayout(one, `\0sent:${s}:${c}`);
        charts.set(chart.key, chart);
        return chart.key;
      });
      sections.push({ id: `\0sent:${s}`, title, columns: 0, keys });
    });
    return { sections, charts };
  }

  /** The run's ranks asked for these. @param {import("./sent-layout.js").SentSection[]} sections */
  ask(sections) {
    this.sent = sections;
    this.changed();
  }

  /** Whether the metrics that no section names are shown as well. */
  get rest() {
    return this.layout === null || this.layout.rest || this.state.choices.layout === "off";
  }

  get pins() {
    return listOf(this.state.choices.pins);
  }

  /** @param {string} key */
  pin(key) {
    const { pins } = this;
    this.state.set({ pins: textOf(pins.includes(key) ? pins.filter((one) => one !== key) : [...pins, key]) });
  }

  /**
   * A chart as it is to be drawn: with what was changed of it.
   * @param {Chart} chart
   * @returns {Chart}
   */
  changed_(chart) {
    return { ...chart, ...this.changes.get(chart.key) };
  }

  /** @param {Chart} chart made on this page @returns {boolean} whether this was one */
  isOwn({ key }) {
    return this.own.some((one) => one.key === key);
  }

  /**
   * Another chart of these lines.
   * @param {Omit<Chart, "key">} chart
   * @returns {string} its key, "" where there are too many
   */
  add(chart) {
    if (this.own.length >= MOST_CHARTS.own) return "";
    const number = 1 + Math.max(0, ...this.own.map(({ key }) => Number(key.split(":")[1])));
    const key = `\0own:${number}`;
    this.own = [...this.own, { ...chart, key, series: chart.series.slice(0, MOST_CHARTS.series) }];
    this.#write();
    return key;
  }

  /**
   * @param {Chart} chart
   * @param {Change & {series?: Chart["series"]}} patch
   */
  edit(chart, patch) {
    const { series, ...change } = patch;
    if (this.isOwn(chart)) {
      this.own = this.own.map((one) => (one.key === chart.key ? clean({ ...one, ...patch }) : one));
    } else if (series && JSON.stringify(series) !== JSON.stringify(chart.series)) {
      // Other lines than its own: that is another chart.
      this.add({ ...chart, ...patch, series });
      return;
    } else {
      const base = chart.key.startsWith("\0") ? {} : plainChart(chart.key);
      const kept = Object.entries({ ...this.changes.get(chart.key), ...change }).filter(([name, value]) => value !== undefined && value !== "" && value !== base[name]);
      this.changes = new Map(this.changes);
      this.changes.delete(chart.key);
      if (kept.length > 0) this.changes.set(chart.key, Object.fromEntries(kept));
    }
    this.#write();
  }

  /** @param {Chart} chart made on this page */
  remove(chart) {
    this.own = this.own.filter(({ key }) => key !== chart.key);
    this.#write();
  }

  /**
   * Two charts in one.
   * @param {Chart} onto
   * @param {Chart} from
   */
  combine(onto, from) {
    const series = [...onto.series];
    for (const one of from.series) if (!series.some((held) => JSON.stringify(held) === JSON.stringify(one))) series.push(one);
    if (this.isOwn(onto)) this.edit(onto, { series: series.slice(0, MOST_CHARTS.series) });
    else this.add({ title: titleOf(series), series });
  }
}

/** What a chart of several lines is called until somebody names it. @param {Chart["series"]} series */
export function titleOf(series) {
  return series.map((one) => ("metric" in one ? one.metric : one.expression)).join(", ").slice(0, LONGEST);
}

/** @param {Chart} chart */
function packed({ key, series, ...rest }) {
  return { n: Number(key.split(":")[1]), s: series.map((one) => ("metric" in one ? one.metric : `=${one.expression}`)), ...rest };
}

/** @param {any} one as it stands in a layout @param {string} key @returns {Chart} */
function ofLayout(one, key) {
  const series = [...(one.metrics ?? []).map((/** @type {string} */ metric) => ({ metric })), ...(one.expressions ?? []).map((/** @type {string} */ expression) => ({ expression }))];
  return clean({ key, title: one.title || titleOf(series), series, xLabel: one.x_label, yLabel: one.y_label, scale: one.scale, kind: one.kind, size: one.size });
}

/** Without what is empty. @param {any} chart @returns {Chart} */
function clean(chart) {
  return /** @type {Chart} */ (Object.fromEntries(Object.entries(chart).filter(([, value]) => value !== undefined && value !== null && value !== "")));
}

/**
 * What an address says; whatever in it is wrong is left out.
 * @param {string} text
 * @returns {{charts: Chart[], changes: Map<string, Change>}}
 */
function readOwn(text) {
  /** @type {any} */
  let held = null;
  try {
    held = JSON.parse(text || "null");
  } catch {
    // Somebody cut the address short: the page is plain then.
  }
  const charts = Array.isArray(held?.charts) ? held.charts.slice(0, MOST_CHARTS.own) : [];
  const changes = held?.of && typeof held.of === "object" && !Array.isArray(held.of) ? Object.entries(held.of).slice(0, 200) : [];
  return {
    charts: charts.flatMap((/** @type {any} */ one, /** @type {number} */ i) => {
      const names = Array.isArray(one?.s) ? one.s.filter((/** @type {unknown} */ name) => typeof name === "string" && name.length > 0 && name.length <= 500) : [];
      if (names.length === 0) return [];
      const series = names.slice(0, MOST_CHARTS.series).map((/** @type {string} */ name) => (name.startsWith("=") ? { expression: name.slice(1) } : { metric: name }));
      return [{ ...changeOf(one), key: `\0own:${Number.isInteger(one.n) && one.n > 0 ? one.n : i + 1}`, series, title: textIn(one.title) || titleOf(series) }];
    }),
    changes: new Map(changes.map(([key, change]) => [key, changeOf(change)])),
  };
}

/** @param {any} one @returns {Change} */
function changeOf(one) {
  const among = (/** @type {unknown} */ value, /** @type {string[]} */ known) => known.find((name) => name === value);
  return clean({
    title: textIn(one?.title), xLabel: textIn(one?.xLabel), yLabel: textIn(one?.yLabel),
    scale: among(one?.scale, SCALES), kind: among(one?.kind, KINDS), size: among(one?.size, CARD_SIZES),
  });
}

/** @param {unknown} value */
function textIn(value) {
  return typeof value === "string" ? value.slice(0, LONGEST) : undefined;
}
