// A chart of somebody's own on the page: embedded, dressed in the page's colours, changed in place.
//
// The server's figure says in the tags of its models what the page decides: `look:PROPERTY=TOKEN` is
// a colour of the theme, `fit:…` is what depends on the width. Beside plot.js the only file that
// knows BokehJS.

/** Pixels, about: a letter's width, and the height of a row of names. */
const LETTER = 6.2;
const LEGEND_ROW = 26;
/** Pixels of a chart that has no rows which need more. */
const HEIGHT = 320;
/** Pixels of a chart's height that its title and its edges take. */
const ABOVE = 44;

/** @param {string} token */
function colourOf(token) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${token}`).trim();
}

/**
 * The colours that a model's tags ask for.
 * @param {unknown} tags
 * @returns {[string, string][]} property and colour
 */
function looks(tags) {
  if (!Array.isArray(tags)) return [];
  /** @type {[string, string][]} */
  const found = [];
  for (const tag of tags) {
    const [, property, token] = /^look:(\w+)=([\w-]+)$/.exec(String(tag)) ?? [];
    const colour = token ? colourOf(token) : "";
    if (colour) found.push([property, colour]);
  }
  return found;
}

/**
 * @param {any} model
 * @param {string} name
 * @returns {number|null} what a tag `name:NUMBER` says
 */
function tagged(model, name) {
  const tag = model.tags?.find?.((/** @type {unknown} */ one) => String(one).startsWith(`${name}:`));
  return tag === undefined ? null : Number(String(tag).slice(name.length + 1));
}

/**
 * An item's JSON in the page's colours: dressed before it is drawn, it never flashes.
 * @param {any} part
 */
function dressed(part) {
  if (Array.isArray(part)) return part.map(dressed);
  if (part === null || typeof part !== "object") return part;
  /** @type {Record<string, any>} */
  const out = {};
  for (const [name, value] of Object.entries(part)) out[name] = name === "array" ? value : dressed(value);
  for (const [property, colour] of looks(part.attributes?.tags)) {
    const before = out.attributes[property];
    out.attributes[property] = before?.type === "value" ? { ...before, value: colour } : colour;
  }
  return out;
}

/**
 * What a figure is, but for its data and its notes: two that are alike differ in these alone.
 * @param {any} item
 */
function shapeOf(item) {
  return JSON.stringify(item.doc.roots, function (name, value) {
    if (name === "id") return undefined;
    if (name === "data" && this !== null && "selected" in this) return undefined;
    if (name === "text" && this.name === "note") return undefined;
    return value;
  });
}

/**
 * The models of a figure that change with the data, by type and name.
 * @param {any} root
 * @returns {[string, any][]}
 */
function filled(root) {
  const found = [...root.references()].filter(({ type, name }) => type === "ColumnDataSource" || (type === "Title" && name === "note"));
  return found.map((model) => [`${model.type} ${model.name}`, model]);
}

/**
 * Ticks of a logarithmic axis: powers of ten, and twos and fives between them where they are few.
 * Bokeh's own leave most of an axis of two powers bare.
 * @param {number} low
 * @param {number} high
 */
function logTicks(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const every = Math.max(1, Math.ceil((last - first) / 9));
  const steps = last - first <= 1 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : last - first <= 4 ? [1, 2, 5] : [1];
  const major = [];
  for (let power = first; power <= last; power += every) {
    for (const step of steps) {
      const tick = Number(`${step}e${power}`);
      if (tick >= low && tick <= high) major.push(tick);
    }
  }
  return { major, minor: [] };
}

/** @param {any} root */
function useLogTicks(root) {
  for (const axis of root.references()) {
    if (axis.type !== "LogAxis") continue;
    const own = axis.ticker.get_ticks_no_defaults.bind(axis.ticker);
    axis.ticker.get_ticks_no_defaults = (/** @type {number} */ low, /** @type {number} */ high, /** @type {any[]} */ ...rest) => {
      const ticks = logTicks(Math.min(low, high), Math.max(low, high));
      return ticks.major.length > 2 ? ticks : own(low, high, ...rest);
    };
    axis.formatter.doFormat = (/** @type {number[]} */ ticks) => ticks.map((tick) => String(Number(tick.toPrecision(6))));
  }
}

export class ShownChart {
  /**
   * @param {any} item Bokeh's json_item of a chart
   * @param {HTMLElement} element
   * @param {() => number} [height] pixels that it is to have at least, asked whenever the width changes
   * @param {boolean} [within] whether it is to have no more, where it has no rows that need it
   * @returns {Promise<ShownChart>}
   */
  static async embed(item, element, height = () => 0, within = false) {
    const chart = new ShownChart(element, height, within);
    await chart.#draw(item);
    return chart;
  }

  /**
   * @param {HTMLElement} element
   * @param {() => number} height
   * @param {boolean} [within]
   */
  constructor(element, height, within = false) {
    this.element = element;
    this.height = height;
    this.within = within;
    this.shape = "";
    this.views = null;
    this.resized = new ResizeObserver(() => this.#fit());
    this.resized.observe(element);
    element.addEventListener("dblclick", () => this.views?.roots[0].reset());
  }

  /** The figure's model. */
  get root() {
    return this.views?.roots[0]?.model;
  }

  /**
   * Show another state: in place where only the data are other, so that a zoom stays.
   * @param {any} item
   */
  async update(item) {
    if (this.views === null || shapeOf(item) !== this.shape) {
      await this.#draw(item);
      return;
    }
    const fresh = this.root.document.constructor.from_json(item.doc);
    const mine = new Map(filled(this.root));
    for (const [key, model] of filled(fresh.roots()[0])) {
      const old = mine.get(key);
      if (old?.type === "ColumnDataSource") old.data = model.data;
      else if (old) old.text = new old.text.constructor({ text: model.text.text });
    }
    fresh.clear();
  }

  /** Take the page's colours as they are now. */
  recolour() {
    for (const model of this.root?.references() ?? []) {
      const colours = looks(model.tags);
      if (colours.length > 0) model.setv(Object.fromEntries(colours));
    }
  }

  /** Give everything back. */
  release() {
    this.resized.disconnect();
    this.#clear();
  }

  /** @param {any} item */
  async #draw(item) {
    this.#clear();
    this.shape = shapeOf(item);
    this.views = await globalThis.Bokeh.embed.embed_item(dressed(item), this.element);
    useLogTicks(this.root);
    this.#fit();
  }

  /** Set what depends on the width: columns of the legend, words along the axis and in cells. */
  #fit() {
    const view = this.views?.roots[0];
    const width = this.element.clientWidth;
    if (!view || width === 0) return;
    let legend = 0;
    for (const model of this.root.references()) {
      const letters = tagged(model, "fit");
      if (letters !== null) {
        model.ncols = Math.max(1, Math.floor((width - 24) / (letters * LETTER + 44)));
        legend = LEGEND_ROW * Math.ceil(model.items.length / model.ncols);
      }
      const words = tagged(model, "fit-words");
      if (words !== null) model.major_label_orientation = words * LETTER < width - 80 ? "horizontal" : 0.7;
      const cells = tagged(model, "fit-cells");
      if (cells !== null) {
        const room = (width - 140) / cells;
        model.setv({ text_font_size: room < 26 ? "9px" : "11px", text_alpha: room < 16 ? 0 : 1 });
      }
    }
    const own = (tagged(this.root, "fit-height") ?? this.root.height ?? 0) + legend;
    this.root.height = this.within && own <= HEIGHT + legend ? this.height() : Math.max(own, this.height());
    this.#fitRound(Math.min(this.root.height - legend - ABOVE, width - 24) / 2);
  }

  /** A pie is as large as its place lets it be. @param {number} room pixels from its middle to the nearest edge */
  #fitRound(room) {
    let radius = 0;
    for (const model of this.root.references()) {
      const most = tagged(model, "fit-radius");
      if (most === null) continue;
      radius = Math.max(24, Math.min(most, room));
      model.radius = { value: radius, units: "screen" };
    }
    for (const model of radius > 0 ? this.root.references() : []) {
      const [x, y] = [tagged(model, "fit-x"), tagged(model, "fit-y")];
      if (x !== null && y !== null) model.setv({ x_offset: { value: radius * x }, y_offset: { value: radius * y } });
    }
  }

  #clear() {
    if (this.views === null) return;
    const { document: mine } = this.root;
    this.views.clear();
    mine.clear();
    const { documents } = globalThis.Bokeh;
    const place = documents.indexOf(mine);
    if (place >= 0) documents.splice(place, 1);
    this.views = null;
    this.element.replaceChildren();
  }
}
