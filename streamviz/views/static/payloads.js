// What the ranks sent besides numbers: which of it the server has, and one piece when it is asked for.
//
// Law: the index is asked for only while somebody listens, and at most once in REST_MS.

const REST_MS = 1_000;
/** Pieces that are kept once they were fetched, the oldest goes first. */
const KEPT = 64;

/**
 * @typedef {object} Entry one name of one rank's attempt
 * @property {string} kind
 * @property {string} name
 * @property {number} rank
 * @property {number} attempt
 * @property {number[]} steps oldest first, as are the times and the numbers
 * @property {number[]} times seconds since the epoch
 * @property {number[]} numbers by which a piece is asked for
 * @property {number} [gone] how many made room for newer ones
 */

/** Tells "change" when there is another index. */
export class Payloads extends EventTarget {
  /** @param {string} prefix of the page's paths */
  constructor(prefix) {
    super();
    this.prefix = prefix;
    this.run = "";
    /** The server's newest version, and the one of the index. */
    this.version = 0;
    this.had = 0;
    /** @type {Entry[]} */
    this.index = [];
    /** Names that the index leaves off. */
    this.leftOff = 0;
    /** Why there is no index, as the server says. */
    this.problem = "";
    this.listeners = 0;
    this.asking = false;
    /** @type {Map<number, Promise<any>>} */
    this.bodies = new Map();
  }

  /** Another run is shown. @param {string} run "" for none */
  show(run) {
    if (run === this.run) return;
    Object.assign(this, { run, version: 0, had: 0, index: [], leftOff: 0, problem: "" });
    this.bodies.clear();
    this.dispatchEvent(new Event("change"));
    this.#renew();
  }

  /** The server has another version. @param {string} run @param {number} version */
  take(run, version) {
    if (run !== this.run) return;
    // It counts anew once it was started again.
    if (version < this.version) this.bodies.clear();
    this.version = version;
    this.#renew();
  }

  /** Somebody wants to know from now on. */
  listen() {
    this.listeners += 1;
    this.#renew();
  }

  /** Somebody wants to know no longer. */
  leave() {
    this.listeners -= 1;
  }

  /** @param {...string} kinds */
  of(...kinds) {
    return this.index.filter(({ kind }) => kinds.includes(kind));
  }

  /**
   * One piece, as /api/v1/payload tells it.
   * @param {number} number
   * @returns {Promise<any>} rejects with an Error whose message is the server's sentence
   */
  get(number) {
    const held = this.bodies.get(number);
    if (held) return held;
    const asked = this.#fetch(`payload?run=${encodeURIComponent(this.run)}&number=${number}`);
    this.bodies.set(number, asked);
    asked.catch(() => this.bodies.delete(number));
    for (const first of this.bodies.keys()) {
      if (this.bodies.size <= KEPT) break;
      this.bodies.delete(first);
    }
    return asked;
  }

  /**
   * The newest of another run's of a kind, of its lowest rank.
   * @param {string} run
   * @param {string} kind
   * @returns {Promise<{run: string, rank: number, body: any}|null>} null where it has none, or cannot be asked
   */
  async newestOf(run, kind) {
    const asked = `run=${encodeURIComponent(run)}`;
    try {
      const told = await this.#fetch(`payloads?${asked}`);
      const [first] = told.payloads.filter((/** @type {Entry} */ entry) => entry.kind === kind).sort((/** @type {Entry} */ a, /** @type {Entry} */ b) => a.rank - b.rank || b.attempt - a.attempt);
      if (!first) return null;
      const { body } = await this.#fetch(`payload?${asked}&number=${first.numbers.at(-1)}`);
      return { run, rank: first.rank, body };
    } catch {
      return null;
    }
  }

  /** Where the bytes of an image are. @param {number} number */
  media(number) {
    return `${this.prefix}/api/v1/media?run=${encodeURIComponent(this.run)}&number=${number}`;
  }

  async #renew() {
    if (this.asking || this.listeners === 0 || !this.run || this.version === this.had) return;
    this.asking = true;
    const { run, version } = this;
    try {
      const told = await this.#fetch(`payloads?run=${encodeURIComponent(run)}`);
      if (run === this.run) Object.assign(this, { index: told.payloads, leftOff: told.left_off, had: version, problem: "" });
    } catch (error) {
      if (run === this.run) Object.assign(this, { problem: /** @type {Error} */ (error).message, had: version });
    }
    if (run === this.run) this.dispatchEvent(new Event("change"));
    setTimeout(() => {
      this.asking = false;
      this.#renew();
    }, REST_MS);
  }

  /** @param {string} path */
  async #fetch(path) {
    const answer = await fetch(`${this.prefix}/api/v1/${path}`);
    if (answer.ok) return answer.json();
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error ?? `the server answered ${answer.status}`);
  }
}
