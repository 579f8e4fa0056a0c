// All charts of a run: in groups, filtered, alive only where they are near the screen.

import { plural } from "./format.js";
import { Panel } from "./panel.js";

/** Charts this close to the screen get data; charts further away than FAR give everything back. */
const NEAR = "160px 0px";
const FAR = "1600px 0px";

/** Groups people look at first, and those they look at last; between them the order of names. */
const FIRST = ["train", "training", "loss", "val", "valid", "validation", "eval", "test", ""];
const LAST = ["system", "gpu", "cpu", "sys"];

export class Board {
  /**
   * @param {HTMLElement} root
   * @param {import("./panel.js").App} app
   */
  constructor(root, app) {
    this.root = root;
    this.app = app;
    /** @type {Map<string, Panel>} by metric */
    this.panels = new Map();
    /** @type {Map<string, Group>} by name */
    this.groups = new Map();
    /** @type {Set<string>} names of groups the person has closed */
    this.closed = new Set();
    /** @type {WeakMap<Element, Panel>} */
    this.byCard = new WeakMap();
    this.near = new IntersectionObserver((entries) => this.#moved(entries, "near"), { rootMargin: NEAR });
    this.far = new IntersectionObserver((entries) => this.#moved(entries, "far"), { rootMargin: FAR });
    this.noMatch = document.createElement("p");
    this.noMatch.className = "no-match";
    this.noMatch.hidden = true;
    root.append(this.noMatch);
    this.matching = 0;
  }

  /** Those that get data. */
  *visible() {
    for (const panel of this.panels.values()) if (panel.near) yield panel;
  }

  /** @param {string[]} metrics in natural order */
  show(metrics) {
    const wanted = new Set(metrics);
    for (const [metric, panel] of this.panels) {
      if (!wanted.has(metric)) this.#drop(metric, panel);
    }
    const orders = new Map(metrics.map((metric, i) => [metric, i]));
    for (const metric of metrics) {
      if (!this.panels.has(metric)) this.#add(metric, orders);
    }
    this.filter(this.app.state.choices.filter);
  }

  clear() {
    for (const [metric, panel] of this.panels) this.#drop(metric, panel);
    this.filter("");
  }

  /**
   * Show only metrics that match: as a regular expression if it is one, else as text.
   * @param {string} text
   */
  filter(text) {
    const matches = matcher(text);
    this.matching = 0;
    for (const group of this.groups.values()) {
      let shown = 0;
      for (const [metric, panel] of group.panels) {
        const match = matches(metric);
        panel.card.element.hidden = !match;
        if (match) shown += 1;
      }
      group.count(shown);
      this.matching += shown;
    }
    this.noMatch.hidden = !(this.panels.size > 0 && this.matching === 0);
    this.noMatch.textContent = `no metric matches “${text}”`;
  }

  /** @param {Iterable<IntersectionObserverEntry>} entries @param {"near"|"far"} zone */
  #moved(entries, zone) {
    for (const entry of entries) {
      const panel = this.byCard.get(entry.target);
      if (!panel) continue;
      if (zone === "near") entry.isIntersecting ? panel.approach() : panel.leave();
      else if (!entry.isIntersecting) panel.release();
    }
  }

  /**
   * @param {string} metric
   * @param {Map<string, number>} orders
   */
  #add(metric, orders) {
    const slash = metric.indexOf("/");
    const name = slash > 0 ? metric.slice(0, slash) : "";
    const panel = new Panel(this.app, metric, slash > 0 ? metric.slice(slash + 1) : metric);
    this.panels.set(metric, panel);
    this.byCard.set(panel.card.element, panel);
    const group = this.groups.get(name) ?? this.#addGroup(name);
    group.panels.set(metric, panel);
    // A metric that appears later takes its place among the others, by the server's order.
    const place = orders.get(metric) ?? 0;
    const after = [...group.panels.keys()].find((other) => other !== metric && (orders.get(other) ?? 0) > place);
    group.grid.insertBefore(panel.card.element, (after && group.panels.get(after)?.card.element) || null);
    this.near.observe(panel.card.element);
    this.far.observe(panel.card.element);
  }

  /** @param {string} name */
  #addGroup(name) {
    const group = new Group(name, !this.closed.has(name), (open) => {
      if (open) this.closed.delete(name);
      else this.closed.add(name);
    });
    const after = [...this.groups.values()].find((other) => precedes(name, other.name));
    this.root.insertBefore(group.section, after?.section ?? null);
    this.groups.set(name, group);
    this.groups = new Map([...this.groups].sort(([a], [b]) => (precedes(a, b) ? -1 : 1)));
    return group;
  }

  /**
   * @param {string} metric
   * @param {Panel} panel
   */
  #drop(metric, panel) {
    this.near.unobserve(panel.card.element);
    this.far.unobserve(panel.card.element);
    panel.release();
    panel.card.element.remove();
    this.panels.delete(metric);
    for (const [name, group] of this.groups) {
      if (!group.panels.delete(metric) || group.panels.size > 0) continue;
      group.section.remove();
      this.groups.delete(name);
    }
  }
}

class Group {
  /**
   * @param {string} name
   * @param {boolean} open
   * @param {(open: boolean) => void} toggled
   */
  constructor(name, open, toggled) {
    this.name = name;
    /** @type {Map<string, Panel>} */
    this.panels = new Map();
    this.section = document.createElement("section");
    this.section.className = "group";
    const heading = document.createElement("h2");
    const toggle = document.createElement("button");
    toggle.type = "button";
    toggle.className = "group-toggle";
    toggle.append(arrow(), name || "general", " ");
    this.counted = document.createElement("span");
    this.counted.className = "count";
    toggle.append(this.counted);
    heading.append(toggle);
    this.grid = document.createElement("div");
    this.grid.className = "grid";
    this.section.append(heading, this.grid);
    const show = (/** @type {boolean} */ opened) => {
      toggle.setAttribute("aria-expanded", String(opened));
      this.grid.hidden = !opened;
    };
    toggle.addEventListener("click", () => {
      show(this.grid.hidden);
      toggled(!this.grid.hidden);
    });
    show(open);
  }

  /** @param {number} shown */
  count(shown) {
    this.section.hidden = shown === 0;
    // How many columns it may take side by side with others.
    this.section.dataset.charts = String(Math.min(shown, 6));
    const all = this.panels.size;
    this.counted.textContent = shown === all ? plural(all, "chart") : `${shown} of ${plural(all, "chart")}`;
  }
}

function arrow() {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [name, value] of [["viewBox", "0 0 12 12"], ["width", "12"], ["height", "12"], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", "M4.5 2.5 8 6 4.5 9.5");
  svg.append(path);
  return svg;
}

/**
 * @param {string} a
 * @param {string} b
 */
function precedes(a, b) {
  const place = (/** @type {string} */ name) => {
    const first = FIRST.indexOf(name.toLowerCase());
    if (first >= 0) return first;
    return LAST.includes(name.toLowerCase()) ? 1000 : 100;
  };
  return place(a) - place(b) < 0 || (place(a) === place(b) && a.localeCompare(b, "en", { numeric: true }) < 0);
}

/**
 * @param {string} text
 * @returns {(metric: string) => boolean}
 */
function matcher(text) {
  const wanted = text.trim();
  if (!wanted) return () => true;
  try {
    const pattern = new RegExp(wanted, "i");
    return (metric) => pattern.test(metric);
  } catch {
    const plain = wanted.toLowerCase();
    return (metric) => metric.toLowerCase().includes(plain);
  }
}
