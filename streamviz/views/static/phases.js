// Where the time of a step goes: stacked bars of the phases, over the steps and over the ranks.

import { inUnit, isolated, plural, whole } from "./format.js";
import { Feeds } from "./feeds.js";
import { median } from "./heatdata.js";
import { div, segments, span } from "./make.js";
import { Sheet, Tip } from "./sheet.js";

/** Phases that are drawn apart; of more the first by name, and the page says so. */
const MOST_PHASES = 8;
/** Red and amber mean trouble, so no phase has them. */
const COLOURS = ["#4e79a7", "#76b7b2", "#59a14f", "#b07aa1", "#9c755f", "#d4a6c8", "#86bcb6", "#8c8c8c"];
/** Columns of the chart over the steps. */
const BARS = 64;
/** Columns of the newest steps by which the ranks are compared. */
const RECENT = 32;
const HEIGHT = 176;
const AXIS = { left: 56, bottom: 20, top: 10 };

/** @typedef {{name: string, data: import("./heatdata.js").HeatData, colour: string}} Phase */

export class Phases {
  /**
   * @param {HTMLElement} root
   * @param {object} app
   * @param {import("./views.js").Views} app.views
   * @param {() => void} app.paint
   * @param {(to: {rank: number}) => void} app.goTo
   */
  constructor(root, app) {
    this.app = app;
    this.feeds = new Feeds(app.views, app.paint, () => this.#draw());
    this.sort = "rank";
    this.left = 0;
    /** @type {{rank: number, name: string, means: number[], total: number}[]} in the order drawn */
    this.ranks = [];
    /** @type {{step: number, medians: number[]}[]} */
    this.steps = [];
    /** @type {Phase[]} */
    this.phases = [];
    this.root = root;
    this.legend = div("phase-legend");
    this.overSteps = new Sheet("phase-sheet");
    this.overRanks = new Sheet("phase-sheet");
    this.overRanks.element.classList.add("clickable");
    this.tip = new Tip();
    this.stepNote = span("board-note");
    this.rankNote = span("board-note");
    const sort = segments("sort ranks by", [["rank", "rank"], ["time", "time"]], this.sort, (value) => {
      this.sort = value;
      this.feeds.touch();
    });
    const title = document.createElement("h2");
    title.className = "board-title";
    title.textContent = "time per step by phase";
    root.append(
      div("board-head", title, sort), this.legend,
      div("phase-charts", div("phase-chart", this.stepNote, this.overSteps.element), div("phase-chart", this.rankNote, this.overRanks.element)),
    );
    this.#listen();
    addEventListener("resize", () => this.feeds.open.size > 0 && this.feeds.touch());
  }

  /**
   * @param {string} run
   * @param {string[]} metrics all of the run's
   */
  follow(run, metrics) {
    const names = metrics.filter((metric) => metric.startsWith("phase/"));
    this.left = Math.max(0, names.length - MOST_PHASES);
    this.root.hidden = names.length === 0;
    this.feeds.follow(run, names.slice(0, MOST_PHASES));
  }

  stop() {
    this.feeds.stop();
    this.tip.hide();
  }

  #draw() {
    this.phases = this.feeds.ready.map(([metric, data], i) => ({ name: metric.slice("phase/".length), data, colour: COLOURS[i] }));
    if (this.phases.length === 0) return;
    // Steps are those of the phase that most of them have.
    const first = this.phases.reduce((most, phase) => (phase.data.length > most.data.length ? phase : most));
    this.#measure(first.data);
    const style = getComputedStyle(document.documentElement);
    const look = { ink: style.getPropertyValue("--axis-ink").trim(), grid: style.getPropertyValue("--grid").trim(), font: `11px ${style.getPropertyValue("--font")}` };
    this.#bars(this.overSteps, this.steps.map(({ medians }) => medians), look, (i) => whole(this.steps[i].step));
    this.#bars(this.overRanks, this.ranks.map(({ means }) => means), look, (i) => this.ranks[i].name);
    this.#words(first.data);
  }

  /**
   * What a phase takes of a step: one that not every step has, as validation, counts for as much less.
   * @param {import("./heatdata.js").HeatData} first whose steps and ranks the others are laid beside
   */
  #measure(first) {
    const from = Math.max(0, first.length - BARS);
    this.steps = [];
    for (let column = from; column < first.length; column += 1) {
      const step = first.steps[column];
      const places = this.phases.map(({ data }) => columnOf(data, step));
      const counts = this.phases.map(({ data }, k) => (places[k] < 0 ? 0 : data.counts[places[k]]));
      const most = Math.max(1, ...counts);
      const medians = this.phases.map(({ data }, k) => {
        const at = places[k];
        if (at < 0) return 0;
        const values = data.ranks.map((_, row) => data.at(at, row)).filter((value) => value !== null && Number.isFinite(value));
        return ((median(/** @type {number[]} */ (values)) || 0) * counts[k]) / most;
      });
      this.steps.push({ step, medians });
    }
    const recent = first.length > RECENT ? first.steps[first.length - RECENT] : -Infinity;
    const after = this.phases.map(({ data }) => startOf(data, recent));
    const rows = this.phases.map(({ data }, k) => data.counts.subarray(after[k], data.length).reduce((sum, count) => sum + count, 0));
    const steps = Math.max(1, ...rows);
    this.ranks = first.ranks.map(([rank, last]) => {
      const means = this.phases.map(({ data }, k) => {
        const row = data.rowOf(rank);
        return row < 0 ? 0 : ((data.mean(row, after[k]) || 0) * rows[k]) / steps;
      });
      return { rank, name: rank === last ? `r${rank}` : `r${rank}–${last}`, means, total: means.reduce((sum, mean) => sum + mean, 0) };
    });
    if (this.sort === "time") this.ranks.sort((a, b) => b.total - a.total || a.rank - b.rank);
  }

  /**
   * @param {Sheet} sheet
   * @param {number[][]} bars the phases of each
   * @param {{ink: string, grid: string, font: string}} look
   * @param {(bar: number) => string} label
   */
  #bars(sheet, bars, look, label) {
    const context = sheet.clear(HEIGHT);
    const width = sheet.width - AXIS.left;
    const height = HEIGHT - AXIS.bottom - AXIS.top;
    const most = Math.max(...bars.map((phases) => phases.reduce((sum, value) => sum + value, 0)), 0) || 1;
    const tick = niceStep(most / 3);
    context.font = look.font;
    context.textBaseline = "middle";
    for (let at = 0; at <= most; at += tick) {
      const y = AXIS.top + height - (at / most) * height;
      context.fillStyle = look.grid;
      context.fillRect(AXIS.left, Math.round(y), width, 1);
      context.fillStyle = look.ink;
      context.textAlign = "right";
      context.fillText(at === 0 ? "0" : seconds(at), AXIS.left - 6, y);
    }
    const each = width / Math.max(bars.length, sheet === this.overSteps ? BARS : 1);
    const slim = Math.min(each > 3 ? each - 1 : each, 48);
    for (const [i, phases] of bars.entries()) {
      let y = AXIS.top + height;
      // On whole pixels: halves of them would be pale; and from end to start, for gaps of one width.
      const from = AXIS.left + i * each + (each - slim) / 2;
      const x = Math.round(from);
      const thick = Math.max(1, Math.round(from + slim) - x);
      for (const [k, value] of phases.entries()) {
        const tall = (value / most) * height;
        context.fillStyle = this.phases[k].colour;
        context.fillRect(x, y - tall, thick, tall);
        y -= tall;
      }
    }
    context.fillStyle = look.ink;
    context.textAlign = "left";
    const every = 2 ** Math.max(0, Math.ceil(Math.log2(72 / each)));
    for (let i = 0; i < bars.length; i += every) {
      context.fillText(label(i), AXIS.left + i * each + Math.max(0, (each - slim) / 2), HEIGHT - AXIS.bottom / 2 + 1);
    }
  }

  /** @param {import("./heatdata.js").HeatData} first */
  #words(first) {
    const middles = this.phases.map((_, k) => median(this.ranks.map(({ means }) => means[k])) || 0);
    const total = middles.reduce((sum, value) => sum + value, 0) || 1;
    this.legend.replaceChildren(...this.phases.map(({ name, colour }, k) => {
      const swatch = span("heat-swatch");
      swatch.style.setProperty("background", colour);
      const slowest = this.ranks.reduce((worst, rank) => (rank.means[k] > worst.means[k] ? rank : worst), this.ranks[0]);
      // Worth a name only where it stands out: a tenth of a step more than the others.
      const stands = slowest.means[k] - middles[k] > total / 10;
      return span("phase-key", swatch, span("phase-name", isolated(name)), span("phase-value", seconds(middles[k])),
        span("board-note", `${Math.round((100 * middles[k]) / total)} %${stands ? `, most ${slowest.name}: ${seconds(slowest.means[k])}` : ""}`));
    }), ...(this.left > 0 ? [span("board-note", `${plural(this.left, "further phase")} not drawn`)] : []));
    const span_ = (/** @type {number} */ columns) => whole(Math.min(first.length, columns) * 2 ** first.shift);
    this.stepNote.textContent = `median over ${plural(this.ranks.length, first.fold > 1 ? "row" : "rank")}, last ${span_(BARS)} steps`;
    this.rankNote.textContent = `each rank's mean, last ${span_(RECENT)} steps`;
  }

  #listen() {
    const bar = (/** @type {Sheet} */ sheet, /** @type {MouseEvent} */ event, /** @type {number} */ count) => {
      const at = Math.floor(((sheet.at(event).x - AXIS.left) / (sheet.width - AXIS.left)) * count);
      return at >= 0 ? at : -1;
    };
    const rows = (/** @type {number[]} */ values) => [
      ...this.phases.map(({ name, colour }, k) => ({ key: isolated(name), text: seconds(values[k]), colour })).reverse(),
      { key: "sum", text: seconds(values.reduce((sum, value) => sum + value, 0)) },
    ];
    const { overSteps, overRanks, tip } = this;
    overSteps.element.addEventListener("pointermove", (event) => {
      const found = this.steps[bar(overSteps, event, Math.max(BARS, this.steps.length))];
      if (found) tip.show(event, `step ${whole(found.step)}`, rows(found.medians));
      else tip.hide();
    });
    overRanks.element.addEventListener("pointermove", (event) => {
      const found = this.ranks[bar(overRanks, event, this.ranks.length)];
      if (found) tip.show(event, found.name, rows(found.means), "click: this rank's lines");
      else tip.hide();
    });
    overRanks.element.addEventListener("click", (event) => {
      const found = this.ranks[bar(overRanks, event, this.ranks.length)];
      if (found) this.app.goTo({ rank: found.rank });
    });
    for (const { element } of [overSteps, overRanks]) element.addEventListener("pointerleave", () => tip.hide());
  }

  /** For tests. */
  inspect() {
    return { phases: this.phases.map(({ name }) => name), ranks: this.ranks, steps: this.steps };
  }
}

/** @param {number} value */
function seconds(value) {
  return inUnit(value, "s").join(" ").trim();
}

/**
 * 1, 2 or 5 times a power of ten, not below.
 * @param {number} least
 */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * (least / power <= 1 ? 1 : least / power <= 2 ? 2 : least / power <= 5 ? 5 : 10);
}

/**
 * The first column from a step on.
 * @param {import("./heatdata.js").HeatData} data
 * @param {number} step
 */
function startOf({ steps, length }, step) {
  const at = steps.subarray(0, length).findIndex((one) => one >= step);
  return at < 0 ? length : at;
}

/**
 * The column that holds a step; -1 for none.
 * @param {import("./heatdata.js").HeatData} data
 * @param {number} step
 */
function columnOf({ steps, length, shift }, step) {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle + 1;
    else high = middle;
  }
  return low > 0 && step - steps[low - 1] < 2 ** shift ? low - 1 : -1;
}
