// Names along a heatmap: ranks or nodes at its side, steps below it.

import { isolated, whole } from "./format.js";
import { rowName } from "./heatdata.js";
import { div, span } from "./make.js";

/** Room that a name at the side takes, and a step below. */
const NAME_PX = 15;
const LOWER_PX = 3;
const STEP_PX = 110;
/** Nearer to the right end than this a step's number would be cut off. */
const STEP_ROOM_PX = 48;

export class HeatLabels {
  constructor() {
    this.rows = div("heat-rows");
    this.steps = div("heat-steps");
    this.told = "";
  }

  /**
   * @param {[number, number][]} ranks of each line, from the top
   * @param {number} each pixels of a line
   * @param {Map<number, string>} hosts
   * @param {boolean} byNode
   */
  place(ranks, each, hosts, byNode) {
    const marks = byNode ? nodes(ranks, hosts) : spread(ranks.length, Math.ceil(NAME_PX / each)).map((line) => ({ line, text: rowName(ranks[line]) }));
    let free = -Infinity;
    const shown = [];
    for (const { line, text } of marks) {
      // A name stands beside the middle of its line, or where its node begins.
      const middle = byNode ? line * each : (line + 0.5) * each - NAME_PX / 2;
      const y = Math.max(0, middle);
      if (y < free) continue;
      // The first stands a little lower than its line, and may take a little from the next.
      free = y + NAME_PX - (y > middle ? LOWER_PX : 0);
      const label = span("heat-row", text);
      label.title = text;
      label.style.setProperty("transform", `translateY(${y}px)`);
      shown.push(label);
    }
    this.rows.replaceChildren(...shown);
  }

  /**
   * @param {import("./heatdata.js").HeatData} data
   * @param {number} columns that the width is divided into
   */
  label({ steps, length }, columns) {
    const width = this.steps.clientWidth;
    const every = Math.max(1, Math.ceil((STEP_PX / Math.max(1, width)) * columns));
    const marks = rounded(steps, length, every).filter((mark) => (Number(mark.split(":")[0]) / columns) * width < width - STEP_ROOM_PX);
    const told = `${columns} ${width} ${marks.join()}`;
    if (told === this.told) return;
    this.told = told;
    this.steps.replaceChildren(...marks.map((mark, i) => {
      const [column, step] = mark.split(":").map(Number);
      const label = span("heat-step", i === 0 ? `step ${whole(step)}` : whole(step));
      label.style.setProperty("left", `${((100 * column) / columns).toFixed(3)}%`);
      return label;
    }));
  }
}

/**
 * @param {number} count
 * @param {number} every
 */
function spread(count, every) {
  // 1, 2, 4, 8, … so that the names are round and stay where they are.
  const stride = 2 ** Math.ceil(Math.log2(Math.max(1, every)));
  return Array.from({ length: Math.ceil(count / stride) }, (_, i) => i * stride);
}

/**
 * Columns at round steps, at least so many columns apart, as `column:step`.
 * @param {ArrayLike<number>} steps
 * @param {number} length
 * @param {number} every
 */
function rounded(steps, length, every) {
  const each = length > 1 ? (steps[length - 1] - steps[0]) / (length - 1) : 1;
  const least = Math.max(1, every * each);
  const power = 10 ** Math.floor(Math.log10(least));
  // Columns of many steps begin at multiples of a power of two.
  const stride = each > 1 ? 2 ** Math.ceil(Math.log2(least)) : power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10);
  const marks = [];
  let next = Math.ceil(steps[0] / stride) * stride;
  for (let column = 0; column < length; column += 1) {
    if (steps[column] < next) continue;
    marks.push(`${column}:${steps[column]}`);
    next = (Math.floor(steps[column] / stride) + 1) * stride;
  }
  return marks;
}

/**
 * The first line of each node.
 * @param {[number, number][]} ranks
 * @param {Map<number, string>} hosts
 */
function nodes(ranks, hosts) {
  const marks = [];
  let before = null;
  for (const [line, [first]] of ranks.entries()) {
    const host = hosts.get(first) ?? "";
    if (host !== before) marks.push({ line, text: isolated(host) || rowName(ranks[line]) });
    before = host;
  }
  return marks;
}
