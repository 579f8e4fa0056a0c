// The runs that are drawn together: which they are, what is known of them, and the layers that come of it.

import { listOf, textOf } from "./choices.js";
import { Colours } from "./colours.js";
import { MOST, layersOf, missingOf } from "./comparison.js";
import { xMetric } from "./look.js";

/**
 * @typedef {import("./comparison.js").Compared} Run
 * @typedef {{run: string, state: string, started: number}} Row of the list of runs
 */

export class Compared {
  /**
   * @param {object} page
   * @param {import("./state.js").State} page.state
   * @param {import("./theme.js").Theme} page.theme
   * @param {import("./link.js").Link} page.link
   * @param {() => void} page.changed the layers of charts are others now
   */
  constructor({ state, theme, link, changed }) {
    this.state = state;
    this.theme = theme;
    this.link = link;
    this.changed = changed;
    this.colours = new Colours();
    /** The run that is shown; "" for none. */
    this.main = "";
    /** @type {Row[]} */
    this.rows = [];
    /** @type {Map<string, import("./comparison.js").Detail>} */
    this.details = new Map();
    this.watched = "";
    /** @type {import("./comparison.js").Setting|null} */
    this.made = null;
    theme.addEventListener("change", () => this.#renew());
    state.addEventListener("change", (event) => {
      const { detail } = /** @type {CustomEvent<Set<string>>} */ (event);
      if (!["runs", "group", "ranks"].some((name) => detail.has(name))) return;
      if (detail.has("runs")) this.#watch();
      this.#renew();
      this.changed();
    });
  }

  /** Names that are to be drawn, the one that is shown first. */
  get wanted() {
    const known = new Set(this.rows.map(({ run }) => run));
    const others = listOf(this.state.choices.runs).filter((run) => run !== this.main && known.has(run));
    return this.main ? [this.main, ...others] : [];
  }

  /** Names that are drawn. */
  get names() {
    return this.wanted.slice(0, MOST.runs);
  }

  /** Chosen runs that this server does not know. */
  get unknown() {
    const known = new Set(this.rows.map(({ run }) => run));
    return listOf(this.state.choices.runs).filter((run) => run !== this.main && !known.has(run));
  }

  /** @param {Row[]} rows newest first */
  takeRuns(rows) {
    const before = this.names.join("\n");
    this.rows = rows;
    this.#renew();
    if (before === this.names.join("\n")) return;
    this.#watch();
    this.changed();
  }

  /** @param {import("./comparison.js").Detail & {run: string}} message */
  takeDetail(message) {
    this.details.set(message.run, message);
    for (const name of this.details.keys()) if (!this.names.includes(name)) this.details.delete(name);
    this.#renew();
    if (this.names.length > 1 || this.state.choices.group !== "none") this.changed();
  }

  /** @param {string} run "" for none */
  show(run) {
    this.main = run;
    this.#renew();
    this.#watch();
  }

  /** The line is new: the server knows nothing of what is watched. */
  renew() {
    this.watched = "";
    if (this.main) this.#watch();
    else this.link.send({ op: "watch", run: this.state.choices.run });
  }

  #watch() {
    if (!this.main) return;
    const also = this.names.slice(1);
    const watched = JSON.stringify([this.main, also]);
    if (watched === this.watched) return;
    this.watched = watched;
    this.link.send({ op: "watch", run: this.main, ...(also.length > 0 ? { also } : {}) });
  }

  /** Compare a run too, or no longer. @param {string} run @param {boolean} on */
  compare(run, on) {
    const others = listOf(this.state.choices.runs).filter((name) => name !== run);
    this.state.set({ runs: textOf(on ? [...others, run] : others) });
  }

  /** @param {string[]} runs */
  compareOnly(runs) {
    this.state.set({ runs: textOf(runs.filter((run) => run !== this.main)) });
  }

  /** Nothing but this run. @param {string} run */
  solo(run) {
    this.state.set({ run, runs: "" });
  }

  /** @param {string} run @param {string|null} colour */
  recolour(run, colour) {
    this.colours.choose(run, colour);
    if (run === this.main) this.theme.showRun(run, this.colours.chosen.get(run) ?? null);
    this.#renew();
    this.changed();
  }

  #renew() {
    this.made = null;
  }

  /** @returns {import("./comparison.js").Setting} */
  get setting() {
    if (this.made) return this.made;
    const { palette } = this.theme;
    const { names } = this;
    const colours = this.colours.of(names, palette.runs);
    const runs = names.map((name) => ({ name, colour: /** @type {string} */ (colours.get(name)), detail: this.details.get(name) ?? null }));
    this.made = { runs, group: this.state.choices.group, ranks: this.state.choices.ranks, palette };
    return this.made;
  }

  /** @param {import("./chart.js").Chart} chart */
  layersOf(chart) {
    return layersOf(chart, this.setting);
  }

  /** What no run has of these, in words; "" where they have all. @param {import("./layers.js").LayerSpec[]} layers */
  missing(layers) {
    const axis = xMetric(this.state.choices.x);
    if (axis !== null && this.metrics.length > 0 && !this.metrics.includes(axis)) return `no metric named “${axis}” for the x axis`;
    const names = missingOf(layers, this.setting).map((name) => `“${name}”`);
    return names.length > 0 ? `no metric named ${names.join(", ")} here yet` : "";
  }

  /** Wall time of a run's start, seconds. @param {string} run */
  startOf(run) {
    return this.details.get(run)?.started ?? this.rows.find((row) => row.run === run)?.started ?? 0;
  }

  /** The metrics of all runs that are drawn: those of the one that is shown first. */
  get metrics() {
    return [...new Set(this.names.flatMap((name) => this.details.get(name)?.metrics ?? []))];
  }
}
