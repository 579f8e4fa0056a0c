// Rank by resource: the newest system/* values of every rank, each column with a scale of its own.

import { inUnit, isolated, plural, unitOf } from "./format.js";
import { Feeds } from "./feeds.js";
import { rowName } from "./heatdata.js";
import { div, segments, span } from "./make.js";
import { gradient, shade } from "./ramps.js";
import { Sheet, Tip } from "./sheet.js";

/** Columns; of more the first by the order below. */
const MOST = 12;
/** What people look at first. */
const FIRST = ["gpu_use", "gpu_memory", "gpu_temperature", "gpu_power", "torch_reserved", "cpu", "ram"];
const LEFT = 64;
const HEAD = 40;
const HEIGHT = 480;
/** A row this high has room for the number. */
const WITH_NUMBER = 18;

const natural = new Intl.Collator("en", { numeric: true });

export class Resources {
  /**
   * @param {HTMLElement} root
   * @param {object} app
   * @param {import("./views.js").Views} app.views
   * @param {() => void} app.paint
   * @param {(to: {rank: number, metric: string}) => void} app.goTo
   */
  constructor(root, app) {
    this.app = app;
    this.root = root;
    this.feeds = new Feeds(app.views, app.paint, () => this.#draw());
    this.sort = "rank";
    this.left = 0;
    /** @type {Map<number, string>} */
    this.hosts = new Map();
    /** @type {{metric: string, unit: string, lo: number, hi: number, values: Map<number, number>, ends: string}[]} */
    this.columns = [];
    /** @type {[number, number][]} */
    this.ranks = [];
    this.each = WITH_NUMBER;
    this.sheet = new Sheet("resource-sheet clickable");
    this.tip = new Tip();
    this.note = span("board-note");
    const title = document.createElement("h2");
    title.className = "board-title";
    title.textContent = "every rank's machine";
    const bar = span("heat-bar");
    bar.style.setProperty("background", gradient("viridis"));
    const sort = segments("sort ranks by", [["rank", "rank"], ["node", "node"], ["first", "first column"]], this.sort, (value) => {
      this.sort = value;
      this.feeds.touch();
    });
    root.append(div("board-head", title, sort), div("heat-legend", span("heat-end", "least"), bar, span("heat-end", "most"), this.note), this.sheet.element);
    const { element } = this.sheet;
    element.addEventListener("pointermove", (event) => this.#point(event));
    element.addEventListener("pointerleave", () => this.tip.hide());
    element.addEventListener("click", (event) => {
      const cell = this.#cell(event);
      if (cell) this.app.goTo({ rank: cell.ranks[0], metric: cell.column.metric });
    });
    addEventListener("resize", () => this.feeds.open.size > 0 && this.feeds.touch());
  }

  /**
   * @param {string} run
   * @param {string[]} metrics all of the run's
   * @param {Map<number, string>} hosts
   */
  follow(run, metrics, hosts) {
    this.hosts = hosts;
    const place = (/** @type {string} */ metric) => {
      const at = FIRST.indexOf(metric.slice("system/".length));
      return at < 0 ? FIRST.length : at;
    };
    const names = metrics.filter((metric) => metric.startsWith("system/")).sort((a, b) => place(a) - place(b));
    this.left = Math.max(0, names.length - MOST);
    this.root.hidden = names.length === 0;
    this.feeds.follow(run, names.slice(0, MOST));
  }

  stop() {
    this.feeds.stop();
    this.tip.hide();
  }

  #draw() {
    const ready = this.feeds.ready;
    if (ready.length === 0) return;
    this.columns = ready.map(([metric, data]) => {
      /** @type {Map<number, number>} */
      const values = new Map();
      for (const [row, [rank]] of data.ranks.entries()) {
        const value = data.last(row);
        if (value !== null) values.set(rank, value);
      }
      const finite = [...values.values()].filter(Number.isFinite);
      const unit = unitOf(metric) || (/gpu_use$|\/cpu$|\/ram$|disk$/.test(metric) ? "%" : "");
      const [lo, hi] = unit === "%" ? [0, 100] : [Math.min(...finite), Math.max(...finite)];
      return { metric, unit, lo, hi: hi > lo ? hi : lo + 1, values, ends: hi > lo ? `${inUnit(lo, unit)[0]}–${inUnit(hi, unit).join(" ").trim()}` : inUnit(lo, unit).join(" ").trim() };
    });
    this.ranks = [...ready[0][1].ranks];
    const host = (/** @type {number} */ rank) => this.hosts.get(rank) ?? "";
    if (this.sort === "node") this.ranks.sort(([a], [b]) => natural.compare(host(a), host(b)) || a - b);
    if (this.sort === "first") {
      const { values } = this.columns[0];
      this.ranks.sort(([a], [b]) => (values.get(b) ?? -Infinity) - (values.get(a) ?? -Infinity) || a - b);
    }
    this.each = Math.max(1, Math.min(WITH_NUMBER + 4, Math.floor(HEIGHT / this.ranks.length)));
    this.#paint();
    const parts = [plural(this.ranks.length, "rank"), "newest values; % from 0 to 100, others from the least to the greatest rank"];
    if (this.left > 0) parts.push(`${plural(this.left, "further metric")} in the charts below`);
    this.note.textContent = parts.join(" · ");
  }

  #paint() {
    const style = getComputedStyle(document.documentElement);
    const token = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const { each, columns, ranks } = this;
    const context = this.sheet.clear(HEAD + each * ranks.length);
    const wide = Math.min(140, (this.sheet.width - LEFT) / columns.length);
    this.wide = wide;
    context.textBaseline = "middle";
    const font = (/** @type {number} */ weight) => `${weight} 11px ${token("--font")}`;
    for (const [k, { metric, lo, hi, values, ends }] of columns.entries()) {
      const x = LEFT + k * wide;
      context.textAlign = "left";
      context.font = font(600);
      context.fillStyle = token("--ink");
      context.fillText(fitted(context, metric.slice("system/".length).replaceAll("_", " "), wide - 6), x + 2, 10);
      context.font = font(400);
      context.fillStyle = token("--axis-ink");
      context.fillText(fitted(context, ends, wide - 6), x + 2, 26);
      context.textAlign = "right";
      for (const [line, [rank]] of ranks.entries()) {
        const value = values.get(rank);
        if (value === undefined) continue;
        const share = (value - lo) / (hi - lo);
        context.fillStyle = Number.isNaN(value) ? token("--red") : shade("viridis", share);
        context.fillRect(x, HEAD + line * each, wide - 2, each > 3 ? each - 1 : each);
        if (each < WITH_NUMBER) continue;
        context.fillStyle = share > 0.6 ? "#101316" : "#ffffff";
        context.fillText(inUnit(value, "")[0], x + wide - 8, HEAD + (line + 0.5) * each);
      }
    }
    context.textAlign = "right";
    context.fillStyle = token("--axis-ink");
    const every = 2 ** Math.max(0, Math.ceil(Math.log2(15 / each)));
    for (let line = 0; line < ranks.length; line += every) context.fillText(rowName(ranks[line]), LEFT - 8, HEAD + (line + 0.5) * each);
  }

  /** @param {MouseEvent} event */
  #cell(event) {
    const { x, y } = this.sheet.at(event);
    const ranks = this.ranks[Math.floor((y - HEAD) / this.each)];
    const column = this.columns[Math.floor((x - LEFT) / (this.wide ?? 1))];
    return y >= HEAD && x >= LEFT && ranks && column ? { ranks, column } : null;
  }

  /** @param {MouseEvent} event */
  #point(event) {
    const cell = this.#cell(event);
    if (!cell) {
      this.tip.hide();
      return;
    }
    const { ranks, column } = cell;
    const value = column.values.get(ranks[0]);
    const text = value === undefined ? "no row" : Number.isNaN(value) ? "NaN or ∞" : inUnit(value, column.unit).join(" ").trim();
    const host = this.hosts.get(ranks[0]);
    this.tip.show(event, `${rowName(ranks)}${host ? `  ${isolated(host)}` : ""}`, [{ key: isolated(column.metric), text }], "click: this rank's line");
  }

  /** For tests. */
  inspect() {
    return { columns: this.columns.map(({ metric, lo, hi, values }) => ({ metric, lo, hi, values: [...values] })), ranks: this.ranks };
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} width
 */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let kept = text.length;
  while (kept > 1 && context.measureText(`${text.slice(0, kept)}…`).width > width) kept -= 1;
  return `${text.slice(0, kept)}…`;
}
