// One crosshair over all charts, and the readout beside the pointer.
//
// Both are elements over the figures, moved by transforms: a pointer that moves repaints no canvas.

import { nearest } from "./derive.js";
import { clock, elapsed, inUnit, measure, whole } from "./format.js";
import { lookOf, xMetric } from "./look.js";

/** @typedef {{x: number, step: number, row: number|null}} Point row: of the latest attempt, if it has one there */

const MOST_ROWS = 5;
const BESIDE_PX = 14;

export class Cursor {
  /**
   * @param {import("./panel.js").App} app
   * @param {() => Iterable<import("./panel.js").Panel>} panels those on the screen
   */
  constructor(app, panels) {
    this.app = app;
    this.panels = panels;
    /** @type {import("./panel.js").Panel|null} the chart under the pointer */
    this.panel = null;
    this.pointer = { x: 0, y: 0 };
    /** @type {number|null} */
    this.x = null;
    this.touched = false;
    this.frame = 0;
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    document.body.append(this.tip);
    addEventListener("scroll", () => this.leave(), { passive: true });
    addEventListener("pointerdown", (event) => {
      const inside = event.target instanceof Element && event.target.closest(".over");
      if (this.touched && !inside) this.leave();
    });
  }

  /**
   * @param {import("./panel.js").Panel} panel
   * @param {number} clientX
   * @param {number} clientY
   * @param {boolean} touched
   */
  move(panel, clientX, clientY, touched) {
    this.panel = panel;
    this.pointer = { x: clientX, y: clientY };
    this.touched = touched;
    if (!this.frame) this.frame = requestAnimationFrame(() => this.#show());
  }

  leave() {
    if (!this.panel) return;
    this.panel = null;
    this.x = null;
    this.tip.hidden = true;
    for (const panel of this.panels()) hide(panel);
  }

  /**
   * A chart was painted: its crosshair stays on its value.
   * @param {import("./panel.js").Panel} panel
   */
  follow(panel) {
    if (this.panel === panel) this.move(panel, this.pointer.x, this.pointer.y, this.touched);
    else if (this.x !== null) this.#mark(panel, this.x);
  }

  #show() {
    this.frame = 0;
    const { panel } = this;
    if (!panel?.plot || !panel.drawing?.n) return;
    const box = panel.card.over.getBoundingClientRect();
    const { left, width } = panel.plot.frame;
    const pixel = Math.min(left + width, Math.max(left, this.pointer.x - box.left));
    const point = panel.pointAt(panel.plot.pixelToX(pixel));
    if (point === null) return;
    this.x = point.x;
    for (const other of this.panels()) this.#mark(other, this.x);
    this.#tell(panel, point, panel.plot.pixelToY(this.pointer.y - box.top));
  }

  /**
   * @param {import("./panel.js").Panel} panel
   * @param {number} x
   */
  #mark(panel, x) {
    const { plot, drawing } = panel;
    if (!plot || !drawing || drawing.n === 0) return;
    const { start, end } = plot.xRange;
    const row = panel.pointAt(x)?.row ?? null;
    if (x < start || x > end) {
      hide(panel);
      return;
    }
    const { top, height } = plot.frame;
    panel.crosshair ??= crosshair(panel.card.over);
    const { line, dot } = panel.crosshair;
    line.hidden = false;
    line.style.height = `${height}px`;
    line.style.transform = `translate(${Math.round(plot.xToPixel(x))}px, ${top}px)`;
    const asLines = this.app.state.choices.mode === "lines" && drawing.lines.some((one) => one.info.kind === "rank");
    const at = row === null ? NaN : drawing.x[row];
    const y = asLines || row === null ? NaN : plot.yToPixel(drawing.mid[row]);
    dot.hidden = !(y >= top && y <= top + height) || at < start || at > end;
    if (!dot.hidden) dot.style.transform = `translate(${plot.xToPixel(at)}px, ${y}px)`;
    panel.card.showValue(row === null ? null : drawing.raw[row]);
  }

  /**
   * @param {import("./panel.js").Panel} panel
   * @param {Point} point
   * @param {number} y where the pointer is
   */
  #tell(panel, point, y) {
    const drawing = /** @type {import("./derive.js").Drawing} */ (panel.drawing);
    const rows = readout(panel, drawing, point, y);
    this.tip.replaceChildren(head(drawing, point, this.app.run.started, xMetric(this.app.state.choices.x)), ...rows);
    this.tip.hidden = false;
    const { width, height } = this.tip.getBoundingClientRect();
    const room = document.documentElement.clientWidth;
    const right = this.pointer.x + BESIDE_PX;
    const left = right + width + 4 <= room ? right : Math.max(4, this.pointer.x - BESIDE_PX - width);
    const top = Math.min(innerHeight - height - 4, Math.max(4, this.pointer.y - height - BESIDE_PX));
    this.tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }
}

/** @param {import("./panel.js").Panel} panel */
function hide(panel) {
  if (!panel.crosshair) return;
  panel.crosshair.line.hidden = true;
  panel.crosshair.dot.hidden = true;
  panel.card.showValue(null);
}

/** @param {HTMLElement} over */
function crosshair(over) {
  const line = document.createElement("div");
  line.className = "cursor-line";
  const dot = document.createElement("div");
  dot.className = "cursor-dot";
  over.append(line, dot);
  return { line, dot };
}

/**
 * @param {import("./derive.js").Drawing} drawing
 * @param {Point} point
 * @param {number} started
 * @param {string|null} axis the metric on the x axis
 */
function head(drawing, { x, step, row }, started, axis) {
  const element = document.createElement("div");
  element.className = "tip-head";
  const next = row !== null && row + 1 < drawing.n && drawing.step[row + 1] > step ? drawing.step[row + 1] : step + 2 ** drawing.shift;
  const last = Math.min(next, step + 2 ** drawing.shift) - 1;
  const t = row === null ? NaN : drawing.t[row];
  const words = [last > step ? `steps ${whole(step)}–${whole(last)}` : `step ${whole(step)}`];
  if (axis !== null) words.unshift(`${axis} ${measure(x)}`);
  if (Number.isFinite(t)) words.push(clock(t * 1000), elapsed(t - started));
  element.textContent = words.join(" · ");
  return element;
}

/**
 * @param {import("./panel.js").Panel} panel
 * @param {import("./derive.js").Drawing} drawing
 * @param {Point} point
 * @param {number} y
 */
function readout(panel, drawing, { x, row }, y) {
  const { hue } = panel;
  const look = lookOf(panel.app.state.choices, panel.own);
  const std = look.mode === "std";
  const lines = panel.drawn?.named ?? [];
  const old = lines.filter((line) => line.kind === "old");
  const older = old.flatMap((line) => {
    const inside = line.x.length > 0 && x >= line.x[0] && x <= line.x[line.x.length - 1];
    const value = inside ? line.raw[nearest(line.x, x)] : NaN;
    return Number.isFinite(value) ? [tipRow(line.label, inUnit(value, panel.card.unit).join(" ").trimEnd(), hue, 0, "old")] : [];
  });
  if (panel.layered) return [...layerRows(panel, x, y), ...older];
  if (row === null) return older;
  const rows = [];
  const named = lines.filter((line) => line.kind !== "old" && Number.isFinite(line.raw[row]));
  const attempt = old.length > 0 ? `attempt ${drawing.attempt}` : "";
  const value = (/** @type {number} */ v) => inUnit(v, panel.card.unit).join(" ").trimEnd();
  const span = (/** @type {number} */ a, /** @type {number} */ b) => `${value(a)} – ${value(b)}`;
  if (named.some((line) => line.kind === "rank")) {
    const near = named.sort((a, b) => Math.abs(a.raw[row] - y) - Math.abs(b.raw[row] - y));
    rows.push(...near.slice(0, MOST_ROWS).map((line) => tipRow(line.label, value(line.raw[row]), line.color)));
    const more = Math.max(drawing.ranks, near.length) - Math.min(near.length, MOST_ROWS);
    if (more > 0) rows.push(more_(`+${whole(more)} more`));
  } else if (drawing.ranks > 1) {
    if (attempt) rows.push(more_(attempt));
    rows.push(tipRow(std ? "mean" : "median", value(drawing.raw[row]), hue));
    if (look.smooth) rows.push(tipRow("smoothed", value(drawing.mid[row]), hue));
    rows.push(tipRow(std ? "mean ± std" : "p10–p90", span(drawing.p10[row], drawing.p90[row]), hue, 0.5));
    rows.push(tipRow("min–max", span(drawing.lo[row], drawing.hi[row]), hue, 0.25));
    const near = named.sort((a, b) => Math.abs(a.raw[row] - y) - Math.abs(b.raw[row] - y)).slice(0, MOST_ROWS);
    rows.push(...near.map((line) => tipRow(line.label, value(line.raw[row]), line.color)));
    const more = drawing.ranks - near.length;
    if (more > 0) rows.push(more_(near.length > 0 ? `+${whole(more)} more` : `${whole(more)} ranks`));
  } else {
    rows.push(tipRow(attempt || (drawing.shift > 0 ? "mean" : "value"), value(drawing.raw[row]), hue));
    if (look.smooth) rows.push(tipRow("smoothed", value(drawing.mid[row]), hue));
    if (drawing.shift > 0) rows.push(tipRow("min–max", span(drawing.lo[row], drawing.hi[row]), hue, 0.25));
    rows.push(...named.slice(0, MOST_ROWS).map((line) => tipRow(line.label, value(line.raw[row]), line.color)));
  }
  rows.push(...older);
  if (drawing.bad[row] > 0) rows.push(tipRow("▲ NaN/Inf", whole(drawing.bad[row]), "", 0, "bad"));
  const before = row > 0 ? drawing.x[row - 1] : -Infinity;
  const after = row + 1 < drawing.n ? drawing.x[row + 1] : Infinity;
  const gap = drawing.gaps.find(([x0, x1]) => x0 <= after && x1 >= before);
  if (gap) rows.push(more_(`gap here: ${whole(gap[2])} rows lost`));
  return rows;
}

/**
 * What each line of a chart of several has there: the nearest to the pointer first.
 * @param {import("./panel.js").Panel} panel
 * @param {number} x
 * @param {number} y where the pointer is
 */
function layerRows(panel, x, y) {
  const away = (/** @type {number} */ value) => Math.abs((panel.plot?.scales.y.to(value) ?? value) - (panel.plot?.scales.y.to(y) ?? y));
  const there = panel.readingsAt(x).filter(({ value }) => Number.isFinite(value)).sort((a, b) => away(a.value) - away(b.value));
  const rows = there.slice(0, MOST_ROWS).map(({ label, text, colour }) => tipRow(label, text, colour));
  if (there.length > MOST_ROWS) rows.push(more_(`+${whole(there.length - MOST_ROWS)} more`));
  return rows;
}

/**
 * @param {string} key
 * @param {string} value
 * @param {string} color
 * @param {number} [area] opacity of an area's swatch
 * @param {string} [name]
 */
function tipRow(key, value, color, area = 0, name = "") {
  const row = document.createElement("div");
  row.className = `tip-row ${name}`;
  const left = document.createElement("span");
  left.className = "key";
  if (color) {
    const swatch = document.createElement("span");
    swatch.className = area ? "swatch area" : "swatch";
    swatch.style.background = color;
    if (area) swatch.style.opacity = String(area);
    left.append(swatch);
  }
  left.append(key);
  const right = document.createElement("span");
  right.textContent = value;
  row.append(left, right);
  return row;
}

/** @param {string} words */
function more_(words) {
  const element = document.createElement("div");
  element.className = "tip-more";
  element.textContent = words;
  return element;
}
