// A table of somebody's own: sorted by any column, its first thousand rows drawn, all of them as CSV.

import { whole } from "./format.js";
import { div, span } from "./make.js";

/** Rows that are drawn; all of them are sorted, and downloaded. */
export const MOST_ROWS = 1_000;
const MOST_COLUMNS = 200;
/** Characters of a cell that are drawn. */
const MOST_CELL = 500;

const texts = new Intl.Collator("en", { numeric: true });
const NOT_FINITE = new Map([["NaN", NaN], ["Infinity", Infinity], ["-Infinity", -Infinity]]);

/** @typedef {string|number|boolean|null} Cell */

export class SortedTable {
  /** @param {HTMLElement} place @param {string} name of the file that is downloaded */
  constructor(place, name) {
    this.name = name;
    /** @type {{column: number, down: boolean}|null} */
    this.sorted = null;
    /** @type {string[]} */
    this.columns = [];
    /** @type {Cell[][]} */
    this.rows = [];
    this.table = document.createElement("table");
    this.table.className = "media-table";
    this.scroll = div("media-scroll", this.table);
    this.scroll.tabIndex = 0;
    this.note = span("board-note");
    const save = document.createElement("button");
    save.type = "button";
    save.className = "text-button";
    save.textContent = "CSV";
    save.title = "download all rows as CSV";
    save.addEventListener("click", () => this.#save());
    place.append(this.scroll, div("media-under", this.note, save));
  }

  /**
   * @param {string[]} columns
   * @param {Cell[][]} rows
   * @param {string} [more] what else there is to say
   */
  show(columns, rows, more = "") {
    this.columns = columns.slice(0, MOST_COLUMNS);
    this.rows = rows;
    this.more = more;
    if (this.sorted && this.sorted.column >= this.columns.length) this.sorted = null;
    this.#draw();
  }

  #draw() {
    const rows = this.#inOrder();
    const shown = rows.slice(0, MOST_ROWS);
    const numeric = this.columns.map((_, i) => shown.some((row) => typeof row[i] === "number") && shown.every((row) => isNumber(row[i]) || row[i] === null));
    const head = document.createElement("tr");
    for (const [i, name] of this.columns.entries()) head.append(this.#heading(i, name, numeric[i]));
    const body = shown.map((row) => {
      const line = document.createElement("tr");
      for (let i = 0; i < this.columns.length; i += 1) {
        const cell = document.createElement("td");
        const text = shortOf(row[i]);
        cell.textContent = text.length > MOST_CELL ? `${text.slice(0, MOST_CELL)}…` : text;
        if (typeof row[i] === "number" && text !== String(row[i])) cell.title = String(row[i]);
        if (numeric[i]) cell.className = "number";
        if (row[i] === null || row[i] === undefined) cell.className = "nothing";
        line.append(cell);
      }
      return line;
    });
    const [top, rest] = [document.createElement("thead"), document.createElement("tbody")];
    top.append(head);
    rest.append(...body);
    this.table.replaceChildren(top, rest);
    const count = rows.length > MOST_ROWS ? `${whole(MOST_ROWS)} of ${whole(rows.length)} rows` : `${whole(rows.length)} ${rows.length === 1 ? "row" : "rows"}`;
    this.note.textContent = [count, this.more].filter(Boolean).join(" · ");
  }

  /** @param {number} column @param {string} name @param {boolean} numeric */
  #heading(column, name, numeric) {
    const cell = document.createElement("th");
    if (numeric) cell.className = "number";
    const { sorted } = this;
    if (sorted?.column === column) cell.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.title = name;
    button.addEventListener("click", () => {
      // Up, down, and as it was sent.
      if (sorted?.column !== column) this.sorted = { column, down: false };
      else this.sorted = sorted.down ? null : { column, down: true };
      this.#draw();
      /** @type {HTMLElement|null} */ (this.table.querySelector(`th:nth-child(${column + 1}) button`))?.focus();
    });
    cell.append(button);
    return cell;
  }

  #inOrder() {
    const { sorted, rows } = this;
    if (!sorted) return rows;
    const { column, down } = sorted;
    return [...rows].sort((a, b) => {
      // What is nothing stands at the end whichever way.
      const [left, right] = [a[column], b[column]].map((cell) => cell === null || cell === undefined || cell === "NaN");
      if (left || right) return Number(left) - Number(right);
      return (down ? -1 : 1) * compare(a[column], b[column]);
    });
  }

  #save() {
    const lines = [this.columns, ...this.rows].map((row) => this.columns.map((_, i) => quoted(row[i])).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
    link.download = `${this.name.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 80) || "table"}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
  }
}

/** @param {unknown} cell */
function isNumber(cell) {
  return typeof cell === "number" || NOT_FINITE.has(/** @type {string} */ (cell));
}

/** @param {Cell} a @param {Cell} b */
function compare(a, b) {
  const [left, right] = [a, b].map((cell) => (isNumber(cell) || typeof cell === "boolean" ? NOT_FINITE.get(/** @type {string} */ (cell)) ?? Number(cell) : NaN));
  if (!Number.isNaN(left) && !Number.isNaN(right)) return left < right ? -1 : Number(left > right);
  if (Number.isNaN(left) !== Number.isNaN(right)) return Number.isNaN(left) ? 1 : -1;
  return texts.compare(String(a), String(b));
}

/** As it is read: a measured number in six digits. @param {unknown} cell */
function shortOf(cell) {
  if (typeof cell !== "number" || Number.isInteger(cell)) return textOf(cell);
  return String(Number(cell.toPrecision(6)));
}

/** @param {unknown} cell */
function textOf(cell) {
  if (cell === null || cell === undefined) return "–";
  return typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}

/** A cell of a CSV file; a spreadsheet that opens it shall see text where text was sent. @param {unknown} cell */
function quoted(cell) {
  if (cell === null || cell === undefined) return "";
  let text = textOf(cell);
  if (typeof cell === "string" && !NOT_FINITE.has(cell) && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
