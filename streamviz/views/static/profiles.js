// Where a step's running time goes by operator: profiles that ranks sent, as bars and as a sortable table.

import { barList } from "./bars.js";
import { inUnit, isolated, measure, plural, whole } from "./format.js";
import { choice, div, span } from "./make.js";
import { percent } from "./moduletable.js";

const TOP = 20;
/** Rows of the table; of more the first as sorted. */
const MOST_ROWS = 200;
const MOST_COLUMNS = 16;
const natural = new Intl.Collator("en", { numeric: true });

export class Profiles {
  /** @param {import("./payloads.js").Payloads} payloads */
  constructor(payloads) {
    this.payloads = payloads;
    /** @type {string} the number that was chosen; "" for the newest */
    this.chosen = "";
    this.drawn = "";
    /** @type {{columns: string[], rows: any[][]}} */
    this.table = { columns: [], rows: [] };
    this.sort = { column: -1, down: true };
    const title = document.createElement("h2");
    title.className = "board-title";
    title.textContent = "running time by operator";
    this.choose = choice("profile", (value) => {
      this.chosen = value;
      this.show();
    });
    this.note = span("board-note");
    this.bars = div("");
    this.place = div("profile-table");
    this.place.tabIndex = 0;
    this.element = div("board-part", div("board-head", title, this.choose), this.note, this.bars, this.place);
    this.element.hidden = true;
  }

  async show() {
    const all = this.payloads.of("profile").flatMap(({ name, rank, steps, numbers }) => numbers.map((number, i) => ({ name, rank, number, step: steps[i] })));
    all.sort((a, b) => b.step - a.step || natural.compare(a.name, b.name) || a.rank - b.rank);
    this.element.hidden = all.length === 0;
    if (all.length === 0) return;
    const key = all.map(({ number }) => number).join();
    if (this.choose.dataset.key !== key) {
      this.choose.dataset.key = key;
      this.choose.replaceChildren(...all.map(({ name, rank, number, step }) => {
        const option = document.createElement("option");
        option.value = String(number);
        option.textContent = `${isolated(name)} · r${rank} · step ${whole(step)}`;
        return option;
      }));
    }
    const known = all.some(({ number }) => String(number) === this.chosen);
    const wanted = known ? this.chosen : String(all[0].number);
    this.choose.value = wanted;
    if (wanted === this.drawn) return;
    try {
      const { body } = await this.payloads.get(Number(wanted));
      if (this.choose.value !== wanted) return;
      this.drawn = wanted;
      this.#take(body);
    } catch (error) {
      this.note.textContent = /** @type {Error} */ (error).message;
      this.bars.replaceChildren();
      this.place.replaceChildren();
    }
  }

  /** @param {any} body */
  #take(body) {
    const columns = Array.isArray(body?.columns) ? body.columns.slice(0, MOST_COLUMNS).map(String) : [];
    const rows = Array.isArray(body?.rows) ? body.rows.filter(Array.isArray) : [];
    this.table = { columns, rows };
    this.time = timeColumn(columns, rows);
    this.sort = { column: this.time, down: true };
    this.note.textContent = typeof body?.title === "string" ? isolated(body.title) : "";
    this.#draw();
  }

  #draw() {
    const { columns, rows } = this.table;
    const { time = -1 } = this;
    const label = rows.some((row) => typeof row[0] === "string") ? 0 : -1;
    const total = time < 0 ? 0 : rows.reduce((sum, row) => sum + (typeof row[time] === "number" ? Math.max(0, row[time]) : 0), 0);
    this.bars.replaceChildren(...(time < 0 ? [] : [
      span("board-note", `${columns[time]}, the ${whole(Math.min(TOP, rows.length))} that take most of ${plural(rows.length, "row")}`),
      barList(rows.map((row, i) => ({ label: label < 0 ? `row ${i + 1}` : String(row[label]), value: Number(row[time]) || 0, text: `${cellOf(row[time], columns[time])}  ${total > 0 ? `${Math.round((100 * (Number(row[time]) || 0)) / total)} %` : ""}` })), TOP),
    ]));
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const [i, name] of columns.entries()) {
      const cell = document.createElement("th");
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = isolated(name);
      button.addEventListener("click", () => {
        this.sort = { column: i, down: this.sort.column === i ? !this.sort.down : true };
        this.#draw();
      });
      cell.setAttribute("aria-sort", this.sort.column === i ? (this.sort.down ? "descending" : "ascending") : "none");
      cell.append(button);
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of this.#sorted().slice(0, MOST_ROWS)) {
      const line = body.insertRow();
      for (let i = 0; i < columns.length; i += 1) {
        const cell = line.insertCell();
        cell.textContent = cellOf(row[i], columns[i]);
        if (typeof row[i] === "number") cell.className = "number";
        else cell.title = cell.textContent;
      }
    }
    const more = rows.length > MOST_ROWS ? [span("board-note", `the first ${MOST_ROWS} of ${plural(rows.length, "row")}`)] : [];
    this.place.replaceChildren(table, ...more);
  }

  #sorted() {
    const { column, down } = this.sort;
    if (column < 0) return this.table.rows;
    const sign = down ? -1 : 1;
    return [...this.table.rows].sort((a, b) => {
      const [one, other] = [a[column], b[column]];
      if (typeof one === "number" && typeof other === "number") return sign * (one - other);
      return sign * natural.compare(said(one), said(other));
    });
  }

  /** For tests. */
  inspect() {
    return { columns: this.table.columns, rows: this.table.rows.length, sort: this.sort, first: this.#sorted()[0] ?? null };
  }
}

/** @param {unknown} value */
function said(value) {
  if (typeof value === "number") return Math.abs(value) >= 1000 && Math.abs(value) < 1e9 ? whole(value) : measure(value);
  if (value === null || value === undefined) return "";
  return isolated(typeof value === "object" ? JSON.stringify(value) : String(value));
}

/**
 * A time in the unit that suits it, where its column says in which it is; a share in hundredths.
 * @param {unknown} value
 * @param {string} column
 */
function cellOf(value, column) {
  if (typeof value !== "number") return said(value);
  if (column === "share") return percent(value);
  const unit = /[µu]s\b/i.test(column) ? 1e-6 : /\bms\b/i.test(column) ? 1e-3 : /\b(s|seconds)\b/i.test(column) ? 1 : 0;
  return unit ? inUnit(Number((value * unit).toPrecision(12)), "s").join(" ") : said(value);
}

/**
 * The column by which operators are compared: the time in them alone, or whatever number there is.
 * @param {string[]} columns
 * @param {any[][]} rows
 */
function timeColumn(columns, rows) {
  const numeric = columns.map((_, i) => i).filter((i) => rows.some((row) => typeof row[i] === "number"));
  const named = (/** @type {RegExp} */ pattern) => numeric.find((i) => pattern.test(columns[i]));
  return named(/self.*(cuda|device|gpu)/i) !== undefined && rows.some((row) => row[/** @type {number} */ (named(/self.*(cuda|device|gpu)/i))] > 0)
    ? /** @type {number} */ (named(/self.*(cuda|device|gpu)/i))
    : named(/self/i) ?? named(/time|seconds|[µmnu]s\b/i) ?? numeric[0] ?? -1;
}
