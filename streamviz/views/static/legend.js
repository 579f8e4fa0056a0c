// What the lines of a chart stand for, where there are several: a row below its title.

/** Names beyond these are counted; of more than a few there is room for the names alone. */
const SHOWN = 5;
const WITH_VALUES = 3;
/** Letters for which there is room beside a value. */
const SHORT = 12;

export class Legend {
  /**
   * @param {HTMLElement} card
   * @param {HTMLElement} before the element it stands before
   */
  constructor(card, before) {
    this.card = card;
    this.element = document.createElement("div");
    this.element.className = "legend";
    this.element.hidden = true;
    card.insertBefore(this.element, before);
    this.more = document.createElement("span");
    this.more.className = "legend-more";
    /** @type {{element: HTMLElement, swatch: HTMLElement, label: HTMLElement, value: HTMLElement}[]} */
    this.entries = [];
  }

  /**
   * @param {boolean} shown
   * @param {number} left layers that are not drawn
   */
  show(shown, left) {
    this.element.hidden = !shown;
    this.card.classList.toggle("layered", shown);
    this.left = left;
  }

  /** @param {import("./composite.js").Reading[]} readings */
  fill(readings) {
    const shown = readings.slice(0, SHOWN);
    while (this.entries.length > shown.length) this.entries.pop()?.element.remove();
    const same = sharedStart(readings.map(({ label }) => label));
    shown.forEach(({ label, colour, text }, i) => {
      const entry = (this.entries[i] ??= this.#made());
      say(entry.label, same > 0 ? `…${label.slice(same)}` : label);
      say(entry.value, text);
      if (entry.swatch.style.background !== colour) entry.swatch.style.background = colour;
      entry.element.title = label;
    });
    this.element.classList.toggle("names", readings.length > WITH_VALUES);
    const left = readings.length - shown.length + (this.left ?? 0);
    say(this.more, left > 0 ? `+${left} more` : "");
    this.element.append(this.more);
  }

  #made() {
    const element = document.createElement("span");
    element.className = "legend-entry";
    const [swatch, label, value] = ["swatch", "legend-label", "legend-value"].map((name) => {
      const part = document.createElement("span");
      part.className = name;
      element.append(part);
      return part;
    });
    this.element.append(element);
    return { element, swatch, label, value };
  }
}

/**
 * How many characters all names begin with, up to a sign that parts words: what tells them apart comes
 * after, and would be cut off first where there is little room.
 * @param {string[]} names
 */
function sharedStart(names) {
  const [first = ""] = names;
  let same = 0;
  while (same < first.length && names.every((name) => name[same] === first[same])) same += 1;
  while (same > 0 && !/[\s/_.:·-]/.test(first[same - 1])) same -= 1;
  const tight = names.length > WITH_VALUES || names.some(({ length }) => length > SHORT);
  return names.length > 1 && same > 3 && tight ? same : 0;
}

/** @param {HTMLElement} element @param {string} text */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
