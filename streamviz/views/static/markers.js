// Marks and alerts over a chart: a thin line where each happened, a glyph on the top edge, words on hover.

import { between } from "./derive.js";
import { isolated, whole } from "./format.js";

/** Moments whose glyphs would overlap share one line. */
const APART_PX = 9;
/** Sentences that one glyph says; the others are counted. */
const SAID_AT_MOST = 4;
const GLYPHS = { mark: "◆", info: "●", warning: "▲", error: "▲" };
const URGENCY = ["mark", "info", "warning", "error"];

/**
 * @param {HTMLElement} over
 * @param {import("./plot.js").Plot} plot
 * @param {import("./derive.js").Drawing} drawing
 * @param {import("./moments.js").Moment[]} moments by step
 */
export function momentMarks(over, plot, drawing, moments) {
  const held = /** @type {HTMLElement[]} */ ([...over.querySelectorAll(":scope > .moment")]);
  const groups = moments.length > 0 ? grouped(plot, drawing, moments) : [];
  const { left, top, width, height } = plot.frame;
  groups.forEach(({ pixel, moments: together }, i) => {
    const element = held[i] ?? made(over);
    const kind = URGENCY[Math.max(...together.map((one) => URGENCY.indexOf(one.kind)))];
    element.style.height = `${height}px`;
    element.style.transform = `translate(${pixel}px, ${top}px)`;
    const key = JSON.stringify([kind, together.map(({ step, text }) => [step, text])]);
    const side = pixel > left + width / 2 ? "left" : "right";
    if (element.dataset.side !== side) element.dataset.side = side;
    if (element.dataset.key === key) return;
    element.dataset.key = key;
    element.dataset.kind = kind;
    const [glyph, words] = /** @type {HTMLElement[]} */ ([...element.children]);
    glyph.textContent = GLYPHS[/** @type {keyof typeof GLYPHS} */ (kind)];
    words.replaceChildren(...sentences(together));
    glyph.setAttribute("aria-label", words.innerText || (words.textContent ?? ""));
  });
  for (const element of held.slice(groups.length)) element.remove();
}

/**
 * @param {import("./plot.js").Plot} plot
 * @param {import("./derive.js").Drawing} drawing
 * @param {import("./moments.js").Moment[]} moments
 */
function grouped(plot, drawing, moments) {
  const { start, end } = plot.xRange;
  /** @type {{pixel: number, moments: import("./moments.js").Moment[]}[]} */
  const groups = [];
  if (drawing.n === 0 || drawing.folded) return groups;
  // Beyond what was drawn there is no place on an axis that is not steps.
  const [first, last] = [drawing.step[0], drawing.step[drawing.n - 1]];
  for (const moment of moments) {
    if (moment.step < first || moment.step > last + 1) continue;
    const x = between(drawing.step, drawing.x, moment.step);
    if (x < start || x > end) continue;
    const pixel = Math.round(plot.xToPixel(x));
    const near = groups.at(-1);
    if (near && Math.abs(pixel - near.pixel) < APART_PX) near.moments.push(moment);
    else groups.push({ pixel, moments: [moment] });
  }
  return groups;
}

/** @param {import("./moments.js").Moment[]} moments */
function sentences(moments) {
  const said = moments.slice(0, SAID_AT_MOST).map(({ step, text }) => `${whole(step)} · ${isolated(text)}`);
  if (moments.length > said.length) said.push(`+${whole(moments.length - said.length)} more`);
  return said.map((words) => {
    const line = document.createElement("div");
    line.textContent = words;
    return line;
  });
}

/** @param {HTMLElement} over */
function made(over) {
  const element = document.createElement("div");
  element.className = "moment";
  const glyph = document.createElement("span");
  glyph.className = "moment-glyph";
  glyph.setAttribute("role", "img");
  const words = document.createElement("div");
  words.className = "moment-words";
  element.append(glyph, words);
  over.append(element);
  return element;
}
