// The side panel, and the keys that do the same.

import { METRIC } from "./derive.js";
import { xCandidates, xMetric } from "./look.js";
import { SCALE_KINDS } from "./scales.js";
import { SmoothControl } from "./smooth-control.js";
import { ranksAreValid } from "./state.js";
import { windowFrom, windowWords } from "./windows.js";

const PHONE = matchMedia("(max-width: 720px)");
const CLOSED = "streamviz.side-closed";

/**
 * @param {object} page
 * @param {import("./state.js").State} page.state
 * @param {import("./theme.js").Theme} page.theme
 * @param {() => void} page.togglePause
 * @param {() => void} page.resetZoom
 * @param {() => void} page.widen
 * @param {() => void} page.showDelivery
 * @param {() => void} page.pin
 * @param {() => void} page.edit
 */
export function attachControls({ state, theme, togglePause, resetZoom, widen, showDelivery, pin, edit }) {
  const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
  const form = /** @type {HTMLFormElement} */ (get("controls"));
  const filter = /** @type {HTMLInputElement} */ (get("filter"));
  const ranks = /** @type {HTMLInputElement} */ (get("ranks"));
  const smoothing = new SmoothControl(get("smoothing"), get("smoothing-kind"), get("smoothing-value"), (smooth) => state.set({ smooth }));
  const axisMetric = /** @type {HTMLSelectElement} */ (get("x-metric"));
  const window_ = /** @type {HTMLInputElement} */ (get("window"));
  const logx = /** @type {HTMLInputElement} */ (get("logx"));
  const together = /** @type {HTMLInputElement} */ (get("together"));
  const problem = get("ranks-problem");
  const help = /** @type {HTMLDialogElement} */ (get("help"));
  const side = sideSheet(get("side"), get("scrim"), get("panel-toggle"));

  const show = () => {
    const { choices } = state;
    if (document.activeElement !== filter) filter.value = choices.filter;
    if (document.activeElement !== ranks) ranks.value = choices.ranks;
    smoothing.show(choices.smooth);
    if (document.activeElement !== window_) window_.value = windowWords(choices.window);
    logx.checked = choices.logx;
    logx.disabled = choices.x === "wall";
    showAxisMetric(axisMetric, choices.x);
    together.checked = choices.together;
    check(form, "mode", choices.mode);
    check(form, "x", choices.x);
    check(form, "y", choices.y);
    check(form, "band", choices.band);
    check(form, "outliers", choices.outliers);
    check(form, "size", choices.size);
    check(form, "theme", theme.choice);
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("input", () => state.set({ filter: filter.value }));
  ranks.addEventListener("input", () => {
    const valid = ranksAreValid(ranks.value);
    ranks.setAttribute("aria-invalid", String(!valid));
    problem.hidden = valid;
    problem.textContent = valid ? "" : "ranks are numbers and ranges: 0,8-15";
    if (valid) state.set({ ranks: ranks.value.replace(/\s/g, "") });
  });
  axisMetric.addEventListener("change", () => state.set({ x: axisMetric.value ? METRIC + axisMetric.value : "step" }));
  window_.addEventListener("input", () => {
    const window = windowFrom(window_.value);
    window_.setAttribute("aria-invalid", String(window === null));
    get("window-problem").hidden = window !== null;
    get("window-problem").textContent = window === null ? "steps as 5000 or 5k, or time as 30s, 10m, 2h, 1d" : "";
    if (window !== null) state.set({ window });
  });
  logx.addEventListener("change", () => state.set({ logx: logx.checked }));
  together.addEventListener("change", () => state.set({ together: together.checked }));
  form.addEventListener("change", (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    if (input.type !== "radio") return;
    if (input.name === "theme") theme.choose(input.value);
    else state.set({ [input.name]: input.value });
  });
  get("pause").addEventListener("click", togglePause);
  get("reset").addEventListener("click", resetZoom);
  get("delivery-open").addEventListener("click", showDelivery);
  get("stat-dropped").addEventListener("click", showDelivery);
  get("help-open").addEventListener("click", () => help.showModal());
  help.addEventListener("click", (event) => {
    if (event.target === help) help.close();
  });

  /** @type {Record<string, () => void>} */
  const keys = {
    "/": () => side.focus(filter),
    r: () => side.focus(ranks),
    b: () => state.set({ mode: state.choices.mode === "band" ? "lines" : "band" }),
    x: () => state.nextX(),
    y: () => state.set({ y: SCALE_KINDS[(SCALE_KINDS.indexOf(state.choices.y) + 1) % SCALE_KINDS.length] }),
    ".": togglePause,
    t: () => theme.next(),
    f: widen,
    p: pin,
    e: edit,
    d: showDelivery,
    0: resetZoom,
    "?": () => help.showModal(),
  };
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target instanceof HTMLInputElement) {
      if (event.target === filter) {
        filter.value = "";
        state.set({ filter: "" });
      }
      event.target.blur();
      return;
    }
    if (event.key === "Escape") side.dismiss();
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || isTyping(event.target)) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  state.addEventListener("change", show);
  theme.addEventListener("change", show);
  show();
  return {
    /** The run has these metrics, any of which may be the x axis. @param {string[]} metrics */
    offerMetrics: (metrics) => {
      offerAxes(axisMetric, metrics);
      showAxisMetric(axisMetric, state.choices.x);
    },
  };
}

/** A list of more is no list to choose from; the address takes any. */
const MOST_AXES = 500;

/**
 * @param {HTMLSelectElement} select
 * @param {string[]} metrics
 */
function offerAxes(select, metrics) {
  const names = xCandidates(metrics).slice(0, MOST_AXES);
  const key = JSON.stringify(names);
  // An open list must not be rebuilt under the pointer.
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  const [none] = select.options;
  select.replaceChildren(none, ...names.map(axisOption));
}

/** @param {string} name */
function axisOption(name) {
  const option = document.createElement("option");
  option.value = name;
  option.textContent = name;
  return option;
}

/**
 * @param {HTMLSelectElement} select
 * @param {string} x
 */
function showAxisMetric(select, x) {
  const name = xMetric(x) ?? "";
  if (name && ![...select.options].some((option) => option.value === name)) select.append(axisOption(name));
  select.value = name;
  select.classList.toggle("chosen", name !== "");
}

/**
 * @param {HTMLFormElement} form
 * @param {string} name
 * @param {string} value
 */
function check(form, name, value) {
  for (const input of form.querySelectorAll(`input[name="${name}"]`)) {
    const radio = /** @type {HTMLInputElement} */ (input);
    radio.checked = radio.value === value;
  }
}

/** @param {EventTarget|null} target */
function isTyping(target) {
  if (target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && ["text", "search"].includes(target.type);
}

/**
 * A column beside the charts, or on a phone a sheet over them.
 * @param {HTMLElement} side
 * @param {HTMLElement} scrim
 * @param {HTMLElement} toggle
 */
function sideSheet(side, scrim, toggle) {
  const { body } = document;
  const open = (/** @type {boolean} */ shown) => {
    body.classList.toggle("side-closed", !shown);
    toggle.setAttribute("aria-expanded", String(shown));
    scrim.hidden = !(shown && PHONE.matches);
  };
  const remembered = () => {
    try {
      return localStorage.getItem(CLOSED) === "1";
    } catch {
      return false;
    }
  };
  const arrange = () => open(!PHONE.matches && !remembered());
  toggle.addEventListener("click", () => {
    const shown = body.classList.contains("side-closed");
    open(shown);
    if (PHONE.matches) return;
    try {
      localStorage.setItem(CLOSED, shown ? "0" : "1");
    } catch {
      // Then it is open again next time.
    }
  });
  scrim.addEventListener("click", () => open(false));
  PHONE.addEventListener("change", arrange);
  arrange();
  return {
    focus: (/** @type {HTMLInputElement} */ input) => {
      open(true);
      input.focus();
      input.select();
    },
    dismiss: () => {
      if (PHONE.matches) open(false);
    },
  };
}
