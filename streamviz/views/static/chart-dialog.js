// What a chart shows and is called, to be changed: a dialog, and the entries of the chart's menu beside it.

import { EXPRESSION, BadExpression, parse } from "./expression.js";
import { MOST_CHARTS, titleOf } from "./arrangement.js";
import { offer } from "./menu.js";

/** @typedef {import("./chart.js").Chart} Chart */

export class ChartDialog {
  /**
   * @param {HTMLDialogElement} dialog
   * @param {import("./arrangement.js").Arrangement} arrangement
   * @param {() => string[]} metrics of the runs that are drawn
   */
  constructor(dialog, arrangement, metrics) {
    this.dialog = dialog;
    this.arrangement = arrangement;
    this.metrics = metrics;
    const part = (/** @type {string} */ name) => /** @type {any} */ (dialog.querySelector(`[name="${name}"]`));
    this.fields = { series: part("series"), title: part("title"), xLabel: part("xLabel"), yLabel: part("yLabel"), scale: part("scale"), kind: part("kind"), add: part("add") };
    this.problem = /** @type {HTMLElement} */ (dialog.querySelector(".problem"));
    this.names = /** @type {HTMLDataListElement} */ (dialog.querySelector("datalist"));
    this.heading = /** @type {HTMLElement} */ (dialog.querySelector("h2"));
    this.remove = /** @type {HTMLButtonElement} */ (dialog.querySelector("[data-act=remove]"));
    this.save = /** @type {HTMLButtonElement} */ (dialog.querySelector("[data-act=save]"));
    /** @type {Chart|null} null: a new one */
    this.chart = null;
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    dialog.querySelector("[data-act=cancel]")?.addEventListener("click", () => dialog.close());
    this.remove.addEventListener("click", () => {
      if (this.chart) arrangement.remove(this.chart);
      dialog.close();
    });
    this.fields.series.addEventListener("input", () => this.#check());
    this.fields.add.addEventListener("change", () => this.#add());
    dialog.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.#apply()) dialog.close();
    });
  }

  /** @param {Chart|null} chart null: a new one */
  open(chart) {
    this.chart = chart;
    const { fields } = this;
    this.heading.textContent = chart ? "chart" : "new chart";
    fields.series.value = (chart?.series ?? []).map((one) => ("metric" in one ? one.metric : `= ${one.expression}`)).join("\n");
    fields.title.value = chart?.title ?? "";
    fields.xLabel.value = chart?.xLabel ?? "";
    fields.yLabel.value = chart?.yLabel ?? "";
    fields.scale.value = chart?.scale ?? "";
    fields.kind.value = chart?.kind ?? "line";
    fields.add.value = "";
    this.remove.hidden = !(chart && this.arrangement.isOwn(chart));
    this.names.replaceChildren(...this.metrics().slice(0, 500).map((metric) => {
      const option = document.createElement("option");
      option.value = metric;
      return option;
    }));
    this.#say("");
    this.save.disabled = false;
    this.dialog.showModal();
    (chart ? fields.title : fields.add).focus();
  }

  /** One more metric, from the list. */
  #add() {
    const { series, add } = this.fields;
    const name = add.value.trim();
    if (!name) return;
    series.value = `${series.value.trimEnd()}${series.value.trim() ? "\n" : ""}${name}`;
    add.value = "";
    this.#check();
  }

  /** @param {string} words */
  #say(words) {
    this.problem.textContent = words;
    this.problem.hidden = !words;
    this.fields.series.setAttribute("aria-invalid", String(Boolean(words)));
  }

  /** @returns {Chart["series"]|null} null: something in it cannot be read, and it is said what */
  #check() {
    const lines = this.fields.series.value.split("\n").map((/** @type {string} */ line) => line.trim()).filter(Boolean);
    const metrics = new Set(this.metrics());
    const problems = [];
    if (lines.length === 0) problems.push("a chart has at least one line: a metric, or = and an expression");
    if (lines.length > MOST_CHARTS.series) problems.push(`a chart has at most ${MOST_CHARTS.series} lines, these are ${lines.length}`);
    const series = lines.map((/** @type {string} */ line) => {
      if (!line.startsWith("=")) {
        if (line.length > EXPRESSION.characters) problems.push("a name is too long");
        return { metric: line };
      }
      const expression = line.slice(1).trim();
      try {
        parse(expression, (name) => metrics.has(name));
      } catch (problem) {
        if (!(problem instanceof BadExpression)) throw problem;
        problems.push(`“${expression}”: ${problem.message}`);
      }
      return { expression };
    });
    this.#say(problems[0] ?? "");
    this.save.disabled = problems.length > 0;
    return problems.length > 0 ? null : series;
  }

  /** @returns {boolean} whether it went */
  #apply() {
    const series = this.#check();
    if (!series) return false;
    const { fields, chart, arrangement } = this;
    const change = {
      title: fields.title.value.trim() || titleOf(series),
      xLabel: fields.xLabel.value.trim(),
      yLabel: fields.yLabel.value.trim(),
      scale: fields.scale.value || undefined,
      kind: fields.kind.value === "bar" ? /** @type {const} */ ("bar") : undefined,
    };
    if (chart) arrangement.edit(chart, { ...change, series });
    else if (!arrangement.add({ ...change, series })) {
      this.#say(`a page has at most ${MOST_CHARTS.own} charts of its own: remove one, or write them into a layout file`);
      return false;
    }
    return true;
  }
}

offer(25, (panel, app) => {
  const { arrangement } = app;
  const { chart } = panel;
  const entries = [
    { label: "pin on top", key: "p", pressed: arrangement.pins.includes(chart.key), act: () => arrangement.pin(chart.key) },
    { label: "edit, add metric…", act: () => app.editChart(chart) },
  ];
  if (arrangement.isOwn(chart)) entries.push({ label: "remove this chart", act: () => arrangement.remove(chart) });
  return entries;
});
