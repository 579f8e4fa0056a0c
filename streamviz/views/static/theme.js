// Light, dark or as the system says; and the colours of the tokens, for what is drawn on a canvas.

const KEY = "streamviz.theme";
const THEMES = ["system", "light", "dark"];
const HUES = 6;
/** Colours of runs that are compared; a run by itself has one of the first. */
const COLOURS = 8;

/**
 * @typedef {object} Palette
 * @property {string} ink
 * @property {string} ink2
 * @property {string} axis
 * @property {string} grid
 * @property {string} line
 * @property {string} surface
 * @property {string} red
 * @property {string} font
 * @property {string} hue the run's colour
 * @property {string[]} runs the colours that runs take
 * @property {string} away what other ranks' shades go towards
 */

/**
 * A run's place among the hues: the same in every page and on every day.
 * @param {string} run
 */
export function hueIndex(run) {
  let hash = 0x811c9dc5; // FNV-1a
  for (const byte of new TextEncoder().encode(run)) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % HUES;
}

export class Theme extends EventTarget {
  constructor() {
    super();
    this.root = document.documentElement;
    this.run = "";
    /** @type {string|null} the run's colour, where somebody chose one */
    this.own = null;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#announce());
  }

  /** @returns {string} */
  get choice() {
    return this.root.dataset.theme ?? "system";
  }

  /** @param {string} choice */
  choose(choice) {
    this.root.dataset.theme = THEMES.includes(choice) ? choice : "system";
    try {
      localStorage.setItem(KEY, this.choice);
    } catch {
      // It holds until the page is closed, then.
    }
    this.#announce();
  }

  next() {
    this.choose(THEMES[(THEMES.indexOf(this.choice) + 1) % THEMES.length]);
  }

  /**
   * @param {string} run whose hue the charts take
   * @param {string|null} [own] its colour, where somebody chose one
   */
  showRun(run, own = null) {
    if (run === this.run && own === this.own) return;
    this.run = run;
    this.own = own;
    this.root.style.setProperty("--hue", own ?? `var(--run-${hueIndex(run)})`);
    this.#announce();
  }

  /** @returns {Palette} */
  get palette() {
    return (this.read ??= this.#readTokens());
  }

  #readTokens() {
    const style = getComputedStyle(this.root);
    const token = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    return {
      ink: token("--ink"),
      ink2: token("--ink-2"),
      axis: token("--axis-ink"),
      grid: token("--grid"),
      line: token("--line"),
      surface: token("--surface"),
      red: token("--red"),
      font: token("--font"),
      hue: this.own ?? token(`--run-${hueIndex(this.run)}`),
      runs: Array.from({ length: COLOURS }, (_, i) => token(`--run-${i}`)),
      away: token("--shade-toward"),
    };
  }

  #announce() {
    this.read = undefined;
    this.dispatchEvent(new Event("change"));
  }
}

/**
 * `share` of the way from one colour to another; both as #rrggbb.
 * @param {string} from
 * @param {string} to
 * @param {number} share
 */
export function mix(from, to, share) {
  const part = (/** @type {string} */ colour, /** @type {number} */ i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  const mixed = [0, 1, 2].map((i) => Math.round(part(from, i) * (1 - share) + part(to, i) * share));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}
