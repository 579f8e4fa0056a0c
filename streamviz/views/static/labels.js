// The names of lines, at their right ends, in the margin beside the frame.

import { lowerBound } from "./derive.js";

const LINE_HEIGHT = 12;
/** More names than this are a list, not labels. */
const MOST = 8;

/**
 * @param {HTMLElement} over
 * @param {import("./plot.js").Plot} plot
 * @param {import("./derive.js").Drawing} drawing
 * @param {import("./strokes.js").Strokes} drawn
 * @param {boolean} room is there a margin for them
 */
export function endLabels(over, plot, drawing, drawn, room) {
  const held = /** @type {HTMLElement[]} */ ([...over.querySelectorAll(".end-label")]);
  const lines = drawn.named.filter((line) => line.kind !== "old");
  const labels = room && lines.length <= MOST ? placed(plot, drawing, lines) : [];
  labels.forEach(({ line, pixel }, i) => {
    let element = held[i];
    if (!element) {
      element = document.createElement("div");
      element.className = "end-label";
      over.append(element);
    }
    if (element.textContent !== line.label) element.textContent = line.label;
    element.style.color = line.text;
    const { left, width } = plot.frame;
    element.style.transform = `translate(${left + width}px, ${Math.round(pixel - LINE_HEIGHT / 2)}px)`;
  });
  for (const element of held.slice(labels.length)) element.remove();
}

/**
 * Each label as near to its line's end as it can be without covering another.
 * @param {import("./plot.js").Plot} plot
 * @param {import("./derive.js").Drawing} drawing
 * @param {import("./strokes.js").NamedLine[]} lines
 */
function placed(plot, drawing, lines) {
  const { top, height } = plot.frame;
  const { start, end } = plot.xRange;
  const from = lowerBound(drawing.x, start);
  const to = Math.min(drawing.n - 1, lowerBound(drawing.x, end + Number.EPSILON * Math.abs(end)));
  const labels = [];
  for (const line of lines) {
    let i = to;
    while (i >= from && !Number.isFinite(line.y[i])) i -= 1;
    if (i < from) continue;
    const pixel = plot.yToPixel(line.y[i]);
    if (Number.isFinite(pixel)) labels.push({ line, pixel: Math.min(top + height - 2, Math.max(top + 4, pixel)) });
  }
  labels.sort((a, b) => a.pixel - b.pixel);
  for (let i = 1; i < labels.length; i += 1) {
    labels[i].pixel = Math.max(labels[i].pixel, labels[i - 1].pixel + LINE_HEIGHT);
  }
  // Pushed below the frame: take them up again from the bottom.
  let limit = top + height - 2;
  for (let i = labels.length - 1; i >= 0 && labels[i].pixel > limit; i -= 1) {
    labels[i].pixel = limit;
    limit -= LINE_HEIGHT;
  }
  return labels;
}
