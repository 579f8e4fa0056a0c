// Precision over recall, on a canvas of our own: the curve, and what each threshold makes of it.

import { measure, whole } from "./format.js";
import { Sheet, Tip } from "./sheet.js";

const PAD = { left: 44, right: 14, top: 12, bottom: 34 };
const TICKS = [0, 0.25, 0.5, 0.75, 1];
/** Pixels from a point at which it is told of. */
const REACH = 40;

/** @type {Tip|null} one readout for all curves: there is one pointer */
let tip = null;

/** @implements {import("./media-plain.js").Picture} */
export class CurvePicture {
  /** @param {HTMLElement} place @param {import("./media-plain.js").Context} context */
  constructor(place, { theme }) {
    this.theme = theme;
    this.place = place;
    this.sheet = new Sheet("media-curve");
    this.sheet.element.setAttribute("role", "img");
    place.append(this.sheet.element);
    /** @type {{x: number, y: number, at: number}[]} */
    this.points = [];
    /** @type {any} */
    this.body = null;
    this.step = 0;
    this.resized = new ResizeObserver(() => this.#draw(null));
    this.resized.observe(place);
    this.sheet.element.addEventListener("pointermove", (event) => this.#point(event));
    this.sheet.element.addEventListener("pointerleave", () => {
      tip?.hide();
      this.#draw(null);
    });
  }

  /** @param {import("./media-plain.js").Payload} payload */
  show({ body, step }) {
    this.body = body;
    this.step = step;
    const best = this.#best();
    this.sheet.element.setAttribute("aria-label", `precision over recall at step ${step}${best === null ? "" : `; largest F1 ${measure(best.f1)} at threshold ${measure(best.threshold)}`}`);
    this.#draw(null);
  }

  recolour() {
    this.#draw(null);
  }

  release() {
    this.resized.disconnect();
    this.body = null;
    tip?.hide();
  }

  #best() {
    let best = null;
    for (let i = 0; i < listOf(this.body, "precision").length; i += 1) {
      const [precision, recall] = [this.body.precision[i], this.body.recall[i]].map(Number);
      const f1 = (2 * precision * recall) / (precision + recall);
      if (Number.isFinite(f1) && (best === null || f1 > best.f1)) best = { f1, threshold: Number(listOf(this.body, "thresholds")[i]), at: i };
    }
    return best;
  }

  /** @param {number|null} marked the point under the pointer */
  #draw(marked) {
    const height = this.place.clientHeight;
    if (!this.body || height === 0) return;
    const { palette } = this.theme;
    const context = this.sheet.clear(height);
    const [width, tall] = [this.sheet.width - PAD.left - PAD.right, height - PAD.top - PAD.bottom];
    const toX = (/** @type {number} */ recall) => PAD.left + recall * width;
    const toY = (/** @type {number} */ precision) => PAD.top + (1 - precision) * tall;
    context.font = `11px ${palette.font}`;
    context.lineWidth = 1;
    for (const tick of TICKS) {
      context.strokeStyle = palette.grid;
      line(context, [[toX(tick), toY(0)], [toX(tick), toY(1)]]);
      line(context, [[toX(0), toY(tick)], [toX(1), toY(tick)]]);
      context.fillStyle = palette.axis;
      context.textAlign = "center";
      context.fillText(String(tick), toX(tick), toY(0) + 14);
      context.textAlign = "right";
      context.fillText(String(tick), toX(0) - 6, toY(tick) + 4);
    }
    context.textAlign = "center";
    context.fillStyle = palette.ink2;
    context.fillText("recall", toX(0.5), height - 6);
    context.save();
    context.translate(11, toY(0.5));
    context.rotate(-Math.PI / 2);
    context.fillText("precision", 0, 0);
    context.restore();
    const recall = listOf(this.body, "recall");
    this.points = listOf(this.body, "precision")
      .map((value, at) => ({ x: toX(Number(recall[at])), y: toY(Number(value)), at }))
      // At a threshold that nothing reaches there is no precision: that is no point of the curve.
      .filter(({ x, y, at }) => Number.isFinite(x) && Number.isFinite(y) && !(Number(this.body.precision[at]) === 0 && Number(recall[at]) === 0));
    context.strokeStyle = palette.hue;
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    line(context, this.points.map(({ x, y }) => [x, y]));
    const best = this.#best();
    const dot = this.points.find(({ at }) => at === (marked ?? best?.at));
    if (!dot) return;
    context.fillStyle = palette.hue;
    context.strokeStyle = palette.surface;
    context.beginPath();
    context.arc(dot.x, dot.y, 4, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
    if (marked !== null || best === null) return;
    context.fillStyle = palette.ink2;
    const left = dot.x > this.sheet.width / 2;
    context.textAlign = left ? "right" : "left";
    context.fillText(`F1 ${measure(best.f1)}`, dot.x + (left ? -8 : 8), Math.min(toY(0) - 6, dot.y + 16));
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const { x, y } = this.sheet.at(event);
    let near = null;
    let least = REACH;
    for (const point of this.points) {
      const far = Math.hypot(point.x - x, point.y - y);
      if (far < least) [near, least] = [point, far];
    }
    this.#draw(near?.at ?? null);
    tip ??= new Tip();
    if (!near) {
      tip.hide();
      return;
    }
    const told = (/** @type {string} */ name) => Number(listOf(this.body, name)[near.at]);
    const counts = [["true positives", "tp"], ["false positives", "fp"], ["true negatives", "tn"], ["false negatives", "fn"]].filter(([, name]) => Number.isFinite(told(name)));
    tip.show(event, `threshold ${measure(told("thresholds"))}`, [
      { key: "precision", text: measure(told("precision")) }, { key: "recall", text: measure(told("recall")) },
      ...counts.map(([key, name]) => ({ key, text: Number.isInteger(told(name)) ? whole(told(name)) : measure(told(name)) })),
    ]);
  }
}

/** @param {any} body @param {string} name @returns {any[]} */
function listOf(body, name) {
  return Array.isArray(body?.[name]) ? body[name] : [];
}

/** @param {CanvasRenderingContext2D} context @param {number[][]} points */
function line(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}
