// The tabs and what stands behind them: which of the boards is shown, fed and drawn.

import { Distributions } from "./distributions.js";
import { Heatmap } from "./heatmap.js";
import { div } from "./make.js";
import { Media } from "./media.js";
import { Model } from "./model.js";
import { Phases } from "./phases.js";
import { Resources } from "./resources.js";
import { Tabs } from "./tabs.js";
import { Workers } from "./workers.js";

/** How long a chart that is gone to may take until it has something to zoom. */
const ARRIVE_WITHIN_MS = 5_000;

export class Boards {
  /**
   * @param {object} page
   * @param {import("./state.js").State} page.state
   * @param {import("./theme.js").Theme} page.theme
   * @param {import("./link.js").Link} page.link
   * @param {import("./views.js").Views} page.views
   * @param {import("./payloads.js").Payloads} page.payloads
   * @param {import("./board.js").Board} page.board the charts
   * @param {() => void} page.paint
   * @param {() => boolean} page.paused
   */
  constructor({ state, theme, link, views, payloads, board, paint, paused }) {
    const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
    this.state = state;
    this.board = board;
    this.run = "";
    /** @type {string[]} */
    this.metrics = [];
    const goTo = this.goTo.bind(this);
    this.workers = new Workers(get("pane-workers"), { link, goTo });
    this.heatmap = new Heatmap(get("pane-heatmap"), { state, views, paint, goTo });
    this.payloads = payloads;
    this.distributions = new Distributions(get("pane-distributions"), { theme, payloads, goTo, paused });
    this.model = new Model(get("pane-model"), { state, theme, payloads, paused });
    this.media = new Media(get("pane-media"), { state, theme, payloads });
    const system = get("pane-system");
    const [phases, resources] = [div("board-part"), div("board-part")];
    this.blank = div("board-empty");
    this.charts = div("board-charts");
    system.append(phases, resources, this.charts, this.blank);
    this.phases = new Phases(phases, { views, paint, goTo });
    this.resources = new Resources(resources, { views, paint, goTo });
    this.home = /** @type {HTMLElement} */ (board.root.parentElement);
    this.tabs = new Tabs(get("tabs"), state, {
      workers: { show: () => this.workers.show(), hide: () => this.workers.leave() },
      heatmap: { show: () => this.heatmap.show(), hide: () => this.heatmap.leave() },
      distributions: { show: () => this.distributions.show(), hide: () => this.distributions.leave() },
      model: { show: () => this.model.show(), hide: () => this.model.leave() },
      media: { show: () => this.media.show(), hide: () => this.media.leave() },
      system: { show: () => this.#showSystem(), hide: () => this.#hideSystem() },
    });
    theme.addEventListener("change", () => {
      this.phases.feeds.touch();
      this.resources.feeds.touch();
    });
  }

  /** Everything else is there: show the tab of the address. */
  start() {
    this.tabs.start();
  }

  /**
   * Another run is shown, or there is more of it.
   * @param {string} run "" for none
   * @param {string[]} metrics
   * @param {{rank: number, host: string}[]} workers
   */
  take(run, metrics, workers) {
    this.run = run;
    this.metrics = metrics;
    this.hosts = new Map(workers.map(({ rank, host }) => [rank, host]));
    this.payloads.show(run);
    this.workers.take(run);
    this.distributions.take(run, metrics, workers);
    this.model.take(run, metrics, workers);
    this.heatmap.take(run, metrics, workers);
    if (this.tabs.shown === "system") this.#followSystem();
  }

  /** What the painter draws besides the charts. */
  get drawn() {
    return [this.heatmap, this.phases.feeds, this.resources.feeds];
  }

  /** For tests: what stands on the screen. */
  inspect() {
    return { tab: this.tabs.shown, workers: this.workers.inspect(), heatmap: this.heatmap.inspect(), distributions: this.distributions.inspect(), model: this.model.inspect(), media: this.media.inspect(), phases: this.phases.inspect(), resources: this.resources.inspect() };
  }

  // The charts of the machines are the same charts, shown in another place.

  #showSystem() {
    this.board.only = isSystem;
    this.charts.append(this.board.root);
    this.board.filter(this.state.choices.filter);
    this.#followSystem();
  }

  #hideSystem() {
    this.phases.stop();
    this.resources.stop();
    this.board.only = null;
    this.home.append(this.board.root);
    this.board.filter(this.state.choices.filter);
  }

  #followSystem() {
    this.phases.follow(this.run, this.metrics);
    this.resources.follow(this.run, this.metrics, this.hosts ?? new Map());
    const machines = this.metrics.some(isSystem);
    const wanting = machines ? [] : ["no values of the machines yet: pip install \"streamviz[system]\" where the ranks run sends them"];
    if (!this.metrics.some((metric) => metric.startsWith("phase/"))) wanting.push("no phases yet: “with publisher.phase(\"data\"):” times a part of a step");
    this.charts.hidden = !machines;
    this.blank.hidden = wanting.length === 0;
    this.blank.replaceChildren(...wanting.map((words) => div("", words)));
  }

  /**
   * A rank's lines among the charts, and one metric's at some steps.
   * @param {{rank: number, metric?: string, start?: number, end?: number}} to
   */
  goTo({ rank, metric, start, end }) {
    this.state.set({ tab: "charts", ranks: String(rank), mode: "lines", ...(start === undefined ? {} : { x: "step" }) });
    if (metric === undefined) return;
    const began = performance.now();
    const arrive = () => {
      const panel = this.board.panels.get(metric);
      if (!panel || this.tabs.shown !== "charts") return;
      if (!panel.near) panel.card.element.scrollIntoView({ block: "center" });
      if (start === undefined || end === undefined) return;
      if (panel.drawing) panel.zoomTo(Math.max(0, start), end);
      else if (performance.now() - began < ARRIVE_WITHIN_MS) requestAnimationFrame(arrive);
    };
    requestAnimationFrame(arrive);
  }
}

/** @param {string} metric */
function isSystem(metric) {
  return metric.startsWith("system/");
}
