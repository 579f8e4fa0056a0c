// What every module of a model does now: the newest of what `watch` measures, asked for while somebody looks.

/** Asked anew so often; what takes long to answer, less often. */
const EVERY_MS = 3_000;
const SHARE = 4;
/** What is asked for, in the order of the columns; the times are of a forward pass. */
export const ASKED = ["grad_norm", "update_ratio", "act_zero", "seconds"];

/** @typedef {{value: number, from: string}} Value NaN: NaN or infinite; from: the layer whose it is */

export class ModuleValues {
  /**
   * @param {import("./asking.js").Asking} asking
   * @param {() => boolean} held whether nothing new is to come
   * @param {() => void} changed
   */
  constructor(asking, held, changed) {
    this.held = held;
    this.asking = asking;
    this.changed = changed;
    this.run = "";
    this.shown = false;
    this.timer = 0;
    /** @type {string[]} */
    this.measures = [];
    /** @type {Map<string, Map<string, number>>} by measure and layer */
    this.values = new Map();
    /** @type {number|null} */
    this.step = null;
  }

  /**
   * @param {string} run
   * @param {string[]} metrics
   */
  take(run, metrics) {
    if (run !== this.run) {
      this.run = run;
      this.values = new Map();
      this.step = null;
    }
    const found = new Set(metrics.filter((metric) => metric.startsWith("watch/")).map((metric) => metric.split("/")[1]));
    const before = this.measures.join();
    this.measures = ASKED.filter((measure) => found.has(measure));
    if (this.measures.join() !== before && this.shown) this.renew();
  }

  show() {
    this.shown = true;
    this.renew();
  }

  leave() {
    this.shown = false;
    clearTimeout(this.timer);
    this.asking.withdraw(this);
  }

  async renew() {
    clearTimeout(this.timer);
    const began = performance.now();
    if (!this.shown || !this.run || this.measures.length === 0) return;
    const { run } = this;
    if (this.step === null || !this.held()) {
      try {
        const told = await this.asking.ask(this, "newest", { run, measure: this.measures.join() });
        if (told && run === this.run) {
          this.step = told.step;
          this.values = new Map(Object.entries(told.values).map(([measure, layers]) => [measure, new Map(Object.entries(/** @type {any} */ (layers)).map(([layer, value]) => [layer, typeof value === "number" ? value : NaN]))]));
          this.changed();
        }
      } catch {
        // It is asked again; meanwhile what was told last stays.
      }
    }
    clearTimeout(this.timer);
    if (this.shown) this.timer = setTimeout(() => this.renew(), Math.max(EVERY_MS, SHARE * (performance.now() - began)));
  }

  /**
   * Each module's value of a measure: its own, or of what is inside it the greatest.
   * @param {string} measure
   * @param {import("./modules.js").Module[]} modules
   * @returns {(Value|null)[]}
   */
  of(measure, modules) {
    /** @type {(Value|null)[]} */
    const values = modules.map(() => null);
    const layers = [...(this.values.get(measure) ?? [])];
    for (const [module, places] of layersByModule(layers.map(([layer]) => layer), modules.map(({ path }) => path))) {
      for (const place of places) values[module] = worse(values[module], { from: layers[place][0], value: layers[place][1] });
    }
    // A time holds those of what is inside already.
    if (measure === "seconds") return values;
    for (let i = modules.length - 1; i >= 0; i -= 1) {
      const { parent } = modules[i];
      if (parent >= 0) values[parent] = worse(values[parent], values[i]);
    }
    return values;
  }
}

/**
 * @param {Value|null} one
 * @param {Value|null} other
 */
function worse(one, other) {
  if (!one || !other) return one ?? other;
  return Number.isNaN(other.value) || other.value > one.value ? other : one;
}

/**
 * Whose layer each is: the module of its name, or the one whose parameter it names.
 * @param {string[]} layers
 * @param {string[]} paths
 * @returns {Map<number, number[]>} places of layers by the module's
 */
export function layersByModule(layers, paths) {
  const places = new Map(paths.map((path, i) => [path, i]));
  /** @type {Map<number, number[]>} */
  const found = new Map();
  for (const [row, layer] of layers.entries()) {
    let path = layer;
    while (!places.has(path) && path) path = path.slice(0, Math.max(0, path.lastIndexOf(".")));
    const module = places.get(path);
    if (module === undefined) continue;
    const rows = found.get(module);
    if (rows) rows.push(row);
    else found.set(module, [row]);
  }
  return found;
}
