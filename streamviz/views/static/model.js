// The Model tab: its modules as a tree, their parameters and running time, coloured by what they do now.

import { Asking } from "./asking.js";
import { barList } from "./bars.js";
import { toAdd } from "./empty.js";
import { bytes, compact, inUnit, isolated, measure, plural, whole } from "./format.js";
import { choice, div, segments, span } from "./make.js";
import { MEASURES } from "./measures.js";
import { matchingOf, modulesOf } from "./modules.js";
import { ModuleTable, percent, short } from "./moduletable.js";
import { ModuleValues } from "./modulevalues.js";
import { Profiles } from "./profiles.js";
import { shade } from "./ramps.js";
import { structureOf } from "./structure.js";

const natural = new Intl.Collator("en", { numeric: true });
/** Modules of which the time is drawn as bars. */
const TOP = 20;
/** A small model is shown open. */
const SMALL = 40;

export class Model {
  /**
   * @param {HTMLElement} root
   * @param {object} page
   * @param {import("./state.js").State} page.state
   * @param {import("./theme.js").Theme} page.theme
   * @param {import("./payloads.js").Payloads} page.payloads
   * @param {() => boolean} page.paused
   */
  constructor(root, { state, theme, payloads, paused }) {
    this.state = state;
    this.payloads = payloads;
    this.run = "";
    this.shown = false;
    this.picture = "table";
    /** @type {number} the graph that is drawn */
    this.number = -1;
    /** @type {string} name and rank of the one that was chosen; "" for the first */
    this.chosen = "";
    /** @type {import("./modules.js").Module[]} */
    this.modules = [];
    this.left = 0;
    this.problem = "";
    this.values = new ModuleValues(new Asking(payloads.prefix), () => paused() || document.hidden, () => this.#live());
    this.table = new ModuleTable(() => this.#turned());
    this.profiles = new Profiles(payloads);
    this.#build(root);
    payloads.addEventListener("change", () => this.shown && this.#show());
    theme.addEventListener("change", () => this.shown && this.#draw());
  }

  #build(/** @type {HTMLElement} */ root) {
    this.choose = choice("model", (value) => {
      this.chosen = value;
      this.#show();
    });
    const which = document.createElement("label");
    which.className = "board-label";
    which.append(span("", "model"), this.choose);
    const pictures = segments("show as", [["table", "table"], ["boxes", "boxes"]], this.picture, (value) => {
      this.picture = value;
      this.#draw();
    });
    const depths = div("model-depths");
    for (const [depth, word] of [[1, "1"], [2, "2"], [3, "3"], [Infinity, "all"]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button small";
      button.textContent = String(word);
      button.setAttribute("aria-label", depth === Infinity ? "open everything" : `open ${depth} deep`);
      button.addEventListener("click", () => this.table.openTo(Number(depth)));
      depths.append(button);
    }
    const find = document.createElement("input");
    find.type = "search";
    find.spellcheck = false;
    find.placeholder = "path or type";
    find.className = "board-filter";
    find.id = "model-filter";
    find.addEventListener("input", () => {
      this.filter = find.value;
      this.#search();
    });
    const search = document.createElement("label");
    search.className = "board-label";
    search.append(span("", "find modules"), find);
    this.filter = "";
    this.totals = document.createElement("p");
    this.totals.className = "board-sentence";
    this.note = span("board-note");
    this.detail = div("model-detail");
    this.boxes = div("structure");
    this.painted = "";
    this.colour = choice("colour boxes by", (value) => {
      this.painted = value;
      this.#draw();
    });
    const hue = document.createElement("label");
    hue.className = "board-label";
    hue.append(span("", "colour boxes by"), this.colour);
    this.hue = hue;
    const depthTool = div("board-tool", span("board-label-text", "open, levels"), depths);
    this.tools = div("board-tools", which, pictures, depthTool, hue, search);
    this.timeTitle = div("board-head", heading("forward pass by module, without what is inside"));
    this.times = div("");
    this.timePart = div("board-part", this.timeTitle, this.times);
    const phases = document.createElement("button");
    phases.type = "button";
    phases.className = "text-button";
    phases.textContent = "time per step by phase: System tab ▸";
    phases.addEventListener("click", () => this.state.set({ tab: "system" }));
    this.phases = div("board-part", phases);
    this.tree = div("board-part", this.totals, this.tools, this.note, this.table.element, this.boxes, this.detail);
    this.blank = div("");
    root.append(this.tree, this.timePart, this.profiles.element, this.phases, this.blank);
  }

  /**
   * Another run is shown, or there is more of it.
   * @param {string} run "" for none
   * @param {string[]} metrics
   */
  take(run, metrics) {
    if (run !== this.run) {
      this.run = run;
      this.number = -1;
      this.modules = [];
      this.profiles.drawn = "";
      this.#draw();
    }
    this.values.take(run, metrics);
    this.phases.hidden = !metrics.some((metric) => metric.startsWith("phase/"));
    if (this.shown) this.#show();
  }

  show() {
    this.shown = true;
    this.payloads.listen();
    this.values.show();
    this.#show();
    this.#draw();
  }

  leave() {
    this.shown = false;
    this.payloads.leave();
    this.values.leave();
  }

  async #show() {
    this.profiles.show();
    const entries = this.payloads.of("graph").sort((a, b) => natural.compare(a.name, b.name) || a.rank - b.rank || b.attempt - a.attempt);
    const latest = entries.filter(({ name, rank }, i) => i === 0 || entries[i - 1].name !== name || entries[i - 1].rank !== rank);
    this.#nothing(latest.length === 0);
    if (latest.length === 0) return;
    const keyOf = (/** @type {{name: string, rank: number}} */ { name, rank }) => `${rank} ${name}`;
    const key = latest.map(keyOf).join("\n");
    if (this.choose.dataset.key !== key) {
      this.choose.dataset.key = key;
      this.choose.replaceChildren(...latest.map((entry) => {
        const option = document.createElement("option");
        option.value = keyOf(entry);
        option.textContent = `${isolated(entry.name)} · r${entry.rank}`;
        return option;
      }));
    }
    const wanted = latest.find((entry) => keyOf(entry) === this.chosen) ?? latest[0];
    this.choose.value = keyOf(wanted);
    const number = wanted.numbers.at(-1) ?? -1;
    if (number === this.number) return;
    try {
      const { body, step } = await this.payloads.get(number);
      if (this.choose.value !== keyOf(wanted)) return;
      const first = this.number < 0;
      this.number = number;
      this.step = step;
      this.problem = "";
      const { modules, left } = modulesOf(body);
      this.modules = modules;
      this.left = left;
      this.table.show(modules);
      if (first) this.table.openTo(modules.length <= SMALL ? Infinity : 1);
      this.#search();
      this.#live();
    } catch (error) {
      this.problem = /** @type {Error} */ (error).message;
      this.modules = [];
      this.table.show([]);
      this.number = number;
      this.#draw();
    }
  }

  #nothing(/** @type {boolean} */ none) {
    this.tree.hidden = none;
    const key = none ? this.payloads.problem || "none" : "";
    if (this.blank.dataset.key === key) return;
    this.blank.dataset.key = key;
    this.blank.hidden = !none;
    if (!none) return;
    this.timePart.hidden = true;
    this.blank.replaceChildren(this.payloads.problem ? div("board-empty", this.payloads.problem) : toAdd(
      "no model yet",
      "One line sends the model’s modules, parameters and shapes, the other what each layer does while it trains:",
      ["publisher.graph(model, example_input)", "publisher.watch(model)"],
      "publisher.profile(profiler) sends what torch.profiler measured: the running time by operator.",
    ));
  }

  #search() {
    this.table.choose(matchingOf(this.modules, this.filter));
    this.#draw();
  }

  /** There are newer values. */
  #live() {
    if (!this.shown || this.modules.length === 0) return;
    this.table.colour(this.values);
    const offered = [["nothing", "nothing"], ["share", "parameters"], ["time", "forward time"], ...[...this.table.live.keys()].map((name) => [name, MEASURES.get(name) ?? name])];
    if (offered.length !== this.colour.options.length) {
      this.colour.replaceChildren(...offered.map(([value, word]) => {
        const option = document.createElement("option");
        option.value = value;
        option.textContent = word;
        return option;
      }));
      // What moves is looked at first, until somebody chooses.
      this.colour.value = this.painted || (this.table.live.has("grad_norm") ? "grad_norm" : "share");
    }
    this.#draw();
  }

  #turned() {
    this.#detail();
    if (this.picture === "boxes") this.#structure();
    const count = this.table.rows.length;
    const parts = [this.filter.trim() ? `${whole(count)} of ${plural(this.modules.length, "module")}` : `${plural(this.modules.length, "module")}, ${whole(count)} shown`];
    if (this.left > 0) parts.push(`${plural(this.left, "further one")} left off`);
    if (this.values.step !== null) parts.push(`colours of step ${whole(this.values.step)}, from the least to the greatest`);
    this.note.textContent = parts.join(" · ");
  }

  #draw() {
    const { modules } = this;
    const table = this.picture === "table";
    this.table.element.hidden = !table;
    this.boxes.hidden = table;
    this.hue.hidden = table;
    if (this.problem) this.totals.textContent = this.problem;
    else if (modules.length > 0) {
      const roots = modules.filter(({ depth }) => depth === 0);
      const sum = (/** @type {"total"|"trainable"|"bytes"} */ name) => roots.reduce((all, module) => all + module[name], 0);
      const seconds = roots.reduce((all, module) => all + (module.seconds ?? 0), 0);
      const parts = [`${isolated(modules[0].type)}: ${plural(sum("total"), "parameter")}`, `${sum("trainable") === sum("total") ? "all" : compact(sum("trainable"))} trainable`, bytes(sum("bytes"))];
      if (seconds > 0) parts.push(`forward pass ${inUnit(seconds, "s").join(" ")}`);
      this.totals.textContent = parts.join(" · ");
    }
    if (table) this.table.arrange();
    else this.#structure();
    this.#times();
  }

  #structure() {
    const { live } = this.table;
    const by = this.colour.value;
    const { svg, cut } = structureOf(this.modules, this.table.open, {
      turn: (place) => {
        const { path } = this.modules[place];
        if (!this.table.open.delete(path)) this.table.open.add(path);
        this.table.at = place;
        this.table.arrange();
      },
      look: (place) => {
        const module = this.modules[place];
        const found = live.get(by);
        const value = found?.values[place];
        const time = this.table.timeOf(place);
        if (found && value) {
          if (Number.isNaN(value.value)) return { fill: "var(--red)", ink: "var(--surface)", text: "NaN" };
          return filled(found.scale.place(value.value), by === "act_zero" ? percent(value.value) : short(value.value));
        }
        if (by === "share" && module.total && this.table.top) return filled(module.total / this.table.top, percent(module.total / this.table.top));
        if (by === "time" && time !== null && this.table.longest) return filled(time / this.table.longest, inUnit(time, "s").join(" "));
        return null;
      },
    });
    this.boxes.replaceChildren(svg, ...(cut ? [span("board-note", "there are more boxes than can be told apart: close some")] : []));
  }

  /** What is known of the module that was chosen. */
  #detail() {
    const module = this.modules[this.table.at];
    this.detail.hidden = !module;
    if (!module) return;
    const facts = [
      isolated(`${module.type}${module.extra ? `(${module.extra})` : ""}`),
      `${plural(module.own, "parameter")} of its own, ${whole(module.total)} in all, ${whole(module.trainable)} trainable, ${bytes(module.bytes)}`,
      module.input || module.output ? isolated(`${module.input || "?"} → ${module.output || "?"}`) : "",
      ...[...this.table.live].map(([name, { values }]) => {
        const value = values[this.table.at];
        return value ? `${MEASURES.get(name) ?? name} ${Number.isNaN(value.value) ? "NaN or ∞" : measure(value.value)}${value.from === module.path ? "" : ` (${isolated(value.from)})`}` : "";
      }),
    ];
    this.detail.replaceChildren(span("model-path", module.path ? isolated(module.path) : "(the model)"), ...facts.filter(Boolean).map((fact) => span("", fact)));
  }

  #times() {
    const timed = this.modules.filter(({ ownSeconds }) => ownSeconds !== null && ownSeconds > 0);
    this.timePart.hidden = timed.length === 0;
    const all = timed.reduce((sum, { ownSeconds }) => sum + Number(ownSeconds), 0);
    this.times.replaceChildren(barList(timed.map(({ path, type, ownSeconds }) => ({
      label: path || "(the model)", title: `${path}  ${type}`, value: Number(ownSeconds),
      text: `${inUnit(Number(ownSeconds), "s").join(" ")}  ${percent(Number(ownSeconds) / all)}`,
    })), TOP));
  }

  /** For tests: what stands on the screen. */
  inspect() {
    const { table, modules } = this;
    return {
      modules: modules.length, left: this.left, totals: this.totals.textContent, note: this.note.textContent,
      rows: table.rows.map((place) => modules[place]?.path), at: modules[table.at]?.path, open: [...table.open],
      live: Object.fromEntries([...table.live].map(([name, { values }]) => [name, Object.fromEntries(values.map((value, i) => [modules[i].path, value]))])),
      profile: this.profiles.inspect(),
    };
  }
}

/** @param {number} share @param {string} text */
function filled(share, text) {
  return { fill: shade("viridis", share), ink: share > 0.6 ? "#101316" : "#ffffff", text };
}

/** @param {string} text */
function heading(text) {
  const title = document.createElement("h2");
  title.className = "board-title";
  title.textContent = text;
  return title;
}
