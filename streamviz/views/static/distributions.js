// The Distributions tab: histograms that ranks sent, over the steps, and every layer's norms above them.

import { Asking } from "./asking.js";
import { DistCard } from "./distcard.js";
import { toAdd } from "./empty.js";
import { plural, whole } from "./format.js";
import { CARDS_OF_GROUP, moreButton } from "./group.js";
import { LayerMap } from "./layermap.js";
import { choice, div, segments, span } from "./make.js";
import { Matcher } from "./matcher.js";
import { modulesOf } from "./modules.js";
import { Tip } from "./sheet.js";

const natural = new Intl.Collator("en", { numeric: true });
/** Ranks that are offered one by one; of more the first. */
const OFFERED = 512;
/** What was held up by a pause is made up for within this time. */
const CATCH_UP_MS = 1_000;
/** A card this far from the screen is made ready. */
const NEAR = "300px";

/** @typedef {{section: HTMLElement, grid: HTMLElement, count: HTMLElement, more: HTMLButtonElement, names: string[], asked: number}} Group */

export class Distributions {
  /**
   * @param {HTMLElement} root
   * @param {object} page
   * @param {import("./theme.js").Theme} page.theme
   * @param {import("./payloads.js").Payloads} page.payloads
   * @param {(to: {rank: number, metric?: string}) => void} page.goTo
   * @param {() => boolean} page.paused
   */
  constructor(root, { theme, payloads, goTo, paused }) {
    this.held = () => paused() || document.hidden;
    this.payloads = payloads;
    this.run = "";
    this.shown = false;
    this.tip = new Tip();
    this.asking = new Asking(payloads.prefix);
    this.matcher = new Matcher();
    /** @type {Set<string>|null} names that match; null: all do */
    this.matching = null;
    this.filter = "";
    /** The model by whose order the layers stand. */
    this.ordered = -1;
    this.look = { picture: /** @type {import("./distcard.js").Picture} */ ("heat"), log: false, rank: "" };
    /** @type {Map<string, DistCard>} */
    this.cards = new Map();
    /** @type {Map<string, Group>} */
    this.groups = new Map();
    this.theme = theme;
    this.layers = new LayerMap({ asking: this.asking, tip: this.tip, goTo, held: this.held });
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.#cardOf(target)?.approach(isIntersecting);
    }, { rootMargin: NEAR });
    /** @type {WeakMap<Element, DistCard>} */
    this.byElement = new WeakMap();
    this.#build(root);
    payloads.addEventListener("change", () => this.shown && this.#show());
    theme.addEventListener("change", () => this.shown && this.#redraw());
    addEventListener("resize", () => this.shown && this.#redraw());
  }

  #build(/** @type {HTMLElement} */ root) {
    const picture = segments("picture", [["heat", "heatmap"], ["ridge", "ridgeline"], ["bands", "percentiles"]], this.look.picture, (value) => {
      this.look.picture = /** @type {import("./distcard.js").Picture} */ (value);
      this.scale.disabled = value === "bands";
      this.#redraw();
    });
    this.scale = /** @type {HTMLFieldSetElement} */ (segments("counts", [["", "linear"], ["log", "log"]], "", (value) => {
      this.look.log = value === "log";
      this.#redraw();
    }));
    this.ranks = choice("ranks", (value) => {
      this.look.rank = value;
      this.#renew();
    });
    const label = document.createElement("label");
    label.className = "board-label";
    label.append(span("", "ranks"), this.ranks);
    const filter = document.createElement("input");
    filter.type = "search";
    filter.spellcheck = false;
    filter.placeholder = "text or regex";
    filter.className = "board-filter";
    filter.id = "dist-filter";
    filter.addEventListener("input", () => {
      this.filter = filter.value;
      this.#match();
    });
    const find = document.createElement("label");
    find.className = "board-label";
    find.append(span("", "filter names"), filter);
    this.note = span("board-note");
    this.tools = div("board-tools", picture, this.scale, label, find);
    this.list = div("dist-groups");
    this.blank = div("");
    root.append(this.layers.element, this.tools, this.note, this.list, this.blank);
  }

  /**
   * Another run is shown, or there is more of it.
   * @param {string} run "" for none
   * @param {string[]} metrics
   * @param {{rank: number}[]} _workers
   */
  take(run, metrics, _workers) {
    if (run !== this.run) {
      this.run = run;
      this.ordered = -1;
      for (const card of this.cards.values()) this.#drop(card);
      this.cards.clear();
      for (const { section } of this.groups.values()) section.remove();
      this.groups.clear();
    }
    this.layers.take(run, metrics);
    if (this.shown) this.#show();
  }

  show() {
    this.shown = true;
    this.payloads.listen();
    this.layers.show();
    this.timer = setInterval(() => this.#renew(), CATCH_UP_MS);
    this.#match();
  }

  leave() {
    this.shown = false;
    this.payloads.leave();
    this.layers.leave();
    clearInterval(this.timer);
    this.tip.hide();
  }

  #renew() {
    for (const card of this.cards.values()) card.renew();
  }

  async #match() {
    const names = [...new Set(this.payloads.of("histogram").map(({ name }) => name))];
    const found = await this.matcher.test(this.filter, names);
    this.matching = found.names;
    if (this.shown) this.#show();
  }

  #show() {
    const entries = this.payloads.of("histogram");
    /** @type {Map<string, number>} newest number by name */
    const newest = new Map();
    const ranks = new Set();
    for (const { name, rank, numbers } of entries) {
      newest.set(name, Math.max(newest.get(name) ?? -1, numbers.at(-1) ?? -1));
      ranks.add(rank);
    }
    this.#offer([...ranks].sort((a, b) => a - b));
    const none = newest.size === 0;
    this.tools.hidden = this.note.hidden = this.list.hidden = none;
    this.#nothing(none);
    const names = [...newest.keys()].sort(natural.compare);
    const chosen = this.matching === null ? names : names.filter((name) => this.matching?.has(name) || this.#isNew(name));
    this.note.textContent = chosen.length === names.length ? plural(names.length, "distribution") : `${whole(chosen.length)} of ${plural(names.length, "distribution")}`;
    if (this.payloads.leftOff > 0) this.note.textContent += ` · ${plural(this.payloads.leftOff, "further name")} left off`;
    this.#order();
    this.#lay(chosen);
    for (const [name, card] of this.cards) {
      card.newest = newest.get(name) ?? -1;
    }
    this.#renew();
  }

  /** The layers in the order of the model, where one was sent. */
  async #order() {
    const [first] = this.payloads.of("graph");
    const number = first?.numbers.at(-1) ?? -1;
    if (number === this.ordered) return;
    this.ordered = number;
    if (number < 0) return;
    const told = await this.payloads.get(number).catch(() => null);
    if (told && this.ordered === number) this.layers.arrange(modulesOf(told.body).modules.map(({ path }) => path));
  }

  /** Whether a name has come since they were last matched: as text, until they are again. @param {string} name */
  #isNew(name) {
    return !this.cards.has(name) && name.toLowerCase().includes(this.filter.trim().toLowerCase());
  }

  /** @param {number[]} ranks */
  #offer(ranks) {
    const key = ranks.join();
    if (this.ranks.dataset.key === key) return;
    this.ranks.dataset.key = key;
    const options = [["", ranks.length > 1 ? `all ${ranks.length}, merged` : "all"], ...ranks.slice(0, OFFERED).map((rank) => [String(rank), `r${rank}`])];
    this.ranks.replaceChildren(...options.map(([value, word]) => {
      const element = document.createElement("option");
      element.value = value;
      element.textContent = word;
      return element;
    }));
    if (!options.some(([value]) => value === this.look.rank)) this.look.rank = "";
    this.ranks.value = this.look.rank;
  }

  #nothing(/** @type {boolean} */ none) {
    const key = none ? this.payloads.problem || (this.run ? "none" : "no run") : "";
    if (this.blank.dataset.key === key) return;
    this.blank.dataset.key = key;
    this.blank.hidden = !none;
    if (!none) return;
    this.blank.replaceChildren(this.payloads.problem ? div("board-empty", this.payloads.problem) : toAdd(
      "no distribution yet",
      "One line sends the distributions of every layer’s parameters, gradients and activations, every 100 steps:",
      ['publisher.watch(model, log="all", every=100)', 'publisher.histogram("targets/length", lengths, step=step)'],
      "The second one sends whatever else there is to count: an array or a tensor, binned where the training runs.",
    ));
  }

  // ---------------------------------------------------------------- groups and cards

  /** @param {string[]} names in order */
  #lay(names) {
    /** @type {Map<string, string[]>} */
    const byGroup = new Map();
    for (const name of names) {
      const at = name.indexOf("/");
      const group = at > 0 ? name.slice(0, at) : "";
      byGroup.set(group, [...(byGroup.get(group) ?? []), name]);
    }
    for (const [title, group] of this.groups) {
      if (byGroup.has(title)) continue;
      group.section.hidden = true;
      this.#fill(group, []);
    }
    for (const title of [...byGroup.keys()].sort(natural.compare)) {
      const group = this.groups.get(title) ?? this.#group(title);
      group.section.hidden = false;
      this.#fill(group, byGroup.get(title) ?? []);
    }
  }

  /** @param {Group} group @param {string[]} names */
  #fill(group, names) {
    const room = CARDS_OF_GROUP + group.asked;
    const shown = names.slice(0, room);
    group.count.textContent = plural(names.length, "distribution");
    group.more.hidden = names.length <= room;
    group.more.textContent = `show ${whole(Math.min(names.length - room, CARDS_OF_GROUP))} more of ${whole(names.length - room)}`;
    if (shown.length === group.names.length && shown.every((name, i) => name === group.names[i])) return;
    for (const name of group.names) {
      const card = this.cards.get(name);
      if (!card || shown.includes(name)) continue;
      this.#drop(card);
      this.cards.delete(name);
    }
    group.names = shown;
    group.grid.replaceChildren(...shown.map((name) => (this.cards.get(name) ?? this.#card(name)).element));
  }

  /** @param {string} title */
  #group(title) {
    const heading = document.createElement("h2");
    const toggle = document.createElement("button");
    toggle.type = "button";
    toggle.className = "group-toggle";
    toggle.setAttribute("aria-expanded", "true");
    const count = span("count");
    toggle.append(span("dist-arrow"), span("group-name", title || "general"), " ", count);
    heading.append(toggle);
    const grid = div("dist-grid");
    toggle.addEventListener("click", () => {
      grid.hidden = !grid.hidden;
      toggle.setAttribute("aria-expanded", String(!grid.hidden));
    });
    const more = moreButton(() => {
      group.asked += CARDS_OF_GROUP;
      this.#show();
    });
    const section = document.createElement("section");
    section.className = "dist-group";
    section.append(heading, grid, more);
    const group = { section, grid, count, more, names: /** @type {string[]} */ ([]), asked: 0 };
    this.groups.set(title, group);
    const after = [...this.groups].filter(([other]) => natural.compare(other, title) > 0).sort(([a], [b]) => natural.compare(a, b))[0];
    this.list.insertBefore(section, after?.[1].section ?? null);
    return group;
  }

  /** @param {string} name */
  #card(name) {
    const card = new DistCard(name, { theme: this.theme, asking: this.asking, tip: this.tip, look: this.look, run: () => this.run, held: this.held });
    this.cards.set(name, card);
    this.byElement.set(card.element, card);
    this.observer.observe(card.element);
    return card;
  }

  /** @param {DistCard} card */
  #drop(card) {
    this.observer.unobserve(card.element);
    card.approach(false);
    card.element.remove();
  }

  /** @param {Element} element */
  #cardOf(element) {
    return this.byElement.get(element);
  }

  #redraw() {
    for (const card of this.cards.values()) card.draw();
    this.layers.draw();
  }

  /** For tests: what stands on the screen. */
  inspect() {
    return { ...this.look, names: [...this.groups.values()].flatMap(({ names }) => names), groups: [...this.groups.keys()], cards: [...this.cards.values()].filter(({ near }) => near).map((card) => card.inspect()), layers: this.layers.inspect() };
  }
}
