// What the title row of a chart says of how it is drawn: what is cut off, what has no place on an axis.

import { isolated, plural } from "./format.js";
import { xMetric } from "./look.js";
import { cutOff } from "./ranges.js";

/**
 * What the title row says besides what the data say.
 * @param {import("./panel.js").Panel} panel
 */
export function notesOf({ app, layers, layered, left, problem, drawing }) {
  const refused = layers.find(({ refusal }) => refusal !== null);
  const notes = left > 0 ? [`${left} more not drawn`] : [];
  if (problem) notes.push(`▲ ${problem}`);
  if (refused && layered) notes.push(`▲ ${refused.spec.label}: ${refused.refusal}`);
  // Of the runs that are compared it is not the one whose name stands above.
  if (layers.length === 1 && layers[0].spec.run !== app.run.name) notes.push(`of ${isolated(layers[0].spec.run)}`);
  // What counts points, and not steps, depends on how many steps a point stands for.
  const counting = layers.some(({ spec }) => spec.expression?.counts);
  if (counting && drawing && drawing.shift > 0) notes.push(`over points of ${2 ** drawing.shift} steps`);
  return notes;
}

/**
 * @param {import("./derive.js").Drawing} drawing not empty
 * @param {import("./plot.js").Plot} plot both ranges are set
 * @param {import("./look.js").Look} look
 * @returns {string[]}
 */
export function notesOn(drawing, plot, look) {
  const notes = [];
  const metric = xMetric(look.x);
  if (drawing.offAxis > 0) notes.push(`${plural(drawing.offAxis, "point")} without ${metric}`);
  if (drawing.folded) notes.push(`${metric} goes back`);
  const { above, below, without } = cutOff(drawing, plot.xRange, plot.yRange, plot.scales.y);
  // A number where the person asked for the cut; else words that stand still while data come.
  if (look.outliers === "ignore" && above > 0) notes.push(`${plural(above, "point")} above`);
  if (look.outliers === "ignore" && below > 0) notes.push(`${plural(below, "point")} below`);
  if (look.outliers === "" && above + below > 0) notes.push("outliers beyond the axis");
  if (without > 0) notes.push(`${plural(without, "point")} ≤ 0`);
  if (look.logx) {
    const left = drawing.x.findIndex((x) => x > 0);
    const lost = left < 0 ? drawing.n : left;
    if (lost > 0 && drawing.span.start <= 0) notes.push(`${plural(lost, "point")} left of the axis`);
  }
  return notes;
}
