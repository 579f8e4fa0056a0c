// Questions to the server's API, one after the other: the newest of each asker counts, and what
// nobody waits for any longer is not asked.
//
// Law: who asks again keeps its place in the line; between two answers the server has as long for
// others as the last one took.

const LONGEST_REST_MS = 1_000;

/** Tells apart the askers; each has at most one question waiting. */
export class Asking {
  /** @param {string} prefix of the page's paths */
  constructor(prefix) {
    this.prefix = prefix;
    /** @type {Map<object, {path: string, query: Record<string, string|number>, resolve: (answer: any) => void, reject: (error: Error) => void}>} */
    this.waiting = new Map();
    this.busy = false;
  }

  /**
   * @param {object} asker
   * @param {string} path below /api/v1/
   * @param {Record<string, string|number>} query
   * @returns {Promise<any>} null where it was withdrawn or overtaken; rejects with the server's sentence
   */
  ask(asker, path, query) {
    this.waiting.get(asker)?.resolve(null);
    return new Promise((resolve, reject) => {
      this.waiting.set(asker, { path, query, resolve, reject });
      this.#next();
    });
  }

  /** @param {object} asker */
  withdraw(asker) {
    const before = this.waiting.get(asker);
    this.waiting.delete(asker);
    before?.resolve(null);
  }

  async #next() {
    if (this.busy) return;
    this.busy = true;
    for (let first = this.waiting.entries().next(); !first.done; first = this.waiting.entries().next()) {
      const [asker, { path, query, resolve, reject }] = first.value;
      this.waiting.delete(asker);
      const began = performance.now();
      try {
        resolve(await this.#fetch(path, query));
      } catch (error) {
        reject(/** @type {Error} */ (error));
      }
      const took = performance.now() - began;
      await new Promise((rested) => setTimeout(rested, Math.min(took, LONGEST_REST_MS)));
    }
    this.busy = false;
  }

  /**
   * @param {string} path
   * @param {Record<string, string|number>} query
   */
  async #fetch(path, query) {
    const text = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
    const answer = await fetch(`${this.prefix}/api/v1/${path}?${text}`);
    if (answer.ok) return answer.json();
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.error ?? `the server answered ${answer.status}`);
  }
}
