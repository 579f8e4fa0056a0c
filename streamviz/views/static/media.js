// The Media tab: images, charts, figures, texts and tables that ranks sent, by name and step.
//
// Law: names without bound, cards within one; what is asked for is what is near the screen.

import { wantedRanks } from "./comparison.js";
import { toAdd } from "./empty.js";
import { plural, whole } from "./format.js";
import { CARDS_OF_GROUP, Group, moreButton } from "./group.js";
import { choice, div, span } from "./make.js";
import { Matcher } from "./matcher.js";
import { MediaCard } from "./media-card.js";
import { KINDS, groupOf, shelvesOf } from "./media-frames.js";
import { FullSize } from "./media-full.js";
import { listOf } from "./choices.js";

/** Cards this close to the screen fetch; cards further away than FAR give everything back. */
const NEAR = "240px 0px";
const FAR = "1800px 0px";
/** Cards that are made without asking, of all groups together, and groups that are. */
const CARDS = 384;
const GROUPS = 192;
/** Ranks that are offered one by one. */
const OFFERED = 256;
const natural = new Intl.Collator("en", { numeric: true });

export class Media {
  /**
   * @param {HTMLElement} root
   * @param {object} page
   * @param {import("./state.js").State} page.state
   * @param {import("./theme.js").Theme} page.theme
   * @param {import("./payloads.js").Payloads} page.payloads
   */
  constructor(root, { state, theme, payloads }) {
    this.state = state;
    this.payloads = payloads;
    this.shown = false;
    this.run = "";
    this.linked = false;
    this.matcher = new Matcher();
    /** @type {Set<string>|null} names that the filter finds; null: all */
    this.found = null;
    /** @type {Set<string>} kinds that are chosen; none: every one */
    this.kinds = new Set();
    /** @type {Map<string, import("./media-frames.js").Shelf>} */
    this.shelves = new Map();
    /** @type {Map<string, MediaCard>} */
    this.cards = new Map();
    /** @type {Map<string, Group>} */
    this.groups = new Map();
    this.groupsAtMost = GROUPS;
    const runs = () => listOf(state.choices.runs);
    this.full = new FullSize({ payloads, theme, runs });
    this.context = {
      payloads, theme, runs,
      wanted: () => (state.choices.ranks === "" ? null : wantedRanks(state.choices.ranks)),
      moved: (/** @type {MediaCard} */ card) => this.#moved(card),
      enlarge: (/** @type {MediaCard} */ card) => this.full.open(card),
    };
    /** @type {WeakMap<Element, MediaCard>} */
    this.byElement = new WeakMap();
    this.near = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) isIntersecting ? this.byElement.get(target)?.approach() : this.byElement.get(target)?.leave();
    }, { rootMargin: NEAR });
    this.far = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) if (!isIntersecting) this.byElement.get(target)?.release();
    }, { rootMargin: FAR });
    this.#build(root);
    payloads.addEventListener("change", () => this.shown && this.#take());
    theme.addEventListener("change", () => {
      for (const card of this.cards.values()) card.recolour();
      this.full.recolour();
    });
    state.addEventListener("change", (event) => {
      const { detail } = /** @type {CustomEvent<Set<string>>} */ (event);
      if (!this.shown) return;
      if (detail.has("filter")) this.#filter();
      if (detail.has("ranks")) this.#take();
      if (detail.has("size")) this.list.dataset.size = state.choices.size;
      if (detail.has("runs")) for (const card of this.cards.values()) card.again();
    });
  }

  #build(/** @type {HTMLElement} */ root) {
    this.chips = div("board-counts");
    this.chips.setAttribute("role", "group");
    this.chips.setAttribute("aria-label", "kinds");
    this.ranks = choice("ranks", (ranks) => this.state.set({ ranks }));
    const label = document.createElement("label");
    label.className = "board-label";
    label.append(span("", "ranks"), this.ranks);
    const link = document.createElement("label");
    link.className = "switch";
    link.title = "moving one moves all to the nearest step";
    this.link = document.createElement("input");
    this.link.type = "checkbox";
    this.link.setAttribute("role", "switch");
    this.link.addEventListener("change", () => (this.linked = this.link.checked));
    link.append(span("", "link sliders"), this.link);
    this.live = document.createElement("button");
    this.live.type = "button";
    this.live.className = "button small";
    this.live.textContent = "all newest ▸";
    this.live.addEventListener("click", () => this.#putAll(null));
    this.tools = div("board-tools media-tools", div("media-kinds", this.chips), label, link, this.live);
    this.note = div("board-note");
    this.list = div("media-groups");
    this.list.dataset.size = this.state.choices.size;
    this.noMatch = document.createElement("p");
    this.noMatch.className = "board-empty";
    this.noMatch.hidden = true;
    this.moreGroups = moreButton(() => {
      this.groupsAtMost += GROUPS;
      this.#arrange();
    });
    this.list.append(this.noMatch, this.moreGroups);
    this.blank = div("");
    root.append(this.tools, this.note, this.list, this.blank);
  }

  show() {
    this.shown = true;
    this.list.dataset.size = this.state.choices.size;
    this.payloads.listen();
    this.#take();
    this.#filter();
  }

  leave() {
    this.shown = false;
    this.payloads.leave();
    this.full.close();
    for (const card of this.cards.values()) card.release();
  }

  /** There is another index, or other ranks are wanted. */
  #take() {
    const { payloads } = this;
    if (payloads.run !== this.run) {
      this.run = payloads.run;
      this.groupsAtMost = GROUPS;
      this.full.close();
      for (const card of [...this.cards.values()]) this.#drop(card);
      for (const { built, section } of this.groups.values()) if (built) section.remove();
      this.groups.clear();
    }
    const before = this.shelves.size;
    this.shelves = shelvesOf(payloads.index);
    for (const [key, card] of this.cards) {
      const shelf = this.shelves.get(key);
      if (shelf) card.take(shelf);
      else this.#drop(card);
    }
    this.full.draw();
    this.#offer();
    if (before !== this.shelves.size && this.state.choices.filter.trim()) this.#filter();
    else this.#arrange();
  }

  /** The chips of the kinds there are, and the ranks that may be chosen. */
  #offer() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    /** @type {Set<number>} */
    const ranks = new Set();
    for (const { kind, ranks: of } of this.shelves.values()) {
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      for (const rank of of.keys()) ranks.add(rank);
    }
    const key = JSON.stringify([...counts, ...this.kinds]);
    if (this.chips.dataset.key !== key) {
      this.chips.dataset.key = key;
      const had = this.chips.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.kind : undefined;
      this.chips.replaceChildren(...[...KINDS].flatMap(([kind, one]) => (counts.has(kind) ? [this.#chip(kind, one, counts.get(kind) ?? 0)] : [])));
      if (had) /** @type {HTMLElement|null} */ (this.chips.querySelector(`[data-kind="${had}"]`))?.focus();
    }
    const all = [...ranks].sort((a, b) => a - b);
    const now = this.state.choices.ranks;
    const options = [["", "the lowest that has it"], ...(all.length > 1 ? [[`0-${all.at(-1)}`, `side by side (${Math.min(8, all.length)})`]] : []), ...all.slice(0, OFFERED).map((rank) => [String(rank), `rank ${rank}`])];
    if (!options.some(([value]) => value === now)) options.push([now, `ranks ${now}`]);
    const offered = JSON.stringify([options, now]);
    // An open list must not be rebuilt under the pointer.
    if (this.ranks.dataset.key !== offered) {
      this.ranks.dataset.key = offered;
      this.ranks.replaceChildren(...options.map(([value, words]) => new Option(words, value)));
      this.ranks.value = now;
    }
  }

  /** @param {string} kind @param {string} one @param {number} count */
  #chip(kind, one, count) {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.className = "chip";
    chip.dataset.kind = kind;
    chip.setAttribute("aria-pressed", String(this.kinds.has(kind)));
    chip.append(span("chip-count", whole(count)), ` ${one}${count === 1 ? "" : "s"}`);
    chip.addEventListener("click", () => {
      if (!this.kinds.delete(kind)) this.kinds.add(kind);
      this.#offer();
      this.#arrange();
    });
    return chip;
  }

  async #filter() {
    const text = this.state.choices.filter;
    this.text = text;
    if (!text.trim()) {
      this.found = null;
      this.problem = "";
      this.#arrange();
      return;
    }
    const { names, problem } = await this.matcher.test(text, [...new Set([...this.shelves.values()].map(({ name }) => name))]);
    if (this.text !== text) return;
    this.found = names;
    this.problem = problem;
    this.#arrange();
  }

  /** Bring groups and cards in line with what there is, the kinds and the filter. */
  #arrange() {
    /** @type {Map<string, string[]>} */
    const byGroup = new Map();
    /** @type {Map<string, string[]>} */
    const matching = new Map();
    let matched = 0;
    const add = (/** @type {Map<string, string[]>} */ to, /** @type {string} */ name, /** @type {string} */ key) => {
      const list = to.get(name);
      if (list) list.push(key);
      else to.set(name, [key]);
    };
    for (const [key, { name, kind }] of this.shelves) {
      const group = groupOf(name);
      add(byGroup, group, key);
      if (this.kinds.size > 0 && !this.kinds.has(kind)) continue;
      if (this.found && !this.found.has(name)) continue;
      add(matching, group, key);
      matched += 1;
    }
    const order = [...matching.keys()].sort((a, b) => Number(b === "") - Number(a === "") || natural.compare(a, b));
    const shown = order.slice(0, this.groupsAtMost);
    const kept = new Set(shown);
    for (const [name, group] of this.groups) {
      if (byGroup.has(name) && kept.has(name)) continue;
      if (group.built) group.section.hidden = true;
      this.#fill(group, []);
    }
    let free = CARDS;
    let next = this.noMatch.nextElementSibling;
    for (const name of shown) {
      const group = this.#groupOf(name);
      const keys = /** @type {string[]} */ (matching.get(name));
      group.metrics = /** @type {string[]} */ (byGroup.get(name));
      const unasked = Math.min(CARDS_OF_GROUP, free, keys.length);
      free -= unasked;
      const cards = Math.min(keys.length, unasked + group.asked);
      group.section.hidden = false;
      if (next !== group.section) this.list.insertBefore(group.section, next);
      next = group.section.nextElementSibling;
      this.#fill(group, keys.slice(0, cards));
      group.count(cards, keys.length);
    }
    if (this.cards.size > 2 * CARDS) for (const card of [...this.cards.values()]) if (!card.element.isConnected) this.#drop(card);
    this.#say(order.length - shown.length, matched);
  }

  /** @param {number} groupsLeft @param {number} matched */
  #say(groupsLeft, matched) {
    this.moreGroups.hidden = groupsLeft === 0;
    this.moreGroups.textContent = `show ${whole(Math.min(groupsLeft, GROUPS))} more groups of ${whole(groupsLeft)}`;
    const some = this.shelves.size > 0;
    this.tools.hidden = !some;
    this.list.hidden = !some;
    this.noMatch.hidden = !some || matched > 0;
    this.noMatch.textContent = this.text?.trim() ? `no name matches “${this.text}”${this.kinds.size > 0 ? " among the kinds that are chosen" : ""}` : "nothing of the kinds that are chosen";
    const { leftOff, problem } = this.payloads;
    this.note.textContent = [problem, this.problem, leftOff > 0 ? `${plural(leftOff, "more name")} of ranks, sent longer ago, left off` : ""].filter(Boolean).join(" · ");
    const blank = !some && this.run !== "" && this.payloads.had === this.payloads.version;
    if (this.blank.hidden !== !blank || blank) this.blank.hidden = !blank;
    if (blank && !this.blank.firstChild) {
      this.blank.append(toAdd(
        "no images, texts or tables yet",
        "Any of these lines in the training script shows something here:",
        ['publisher.image("samples", image)', 'publisher.text("prompt", "**Once** upon a time")', 'publisher.table("errors", ["class", "count"], rows)', 'publisher.chart("score", "bar", x=names, y=scores)', 'publisher.figure("attention", figure)  # matplotlib, Plotly, Bokeh'],
        "Each name has a card with a slider over its steps. A “/” in a name makes a group.",
      ));
    }
  }

  /** @param {string} name */
  #groupOf(name) {
    let group = this.groups.get(name);
    if (!group) {
      group = new Group(name, true, { toggled: () => undefined, more: () => this.#arrange() }, "card");
      this.groups.set(name, group);
    }
    return group;
  }

  /** @param {Group} group @param {string[]} keys whose cards are shown, in order */
  #fill(group, keys) {
    if (group.shown.length === keys.length && keys.every((key, i) => key === group.shown[i])) return;
    const kept = new Set(keys);
    for (const key of group.shown) {
      const card = kept.has(key) ? undefined : this.cards.get(key);
      if (!card) continue;
      card.release();
      card.element.remove();
    }
    group.shown = keys;
    let next = group.grid.firstElementChild;
    for (const key of keys) {
      const { element } = this.cards.get(key) ?? this.#add(key);
      if (element !== next) group.grid.insertBefore(element, next);
      next = element.nextElementSibling;
    }
  }

  /** @param {string} key */
  #add(key) {
    const card = new MediaCard(/** @type {any} */ (this.shelves.get(key)), this.context);
    this.cards.set(key, card);
    this.byElement.set(card.element, card);
    this.near.observe(card.element);
    this.far.observe(card.element);
    return card;
  }

  /** @param {MediaCard} card */
  #drop(card) {
    this.near.unobserve(card.element);
    this.far.unobserve(card.element);
    card.release();
    card.element.remove();
    this.cards.delete(card.shelf.key);
    if (this.full.card === card) this.full.close();
    for (const group of this.groups.values()) group.shown = group.shown.filter((key) => key !== card.shelf.key);
  }

  /** @param {MediaCard} card whose slider the person has moved */
  #moved(card) {
    if (this.linked) this.#putAll(card.pin, card);
    if (this.full.card === card) this.full.draw();
  }

  /** @param {import("./media-frames.js").Place|null} pin @param {MediaCard} [but] */
  #putAll(pin, but) {
    for (const card of this.cards.values()) if (card !== but) card.put(pin);
  }

  /** For tests: what stands on the screen. */
  inspect() {
    return { names: [...this.shelves.values()].map(({ name }) => name), cards: [...this.cards.values()].filter(({ element }) => element.isConnected).map((card) => card.inspect()), full: this.full.dialog.open, kinds: [...this.kinds] };
  }
}
