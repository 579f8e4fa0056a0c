// The tree of modules as a table: only the rows on the screen are elements, and the arrows walk it.

import { bytes, compact, inUnit, isolated, measure, plural } from "./format.js";
import { scaleOf } from "./layerscale.js";
import { div, span } from "./make.js";
import { MEASURES } from "./measures.js";
import { shownOf } from "./modules.js";
import { shade } from "./ramps.js";

const ROW_PX = 28;
const SPARE = 8;
const INDENT = 14;
/** Deeper ones are not moved further to the right. */
const DEEPEST = 12;

/** @typedef {import("./modules.js").Module} Module */

/** @type {[name: string, word: string, title: string][]} */
const COLUMNS = [
  ["name", "module", "as named_modules() has it"],
  ["type", "type", "its class"],
  ["total", "params", "parameters, with those of what is inside"],
  ["share", "share", "of the model's parameters"],
  ["shape", "input → output", "shapes of a forward pass"],
  ["time", "forward", "seconds of a forward pass, with what is inside"],
  ["grad_norm", "gradient", "norm of the newest gradient; of what holds others the greatest"],
  ["update_ratio", "update", "the newest step's size by that of the parameters; of what holds others the greatest"],
  ["act_zero", "zeros", "share of the newest activations that are zero; of what holds others the greatest"],
];
const LIVE = ["grad_norm", "update_ratio", "act_zero"];

let tables = 0;

export class ModuleTable {
  /** @param {() => void} changed the choice, or what is open */
  constructor(changed) {
    tables += 1;
    this.id = `modules-${tables}`;
    this.changed = changed;
    /** @type {Module[]} */
    this.modules = [];
    /** @type {Set<string>} */
    this.open = new Set();
    /** @type {Set<number>|null} */
    this.chosen = null;
    /** @type {number[]} places of the rows, in order */
    this.rows = [];
    /** The module that the arrows are at. */
    this.at = 0;
    /** @type {Map<string, {values: (import("./modulevalues.js").Value|null)[], scale: ReturnType<typeof scaleOf>}>} */
    this.live = new Map();
    /** @type {(import("./modulevalues.js").Value|null)[]} */
    this.seconds = [];
    this.head = div("modules-row modules-head");
    this.head.setAttribute("role", "row");
    for (const [name, word, title] of COLUMNS) {
      const cell = span(`modules-${name}`, word);
      cell.title = title;
      cell.setAttribute("role", "columnheader");
      this.head.append(cell);
    }
    this.body = div("modules-body");
    this.element = div("modules", this.head, this.body);
    this.element.setAttribute("role", "treegrid");
    this.element.setAttribute("aria-label", "modules");
    this.element.tabIndex = 0;
    /** @type {HTMLElement[]} */
    this.pool = [];
    this.element.addEventListener("scroll", () => this.#fill(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.#walk(event));
    this.body.addEventListener("click", (event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest(".modules-row");
      const place = Number(/** @type {HTMLElement|null} */ (row)?.dataset.place ?? NaN);
      if (!(place < this.modules.length)) return;
      this.at = place;
      this.#turn(place);
    });
  }

  /** @param {Module[]} modules */
  show(modules) {
    const before = this.modules[this.at]?.path;
    this.modules = modules;
    this.at = Math.max(0, modules.findIndex(({ path }) => path === before));
    this.live.clear();
    this.seconds = [];
    this.top = modules.reduce((sum, { total, depth }) => (depth === 0 ? sum + total : sum), 0);
    this.longest = modules.reduce((most, { seconds }) => Math.max(most, seconds ?? 0), 0);
    this.arrange();
  }

  /**
   * Open what is less deep, close the rest.
   * @param {number} depth
   */
  openTo(depth) {
    this.open = new Set(this.modules.filter((module, i) => module.depth < depth && module.end > i + 1).map(({ path }) => path));
    this.arrange();
  }

  /** @param {Set<number>|null} chosen those that were searched for */
  choose(chosen) {
    this.chosen = chosen;
    this.arrange();
  }

  arrange() {
    this.rows = shownOf(this.modules, this.open, this.chosen);
    if (!this.rows.includes(this.at)) {
      // What was closed around it takes the choice over.
      let at = this.at;
      while (at >= 0 && !this.rows.includes(at)) at = this.modules[at]?.parent ?? -1;
      this.at = at >= 0 ? at : this.rows[0] ?? 0;
    }
    this.element.setAttribute("aria-rowcount", String(this.rows.length + 1));
    this.body.style.setProperty("height", `${this.rows.length * ROW_PX}px`);
    this.#fill();
    this.changed();
  }

  /** What the modules do now. @param {import("./modulevalues.js").ModuleValues} values */
  colour(values) {
    this.live.clear();
    for (const measured of LIVE) {
      const of = values.of(measured, this.modules);
      const scale = measured === "act_zero" ? { ...scaleOf([]), low: 0, high: 1, place: (/** @type {number} */ value) => value } : scaleOf([of.map((value) => (value && Number.isFinite(value.value) ? value.value : null))]);
      if (of.some(Boolean)) this.live.set(measured, { values: of, scale });
    }
    this.seconds = values.of("seconds", this.modules);
    this.longest = this.modules.reduce((most, _, i) => Math.max(most, this.timeOf(i) ?? 0), 0);
    for (const name of LIVE) this.element.classList.toggle(`with-${name}`, this.live.has(name));
    this.#fill();
    this.changed();
  }

  /** @param {number} place @returns {number|null} seconds of a forward pass: the newest, or as the model was sent */
  timeOf(place) {
    const live = this.seconds[place];
    return live && Number.isFinite(live.value) ? live.value : this.modules[place].seconds;
  }

  #fill() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / ROW_PX) - SPARE);
    const last = Math.min(this.rows.length, Math.ceil((scrollTop + clientHeight) / ROW_PX) + SPARE);
    while (this.pool.length < last - first) {
      const row = div("modules-row");
      row.setAttribute("role", "row");
      row.id = `${this.id}-${this.pool.length}`;
      row.append(...COLUMNS.map(([name]) => {
        const cell = span(`modules-${name}`);
        cell.setAttribute("role", "gridcell");
        return cell;
      }));
      this.pool.push(row);
      this.body.append(row);
    }
    this.element.removeAttribute("aria-activedescendant");
    for (const [i, row] of this.pool.entries()) {
      row.hidden = i >= last - first;
      if (row.hidden) continue;
      row.style.setProperty("transform", `translateY(${(first + i) * ROW_PX}px)`);
      row.setAttribute("aria-rowindex", String(first + i + 2));
      this.#write(row, this.rows[first + i]);
    }
  }

  /**
   * @param {HTMLElement} row
   * @param {number} place
   */
  #write(row, place) {
    const module = this.modules[place];
    const cells = /** @type {HTMLElement[]} */ ([...row.children]);
    const inner = module.end > place + 1;
    const opened = this.chosen ? true : this.open.has(module.path);
    row.dataset.place = String(place);
    row.setAttribute("aria-level", String(module.depth + 1));
    if (inner) row.setAttribute("aria-expanded", String(opened));
    else row.removeAttribute("aria-expanded");
    const chosen = place === this.at;
    row.setAttribute("aria-selected", String(chosen));
    if (chosen) this.element.setAttribute("aria-activedescendant", row.id);
    const name = span("modules-label", module.name ? isolated(module.name) : "(the model)");
    name.title = module.path;
    const arrow = span(inner ? "modules-arrow" : "modules-leaf");
    cells[0].replaceChildren(arrow, name);
    cells[0].style.setProperty("padding-left", `${8 + Math.min(module.depth, DEEPEST) * INDENT}px`);
    say(cells[1], isolated(module.type), module.extra ? `${module.type}(${module.extra})` : module.type);
    say(cells[2], module.total ? compact(module.total) : "", module.total ? `${plural(module.own, "parameter")} of its own, ${plural(module.total, "parameter")} in all, ${bytes(module.bytes)}` : "");
    bar(cells[3], this.top ? module.total / this.top : 0, module.total ? percent(module.total / /** @type {number} */ (this.top)) : "");
    say(cells[4], module.input || module.output ? `${isolated(module.input || "?")} → ${isolated(module.output || "?")}` : "", `${module.input} → ${module.output}`);
    const time = this.timeOf(place);
    bar(cells[5], time !== null && this.longest ? time / this.longest : 0, time === null ? "" : inUnit(time, "s").join(" "));
    for (const [i, measured] of LIVE.entries()) this.#live(cells[6 + i], measured, place);
  }

  /**
   * @param {HTMLElement} cell
   * @param {string} measured
   * @param {number} place
   */
  #live(cell, measured, place) {
    const found = this.live.get(measured);
    const value = found?.values[place];
    if (!found || !value) {
      cell.replaceChildren();
      return;
    }
    const bad = Number.isNaN(value.value);
    const share = bad ? 0 : found.scale.place(value.value);
    const text = bad ? "▲ NaN" : measured === "act_zero" ? percent(value.value) : short(value.value);
    const shown = span("modules-live", text);
    shown.style.setProperty("background", bad ? "var(--red)" : shade("viridis", share));
    shown.style.setProperty("color", bad ? "var(--surface)" : share > 0.6 ? "#101316" : "#ffffff");
    shown.title = `${MEASURES.get(measured) ?? measured} of ${value.from}: ${bad ? "NaN or ∞" : measure(value.value)}`;
    cell.replaceChildren(shown);
  }

  // ---------------------------------------------------------------- the person

  /** @param {number} place */
  #turn(place) {
    const { path, end } = this.modules[place];
    if (end > place + 1 && !this.chosen) {
      if (!this.open.delete(path)) this.open.add(path);
    }
    this.arrange();
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.rows.length === 0) return;
    const line = Math.max(0, this.rows.indexOf(this.at));
    const module = this.modules[this.at];
    if (!module) return;
    const inner = module.end > this.at + 1;
    const opened = this.chosen !== null || this.open.has(module.path);
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW_PX) - 2);
    let to = line;
    if (event.key === "ArrowDown") to = line + 1;
    else if (event.key === "ArrowUp") to = line - 1;
    else if (event.key === "PageDown") to = line + page;
    else if (event.key === "PageUp") to = line - page;
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = this.rows.length - 1;
    else if (event.key === "ArrowRight" && inner && opened) to = line + 1;
    else if (event.key === "ArrowLeft" && !(inner && opened && !this.chosen) && module.parent >= 0) to = this.rows.indexOf(module.parent);
    else if ((event.key === "ArrowRight" && inner) || (event.key === "ArrowLeft" && inner && opened) || event.key === "Enter" || event.key === " ") this.#turn(this.at);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.#go(Math.max(0, Math.min(this.rows.length - 1, to)));
  }

  /** @param {number} line */
  #go(line) {
    this.at = this.rows[line];
    const top = line * ROW_PX;
    const { element } = this;
    const room = element.clientHeight - ROW_PX - 4;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_PX > element.scrollTop + room) element.scrollTop = top + ROW_PX - room;
    this.#fill();
    this.changed();
  }
}

/** A value as a cell has room for: three digits. @param {number} value */
export function short(value) {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (size < 1e-3 || size >= 1e3) return value.toExponential(1).replace("e+", "e").replaceAll("-", "−");
  return value.toPrecision(3).replace("-", "−");
}

/** @param {number} share */
export function percent(share) {
  const hundredths = 100 * share;
  if (hundredths > 0 && hundredths < 0.05) return "<0.1 %";
  return `${hundredths >= 9.95 || hundredths === 0 ? Math.round(hundredths) : hundredths.toFixed(1)} %`;
}

/**
 * @param {HTMLElement} cell
 * @param {string} text
 * @param {string} [title]
 */
function say(cell, text, title = "") {
  if (cell.textContent !== text) cell.textContent = text;
  if (cell.title !== title) cell.title = title;
}

/**
 * @param {HTMLElement} cell
 * @param {number} share 0 to 1
 * @param {string} text
 */
function bar(cell, share, text) {
  if (!text) {
    cell.replaceChildren();
    return;
  }
  const filled = span("modules-bar");
  filled.style.setProperty("transform", `scaleX(${Math.max(0, Math.min(1, share)).toFixed(4)})`);
  cell.replaceChildren(span("modules-track", filled), span("modules-number", text));
}
