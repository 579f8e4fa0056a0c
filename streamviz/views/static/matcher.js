// Which names match what somebody typed: as a regular expression if it is one, else as text.
//
// A pattern runs in a worker that is ended when it takes too long: some expressions never come to an
// end, and the page must not wait for them. Then the names are matched as text, and it is said so.

/** Time a pattern has for all names, once it has begun. */
const WITHIN_MS = 200;
/** Time the worker has to begin at all, on a machine that has much to do. */
const BEGIN_WITHIN_MS = 5_000;
/** What makes a text more than a text. */
const SPECIAL = /[\\^$.*+?()[\]{}|]/;
/** Longest pattern that is tried as one. */
const MOST_PATTERN = 500;

/** @typedef {{names: Set<string>|null, problem: string}} Found names: null is all */

export class Matcher {
  constructor() {
    /** @type {Worker|null} */
    this.worker = null;
    this.asked = 0;
    /** @type {((found: Found) => void)|null} who waits for the last answer */
    this.waiting = null;
    this.timer = 0;
  }

  /**
   * @param {string} text
   * @param {string[]} names
   * @returns {Promise<Found>} of the last text asked for; earlier ones get what matches as text
   */
  async test(text, names) {
    const wanted = text.trim();
    if (!wanted) return { names: null, problem: "" };
    if (!SPECIAL.test(wanted)) return { names: plain(wanted, names), problem: "" };
    try {
      if (wanted.length > MOST_PATTERN) throw new SyntaxError("too long");
      new RegExp(wanted, "i");
    } catch {
      return { names: plain(wanted, names), problem: "" };
    }
    this.#give(null);
    return new Promise((resolve) => {
      this.asked += 1;
      const asked = this.asked;
      this.waiting = (found) => resolve(found);
      this.fall = () => ({ names: plain(wanted, names), problem: `the pattern takes longer than ${WITHIN_MS} ms: matched as text` });
      const worker = (this.worker ??= this.#started());
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.#end(), BEGIN_WITHIN_MS);
      worker.postMessage({ asked, pattern: wanted, names });
    });
  }

  #started() {
    const worker = new Worker(new URL("./matcher-worker.js", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }) => {
      if (data.asked !== this.asked) return;
      clearTimeout(this.timer);
      if (data.begun) this.timer = setTimeout(() => this.#end(), WITHIN_MS);
      else this.#give({ names: new Set(data.names), problem: "" });
    });
    worker.addEventListener("error", () => this.#end());
    return worker;
  }

  /** It takes too long, or cannot be had: as text. */
  #end() {
    this.worker?.terminate();
    this.worker = null;
    this.#give(null);
  }

  /** @param {Found|null} found null: as text */
  #give(found) {
    clearTimeout(this.timer);
    const { waiting } = this;
    this.waiting = null;
    waiting?.(found ?? /** @type {() => Found} */ (this.fall)());
  }
}

/** @param {string} wanted @param {string[]} names */
function plain(wanted, names) {
  const text = wanted.toLowerCase();
  return new Set(names.filter((name) => name.toLowerCase().includes(text)));
}
