// One group of charts: its heading, its cards, and the button for those that are not made yet.

import { plural, whole } from "./format.js";

/** Cards of a group that are made at a time: whole rows in any width. */
export const CARDS_OF_GROUP = 96;

export class Group {
  /**
   * @param {string} name
   * @param {boolean} open
   * @param {{toggled: (open: boolean) => void, more: () => void}} on
   * @param {string} [one] what it is a group of
   */
  constructor(name, open, { toggled, more }, one = "chart") {
    this.one = one;
    this.name = name;
    this.title = name;
    this.open = open;
    this.on = { toggled, more };
    /** @type {string[]} all there are, in order */
    this.metrics = [];
    /** @type {string[]} those that have a card */
    this.shown = [];
    /** Cards that the person asked for, beyond those made anyway. */
    this.asked = 0;
    /** Whether its elements are made: of ten thousand groups few are ever looked at. */
    this.built = false;
  }

  /** @param {string} title */
  call(title) {
    this.title = title;
    if (this.label) this.label.textContent = title || "general";
  }

  /** @returns {HTMLElement} */
  get section() {
    if (!this.built) this.#build();
    return /** @type {HTMLElement} */ (this.made);
  }

  #build() {
    const { toggled, more } = this.on;
    this.built = true;
    const section = document.createElement("section");
    this.made = section;
    section.className = "group";
    const heading = document.createElement("h2");
    const toggle = document.createElement("button");
    toggle.type = "button";
    toggle.className = "group-toggle";
    this.label = document.createElement("span");
    this.label.className = "group-name";
    this.label.textContent = this.title || "general";
    toggle.append(arrow(), this.label, " ");
    this.counted = document.createElement("span");
    this.counted.className = "count";
    toggle.append(this.counted);
    heading.append(toggle);
    this.grid = document.createElement("div");
    this.grid.className = "grid";
    this.more = moreButton(() => {
      this.asked += CARDS_OF_GROUP;
      more();
    });
    section.append(heading, this.grid, this.more);
    const show = (/** @type {boolean} */ opened) => {
      toggle.setAttribute("aria-expanded", String(opened));
      this.grid.hidden = !opened;
    };
    toggle.addEventListener("click", () => {
      show(this.grid.hidden);
      toggled(!this.grid.hidden);
    });
    show(this.open);
  }

  /**
   * @param {number} cards
   * @param {number} matching
   */
  count(cards, matching) {
    // How many columns it may take side by side with others.
    this.section.dataset.charts = String(Math.min(matching, 6));
    const all = this.metrics.length;
    this.counted.textContent = matching === all ? plural(all, this.one) : `${matching} of ${plural(all, this.one)}`;
    const left = matching - cards;
    this.more.hidden = left <= 0;
    this.more.textContent = `show ${whole(Math.min(left, CARDS_OF_GROUP))} more of ${whole(left)}`;
  }
}

/** @param {() => void} act */
export function moreButton(act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button more";
  button.hidden = true;
  button.addEventListener("click", act);
  return button;
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
