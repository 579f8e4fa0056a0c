// The side panel, and the keys that do the same.

import { ranksAreValid } from "./state.js";

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
 */
export function attachControls({ state, theme, togglePause, resetZoom, widen, showDelivery }) {
  const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
  const form = /** @type {HTMLFormElement} */ (get("controls"));
  const filter = /** @type {HTMLInputElement} */ (get("filter"));
  const ranks = /** @type {HTMLInputElement} */ (get("ranks"));
  const smoothing = /** @type {HTMLInputElement} */ (get("smoothing"));
  const log = /** @type {HTMLInputElement} */ (get("log"));
  const together = /** @type {HTMLInputElement} */ (get("together"));
  const problem = get("ranks-problem");
  const help = /** @type {HTMLDialogElement} */ (get("help"));
  const side = sideSheet(get("side"), get("scrim"), get("panel-toggle"));

  const show = () => {
    const { choices } = state;
    if (document.activeElement !== filter) filter.value = choices.filter;
    if (document.activeElement !== ranks) ranks.value = choices.ranks;
    smoothing.value = String(choices.smoothing);
    get("smoothing-value").textContent = choices.smoothing === 0 ? "off" : choices.smoothing.toFixed(3).replace(/0{1,2}$/, "");
    log.checked = choices.log;
    together.checked = choices.together;
    check(form, "mode", choices.mode);
    check(form, "x", choices.x);
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
  smoothing.addEventListener("input", () => state.set({ smoothing: Number(smoothing.value) }));
  log.addEventListener("change", () => state.set({ log: log.checked }));
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
    y: () => state.set({ log: !state.choices.log }),
    ".": togglePause,
    t: () => theme.next(),
    f: widen,
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
