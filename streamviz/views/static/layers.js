// What one chart draws: layers, each of one run, of one metric or expression, of some ranks, in one colour.

import { alongOf, derive } from "./derive.js";
import { combined } from "./evaluation.js";

/**
 * @typedef {object} LayerSpec
 * @property {string} id the same layer has the same one, whatever its colour
 * @property {string} run
 * @property {string} metric "" for an expression
 * @property {import("./expression.js").Expression|null} expression
 * @property {string|null} ranks null is all
 * @property {string} label what tells it from the others of its chart
 * @property {string|null} colour null: the run's own, as the page has it
 *
 * @typedef {{mode: import("./views.js").Spec["mode"], points: number, axis: string|null}} LayerHow axis: the metric on the x axis
 * @typedef {{name: string, live: import("./views.js").View, detail: import("./views.js").View|null}} Source
 */

/** One line of a chart, with the views it is made of. */
export class Layer {
  /** @param {LayerSpec} spec */
  constructor(spec) {
    this.spec = spec;
    /** @type {Source[]} while it is near the screen */
    this.sources = [];
    /** @type {Source|null} the metric on the x axis, where it is one */
    this.axis = null;
    /** @type {import("./derive.js").Drawing|null} as it was drawn last */
    this.drawing = null;
  }

  /** The metrics it is made of. */
  get names() {
    const { metric, expression } = this.spec;
    return expression ? expression.names : [metric];
  }

  /** All its views. */
  get #all() {
    return this.axis ? [...this.sources, this.axis] : this.sources;
  }

  /**
   * Ask for its rows; where it has them, for those that are wanted now.
   * @param {import("./views.js").Views} views
   * @param {LayerHow} how
   * @param {() => void} changed
   */
  open(views, { mode, points, axis }, changed) {
    const { run, ranks } = this.spec;
    const source = (/** @type {string} */ name) => ({
      name,
      live: views.open({ run, metric: name, mode, ranks, start: null, stop: null, points }, changed),
      detail: null,
    });
    if (this.sources.length === 0) this.sources = this.names.map(source);
    for (const { live, detail } of this.sources) {
      live.set({ run, mode, ranks });
      detail?.set({ run, mode, ranks });
    }
    if (this.axis && this.axis.name !== axis) {
      shut(this.axis);
      this.axis = null;
    }
    if (axis !== null) this.axis ??= source(axis);
    this.axis?.live.set({ run, ranks });
  }

  /** No more data. What was drawn stays. */
  close() {
    this.#all.forEach(shut);
    this.sources = [];
    this.axis = null;
  }

  /**
   * Ask for finer rows of a range.
   * @param {import("./views.js").Views} views
   * @param {{start: number, stop: number|null, points: number}} range steps; null: to the newest
   * @param {() => void} changed
   */
  refine(views, { start, stop, points }, changed) {
    for (const source of this.sources) {
      if (source.detail) source.detail.set({ start, stop });
      else source.detail = views.open({ ...source.live.spec, start, stop, points }, changed);
    }
  }

  /** No finer rows any more. */
  coarsen() {
    for (const source of this.sources) {
      source.detail?.close();
      source.detail = null;
    }
  }

  /** Whether the finer rows asked for are here; true where none are. */
  get refined() {
    return this.sources.every(({ detail }) => detail === null || detail.loaded);
  }

  get loaded() {
    return this.sources.length > 0 && this.sources.every(({ live }) => live.loaded);
  }

  /** @returns {string|null} why the server refused it */
  get refusal() {
    return this.sources.map(({ live }) => live.refusal).find((reason) => reason !== null) ?? null;
  }

  /** @returns {number|null} wall time of its newest sample */
  get newest() {
    const newest = Math.max(-Infinity, ...this.sources.map(({ live }) => live.rows.newest ?? -Infinity));
    return newest > -Infinity ? newest : null;
  }

  /** @param {import("./derive.js").How} how */
  derive(how) {
    const { expression } = this.spec;
    const [first] = this.sources;
    // What was drawn before it left the screen stays until it is here again.
    if (!first || (this.drawing && !this.loaded)) return;
    const along = this.axis ? alongOf(this.axis.name, this.axis.live.rows) : null;
    const [rows, fine] = expression ? [combined(expression, this.sources), null] : [first.live.rows, first.detail?.loaded ? first.detail.rows : null];
    this.drawing = derive(rows, fine, { ...how, along });
  }
}

/** @param {Source} source */
function shut({ live, detail }) {
  live.close();
  detail?.close();
}

/**
 * Bring layers in line with what is wanted: those that stay keep their rows.
 * @param {Layer[]} held
 * @param {LayerSpec[]} wanted
 * @param {import("./views.js").Views} views
 * @param {LayerHow} how
 * @param {() => void} changed
 * @returns {Layer[]}
 */
export function relayered(held, wanted, views, how, changed) {
  const before = new Map(held.map((layer) => [layer.spec.id, layer]));
  const layers = wanted.map((spec) => {
    const layer = before.get(spec.id) ?? new Layer(spec);
    before.delete(spec.id);
    layer.spec = spec;
    layer.open(views, how, changed);
    return layer;
  });
  for (const layer of before.values()) layer.close();
  return layers;
}
