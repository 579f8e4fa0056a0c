// The model: its modules as a tree, their parameters and running time, coloured by what they do now.

import { div } from "./make.js";

export class Model {
  /**
   * @param {HTMLElement} root
   * @param {object} page
   * @param {import("./state.js").State} page.state
   * @param {import("./theme.js").Theme} page.theme
   * @param {import("./payloads.js").Payloads} page.payloads
   * @param {import("./views.js").Views} page.views
   * @param {() => void} page.paint
   * @param {(to: {rank: number, metric?: string, start?: number, end?: number}) => void} page.goTo
   */
  constructor(root, { payloads }) {
    this.payloads = payloads;
    this.shown = false;
    this.list = div("board-part");
    root.append(this.list);
    payloads.addEventListener("change", () => this.shown && this.#draw());
  }

  /** Another run is shown, or there are more metrics of it. @param {string} _run @param {string[]} _metrics */
  take(_run, _metrics) {}

  show() {
    this.shown = true;
    this.payloads.listen();
    this.#draw();
  }

  leave() {
    this.shown = false;
    this.payloads.leave();
  }

  #draw() {
    this.list.replaceChildren(...this.payloads.of("graph", "profile").map(({ name, rank, steps }) => div("", `${name} r${rank} ${steps.at(-1)}`)));
  }

  /** For tests: what stands on the screen. */
  inspect() {
    return { names: this.payloads.of("graph", "profile").map(({ name }) => name) };
  }
}
