// What the person chose: one small observable record, kept in the address bar.

/**
 * @typedef {object} Choices
 * @property {string|null} run null: the newest one
 * @property {"band"|"lines"} mode
 * @property {string} ranks "" is all
 * @property {"step"|"relative"|"wall"} x
 * @property {number} smoothing
 * @property {boolean} log
 * @property {string} filter
 * @property {boolean} together zoom all charts together
 */

/** @type {Choices} */
const DEFAULTS = { run: null, mode: "band", ranks: "", x: "step", smoothing: 0, log: false, filter: "", together: false };

const X_AXES = /** @type {const} */ (["step", "relative", "wall"]);

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
  const x = X_AXES.find((axis) => axis === query.get("x"));
  if (x) choices.x = x;
  const smoothing = Number(query.get("smoothing"));
  if (smoothing > 0 && smoothing <= 0.999) choices.smoothing = smoothing;
  choices.log = query.get("log") === "1";
  choices.together = query.get("together") === "1";
  choices.filter = query.get("filter") ?? "";
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
  const text = query.toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
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
    // A run is a place one may want to go back to; a slider's every stop is not.
    const write = this.choices.run !== before.run ? "pushState" : "replaceState";
    history[write](null, "", toAddress(this.choices));
  }

  nextX() {
    this.set({ x: X_AXES[(X_AXES.indexOf(this.choices.x) + 1) % X_AXES.length] });
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
