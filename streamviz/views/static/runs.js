// The list of runs in the side panel: which are drawn together, in which colours, and by what they are grouped.

import { MOST, groupings } from "./comparison.js";
import { plural } from "./format.js";
import { Matcher } from "./matcher.js";

/** Rows that are made: for the others there is the filter. */
const SHOWN = 60;

/** States that the page calls otherwise. */
const WORDS = new Map([["stale", "silent"], ["gone", "lost"]]);

export class RunList {
  /**
   * @param {HTMLElement} root
   * @param {HTMLSelectElement} group
   * @param {import("./compared.js").Compared} compared
   */
  constructor(root, group, compared) {
    this.root = root;
    this.group = group;
    this.compared = compared;
    this.filter = /** @type {HTMLInputElement} */ (root.querySelector("input[type=search]"));
    this.list = /** @type {HTMLElement} */ (root.querySelector(".run-list"));
    this.note = /** @type {HTMLElement} */ (root.querySelector(".run-note"));
    this.matcher = new Matcher();
    /** @type {Set<string>|null} names that match the filter; null: all */
    this.matching = null;
    this.problem = "";
    /** @type {Map<string, ReturnType<RunList["made"]>>} */
    this.made_ = new Map();
    this.filter.addEventListener("input", () => this.#filtered());
    root.querySelector("[data-act=all]")?.addEventListener("click", () => compared.compareOnly(this.#matchingRows().map(({ run }) => run).slice(0, MOST.runs)));
    root.querySelector("[data-act=none]")?.addEventListener("click", () => compared.compareOnly([]));
    group.addEventListener("change", () => compared.state.set({ group: group.value }));
    compared.state.addEventListener("change", () => this.show());
    compared.theme.addEventListener("change", () => this.show());
  }

  async #filtered() {
    const text = this.filter.value;
    const names = this.compared.rows.map(({ run }) => run);
    const found = await this.matcher.test(text, names);
    if (text !== this.filter.value) return;
    this.matching = found.names;
    this.problem = found.problem;
    this.show();
  }

  #matchingRows() {
    return this.compared.rows.filter(({ run }) => this.matching === null || this.matching.has(run));
  }

  /** Bring the list in line with the runs and the choices. */
  show() {
    const { compared } = this;
    const { rows, main, wanted, names, unknown } = compared;
    this.root.hidden = rows.length < 2 && unknown.length === 0;
    if (!this.root.hidden) this.#showRows();
    const words = [];
    if (this.problem) words.push(this.problem);
    if (wanted.length > names.length) words.push(`${wanted.length} runs are chosen, the first ${MOST.runs} are drawn`);
    if (unknown.length > 0) words.push(`no run here is called ${unknown.map((name) => `“${name}”`).join(", ")}`);
    const left = this.#matchingRows().length - SHOWN;
    if (left > 0) words.push(`${plural(left, "more run")}: filter to see ${left === 1 ? "it" : "them"}`);
    if (rows.length > 0 && this.#matchingRows().length === 0) words.push("no run matches");
    say(this.note, words.join(". "));
    this.note.hidden = words.length === 0;
    this.#showGroups(main);
  }

  #showRows() {
    const { compared } = this;
    const { names, main } = compared;
    const colours = new Map(compared.setting.runs.map(({ name, colour }) => [name, colour]));
    const others = compared.colours.of([], []);
    const rows = this.#matchingRows();
    // What is drawn is there even if it is an old one. Nothing changes its place when it is chosen: the
    // next row would be where the one before it was, under the hand that is about to click again.
    const drawn = rows.filter(({ run }) => names.includes(run));
    const rest = rows.filter(({ run }) => !names.includes(run));
    const kept = new Set([...drawn, ...rest].slice(0, SHOWN).map(({ run }) => run));
    const shown = rows.filter(({ run }) => kept.has(run));
    for (const [run, { element }] of this.made_) {
      if (kept.has(run)) continue;
      element.remove();
      this.made_.delete(run);
    }
    let next = this.list.firstElementChild;
    for (const { run, state } of shown) {
      let row = this.made_.get(run);
      if (!row) this.made_.set(run, (row = this.made(run)));
      const colour = colours.get(run) ?? others.get(run) ?? compared.colours.of([run], compared.theme.palette.runs).get(run) ?? "#808080";
      if (row.colour.value !== colour) row.colour.value = colour;
      row.eye.checked = names.includes(run);
      row.eye.disabled = run === main;
      say(row.state, WORDS.get(state) ?? state);
      row.element.classList.toggle("is-main", run === main);
      row.element.classList.toggle("drawn", names.includes(run));
      if (row.element !== next) this.list.insertBefore(row.element, next);
      else next = next.nextElementSibling;
    }
  }

  /** @param {string} run */
  made(run) {
    const { compared } = this;
    const element = document.createElement("li");
    element.className = "run-row";
    const eye = input("checkbox", `compare ${run}`, element);
    eye.addEventListener("change", () => compared.compare(run, eye.checked));
    const colour = input("color", `colour of ${run}`, element);
    colour.addEventListener("change", () => compared.recolour(run, colour.value));
    const name = button(run, `show ${run}`, element);
    name.className = "run-name";
    name.addEventListener("click", () => compared.state.set({ run }));
    const state = document.createElement("span");
    state.className = "run-state";
    element.append(state);
    const solo = button("only", `draw only ${run}`, element);
    solo.className = "run-solo";
    solo.addEventListener("click", () => compared.solo(run));
    return { element, eye, colour, state };
  }

  /** @param {string} main */
  #showGroups(main) {
    const { compared, group } = this;
    const { choices } = compared.state;
    const options = groupings(main ? compared.setting.runs : []);
    if (!options.some(({ value }) => value === choices.group)) options.push({ value: choices.group, label: choices.group.replace(/^(mesh|config):/, "$1 ") });
    const wanted = JSON.stringify(options);
    if (wanted !== this.offered && document.activeElement !== group) {
      this.offered = wanted;
      group.replaceChildren(...options.map(({ value, label }) => {
        const option = document.createElement("option");
        option.value = value;
        option.textContent = label;
        return option;
      }));
    }
    group.value = choices.group;
  }
}

/** @param {string} type @param {string} label @param {HTMLElement} parent */
function input(type, label, parent) {
  const element = document.createElement("input");
  element.type = type;
  element.setAttribute("aria-label", label);
  element.title = label;
  parent.append(element);
  return element;
}

/** @param {string} text @param {string} label @param {HTMLElement} parent */
function button(text, label, parent) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.title = label;
  element.setAttribute("aria-label", label);
  parent.append(element);
  return element;
}

/** @param {HTMLElement} element @param {string} text */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
