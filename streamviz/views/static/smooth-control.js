// A slider and a list that together say how lines are smoothed; on the side panel and on a chart's menu.

import { SMOOTH_KINDS, parseSmooth, smoothText, smoothWords } from "./smoothing.js";

/** What the slider goes through; of the windows only odd widths, which have a middle. */
const RANGES = { ema: { min: 0, max: 0.999, step: 0.001 }, median: { min: 1, max: 201, step: 2 }, mean: { min: 1, max: 201, step: 2 } };

export class SmoothControl {
  /**
   * @param {HTMLElement} slider
   * @param {HTMLElement} kinds
   * @param {HTMLElement} value
   * @param {(smooth: string) => void} chosen
   */
  constructor(slider, kinds, value, chosen) {
    this.slider = /** @type {HTMLInputElement} */ (slider);
    this.kinds = /** @type {HTMLSelectElement} */ (kinds);
    this.value = value;
    this.slider.addEventListener("input", () => chosen(this.#read()));
    this.kinds.addEventListener("change", () => {
      const on = Number(this.slider.value) > Number(this.slider.min);
      this.#turn();
      // Another kind of smoothing, about as strong, where there was one.
      if (on) this.slider.value = this.kind === "ema" ? "0.9" : "11";
      else this.slider.value = this.slider.min;
      chosen(this.#read());
    });
  }

  /** @returns {import("./smoothing.js").SmoothKind} */
  get kind() {
    return SMOOTH_KINDS.find((kind) => kind === this.kinds.value) ?? "ema";
  }

  #read() {
    const amount = Number(this.slider.value);
    return amount > Number(this.slider.min) ? smoothText(parseSmooth(`${this.kind}:${amount}`)) : "";
  }

  #turn() {
    const { min, max, step } = RANGES[this.kind];
    Object.assign(this.slider, { min: String(min), max: String(max), step: String(step) });
  }

  /** @param {string} smooth as the address has it */
  show(smooth) {
    const how = parseSmooth(smooth);
    if (how) this.kinds.value = how.kind;
    this.#turn();
    const wanted = how ? how.amount : RANGES[this.kind].min;
    if (Number(this.slider.value) !== wanted) this.slider.value = String(wanted);
    this.value.textContent = smoothWords(how);
  }
}
