// The heatmap tab: rank by step, any metric, live; a cell leads to its rank's line.

import { RAMPS } from "./ramps.js";
import { HeatCanvas } from "./heatcanvas.js";
import { HeatData, rowName } from "./heatdata.js";
import { inUnit, isolated, unitOf, whole } from "./format.js";
import { choice, div, segments, span } from "./make.js";
import { HeatLabels } from "./heatlabels.js";
import { HeatLegend } from "./heatlegend.js";

/** The seconds per step, which the server makes out of the times of the rows. */
export const TIME_PER_STEP = "time/step";

/** Metrics that are offered by name; of more the first. */
const OFFERED = 1_000;
/** Fewer columns than this do not fill the width, so that a young run does not jump. */
const LEAST_COLUMNS = 64;
/** The picture is this high, while a rank is at least a pixel and at most so many. */
const HEIGHT = 520;
const TALLEST_ROW = 22;
/** Columns by which rows are sorted by value. */
const RECENT = 16;
const SORT_EVERY_MS = 2_000;

const natural = new Intl.Collator("en", { numeric: true });

/** @typedef {"rank"|"node"|"value"} Sort */

export class Heatmap {
  /**
   * @param {HTMLElement} root
   * @param {object} app
   * @param {import("./state.js").State} app.state
   * @param {import("./views.js").Views} app.views
   * @param {() => void} app.paint
   * @param {(to: {rank: number, metric?: string, start?: number, end?: number}) => void} app.goTo
   */
  constructor(root, app) {
    this.app = app;
    this.run = "";
    /** @type {string[]} */
    this.metrics = [];
    /** @type {Map<number, string>} host by rank */
    this.hosts = new Map();
    this.shown = false;
    /** @type {import("./views.js").View|null} */
    this.view = null;
    this.data = new HeatData();
    this.canvas = new HeatCanvas();
    this.ramp = /** @type {import("./ramps.js").Ramp} */ ("viridis");
    this.sort = /** @type {Sort} */ ("rank");
    this.cells = "worst";
    this.relative = false;
    /** @type {number[]} */
    this.order = [];
    this.sortedAt = 0;
    this.sortedFor = "";
    this.dirty = false;
    /** @type {{x: number, y: number}|null} pointer, in the page */
    this.pointer = null;
    /** @type {number|null} where a drag began, in the page */
    this.dragged = null;
    this.#build(root);
    app.state.addEventListener("change", (event) => {
      if (/** @type {CustomEvent<Set<string>>} */ (event).detail.has("heat")) this.#reopen();
    });
    addEventListener("resize", () => this.#fit());
  }

  get metric() {
    return this.app.state.choices.heat || TIME_PER_STEP;
  }

  #build(/** @type {HTMLElement} */ root) {
    this.select = choice("metric", (value) => this.app.state.set({ heat: value === TIME_PER_STEP ? "" : value }));
    this.select.id = "heat-metric";
    const sort = segments("sort ranks by", [["rank", "rank"], ["node", "node"], ["value", "value"]], this.sort, (value) => {
      this.sort = /** @type {Sort} */ (value);
      this.sortedAt = 0;
      this.#changed();
    });
    const colours = segments("colours", RAMPS.map((ramp) => [ramp, ramp]), this.ramp, (value) => {
      this.ramp = /** @type {import("./ramps.js").Ramp} */ (value);
      this.data.recolour = true;
      this.#changed();
    });
    const cells = segments("many steps in a cell", [["worst", "what stands out"], ["mean", "mean"]], this.cells, (value) => {
      this.cells = value;
      this.#reopen();
    });
    const shows = segments("a cell shows", [["value", "value"], ["ranks", "difference between ranks"]], "value", (value) => {
      this.relative = value === "ranks";
      // What lies on both sides of nothing is read best in two hues.
      const ramp = colours.querySelector(`input[value=${this.relative ? "diverging" : "viridis"}]`);
      /** @type {HTMLInputElement} */ (ramp).checked = true;
      this.ramp = this.relative ? "diverging" : "viridis";
      this.#reopen();
    });
    const tools = div("board-tools", div("board-tool", labelled("metric", this.select)), shows, sort, colours, cells);
    this.legend = new HeatLegend((row, column) => this.#goToCell(row, column));
    this.wide = document.createElement("button");
    this.wide.type = "button";
    this.wide.className = "button small heat-wide";
    this.wide.textContent = "all steps, live ▸";
    this.wide.hidden = true;
    this.wide.addEventListener("click", () => this.#zoom(null));
    this.labels = new HeatLabels();
    this.frame = div("heat-frame", this.canvas.element);
    this.lines = { x: div("heat-cross heat-cross-x"), y: div("heat-cross heat-cross-y"), drag: div("heat-drag") };
    this.over = div("heat-over", this.lines.x, this.lines.y, this.lines.drag);
    this.over.tabIndex = -1;
    for (const line of Object.values(this.lines)) line.hidden = true;
    this.frame.append(this.over);
    this.tip = div("tip");
    this.tip.hidden = true;
    document.body.append(this.tip);
    this.plot = div("heat-plot", this.labels.rows, this.frame, this.labels.steps);
    this.blank = document.createElement("p");
    this.blank.className = "board-empty";
    root.append(tools, this.wide, this.legend.element, this.plot, this.blank);
    this.#listen();
  }

  #listen() {
    const { over } = this;
    over.addEventListener("pointermove", (event) => {
      this.pointer = { x: event.clientX, y: event.clientY };
      this.overlay();
    });
    over.addEventListener("pointerleave", () => {
      this.pointer = null;
      this.overlay();
    });
    over.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      this.dragged = event.clientX;
      over.setPointerCapture(event.pointerId);
    });
    over.addEventListener("pointerup", (event) => {
      const from = this.dragged;
      this.dragged = null;
      if (from !== null && Math.abs(event.clientX - from) > 6) this.#zoomBetween(from, event.clientX);
      else this.#follow(event);
      this.overlay();
    });
    over.addEventListener("dblclick", () => this.#zoom(null));
    addEventListener("scroll", () => {
      this.pointer = null;
      this.overlay();
    }, { passive: true });
  }

  // ---------------------------------------------------------------- what is shown

  /**
   * @param {string} run
   * @param {string[]} metrics
   * @param {{rank: number, host: string}[]} workers
   */
  take(run, metrics, workers) {
    this.hosts = new Map(workers.map(({ rank, host }) => [rank, host]));
    const other = run !== this.run;
    this.run = run;
    if (other || metrics.length !== this.metrics.length || metrics.some((name, i) => name !== this.metrics[i])) {
      this.metrics = metrics;
      this.#offer();
    }
    if (other) {
      this.hide();
      this.data = new HeatData();
      if (this.wanted) this.show();
    }
  }

  #offer() {
    const names = this.metrics.slice(0, OFFERED);
    const options = [TIME_PER_STEP, ...names.filter((name) => name !== TIME_PER_STEP)];
    if (!options.includes(this.metric)) options.push(this.metric);
    this.select.replaceChildren(...options.map((name) => {
      const element = document.createElement("option");
      element.value = name;
      element.textContent = name === TIME_PER_STEP && !this.metrics.includes(name) ? "time/step (seconds, from the rows' times)" : isolated(name);
      return element;
    }));
    this.select.value = this.metric;
  }

  show() {
    this.wanted = true;
    if (this.shown || !this.run) return;
    this.shown = true;
    this.#fit();
    this.view = this.app.views.open(this.#spec(), () => this.#changed(), this.data);
    this.#words();
  }

  hide() {
    this.view?.close();
    this.view = null;
    this.shown = false;
    this.pointer = null;
    this.tip.hidden = true;
  }

  /** The tab is left, not only the run. */
  leave() {
    this.wanted = false;
    this.hide();
  }

  #spec(start = /** @type {number|null} */ (null), stop = /** @type {number|null} */ (null)) {
    const points = this.frame.clientWidth > 700 ? 1024 : this.frame.clientWidth > 350 ? 512 : 256;
    return /** @type {any} */ ({
      kind: "heat", run: this.run, metric: this.metric, ranks: null, start, stop, points, rows: 1024, cells: this.cells, relative: this.relative,
    });
  }

  #reopen() {
    this.select.value = this.metric;
    this.wide.hidden = true;
    this.data.epoch += 1;
    this.data.length = 0;
    this.view?.set(this.#spec());
    this.#changed();
  }

  #zoom(/** @type {{start: number, stop: number}|null} */ range) {
    this.wide.hidden = range === null;
    this.view?.set(this.#spec(range?.start ?? null, range?.stop ?? null));
  }

  #zoomBetween(/** @type {number} */ from, /** @type {number} */ to) {
    const [a, b] = [this.#columnAt(Math.min(from, to)), this.#columnAt(Math.max(from, to))];
    if (a === null || b === null) return;
    this.#zoom({ start: this.data.steps[a], stop: this.data.steps[b] + 2 ** this.data.shift - 1 });
  }

  #changed() {
    this.dirty = true;
    if (!this.view || this.data.length === 0) this.#words();
    this.app.paint();
  }

  // ---------------------------------------------------------------- what the painter calls

  /** @param {boolean} paused */
  due(paused) {
    return this.shown && this.dirty && !paused;
  }

  draw() {
    this.dirty = false;
    this.#arrange();
    this.canvas.draw(this.data, this.ramp, this.order);
    this.canvas.stretch(this.data.length, LEAST_COLUMNS);
    this.#words();
    return new Promise((resolve) => {
      requestAnimationFrame(() => resolve(undefined));
    });
  }

  /** The order of the rows, which the person chose; by value not more often than can be read. */
  #arrange() {
    const { data, sort } = this;
    const key = `${sort} ${data.epoch}`;
    const now = performance.now();
    if (key === this.sortedFor && (sort !== "value" || now - this.sortedAt < SORT_EVERY_MS)) return;
    this.sortedFor = key;
    this.sortedAt = now;
    const order = data.ranks.map((_, row) => row);
    if (sort === "node") {
      const name = (/** @type {number} */ row) => this.hosts.get(data.ranks[row][0]) ?? "";
      order.sort((a, b) => natural.compare(name(a), name(b)) || a - b);
    } else if (sort === "value") {
      const means = order.map((row) => data.mean(row, data.length - RECENT));
      // Ranks of which there is nothing stand last.
      order.sort((a, b) => (Number.isNaN(means[a]) ? 1 : 0) - (Number.isNaN(means[b]) ? 1 : 0) || means[b] - means[a] || a - b);
    }
    if (order.length !== this.order.length || order.some((row, i) => row !== this.order[i])) this.order = order;
    this.#fit();
  }

  #fit() {
    const rows = Math.max(1, this.data.rows);
    const each = Math.max(1, Math.min(TALLEST_ROW, Math.floor(HEIGHT / rows)));
    this.frame.style.setProperty("height", `${each * rows}px`);
    this.labels.place(this.order.map((row) => this.data.ranks[row]), each, this.hosts, this.sort === "node");
  }

  get unit() {
    return this.metric === TIME_PER_STEP ? "s" : unitOf(this.metric);
  }

  #words() {
    const { data } = this;
    const none = data.length === 0;
    this.plot.hidden = this.legend.element.hidden = none;
    this.blank.hidden = !none;
    this.blank.textContent = this.view?.refusal ?? (this.run ? `no rank has sent “${isolated(this.metric)}” yet` : "no run yet");
    if (none) return;
    this.legend.show(data, this.ramp, this.unit, { relative: this.relative, worst: this.cells === "worst" });
    this.labels.label(data, Math.max(data.length, LEAST_COLUMNS));
  }

  // ---------------------------------------------------------------- the pointer

  #columnAt(/** @type {number} */ clientX) {
    const box = this.over.getBoundingClientRect();
    const columns = Math.max(this.data.length, LEAST_COLUMNS);
    const column = Math.floor(((clientX - box.left) / box.width) * columns);
    if (this.data.length === 0 || column < 0) return null;
    return Math.min(column, this.data.length - 1);
  }

  #cellAt(/** @type {{x: number, y: number}} */ { x, y }) {
    const box = this.over.getBoundingClientRect();
    const line = Math.floor(((y - box.top) / box.height) * this.data.rows);
    const columns = Math.max(this.data.length, LEAST_COLUMNS);
    const column = Math.floor(((x - box.left) / box.width) * columns);
    if (line < 0 || line >= this.order.length || column < 0 || column >= this.data.length) return null;
    return { column, row: this.order[line], line, left: box.left, top: box.top, each: box.height / this.data.rows, step: box.width / columns };
  }

  #follow(/** @type {PointerEvent} */ event) {
    const cell = this.#cellAt({ x: event.clientX, y: event.clientY });
    if (cell) this.#goToCell(cell.row, cell.column);
  }

  #goToCell(/** @type {number} */ row, /** @type {number} */ column) {
    const width = 2 ** this.data.shift;
    const step = this.data.steps[column];
    const room = Math.max(20, 10 * width);
    const metric = this.metric === TIME_PER_STEP && !this.metrics.includes(TIME_PER_STEP) ? undefined : this.metric;
    this.app.goTo({ rank: this.data.ranks[row][0], metric, start: step - room, end: step + width + room });
  }

  /** After a paint, and when the pointer moves: crosshair and readout. */
  overlay() {
    const { x, y, drag } = this.lines;
    const cell = this.pointer && this.shown ? this.#cellAt(this.pointer) : null;
    x.hidden = y.hidden = this.tip.hidden = !cell;
    drag.hidden = this.dragged === null || !this.pointer;
    if (!drag.hidden && this.pointer && this.dragged !== null) {
      const box = this.over.getBoundingClientRect();
      drag.style.setProperty("left", `${Math.min(this.dragged, this.pointer.x) - box.left}px`);
      drag.style.setProperty("width", `${Math.abs(this.dragged - this.pointer.x)}px`);
    }
    if (!cell || !this.pointer) return;
    const { data } = this;
    x.style.setProperty("transform", `translateX(${(cell.column + 0.5) * cell.step}px)`);
    y.style.setProperty("transform", `translateY(${(cell.line + 0.5) * cell.each}px)`);
    const first = data.steps[cell.column];
    const last = first + 2 ** data.shift - 1;
    const value = data.at(cell.column, cell.row);
    const host = this.hosts.get(data.ranks[cell.row][0]);
    const rows = [
      ["step", first === last ? whole(first) : `${whole(first)}–${whole(last)}`],
      [this.relative ? "from the median" : this.metric === TIME_PER_STEP ? "time per step" : "value", value === null ? "no row" : Number.isNaN(value) ? "NaN or ∞" : inUnit(value, this.unit).join(" ").trim()],
    ];
    const head = div("tip-head");
    head.textContent = `${rowName(data.ranks[cell.row])}${host ? `  ${isolated(host)}` : ""}`;
    const more = div("tip-more");
    more.textContent = "click: this rank's line";
    this.tip.replaceChildren(head, ...rows.map(([key, text]) => {
      const row = div("tip-row", span("key", key), span("", text));
      return row;
    }), more);
    const { width, height } = this.tip.getBoundingClientRect();
    const left = this.pointer.x + 16 + width > innerWidth ? this.pointer.x - 16 - width : this.pointer.x + 16;
    const top = Math.max(4, Math.min(innerHeight - height - 4, this.pointer.y + 16));
    this.tip.style.setProperty("transform", `translate(${Math.max(4, left)}px, ${top}px)`);
  }

  /** For tests: what stands on the screen. */
  inspect() {
    const { data } = this;
    return {
      metric: this.metric, columns: data.length, rows: data.rows, shift: data.shift, scale: data.scale,
      steps: [...data.steps.subarray(0, data.length)], order: [...this.order], took: [...this.canvas.took],
      cells: data.ranks.map((_, row) => Array.from({ length: data.length }, (__, column) => data.at(column, row))),
    };
  }
}

/**
 * @param {string} text
 * @param {HTMLElement} control
 */
function labelled(text, control) {
  const label = document.createElement("label");
  label.className = "board-label";
  label.append(span("", text), control);
  return label;
}
