// The views this page has open at the server: one request in flight each, the latest wins,
// and all are opened again after a reconnect.

import { Rows } from "./frames.js";

/**
 * @typedef {object} Spec
 * @property {string} run
 * @property {string} metric
 * @property {"band"|"lines"} mode
 * @property {string|null} ranks
 * @property {number|null} start
 * @property {number|null} stop
 * @property {number} points
 */

const ANSWER_WITHIN_MS = 5_000;

export class View {
  /**
   * @param {Views} views
   * @param {number} id
   * @param {Spec} spec
   * @param {() => void} changed
   * @param {any} rows takes the chunks
   */
  constructor(views, id, spec, changed, rows) {
    this.views = views;
    this.id = id;
    this.changed = changed;
    this.rows = rows;
    /** @type {Spec} what is wanted */
    this.spec = spec;
    /** @type {Spec|null} what was asked for and is not answered yet */
    this.asked = null;
    this.askedAt = 0;
    /** @type {number|null} the server's key */
    this.key = null;
    /** @type {string|null} why the server refused */
    this.refusal = null;
    /** The steps that `rows` answer, once the first of them are here. */
    this.covers = /** @type {Spec|null} */ (null);
    this.loaded = false;
  }

  /** @param {Partial<Spec>} patch */
  set(patch) {
    const spec = { ...this.spec, ...patch };
    const same = Object.entries(spec).every(([name, value]) => value === this.spec[name]);
    this.spec = spec;
    if (!same) this.ask();
  }

  ask() {
    if (this.asked && performance.now() - this.askedAt < ANSWER_WITHIN_MS) return;
    this.asked = this.spec;
    this.askedAt = performance.now();
    this.views.link.send({ op: "view", id: this.id, ...this.spec });
  }

  close() {
    this.views.forget(this);
  }
}

export class Views {
  /** @param {import("./link.js").Link} link */
  constructor(link) {
    this.link = link;
    this.nextId = 1;
    /** @type {Map<number, View>} by our id */
    this.open_ = new Map();
    /** @type {Map<number, Set<View>>} by the server's key */
    this.byKey = new Map();
    link.addEventListener("message", (event) => this.#message(/** @type {CustomEvent} */ (event).detail));
  }

  /**
   * @param {Spec} spec
   * @param {() => void} changed called after each chunk
   * @param {any} [rows] takes the chunks; a chart's by default
   */
  open(spec, changed, rows = new Rows()) {
    const view = new View(this, this.nextId, spec, changed, rows);
    this.nextId += 1;
    this.open_.set(view.id, view);
    view.ask();
    return view;
  }

  /** @param {View} view */
  forget(view) {
    if (!this.open_.delete(view.id)) return;
    this.#unkey(view);
    this.link.send({ op: "close", id: view.id });
  }

  /** @param {import("./frames.js").Chunk} chunk */
  apply(chunk) {
    for (const view of this.byKey.get(chunk.key) ?? []) {
      // A tail can only follow what we hold; without it a reset is on its way.
      if (chunk.meta.op === "tail" && chunk.meta.from > view.rows.length) continue;
      view.rows.apply(chunk);
      view.loaded = true;
      view.changed();
    }
  }

  /** @param {any} message */
  #message(message) {
    if (message.op === "hello") {
      this.byKey.clear();
      for (const view of this.open_.values()) {
        view.key = null;
        view.asked = null;
        view.ask();
      }
      return;
    }
    if (message.op !== "opened" && message.op !== "refused") return;
    const view = this.open_.get(message.id);
    if (!view) return;
    const answered = view.asked;
    view.asked = null;
    if (message.op === "opened") {
      this.#unkey(view);
      view.key = message.key;
      view.refusal = null;
      view.covers = answered;
      const peers = this.byKey.get(message.key) ?? new Set();
      this.byKey.set(message.key, peers.add(view));
    } else {
      view.refusal = String(message.reason);
      view.changed();
    }
    if (answered && answered !== view.spec) view.ask();
  }

  /** @param {View} view */
  #unkey(view) {
    if (view.key === null) return;
    const peers = this.byKey.get(view.key);
    peers?.delete(view);
    if (peers?.size === 0) this.byKey.delete(view.key);
    view.key = null;
  }
}
