// The board's table: only the rows on the screen are elements, however many ranks there are.

import { age, isolated, plural, whole } from "./format.js";
import { div, span } from "./make.js";
import { STATES, wordOf } from "./ranklist.js";

/** @typedef {import("./ranklist.js").RankRow} RankRow */
/** @typedef {{node: string, ranks: RankRow[], open: boolean}} NodeRow */

const ROW_PX = 26;
/** Rows made beyond both ends of what is seen. */
const SPARE = 6;
const GLYPHS = new Map(STATES.map(({ name, glyph }) => [name, glyph]));

/** @type {[name: string, word: string, title: string][]} */
const COLUMNS = [
  ["state", "state", "worst first"],
  ["rank", "rank", "its number"],
  ["host", "node", "the host that it runs on"],
  ["local", "local", "its place on its node: the GPU it uses"],
  ["attempt", "attempt", "how often it was started before"],
  ["step", "last step", "the highest step that it has sent"],
  ["behind", "behind", "steps behind the rank that is furthest"],
  ["phase", "phase", "the phase it was in at its last heartbeat"],
  ["phase_s", "for", "how long it had been in it"],
  ["age", "heard", "time since its last word"],
  ["dropped", "dropped", "rows it had to drop"],
];

export class RankTable {
  /** @param {{sort: (column: string) => void, open: (host: string, open: boolean) => void, choose: (rank: number) => void}} on */
  constructor(on) {
    this.on = on;
    /** @type {(RankRow|NodeRow)[]} */
    this.items = [];
    /** @type {Map<string, HTMLButtonElement>} */
    this.heads = new Map();
    const head = div("ranks-row ranks-head");
    head.setAttribute("role", "row");
    for (const [name, word, title] of COLUMNS) {
      const button = document.createElement("button");
      button.type = "button";
      button.title = title;
      button.textContent = word;
      button.addEventListener("click", () => on.sort(name));
      const cell = span(`ranks-${name}`, button);
      cell.setAttribute("role", "columnheader");
      head.append(cell);
      this.heads.set(name, button);
    }
    this.body = div("ranks-body");
    this.element = div("ranks", head, this.body);
    this.element.setAttribute("role", "table");
    this.element.setAttribute("aria-label", "ranks");
    this.element.tabIndex = 0;
    /** @type {HTMLElement[]} */
    this.pool = [];
    this.element.addEventListener("scroll", () => this.#fill(), { passive: true });
    addEventListener("resize", () => this.#fill());
    this.body.addEventListener("click", (event) => this.#clicked(event));
    this.body.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      this.#clicked(event);
    });
  }

  /** For tests: ranks as listed; nodes as their names. */
  get listed() {
    return this.items.map((item) => ("node" in item ? item.node : item.rank));
  }

  /**
   * @param {(RankRow|NodeRow)[]} items in the order they are shown in
   * @param {{column: string, down: boolean}} sort
   * @param {number|null} front
   */
  show(items, sort, front) {
    this.items = items;
    this.front = front;
    for (const [name, button] of this.heads) {
      const now = sort.column === name ? (sort.down ? "descending" : "ascending") : "none";
      /** @type {HTMLElement} */ (button.parentElement).setAttribute("aria-sort", now);
    }
    this.element.setAttribute("aria-rowcount", String(items.length + 1));
    this.body.style.setProperty("height", `${items.length * ROW_PX}px`);
    this.#fill();
  }

  #fill() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / ROW_PX) - SPARE);
    const last = Math.min(this.items.length, Math.ceil((scrollTop + clientHeight) / ROW_PX) + SPARE);
    while (this.pool.length < last - first) {
      const row = div("ranks-row");
      row.setAttribute("role", "row");
      row.tabIndex = 0;
      row.append(...COLUMNS.map(([name]) => {
        const cell = span(`ranks-${name}`);
        cell.setAttribute("role", "cell");
        return cell;
      }));
      this.pool.push(row);
      this.body.append(row);
    }
    for (const [i, row] of this.pool.entries()) {
      row.hidden = i >= last - first;
      if (row.hidden) continue;
      row.style.setProperty("transform", `translateY(${(first + i) * ROW_PX}px)`);
      row.dataset.item = String(first + i);
      row.setAttribute("aria-rowindex", String(first + i + 2));
      this.#write(row, this.items[first + i]);
    }
  }

  /**
   * @param {HTMLElement} row
   * @param {RankRow|NodeRow} item
   */
  #write(row, item) {
    const texts = "node" in item ? nodeTexts(item) : rankTexts(item);
    row.classList.toggle("ranks-node", "node" in item);
    row.dataset.state = "node" in item ? "" : item.look;
    row.toggleAttribute("data-trouble", !("node" in item) && item.trouble);
    if ("node" in item) row.setAttribute("aria-expanded", String(item.open));
    else row.removeAttribute("aria-expanded");
    for (const [i, text] of texts.entries()) {
      const cell = /** @type {HTMLElement} */ (row.children[i]);
      if (cell.textContent !== text) {
        cell.textContent = text;
        cell.title = text;
      }
    }
  }

  /** @param {Event} event */
  #clicked(event) {
    const row = event.target instanceof Element ? event.target.closest(".ranks-row") : null;
    const item = row instanceof HTMLElement ? this.items[Number(row.dataset.item)] : undefined;
    if (!item) return;
    if ("node" in item) this.on.open(item.node, !item.open);
    else this.on.choose(item.rank);
  }
}

/** @param {RankRow} row */
function rankTexts({ look, rank, host, local, attempt, step, behind, phase, phase_s, age: silent, dropped, state }) {
  const over = state === "done" || state === "failed";
  return [
    `${GLYPHS.get(look) ?? ""} ${wordOf(look)}`, String(rank), isolated(host), local === null ? "–" : String(local), String(attempt),
    whole(step), behind === null ? "–" : whole(behind), isolated(phase) || "–", // Of one that is not heard nobody knows how long it has been there.
    phase && !["stale", "gone"].includes(look) ? age(phase_s) : "", over || Number.isNaN(silent) ? "–" : silent < 2 ? "now" : age(silent),
    whole(dropped),
  ];
}

/** @param {NodeRow} node */
function nodeTexts({ node, ranks, open }) {
  const steps = ranks.map(({ step }) => step).filter((step) => step !== null);
  const behind = ranks.map((row) => row.behind).filter((lag) => lag !== null);
  /** @type {Map<string, number>} */
  const looks = new Map();
  for (const { look } of ranks) looks.set(look, (looks.get(look) ?? 0) + 1);
  const counts = STATES.filter(({ name }) => looks.has(name)).map(({ name, glyph }) => `${glyph} ${whole(looks.get(name))} ${wordOf(name)}`);
  return [
    `${open ? "▾" : "▸"} ${isolated(node) || "unknown node"}`, plural(ranks.length, "rank"), counts.join("  "), "", "",
    steps.length ? whole(Math.min(...steps)) : "–", behind.length ? whole(Math.max(...behind)) : "–", "", "", "",
    whole(ranks.reduce((sum, { dropped }) => sum + dropped, 0)),
  ];
}
