// Pictures of one payload that a library draws: Bokeh's, which the page has, or Plotly's, which the
// server brings where its package is installed.

import { ShownChart } from "./chart-look.js";
import { div } from "./make.js";

const { prefix = "" } = document.documentElement.dataset;

/** Embedding costs tens of milliseconds: one at a time keeps the page responsive. */
let queue = Promise.resolve();

/** @typedef {import("./media-plain.js").Context} Context @typedef {import("./media-plain.js").Payload} Payload */

/** @implements {import("./media-plain.js").Picture} */
export class BokehPicture {
  /** @param {HTMLElement} place @param {Context} context */
  constructor(place, { still }) {
    this.still = still;
    this.place = div("media-figure");
    this.note = div("media-caption");
    this.note.hidden = true;
    place.append(this.place, this.note);
    /** @type {ShownChart|null} */
    this.chart = null;
    this.gone = false;
  }

  /** @param {Payload} payload */
  async show({ number, body }) {
    const left = Array.isArray(body.left_out) ? body.left_out : [];
    const turn = queue.then(async () => {
      if (this.gone || !this.still(number)) return;
      if (this.chart) await this.chart.update(body.item);
      else this.chart = await ShownChart.embed(body.item, this.place, () => this.place.clientHeight, true);
      this.note.hidden = left.length === 0;
      this.note.textContent = left.length > 0 ? `left out, as it could run a script: ${left.join(", ")}` : "";
      if (this.gone) this.release();
    });
    queue = turn.then(() => new Promise((resolve) => setTimeout(resolve)), () => undefined);
    try {
      await turn;
    } catch (error) {
      // Half a figure is none.
      this.chart?.release();
      this.chart = null;
      this.place.replaceChildren();
      throw new Error(`Bokeh cannot draw this: ${/** @type {Error} */ (error).message}`.slice(0, 300));
    }
  }

  recolour() {
    this.chart?.recolour();
  }

  release() {
    this.gone = true;
    this.chart?.release();
    this.chart = null;
  }
}

/** @type {Promise<any>|null} */
let library = null;

/** Plotly, fetched once somebody looks at a figure of it. @returns {Promise<any>} */
function plotly() {
  library ??= new Promise((resolve, reject) => {
    const address = `${prefix}/vendor/plotly.min.js`;
    const script = document.createElement("script");
    script.src = address;
    script.addEventListener("load", () => resolve(globalThis.Plotly));
    script.addEventListener("error", async () => {
      library = null;
      script.remove();
      const said = await fetch(address).then((answer) => answer.json()).catch(() => ({}));
      reject(new Error(said.error ?? "Plotly's library could not be fetched"));
    });
    document.head.append(script);
  });
  return library;
}

const PLAIN = new Map([["scattergl", "scatter"], ["scatterpolargl", "scatterpolar"], ["heatmapgl", "heatmap"]]);

/** @param {any} trace */
function withoutWebgl(trace) {
  return { ...trace, type: PLAIN.get(trace.type) ?? trace.type };
}

const CONFIG = { responsive: true, displaylogo: false, displayModeBar: "hover", showTips: false, plotlyServerURL: "", modeBarButtonsToRemove: ["sendDataToCloud", "sendChartToCloud"] };

/** @implements {import("./media-plain.js").Picture} */
export class PlotlyPicture {
  /** @param {HTMLElement} place @param {Context} context */
  constructor(place, { theme, full, still }) {
    Object.assign(this, { theme, full, still });
    this.place = div("media-figure media-plotly");
    place.append(this.place);
    /** @type {any} */
    this.body = null;
    this.gone = false;
    this.plain = false;
  }

  /** @param {Payload} payload */
  async show({ number, body }) {
    const Plotly = await plotly();
    if (this.gone || !this.still(number)) return;
    this.body = body;
    const { data, layout, frames } = structuredClone(body.figure);
    const figure = { data: this.plain ? data.map(withoutWebgl) : data, layout: this.#dressed(layout), frames, config: CONFIG };
    try {
      await Plotly.react(this.place, figure);
      // Some of its shaders are put together by eval, which this page does not allow.
      if (this.place.querySelector(".no-webgl")) {
        this.plain = true;
        Plotly.purge(this.place);
        this.place.replaceChildren();
        await Plotly.newPlot(this.place, { ...figure, data: data.map(withoutWebgl) });
      }
    } catch (error) {
      throw new Error(`Plotly cannot draw this: ${/** @type {Error} */ (error).message ?? error}`.slice(0, 300));
    }
    if (this.gone) this.release();
  }

  async recolour() {
    if (!this.body || this.gone) return;
    const Plotly = await plotly();
    if (this.body && !this.gone) await Plotly.relayout(this.place, { template: this.#dressed(structuredClone(this.body.figure.layout)).template });
  }

  release() {
    this.gone = true;
    this.body = null;
    globalThis.Plotly?.purge(this.place);
  }

  /**
   * As wide and high as its place; colours that the figure does not say are the page's.
   * @param {any} layout
   */
  #dressed(layout) {
    const { palette } = this.theme;
    const rest = { ...layout };
    delete rest.width;
    delete rest.height;
    const given = rest.template?.layout ?? {};
    const line = { gridcolor: palette.grid, zerolinecolor: palette.line, linecolor: palette.line, tickcolor: palette.line };
    const axis = (/** @type {string} */ name) => ({ ...given[name], ...line });
    const plane = (/** @type {string} */ name, /** @type {string[]} */ axes) => ({ ...given[name], bgcolor: palette.surface, ...Object.fromEntries(axes.map((one) => [one, { ...given[name]?.[one], ...line, backgroundcolor: palette.surface }])) });
    const template = {
      ...rest.template,
      layout: {
        ...given,
        paper_bgcolor: palette.surface,
        plot_bgcolor: palette.surface,
        font: { ...given.font, color: rest.paper_bgcolor ? given.font?.color ?? "#2a3f5f" : palette.ink2, family: palette.font, size: 12 },
        xaxis: axis("xaxis"),
        yaxis: axis("yaxis"),
        polar: plane("polar", ["angularaxis", "radialaxis"]),
        ternary: plane("ternary", ["aaxis", "baxis", "caxis"]),
        scene: plane("scene", ["xaxis", "yaxis", "zaxis"]),
        hoverlabel: { ...given.hoverlabel, font: { color: palette.ink } , bgcolor: palette.surface, bordercolor: palette.line },
      },
    };
    const titled = Boolean(rest.title?.text ?? rest.title);
    const margin = { l: 48, r: 16, t: titled ? 44 : 20, b: 40, ...rest.margin };
    return { ...rest, template, autosize: true, uirevision: rest.uirevision ?? "kept", margin: this.full ? rest.margin : margin };
  }
}
