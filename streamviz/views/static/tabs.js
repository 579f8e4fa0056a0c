// The tabs above the charts: which of them is shown; what is hidden is told so, and gets no data.

/**
 * @typedef {object} Tab what stands behind a tab; both are called once per change
 * @property {() => void} [show]
 * @property {() => void} [hide]
 */

export class Tabs {
  /**
   * @param {HTMLElement} bar holds a button of role tab for each, its panel named by aria-controls
   * @param {import("./state.js").State} state
   * @param {Record<string, Tab>} tabs by the name in the button's data-tab
   */
  constructor(bar, state, tabs) {
    this.state = state;
    this.tabs = tabs;
    /** @type {string|null} */
    this.shown = null;
    /** @type {HTMLButtonElement[]} */
    this.buttons = [...bar.querySelectorAll("button")];
    for (const button of this.buttons) button.addEventListener("click", () => this.choose(nameOf(button)));
    bar.addEventListener("keydown", (event) => this.#walk(event));
    addEventListener("keydown", (event) => this.#jump(event));
    state.addEventListener("change", () => this.#follow());
  }

  /** @param {string} name */
  choose(name) {
    this.state.set({ tab: name });
  }

  /** Show the tab of the address; once everything behind the tabs is there. */
  start() {
    this.#follow();
  }

  #follow() {
    const known = this.buttons.some((button) => nameOf(button) === this.state.choices.tab);
    const wanted = known ? this.state.choices.tab : "charts";
    if (wanted === this.shown) return;
    const before = this.shown;
    this.shown = wanted;
    if (before !== null) this.tabs[before]?.hide?.();
    for (const button of this.buttons) {
      const chosen = nameOf(button) === wanted;
      button.setAttribute("aria-selected", String(chosen));
      button.tabIndex = chosen ? 0 : -1;
      panelOf(button).hidden = !chosen;
      if (chosen) button.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    // What was read far down one tab has nothing to do with the place in another.
    if (before !== null) scrollTo({ top: 0 });
    this.tabs[wanted]?.show?.();
  }

  /** The arrows go from tab to tab while one of them has the focus. @param {KeyboardEvent} event */
  #walk(event) {
    const at = this.buttons.indexOf(/** @type {HTMLButtonElement} */ (event.target));
    const last = this.buttons.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    this.choose(nameOf(this.buttons[to]));
    this.buttons[to].focus();
  }

  /** The digits choose a tab from anywhere but a field. @param {KeyboardEvent} event */
  #jump(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const { target } = event;
    if (target instanceof Element && target.closest("select, textarea, input:not([type=radio], [type=checkbox], [type=range]), [contenteditable]")) return;
    const button = /^[1-9]$/.test(event.key) ? this.buttons[Number(event.key) - 1] : undefined;
    if (!button) return;
    event.preventDefault();
    this.choose(nameOf(button));
  }
}

/** @param {HTMLButtonElement} button */
function nameOf(button) {
  return button.dataset.tab ?? "";
}

/** @param {HTMLButtonElement} button */
function panelOf(button) {
  return /** @type {HTMLElement} */ (document.getElementById(button.getAttribute("aria-controls") ?? ""));
}
