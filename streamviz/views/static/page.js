// Puts the page together: who speaks to whom, and nothing else.

import "./chart-menu.js";
import "./download.js";
import { Alerts } from "./alerts.js";
import { Arrangement } from "./arrangement.js";
import { Board } from "./board.js";
import { Boards } from "./boards.js";
import { ChartDialog } from "./chart-dialog.js";
import { titleOf } from "./arrangement.js";
import { Compared } from "./compared.js";
import { attachControls } from "./controls.js";
import { Cursor } from "./cursor.js";
import { Delivery } from "./delivery.js";
import { attachDragging } from "./dragging.js";
import { noMetricsYet, nothingSent, nothingYet, unknownRun } from "./empty.js";
import { plural } from "./format.js";
import { Header } from "./header.js";
import { attachLayouts } from "./layout.js";
import { Link } from "./link.js";
import { Moments } from "./moments.js";
import { notice } from "./notice.js";
import { Painter } from "./painter.js";
import { Payloads } from "./payloads.js";
import { RunList } from "./runs.js";
import { SentLayout } from "./sent-layout.js";
import { State } from "./state.js";
import { Theme } from "./theme.js";
import { Views } from "./views.js";

const { prefix = "", version = "" } = document.documentElement.dataset;
const ENDED = ["done", "failed", "gone"];
const RELOADED = "streamviz.reloaded-for";

const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

const state = new State();
const theme = new Theme();
const address = new URL(`${prefix}/live`, location.href);
address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
const link = new Link(address.href);
const views = new Views(link);

/** What the server has said, as last heard. */
const heard = {
  ingest: "",
  /** @type {any[]|null} newest first */
  runs: null,
  /** @type {any} of the run that is shown */
  run: null,
  /** @type {any} */
  status: null,
  statusAt: 0,
};
const pause = { on: false, step: 0 };
/** The notice as it was last read out, numbers aside. */
let announced = "";

/** @type {import("./panel.js").App} */
const app = {
  state,
  theme,
  views,
  painter: /** @type {any} */ (null),
  cursor: /** @type {any} */ (null),
  run: { name: "", started: 0, ranks: 0 },
  layersOf: (chart) => compared.layersOf(chart),
  missing: (layers) => compared.missing(layers),
  startOf: (run) => compared.startOf(run),
  arranged: () => showWords(),
  editChart: (chart) => dialog.open(chart),
  widen: (panel) => arrangement.edit(panel.chart, { size: panel.chart.size === "wide" ? undefined : "wide" }),
  arrangement: /** @type {any} */ (null),
  zoomed,
  moments: new Moments(),
};
const arrangement = new Arrangement(state, () => {
  board.rearrange();
  get("board").dataset.size = state.choices.size;
});
app.arrangement = arrangement;
const board = new Board(get("board"), app, arrangement);
get("board").dataset.size = state.choices.size;
const compared = new Compared({ state, theme, link, changed: () => {
  for (const panel of board.panels.values()) panel.relayer();
} });
const runList = new RunList(get("runs-panel"), /** @type {HTMLSelectElement} */ (get("group")), compared);
const dialog = new ChartDialog(/** @type {HTMLDialogElement} */ (get("chart-dialog")), arrangement, () => compared.metrics);
attachDragging(get("board"), (card) => board.byCard.get(card), (onto, from) => arrangement.combine(onto.chart, from.chart));
attachLayouts({ state, arrangement, prefix, inputs: { save: get("layout-save"), load: get("layout-load"), file: get("layout-file"), on: get("layout-on"), row: get("layout-switch"), problem: get("layout-problem") } });
const alerts = new Alerts({ state, board, changed: () => showWords() });
const payloads = new Payloads(prefix);
const sentLayout = new SentLayout(payloads, (sections) => arrangement.ask(sections));
const boards = new Boards({ state, theme, link, views, payloads, board, paint: () => app.painter.paint(), paused: () => pause.on });
app.painter = new Painter(link, views, () => [...board.visible(), ...boards.drawn]);
app.cursor = new Cursor(app, () => board.visible());
const header = new Header({ choose: (run) => state.set({ run }) });
const delivery = new Delivery(/** @type {HTMLDialogElement} */ (get("delivery")));
const controls = attachControls({ state, theme, togglePause, resetZoom, widen, showDelivery, pin, edit });

// ------------------------------------------------------------------ which run is shown

/** The run of the address, or the newest that is not over. */
function wantedRun() {
  if (state.choices.run !== null) return state.choices.run;
  const runs = heard.runs ?? [];
  const active = runs.findIndex(({ state: word }) => !ENDED.includes(word));
  const shown = runs.findIndex(({ run }) => run === app.run.name);
  if (shown < 0) return (runs[active] ?? runs[0])?.run ?? null;
  // Nobody is moved away from a run that goes on, nor from one that has just failed to an older one.
  const moves = ENDED.includes(runs[shown].state) && active >= 0 && active < shown;
  return runs[moves ? active : shown].run;
}

function chooseRun() {
  const wanted = wantedRun();
  const known = heard.runs?.some(({ run }) => run === wanted) ?? false;
  if (wanted !== null && known && wanted !== app.run.name) {
    board.clear();
    app.run = { name: wanted, started: 0, ranks: 0 };
    heard.run = heard.status = null;
    boards.take(wanted, [], []);
    sentLayout.show(wanted);
    forgetMoments();
    theme.showRun(wanted, compared.colours.chosen.get(wanted) ?? null);
    compared.show(wanted);
  }
  if (!known && app.run.name) {
    board.clear();
    compared.show("");
    app.run = { name: "", started: 0, ranks: 0 };
    heard.run = heard.status = null;
    boards.take("", [], []);
    sentLayout.show("");
    forgetMoments();
  }
  showWhole();
}

/** What was heard of another run. */
function forgetMoments() {
  app.moments?.clear();
  alerts.clear();
}

function drawMoments() {
  for (const panel of board.visible()) panel.overlay();
}

/** What stands in place of the charts, if anything does. */
function showWhole() {
  const wanted = wantedRun();
  const names = (heard.runs ?? []).map(({ run }) => run);
  const ended = heard.status && ["done", "failed"].includes(heard.status.state) ? heard.status.state : "";
  let key = "";
  let make = () => /** @type {HTMLElement|null} */ (null);
  if (heard.runs === null) key = "";
  else if (wanted === null) [key, make] = [`nothing ${heard.ingest}`, () => nothingYet(heard.ingest)];
  else if (!names.includes(wanted)) [key, make] = [`unknown ${wanted} ${names.join()}`, () => unknownRun(wanted, names, (run) => state.set({ run }))];
  else if (heard.run && heard.run.metrics.length === 0) {
    [key, make] = ended ? [`ended ${wanted}`, () => nothingSent(ended)] : [`first ${wanted}`, () => noMetricsYet(wanted)];
  }
  const place = get("empty");
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  const shown = make();
  place.replaceChildren(...(shown ? [shown] : []));
  place.hidden = shown === null;
}

// ------------------------------------------------------------------ what the server says

link.addEventListener("message", (event) => {
  const message = /** @type {CustomEvent} */ (event).detail;
  const take = {
    hello: () => {
      if (version && message.version !== version && reloadFor(message.version)) return;
      heard.ingest = message.ingest;
      heard.runs = null;
      compared.renew();
    },
    runs: () => {
      heard.runs = message.runs;
      compared.takeRuns(message.runs);
      chooseRun();
      runList.show();
      header.showRuns(message.runs, app.run.name || null, state.choices.run);
    },
    run: () => {
      compared.takeDetail(message);
      runList.show();
      if (message.run !== app.run.name) {
        if (compared.names.includes(message.run) && heard.run) board.show(compared.metrics);
        return;
      }
      heard.run = message;
      const ranks = new Set(message.workers.map((/** @type {any} */ worker) => worker.rank)).size;
      Object.assign(app.run, { started: message.started, ranks });
      board.show(compared.metrics);
      boards.take(message.run, message.metrics, message.workers);
      controls.offerMetrics(message.metrics);
      showWhole();
    },
    alerts: () => {
      if (message.run !== app.run.name) return;
      app.moments?.takeAlerts(message.alerts);
      alerts.take(message.alerts, message.situation);
      drawMoments();
    },
    items: () => {
      if (message.run !== app.run.name) return;
      app.moments?.takeMarks(message.marks);
      drawMoments();
    },
    payloads: () => {
      payloads.take(message.run, message.version);
      sentLayout.show(payloads.run);
      sentLayout.take(message.run, message.layout);
    },
    status: () => {
      if ((message.run ?? "") !== app.run.name) return;
      heard.status = message;
      heard.statusAt = performance.now();
      showWords();
      showWhole();
    },
  }[/** @type {string} */ (message.op)];
  take?.();
});
link.addEventListener("state", showWords);

/**
 * The server is of another version than this page: take the page anew, once.
 * @param {string} other
 */
function reloadFor(other) {
  try {
    if (sessionStorage.getItem(RELOADED) === other) return false;
    sessionStorage.setItem(RELOADED, other);
  } catch {
    return false;
  }
  location.reload();
  return true;
}

// ------------------------------------------------------------------ what the person does

state.addEventListener("change", (event) => {
  const changed = /** @type {CustomEvent<Set<string>>} */ (event).detail;
  if (changed.has("run")) {
    chooseRun();
    header.showRuns(heard.runs ?? [], app.run.name || null, state.choices.run);
  }
  if (changed.has("filter")) board.filter(state.choices.filter);
  for (const panel of board.panels.values()) {
    if (["mode", "ranks", "band"].some((name) => changed.has(name))) panel.relayer();
    if (["y", "logx", "outliers"].some((name) => changed.has(name))) panel.rescale();
    if (changed.has("x")) panel.changeAxis();
    if (["smooth", "window"].some((name) => changed.has(name))) panel.redraw();
  }
  showWords();
});

theme.addEventListener("change", () => {
  for (const panel of board.panels.values()) {
    panel.recolour();
    panel.redraw();
  }
});

/**
 * @param {import("./panel.js").Panel} source
 * @param {{start: number, end: number}|null} range null: follow again
 */
function zoomed(source, range) {
  for (const panel of state.choices.together ? board.panels.values() : [source]) {
    if (range) panel.zoomTo(range.start, range.end);
    else panel.follow();
  }
  showWords();
}

function resetZoom() {
  for (const panel of board.panels.values()) panel.follow();
  showWords();
}

function togglePause() {
  pause.on = !pause.on;
  pause.step = heard.status?.step ?? 0;
  app.painter.paused = pause.on;
  const button = get("pause");
  button.setAttribute("aria-pressed", String(pause.on));
  /** @type {HTMLElement} */ (button.firstElementChild).textContent = pause.on ? "resume" : "pause";
  app.painter.paint();
  showWords();
}

/** The chart under the pointer, or with the focus. */
function pointed() {
  const card = document.querySelector(".card:hover") ?? document.activeElement?.closest(".card");
  return card ? board.byCard.get(card) : undefined;
}

/** It takes the whole width, or its old place again. */
function widen() {
  const panel = pointed();
  if (panel) app.widen(panel);
}

function pin() {
  const panel = pointed();
  if (panel) arrangement.pin(panel.chart.key);
}

function edit() {
  const panel = pointed();
  if (panel) dialog.open(panel.chart);
}

function showDelivery() {
  delivery.open();
  delivery.show(heard.status);
}

boards.start();
get("chart-new").addEventListener("click", () => dialog.open(null));
get("chart-combine").addEventListener("click", () => {
  const series = board.shownMetrics().map((metric) => ({ metric }));
  if (series.length > 0) arrangement.add({ title: state.choices.filter.trim() || titleOf(series), series });
});
get("notice-resume").addEventListener("click", togglePause);
get("notice-live").addEventListener("click", resetZoom);

// ------------------------------------------------------------------ words

function showWords() {
  const { status } = heard;
  const since = status ? (performance.now() - heard.statusAt) / 1000 : 0;
  const shown = heard.runs?.find(({ run }) => run === app.run.name);
  const when = { started: heard.run?.started ?? 0, last: shown?.last_time ?? 0 };
  header.show(status, link.state, since, pause.on, link.state === "lost" && link.refusal !== "", when);
  delivery.show(status);
  const { tone, text } = notice({
    link: link.state,
    lostFor: (performance.now() - link.lostAt) / 1000,
    refusal: link.refusal,
    paused: pause.on,
    newSteps: Math.max(0, (status?.step ?? 0) - pause.step),
    status: status ?? (heard.runs ? { state: "waiting", step: null } : null),
    sinceStatus: since,
    workers: heard.run?.workers ?? [],
    duplicates: heard.run?.duplicates ?? [],
    overflow: heard.run?.overflow ?? [],
    started: when.started,
    lastTime: when.last,
    hasMetrics: board.metrics.length > 0,
    alert: alerts.line,
  });
  get("notice").dataset.tone = tone;
  say("notice-text", text);
  get("notice-text").title = text;
  // Read out what has changed, not every second of an age.
  const said = text.replace(/\d[\d\u202f]*/g, "…");
  if (said !== announced) say("announce", text);
  announced = said;
  get("notice-resume").hidden = !pause.on;
  get("notice-live").hidden = ![...board.panels.values()].some((panel) => !panel.following);
  say("filter-problem", board.problem);
  get("filter-problem").hidden = !board.problem;
  const all = board.total;
  say("notice-count", all === 0 || state.choices.tab !== "charts" ? "" : board.matching === all ? plural(all, "chart") : `${board.matching} of ${plural(all, "chart")}`);
  const mark = alerts.going.length > 0 ? `(${alerts.going.length}) ` : tone === "red" || tone === "amber" ? "▲ " : "";
  const title = app.run.name ? `${mark}${app.run.name} · streamviz` : `${mark}streamviz`;
  if (document.title !== title) document.title = title;
}

/**
 * @param {string} id
 * @param {string} text
 */
function say(id, text) {
  const element = get(id);
  if (element.textContent !== text) element.textContent = text;
}

// Ages grow also while nothing is heard.
setInterval(showWords, 1_000);
showWords();

// ------------------------------------------------------------------ for tests: look, do not touch

Object.defineProperty(globalThis, "streamviz", {
  value: Object.freeze({
    panels: () => [...board.visible()].map((panel) => panel.inspect()),
    boards: () => boards.inspect(),
    state: () => ({
      ...state.choices,
      shown: app.run.name,
      theme: theme.choice,
      paused: pause.on,
      link: link.state,
      status: heard.status,
      metrics: board.metrics,
      matching: board.matching,
    }),
    get paintedAt() {
      return app.painter.paintedAt.map((entry) => [...entry]);
    },
  }),
});
