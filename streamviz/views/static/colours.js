// The colour of each run: of a colour-blind-safe set, by its name, the same everywhere; or as chosen.

import { hueIndex } from "./theme.js";

const KEY = "streamviz.colours";
/** Colours remembered: the ones chosen last. */
const REMEMBERED = 200;
const COLOUR = /^#[0-9a-f]{6}$/i;

export class Colours {
  constructor() {
    /** @type {Map<string, string>} by run, the one chosen last at the end */
    this.chosen = new Map();
    try {
      const held = JSON.parse(localStorage.getItem(KEY) ?? "[]");
      for (const [run, colour] of held) if (typeof run === "string" && COLOUR.test(colour)) this.chosen.set(run, colour);
    } catch {
      // Nothing is remembered, then.
    }
  }

  /**
   * @param {string} run
   * @param {string|null} colour null: the one of its name again
   */
  choose(run, colour) {
    this.chosen.delete(run);
    if (colour !== null && COLOUR.test(colour)) this.chosen.set(run, colour);
    const kept = [...this.chosen].slice(-REMEMBERED);
    this.chosen = new Map(kept);
    try {
      localStorage.setItem(KEY, JSON.stringify(kept));
    } catch {
      // It holds until the page is closed, then.
    }
  }

  /**
   * Colours of runs that are drawn together: each its own, and no two the same while there are enough.
   * @param {string[]} runs the one that comes first has the choice
   * @param {string[]} palette
   * @returns {Map<string, string>}
   */
  of(runs, palette) {
    /** @type {Map<string, string>} */
    const colours = new Map();
    const taken = new Set();
    for (const run of runs) {
      let place = hueIndex(run);
      for (let tries = 0; taken.has(place) && tries < palette.length; tries += 1) place = (place + 1) % palette.length;
      const chosen = this.chosen.get(run);
      if (chosen === undefined) taken.add(place);
      colours.set(run, chosen ?? palette[place]);
    }
    return colours;
  }
}
