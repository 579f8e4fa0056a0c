// What the person chose: one small observable record, kept in the address bar.

import { COMPARING, comparingFrom } from "./choices.js";
import { LOOK, lookFrom, xFrom } from "./look.js";

/**
 * @typedef {object} Choices
 * @property {string|null} run null: the newest one
 * @property {"band"|"lines"} mode
 * @property {string} ranks "" is all
 * @property {string} x step, relative, wall or metric:<name>
 * @property {boolean} logx
 * @property {"linear"|"log"|"symlog"} y
 * @property {string} smooth as `ema:0.9`, "" is none
 * @property {""|"ignore"|"show"} outliers in the span of the y axis
 * @property {string} window as `all`, `steps:5000`, `last:10m`
 * @property {"quantiles"|"std"} band
 * @property {string} filter
 * @property {boolean} together zoom all charts together
 * @property {string} heat the heatmap's metric; "" is the seconds per step
 * @property {string} runs a list: those that are compared with the one that is shown
 * @property {string} group none, node, mesh:<axis> or config:<key>
 * @property {string} pins a list: charts that stand on top
 * @property {"s"|"m"|"l"} size of charts
 * @property {string} own charts made on this page, and what was changed of others (arrangement.js)
 * @property {""|"off"} layout whether the server's is left out
 * @property {string} tab one of TABS
 */

/** @type {Choices} */
const DEFAULTS = { run: null, mode: "band", ranks: "", ...LOOK, ...COMPARING, filter: "", together: false, heat: "", tab: "charts" };

const TABS = ["charts", "workers", "heatmap", "distributions", "model", "media", "system"];
/** What the server takes, said here first so that the field can say what is wrong. */
const RANKS = /^\s*\d+(\s*-\s*\d+)?(\s*,\s*\d+(\s*-\s*\d+)?)*\s*$/;

/** @param {string} text */
export function ranksAreValid(text) {
  return text.trim() === "" || RANKS.test(text);
}

/**
 * @param {string} search
 * @returns {Choices}
 */
export function fromAddress(search) {
  const query = new URLSearchParams(search);
  const choices = { ...DEFAULTS };
  choices.run = query.get("run") || null;
  if (query.get("mode") === "lines") choices.mode = "lines";
  const ranks = query.get("ranks") ?? "";
  if (ranksAreValid(ranks)) choices.ranks = ranks.replace(/\s/g, "");
  Object.assign(choices, lookFrom(query), comparingFrom(query));
  choices.together = query.get("together") === "1";
  choices.filter = query.get("filter") ?? "";
  choices.heat = query.get("heat") ?? "";
  const tab = query.get("tab") ?? "";
  if (TABS.includes(tab)) choices.tab = tab;
  return choices;
}

/**
 * Only what differs from the defaults, so that a plain page has a plain address.
 * @param {Choices} choices
 */
export function toAddress(choices) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(choices)) {
    if (value === DEFAULTS[/** @type {keyof Choices} */ (name)] || value === null) continue;
    query.set(name, value === true ? "1" : String(value));
  }
  // These are plain in a query, and people read and type them.
  const text = query.toString().replaceAll("%2F", "/").replaceAll("%2C", ",").replaceAll("%3A", ":");
  return text ? `?${text}` : location.pathname;
}

export class State extends EventTarget {
  constructor() {
    super();
    this.choices = fromAddress(location.search);
    addEventListener("popstate", () => this.#adopt(fromAddress(location.search)));
  }

  /** @param {Partial<Choices>} patch */
  set(patch) {
    const before = this.choices;
    this.#adopt({ ...before, ...patch });
    // A run or a tab is a place one may want to go back to; a slider's every stop is not.
    const write = this.choices.run !== before.run || this.choices.tab !== before.tab ? "pushState" : "replaceState";
    history[write](null, "", toAddress(this.choices));
  }

  nextX() {
    this.set({ x: xFrom(this.choices.x) });
  }

  /** @param {Choices} choices */
  #adopt(choices) {
    const before = this.choices;
    const changed = new Set(Object.keys(choices).filter((name) => choices[name] !== before[name]));
    if (changed.size === 0) return;
    this.choices = choices;
    this.dispatchEvent(new CustomEvent("change", { detail: changed }));
  }
}
