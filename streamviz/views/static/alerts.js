// Alerts: how many there are, the list of them, and the way from each to its place on a chart.

import { between } from "./derive.js";
import { age, plural, spoken, whole } from "./format.js";

/** @typedef {import("./moments.js").Alert} Alert */

/** Alerts that the list shows; the server holds few more. */
const LISTED_AT_MOST = 256;
/** How long a chart may take to come, before the way to a step is given up. */
const ARRIVE_WITHIN_MS = 5_000;
/** Steps to each side of the one that is shown, and the part of all steps if that is more. */
const AROUND = { steps: 24, share: 0.02 };
const GLYPHS = { info: "●", warning: "▲", error: "▲" };
/** Rules that tell of a rank as a whole: its place is among the workers. */
const OF_RANKS = ["silent", "failed", "stall"];
/** Rules that find a state, which ends; those of the others are moments. */
const LASTING = [...OF_RANKS, "straggler"];

export class Alerts {
  /**
   * @param {object} page
   * @param {import("./state.js").State} page.state
   * @param {import("./board.js").Board} page.board
   * @param {() => void} page.changed called when there is something else to say
   */
  constructor({ state, board, changed }) {
    this.state = state;
    this.board = board;
    this.changed = changed;
    /** @type {Alert[]} newest first */
    this.all = [];
    this.situation = "";
    /** @type {number|null} the id of the one that was last shown */
    this.at = null;
    this.key = "";
    const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
    this.dialog = /** @type {HTMLDialogElement} */ (get("alerts"));
    this.list = /** @type {HTMLElement} */ (this.dialog.querySelector(".alert-list"));
    this.none = /** @type {HTMLElement} */ (this.dialog.querySelector(".alert-none"));
    this.counter = get("alerts-count");
    this.button = get("notice-alerts");
    get("alerts-open").addEventListener("click", () => this.open());
    this.button.addEventListener("click", () => this.open());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    addEventListener("keydown", (event) => this.#key(event));
  }

  /** Alerts that go on. */
  get going() {
    return this.all.filter(({ until, level }) => until === null && level !== "info");
  }

  /**
   * @param {Alert[]} alerts
   * @param {string} situation whom the run waits for; empty: nobody
   */
  take(alerts, situation) {
    this.all = [...alerts].sort((a, b) => b.time - a.time || b.id - a.id);
    this.situation = situation;
    this.#show();
    this.changed();
  }

  clear() {
    this.at = null;
    this.take([], "");
  }

  open() {
    if (!this.dialog.open) this.dialog.showModal();
    this.#show();
  }

  /** What the line above the charts says of alerts. @returns {{tone: "red"|"amber", text: string}|null} */
  get line() {
    if (this.situation) return { tone: "amber", text: `▲ ${spoken(this.situation)}` };
    const [newest] = this.going;
    if (!newest) return null;
    const more = this.going.length > 1 ? ` (+${whole(this.going.length - 1)} more)` : "";
    return { tone: newest.level === "error" ? "red" : "amber", text: `▲ ${spoken(newest.text)}${more}` };
  }

  /** Go to the next alert in time, or the one before. @param {number} by */
  step(by) {
    if (this.all.length === 0) return;
    const ordered = [...this.all].reverse();
    const held = ordered.findIndex(({ id }) => id === this.at);
    // The first key press shows the newest: that is what the person was told of.
    const next = held < 0 ? ordered.length - 1 : (held + by + ordered.length) % ordered.length;
    this.show(ordered[next]);
  }

  /** Show an alert where it happened. @param {Alert} alert */
  show(alert) {
    this.at = alert.id;
    this.dialog.close();
    this.#show();
    if (alert.metric === null) {
      if (OF_RANKS.includes(alert.rule)) this.state.set({ tab: "workers" });
      else this.open();
      return;
    }
    const { metric, step } = alert;
    this.state.set({ tab: "charts" });
    if (!this.board.panels.has(metric)) this.state.set({ filter: `^${metric.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$` });
    const began = performance.now();
    const arrive = () => {
      const panel = this.board.panels.get(metric);
      if (performance.now() - began > ARRIVE_WITHIN_MS || this.at !== alert.id) return;
      if (!panel || panel.card.element.hidden) {
        requestAnimationFrame(arrive);
        return;
      }
      if (!panel.near) panel.card.element.scrollIntoView({ block: "center" });
      if (!panel.drawing || panel.drawing.n === 0 || !panel.plot) {
        requestAnimationFrame(arrive);
        return;
      }
      panel.card.element.scrollIntoView({ block: "nearest" });
      panel.card.element.tabIndex = -1;
      panel.card.element.focus({ preventScroll: true });
      if (step !== null) zoomAround(panel, step);
    };
    requestAnimationFrame(arrive);
  }

  #show() {
    const { going } = this;
    const worst = going.some(({ level }) => level === "error") ? "red" : going.length > 0 ? "amber" : "none";
    this.counter.textContent = this.all.length > 0 ? `(${whole(this.all.length)})` : "";
    this.counter.dataset.tone = worst;
    this.button.hidden = this.all.length === 0;
    const words = plural(this.all.length, "alert");
    if (this.button.textContent !== words) this.button.textContent = words;
    if (!this.dialog.open) return;
    const key = JSON.stringify([this.all.map(({ id, until, count, text, last }) => [id, until, count, text, last]), this.at, Math.floor(Date.now() / 10_000)]);
    if (key === this.key) return;
    this.key = key;
    this.none.hidden = this.all.length > 0;
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.id : undefined;
    this.list.replaceChildren(...this.all.slice(0, LISTED_AT_MOST).map((alert) => this.#row(alert)));
    if (focused !== undefined) /** @type {HTMLElement|null} */ (this.list.querySelector(`[data-id="${Number(focused)}"]`))?.focus();
  }

  /** @param {Alert} alert */
  #row(alert) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "alert-row";
    button.dataset.id = String(alert.id);
    button.dataset.tone = alert.level === "error" ? "red" : alert.level === "warning" ? "amber" : "none";
    button.classList.toggle("over", alert.until !== null);
    if (alert.id === this.at) button.setAttribute("aria-current", "true");
    const glyph = append("span", "alert-glyph", button);
    glyph.textContent = GLYPHS[alert.level] ?? GLYPHS.info;
    glyph.setAttribute("aria-hidden", "true");
    append("span", "alert-text", button).textContent = spoken(alert.text);
    append("span", "alert-meta", button).textContent = meta(alert);
    button.addEventListener("click", () => this.show(alert));
    item.append(button);
    return item;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "n" && event.key !== "N") return;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const { target } = event;
    if (target instanceof Element && target.closest("select, textarea, input:not([type=radio], [type=checkbox], [type=range]), [contenteditable]")) return;
    event.preventDefault();
    this.step(event.key === "n" ? 1 : -1);
  }
}

/** @param {Alert} alert */
function meta(alert) {
  const words = [alert.rule === "publisher" ? "sent by the training" : alert.rule];
  if (alert.first_bad) words.push("first bad value of the run");
  words.push(`${age(Date.now() / 1000 - alert.time)} ago`);
  if (alert.count > 1) words.push(`${whole(alert.count)} times`);
  if (LASTING.includes(alert.rule)) words.push(alert.until === null ? "goes on" : "over");
  return words.join(" · ");
}

/**
 * @param {import("./panel.js").Panel} panel
 * @param {number} step
 */
function zoomAround(panel, step) {
  const { drawing } = panel;
  if (!drawing || drawing.n < 2 || drawing.folded) return;
  const [first, last] = [drawing.step[0], drawing.step[drawing.n - 1]];
  const room = Math.max(AROUND.steps, (last - first) * AROUND.share);
  const start = Math.max(first, Math.min(step, last) - room);
  const end = Math.min(last, Math.max(step, first) + room);
  if (!(end > start)) return;
  panel.zoomTo(between(drawing.step, drawing.x, start), between(drawing.step, drawing.x, end));
}

/**
 * @param {string} tag
 * @param {string} name
 * @param {Element} parent
 */
function append(tag, name, parent) {
  const element = document.createElement(tag);
  element.className = name;
  parent.append(element);
  return element;
}
