// All charts of a run: in groups, filtered, alive only where they are near the screen.
//
// A run may have ten thousand metrics: cards are made for the first of them, and for more when asked.

import { plainChart } from "./chart.js";
import { whole } from "./format.js";
import { CARDS_OF_GROUP, Group, moreButton } from "./group.js";
import { Matcher } from "./matcher.js";
import { Panel } from "./panel.js";
import { removeLater } from "./plot.js";

/** Charts this close to the screen get data; charts further away than FAR give everything back. */
const NEAR = "160px 0px";
const FAR = "1600px 0px";

/** Cards that are made without asking, of all groups together, and groups that are. */
const CARDS = 384;
const GROUPS = 192;

const PINNED = "\0pinned";

/** Groups people look at first, and those they look at last; between them the order of names. */
const FIRST = ["train", "training", "loss", "val", "valid", "validation", "eval", "test", ""];
const LAST = ["system", "gpu", "cpu", "sys"];

export class Board {
  /**
   * @param {HTMLElement} root
   * @param {import("./panel.js").App} app
   * @param {import("./arrangement.js").Arrangement} arrangement
   */
  constructor(root, app, arrangement) {
    this.root = root;
    this.app = app;
    this.arrangement = arrangement;
    this.matcher = new Matcher();
    /** @type {Set<string>|null} what the filter finds among the words of all charts; null: everything */
    this.found = null;
    /** Why the filter did otherwise than it was told. */
    this.problem = "";
    /** @type {Map<string, import("./chart.js").Chart>} by key: those that are not simply a metric */
    this.special = new Map();
    /** @type {string[]} of the run, in the server's order */
    this.metrics = [];
    /** @type {Map<string, Panel>} by key, of plain charts the metric: those that have a card */
    this.panels = new Map();
    /** @type {Map<string, Group>} by name, in the order they are shown in */
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
    this.groupsAtMost = GROUPS;
    this.moreGroups = moreButton(() => {
      this.groupsAtMost += GROUPS;
      this.#arrange();
    });
    root.append(this.noMatch, this.moreGroups);
    this.text = "";
    this.matching = 0;
    /** @type {((metric: string) => boolean)|null} which metrics are shown at all; null: every one */
    this.only = null;
  }

  /** The metrics that the filter leaves, in the order they are shown in. */
  shownMetrics() {
    return [...this.groups.values()].flatMap(({ metrics }) => metrics.filter((key) => !key.startsWith("\0") && (this.found?.has(this.#wordsOf(key)) ?? true)));
  }

  /** Charts there are, found by the filter or not. */
  get total() {
    return [...this.groups.values()].reduce((sum, { metrics }) => sum + metrics.length, 0);
  }

  /** Those that get data. */
  *visible() {
    for (const panel of this.panels.values()) if (panel.near) yield panel;
  }

  /** @param {string[]} metrics in natural order */
  show(metrics) {
    this.metrics = metrics;
    const { sections, charts } = this.arrangement.sections;
    this.special = charts;
    const placed = new Set(sections.flatMap(({ keys }) => keys));
    const there = new Set(metrics);
    const pins = this.arrangement.pins.filter((key) => metrics.length > 0 && (there.has(key) || placed.has(key)));
    const pinned = new Set(pins);
    /** @type {Map<string, string[]>} */
    const names = new Map();
    /** @type {Map<string, string>} */
    const titles = new Map();
    const put = (/** @type {string} */ id, /** @type {string} */ title, /** @type {string[]} */ keys) => {
      if (metrics.length === 0 || keys.length === 0) return;
      names.set(id, keys);
      titles.set(id, title);
    };
    put(PINNED, "pinned", pins);
    for (const { id, title, keys } of sections) put(id, title, keys.filter((key) => !pinned.has(key)));
    for (const metric of this.arrangement.rest ? metrics : []) {
      if (pinned.has(metric)) continue;
      const slash = metric.indexOf("/");
      const name = slash > 0 ? metric.slice(0, slash) : "";
      const list = names.get(name);
      if (list) list.push(metric);
      else names.set(name, [metric]);
    }
    for (const [name, list] of names) {
      const group = this.groups.get(name) ?? this.#newGroup(name);
      group.call(titles.get(name) ?? name);
      group.metrics = list;
      this.groups.set(name, group);
    }
    const wanted = new Set([...names.values()].flat());
    for (const [key, panel] of this.panels) {
      if (wanted.has(key)) panel.become(this.#chartOf(key));
      else this.#drop(key, panel);
    }
    for (const [name, group] of this.groups) {
      if (names.has(name)) continue;
      if (group.built) removeLater(group.section);
      this.groups.delete(name);
    }
    const place = new Map([...titles.keys()].map((id, i) => [id, i]));
    this.groups = new Map([...this.groups].sort(([a], [b]) => (place.get(a) ?? Infinity) - (place.get(b) ?? Infinity) || order(a, b)));
    this.filter(this.app.state.choices.filter);
  }

  /** The charts are arranged otherwise now. */
  rearrange() {
    this.show(this.metrics);
  }

  /** @param {string} key */
  #chartOf(key) {
    return this.arrangement.changed_(this.special.get(key) ?? plainChart(key));
  }

  /** What the filter looks at, of a chart. @param {string} key */
  #wordsOf(key) {
    const chart = this.special.get(key);
    if (!chart) return key;
    return [chart.title, ...chart.series.map((one) => ("metric" in one ? one.metric : one.expression))].join(" ");
  }

  clear() {
    this.groupsAtMost = GROUPS;
    this.show([]);
  }

  /**
   * Show only metrics that match: as a regular expression if it is one, else as text.
   * @param {string} text
   */
  async filter(text) {
    this.text = text;
    const words = text.trim() ? [...this.groups.values()].flatMap(({ metrics }) => metrics.map((key) => this.#wordsOf(key))) : [];
    const asked = this.matcher.test(text, words);
    // Without a pattern there is nothing to wait for; with one, what was found before stays meanwhile.
    if (!text.trim()) this.found = null;
    this.#arrange();
    const { names, problem } = await asked;
    if (this.text !== text) return;
    this.found = names;
    this.problem = problem;
    this.#arrange();
    this.app.arranged();
  }

  /** Bring groups and cards in line with the metrics and the filter. */
  #arrange() {
    const matches = (/** @type {string} */ key) => (this.only?.(key) ?? true) && (this.found?.has(this.#wordsOf(key)) ?? true);
    const found = [...this.groups.values()]
      .map((group) => ({ group, names: this.only || this.found ? group.metrics.filter(matches) : group.metrics }))
      .filter(({ names }) => names.length > 0);
    const shown = found.slice(0, this.groupsAtMost);
    const kept = new Set(shown.map(({ group }) => group));
    for (const group of this.groups.values()) {
      if (!group.built) continue;
      group.section.hidden = !kept.has(group);
      if (group.section.hidden) this.#fill(group, []);
    }
    let free = CARDS;
    let next = this.noMatch.nextElementSibling;
    for (const { group, names } of shown) {
      const unasked = Math.min(CARDS_OF_GROUP, free, names.length);
      free -= unasked;
      const cards = Math.min(names.length, unasked + group.asked);
      next = inPlace(this.root, group.section, next);
      this.#fill(group, names.slice(0, cards));
      group.count(cards, names.length);
    }
    this.matching = found.reduce((sum, { names }) => sum + names.length, 0);
    this.#tidy();
    const left = found.length - shown.length;
    this.moreGroups.hidden = left === 0;
    this.moreGroups.textContent = `show ${whole(Math.min(left, GROUPS))} more groups of ${whole(left)}`;
    this.noMatch.hidden = !(this.metrics.length > 0 && this.matching === 0 && this.text.trim());
    this.noMatch.textContent = `no metric matches “${this.text}”`;
  }

  /**
   * @param {Group} group
   * @param {string[]} names whose cards are shown, in order
   */
  #fill(group, names) {
    if (group.shown.length === names.length && names.every((name, i) => name === group.shown[i])) return;
    for (const metric of group.shown) {
      const panel = this.panels.get(metric);
      if (panel) panel.card.element.hidden = true;
    }
    group.shown = names;
    let next = group.grid.firstElementChild;
    for (const metric of names) {
      const { element } = (this.panels.get(metric) ?? this.#add(metric)).card;
      element.hidden = false;
      next = inPlace(group.grid, element, next);
    }
  }

  /** Cards that a filter hid are kept, with their zoom, while they are few. */
  #tidy() {
    if (this.panels.size <= 2 * CARDS) return;
    for (const [metric, panel] of this.panels) if (panel.card.element.hidden) this.#drop(metric, panel);
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

  /** @param {string} metric */
  #add(metric) {
    const panel = new Panel(this.app, this.#chartOf(metric));
    this.panels.set(metric, panel);
    this.byCard.set(panel.card.element, panel);
    this.near.observe(panel.card.element);
    this.far.observe(panel.card.element);
    return panel;
  }

  /** @param {string} name */
  #newGroup(name) {
    return new Group(name, !this.closed.has(name), {
      toggled: (open) => {
        if (open) this.closed.delete(name);
        else this.closed.add(name);
      },
      more: () => this.#arrange(),
    });
  }

  /**
   * @param {string} metric
   * @param {Panel} panel
   */
  #drop(metric, panel) {
    this.near.unobserve(panel.card.element);
    this.far.unobserve(panel.card.element);
    panel.drop();
    this.panels.delete(metric);
  }
}

/**
 * Put a child before another unless it stands there; hidden ones in between do not matter.
 * @param {Element} parent
 * @param {HTMLElement} child
 * @param {Element|null} next
 * @returns {Element|null} before which the next one goes
 */
function inPlace(parent, child, next) {
  let place = next;
  while (place instanceof HTMLElement && place !== child && place.hidden && !place.matches(".more")) place = place.nextElementSibling;
  if (place === child) return child.nextElementSibling;
  // A child that is moved has its figures laid out again.
  parent.insertBefore(child, place);
  return place;
}

const names = new Intl.Collator("en", { numeric: true });

/**
 * @param {string} a
 * @param {string} b
 */
function order(a, b) {
  return rank(a) - rank(b) || names.compare(a, b);
}

/** @param {string} name */
function rank(name) {
  const first = FIRST.indexOf(name.toLowerCase());
  if (first >= 0) return first;
  return LAST.includes(name.toLowerCase()) ? 1000 : 100;
}
