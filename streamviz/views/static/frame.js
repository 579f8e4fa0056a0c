// Which part of the data the frame of a chart shows, while nobody has zoomed.

import { plain } from "./composite.js";
import { yRange } from "./ranges.js";
import { DOTS_UP_TO } from "./strokes.js";
import { followed } from "./windows.js";

/**
 * @typedef {import("./derive.js").Drawing} Drawing
 * @typedef {import("./look.js").Look} Look
 * @typedef {import("./ranges.js").Range} Range
 */

/** The axis stays as it is while the data fill at least this share of it. */
const FILL = 0.55;
/** Room beside few points, which are drawn as dots that the frame must not cut in half. */
const ROOM = { share: 0.02, factor: 1.05, wallMs: 1000 };

/**
 * @param {Drawing} drawing not empty
 * @param {Look} look
 * @returns {Range}
 */
export function xSpan(drawing, { window, x, logx }) {
  const { start, end } = followed(drawing, window, x, logx);
  if (drawing.n > DOTS_UP_TO) return { start, end };
  if (logx) return { start: start / ROOM.factor, end: end * ROOM.factor };
  const room = end > start ? (end - start) * ROOM.share : x === "wall" ? ROOM.wallMs : 1;
  return { start: start - room, end: end + room };
}

/**
 * @param {import("./layers.js").Layer[]} layers
 * @param {Drawing} drawing of all of them
 * @param {Range} x what is visible
 * @param {import("./scales.js").Scale} scale
 * @param {Look} look
 * @param {Range|null} current
 */
export function ySpan(layers, drawing, x, scale, { outliers }, current) {
  if (layers.length <= 1) return yRange(drawing, x, scale, current, { outliers });
  // Whatever each layer would have it span.
  const ranges = layers.flatMap((layer) => (layer.drawing && layer.drawing.n > 0 ? [yRange(plain(layer.drawing, layers.length), x, scale, null, { outliers })] : []));
  const wanted = ranges.filter((range) => range !== null);
  if (wanted.length === 0) return null;
  const all = { start: Math.min(...wanted.map(({ start }) => start)), end: Math.max(...wanted.map(({ end }) => end)) };
  if (!current) return all;
  const size = (/** @type {Range} */ { start, end }) => scale.to(end) - scale.to(start);
  const inside = current.start <= all.start && current.end >= all.end;
  return inside && size(all) >= FILL * size(current) ? current : all;
}
