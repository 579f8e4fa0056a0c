// A canvas of the page's own, sharp on every screen, and a readout at the pointer.

import { div, span } from "./make.js";

export class Sheet {
  /** @param {string} name of the class */
  constructor(name) {
    this.element = document.createElement("canvas");
    this.element.className = name;
    this.context = /** @type {CanvasRenderingContext2D} */ (this.element.getContext("2d"));
    this.width = 0;
    this.height = 0;
  }

  /** Clear it, as wide as its place and so many pixels high. @param {number} height */
  clear(height) {
    const ratio = Math.min(3, devicePixelRatio || 1);
    this.element.style.setProperty("height", `${height}px`);
    const width = this.element.clientWidth;
    this.width = width;
    this.height = height;
    if (this.element.width !== Math.round(width * ratio) || this.element.height !== Math.round(height * ratio)) {
      this.element.width = Math.round(width * ratio);
      this.element.height = Math.round(height * ratio);
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, width, height);
    return this.context;
  }

  /** A pointer's place on it. @param {{clientX: number, clientY: number}} event */
  at({ clientX, clientY }) {
    const box = this.element.getBoundingClientRect();
    return { x: clientX - box.left, y: clientY - box.top };
  }
}

/** By how much cells overlap, so that the page does not shine through where a pixel of the page is no whole number of the screen's. */
export function seam() {
  return Number.isInteger(devicePixelRatio) ? 0 : 0.6;
}

export class Tip {
  constructor() {
    this.element = div("tip");
    this.element.hidden = true;
    document.body.append(this.element);
    addEventListener("scroll", () => this.hide(), { passive: true });
  }

  hide() {
    this.element.hidden = true;
  }

  /**
   * @param {{clientX: number, clientY: number}} at
   * @param {string} title
   * @param {{key: string, text: string, colour?: string}[]} rows
   * @param {string} [more]
   */
  show({ clientX, clientY }, title, rows, more = "") {
    const head = div("tip-head", title);
    const made = rows.map(({ key, text, colour }) => {
      const name = span("key", key);
      if (colour) {
        const swatch = span("swatch area");
        swatch.style.setProperty("background", colour);
        name.prepend(swatch);
      }
      return div("tip-row", name, span("", text));
    });
    this.element.replaceChildren(head, ...made, ...(more ? [div("tip-more", more)] : []));
    this.element.hidden = false;
    const { width, height } = this.element.getBoundingClientRect();
    const left = clientX + 16 + width > innerWidth ? clientX - 16 - width : clientX + 16;
    const top = Math.max(4, Math.min(innerHeight - height - 4, clientY + 16));
    this.element.style.setProperty("transform", `translate(${Math.max(4, left)}px, ${top}px)`);
  }
}
