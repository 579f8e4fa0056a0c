// The menu of one chart: a button that appears under the pointer or with the focus, and what it opens.
//
// Whoever has something to offer for a chart says so with `offer`; the order is that of the sections.

/**
 * @typedef {{label: string, key?: string, pressed?: boolean, disabled?: boolean, act: () => void}} Item
 * @typedef {HTMLElement|Item|null} Entry
 * @typedef {(panel: any, app: any, close: () => void) => Entry[]} Section
 */

/** @type {{rank: number, section: Section}[]} */
const sections = [];

const EDGE_PX = 4;

/**
 * @param {number} rank lower ones stand higher
 * @param {Section} section what it has for a chart, asked for each time a menu opens
 */
export function offer(rank, section) {
  sections.push({ rank, section });
  sections.sort((a, b) => a.rank - b.rank);
}

/** @type {(() => void)|null} there is one open at a time */
let closeOpen = null;

/**
 * Put the button on a chart's card.
 * @param {any} panel
 * @param {any} app
 */
export function attachMenu(panel, app) {
  const tools = document.createElement("div");
  tools.className = "card-tools";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "icon-button small menu-button";
  button.setAttribute("aria-haspopup", "menu");
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-label", `menu of ${panel.card.element.getAttribute("aria-label")}`);
  button.title = "menu of this chart";
  button.append(dots());
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-expanded") === "true") closeOpen?.();
    else open(button, panel, app);
  });
  tools.append(button);
  panel.card.element.append(tools);
}

/**
 * @param {HTMLButtonElement} button
 * @param {any} panel
 * @param {any} app
 */
function open(button, panel, app) {
  closeOpen?.();
  app.cursor.leave();
  const menu = document.createElement("div");
  menu.className = "menu";
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", button.getAttribute("aria-label") ?? "");
  const listening = new AbortController();
  const close = () => {
    if (closeOpen !== close) return;
    closeOpen = null;
    listening.abort();
    const held = menu.contains(document.activeElement);
    menu.remove();
    button.setAttribute("aria-expanded", "false");
    if (held) button.focus();
  };
  const outside = (/** @type {Event} */ event) => {
    const { target } = event;
    if (target instanceof Node && (menu.contains(target) || button.contains(target))) return;
    close();
  };
  for (const { section } of sections) {
    const entries = section(panel, app, close).filter((entry) => entry !== null);
    if (entries.length === 0) continue;
    const part = document.createElement("div");
    part.className = "menu-part";
    part.append(...entries.map((entry) => (entry instanceof HTMLElement ? entry : item(entry, close))));
    menu.append(part);
  }
  menu.addEventListener("keydown", (event) => keyed(event, menu, close));
  document.body.append(menu);
  place(menu, button);
  button.setAttribute("aria-expanded", "true");
  closeOpen = close;
  const { signal } = listening;
  addEventListener("pointerdown", outside, { capture: true, signal });
  addEventListener("scroll", outside, { capture: true, passive: true, signal });
  addEventListener("resize", close, { signal });
  stops(menu)[0]?.focus();
}

/**
 * @param {Item} entry
 * @param {() => void} close
 */
function item({ label, key, pressed, disabled = false, act }, close) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "menu-item";
  button.disabled = disabled;
  button.setAttribute("role", pressed === undefined ? "menuitem" : "menuitemcheckbox");
  if (pressed !== undefined) button.setAttribute("aria-checked", String(pressed));
  const words = document.createElement("span");
  words.textContent = label;
  button.append(words);
  if (key) {
    const shown = document.createElement("kbd");
    shown.textContent = key;
    button.append(shown);
  }
  button.addEventListener("click", () => {
    close();
    act();
  });
  return button;
}

/** What the arrow keys go through. @param {HTMLElement} menu @returns {HTMLElement[]} */
function stops(menu) {
  return [...menu.querySelectorAll("button:not(:disabled), select, input")].filter((element) => element instanceof HTMLElement);
}

/**
 * @param {KeyboardEvent} event
 * @param {HTMLElement} menu
 * @param {() => void} close
 */
function keyed(event, menu, close) {
  // A list and a slider have their own use for the arrows.
  const owned = event.target instanceof HTMLSelectElement || (event.target instanceof HTMLInputElement && event.target.type === "range");
  // The page's own keys must not act on what is typed here.
  event.stopPropagation();
  if (event.key === "Escape" || (event.key === "Tab" && !menu.querySelector("select, input"))) {
    event.preventDefault();
    close();
    return;
  }
  const way = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  if (way === 0 || owned) return;
  event.preventDefault();
  const all = stops(menu);
  const at = all.findIndex((one) => one === document.activeElement);
  all[(at + way + all.length) % all.length]?.focus();
}

/**
 * Below the button, or above it where there is more room; never beyond the window.
 * @param {HTMLElement} menu
 * @param {HTMLElement} button
 */
function place(menu, button) {
  const at = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.max(EDGE_PX, Math.min(at.right - width, document.documentElement.clientWidth - width - EDGE_PX));
  const below = at.bottom + EDGE_PX;
  const top = below + height <= innerHeight - EDGE_PX ? below : Math.max(EDGE_PX, Math.min(at.top - height - EDGE_PX, innerHeight - height - EDGE_PX));
  menu.style.left = `${Math.round(left)}px`;
  menu.style.top = `${Math.round(top)}px`;
}

function dots() {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [name, value] of [["viewBox", "0 0 16 16"], ["width", "14"], ["height", "14"], ["aria-hidden", "true"]]) svg.setAttribute(name, value);
  for (const x of ["3.5", "8", "12.5"]) {
    const dot = document.createElementNS(space, "circle");
    for (const [name, value] of [["cx", x], ["cy", "8"], ["r", "0.9"]]) dot.setAttribute(name, value);
    svg.append(dot);
  }
  return svg;
}
