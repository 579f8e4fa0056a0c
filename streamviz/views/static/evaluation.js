// What an expression comes to: the metrics of one run, aligned by step, and the value of each row.

/**
 * @typedef {import("./expression.js").Expression} Expression
 * @typedef {import("./expression.js").Node} Node
 * @typedef {{step: Float64Array, t: Float64Array, width: number, values: Map<string, Float64Array>}} Table
 */

/**
 * The values of an expression, one for each row of a table.
 * @param {Expression} expression
 * @param {Table} table
 * @returns {Float64Array}
 */
export function evaluate({ root }, table) {
  return value(root, table);
}

/** @type {Record<string, (a: number, b: number) => number>} */
const OPERATORS = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => (b === 0 ? NaN : a / b),
  "^": (a, b) => a ** b,
};

/** @param {Node} node @param {Table} table @returns {Float64Array} */
function value(node, table) {
  const n = table.step.length;
  if (node.kind === "number") return new Float64Array(n).fill(node.value);
  if (node.kind === "name") return table.values.get(node.name) ?? new Float64Array(n).fill(NaN);
  if (node.kind === "negative") return value(node.of, table).map((one) => -one);
  if (node.kind === "operator") {
    const [left, right] = [value(node.left, table), value(node.right, table)];
    const act = OPERATORS[node.sign];
    return left.map((one, i) => act(one, right[i]));
  }
  return called(node, table);
}

/** @param {Node & {kind: "call"}} node @param {Table} table @returns {Float64Array} */
function called({ name, of }, table) {
  const [x, y, ...more] = of.map((argument) => value(argument, table));
  const plain = of[1]?.kind === "number" ? of[1].value : NaN;
  const each = (/** @type {(a: number, b: number) => number} */ act) => [y, ...more].reduce((left, right) => left.map((one, i) => act(one, right[i])), x);
  switch (name) {
    case "ratio": return each(OPERATORS["/"]);
    case "min": return each(Math.min);
    case "max": return each(Math.max);
    case "abs": return x.map(Math.abs);
    case "log": return x.map((one) => (one > 0 ? Math.log(one) : NaN));
    case "exp": return x.map(Math.exp);
    case "diff": return changes(x, () => 1);
    case "rate": return changes(x, (i, before) => table.step[i] - table.step[before]);
    case "rate_s": return changes(x, (i, before) => table.t[i] - table.t[before]);
    case "mean": return trailing(x, table.step, plain);
    case "ema": return averaged(x, plain);
    default: return summed(x);
  }
}

/**
 * Each value less the one before it that is there, by what lies between them.
 * @param {Float64Array} x
 * @param {(i: number, before: number) => number} over
 */
function changes(x, over) {
  let before = -1;
  return x.map((one, i) => {
    if (!Number.isFinite(one)) return NaN;
    const last = before;
    before = i;
    const width = last < 0 ? 0 : over(i, last);
    return width > 0 ? (one - x[last]) / width : NaN;
  });
}

/**
 * The mean of the values of the last so many steps.
 * @param {Float64Array} x
 * @param {Float64Array} step
 * @param {number} steps
 */
function trailing(x, step, steps) {
  let [from, sum, count] = [0, 0, 0];
  return x.map((one, i) => {
    if (Number.isFinite(one)) {
      sum += one;
      count += 1;
    }
    for (; step[from] <= step[i] - steps; from += 1) {
      if (!Number.isFinite(x[from])) continue;
      sum -= x[from];
      count -= 1;
    }
    return Number.isFinite(one) && count > 0 ? sum / count : NaN;
  });
}

/** @param {Float64Array} x @param {number} weight how much of the former mean is kept */
function averaged(x, weight) {
  let [mean, kept] = [0, 1];
  return x.map((one) => {
    if (!Number.isFinite(one)) return NaN;
    mean = mean * weight + one * (1 - weight);
    kept *= weight;
    return mean / (1 - kept);
  });
}

/** @param {Float64Array} x */
function summed(x) {
  let sum = 0;
  return x.map((one) => (Number.isFinite(one) ? (sum += one) : NaN));
}

/**
 * The rows of an expression, as those of a metric stand in a view.
 * @param {Expression} expression
 * @param {import("./layers.js").Source[]} sources one for each name
 * @returns {any} what `derive` takes for rows
 */
export function combined(expression, sources) {
  const fine = sources.every(({ detail }) => detail?.loaded && detail.rows.length > 0) ? sources.map(({ detail }) => /** @type {any} */ (detail).rows) : null;
  const coarse = sources.map(({ live }) => live.rows);
  const table = fine ? joined(coarse, fine) : aligned(sources, coarse, () => true);
  // Aligned under their names, evaluated as one: sums and means do not start anew where finer rows begin.
  const mid = evaluate(expression, table);
  const bad = mid.map((one, i) => (Number.isFinite(one) ? 0 : table.bad[i]));
  const columns = new Map([["x", table.step], ["t", table.t], ["bad", bad]]);
  for (const name of ["lo", "p10", "mid", "p90", "hi"]) columns.set(name, mid);
  return {
    length: mid.length,
    column: (/** @type {string} */ name) => columns.get(name),
    lines: [],
    starts: [],
    attempt: Math.max(0, ...coarse.map((rows) => rows.attempt)),
    gaps: coarse[0]?.gaps ?? [],
    shift: Math.log2(table.width),
    ranks: Math.max(0, ...coarse.map((rows) => rows.ranks)),
    complete: (fine ?? coarse).every((rows) => rows.complete),
    newest: null,
  };

  /** @param {any[]} live @param {any[]} detail */
  function joined(live, detail) {
    const first = Math.min(...detail.map((rows) => rows.column("x")[0]));
    const last = Math.max(...detail.map((rows) => rows.column("x").at(-1)));
    const parts = [
      aligned(sources, live, (step) => step < first),
      aligned(sources, detail, () => true),
      aligned(sources, live, (step) => step > last),
    ];
    const glued = (/** @type {(part: Table & {bad: Float64Array}) => Float64Array} */ pick) => {
      const pieces = parts.map(pick);
      const out = new Float64Array(pieces.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const piece of pieces) {
        out.set(piece, at);
        at += piece.length;
      }
      return out;
    };
    const values = new Map(expression.names.map((name) => [name, glued((part) => /** @type {Float64Array} */ (part.values.get(name)))]));
    return { step: glued((part) => part.step), t: glued((part) => part.t), bad: glued((part) => part.bad), width: parts[1].width, values };
  }
}

/**
 * The rows that all metrics have, on the coarsest of their grids.
 * @param {import("./layers.js").Source[]} sources
 * @param {import("./frames.js").Rows[]} rows of each
 * @param {(step: number) => boolean} wanted
 * @returns {Table & {bad: Float64Array}}
 */
function aligned(sources, rows, wanted) {
  const width = 2 ** Math.max(0, ...rows.map(({ shift }) => shift));
  const folded = rows.map((one) => folds(one, width, wanted));
  const shared = [...(folded[0]?.keys() ?? [])].filter((bucket) => folded.every((other) => other.has(bucket)));
  const column = (/** @type {(bucket: number) => number} */ pick) => Float64Array.from(shared, pick);
  return {
    step: column((bucket) => bucket * width),
    t: column((bucket) => Math.max(...folded.map((fold) => /** @type {any} */ (fold.get(bucket)).t))),
    bad: column((bucket) => folded.reduce((sum, fold) => sum + /** @type {any} */ (fold.get(bucket)).bad, 0)),
    width,
    values: new Map(sources.map(({ name }, i) => [name, column((bucket) => /** @type {any} */ (folded[i].get(bucket)).value)])),
  };
}

/**
 * @param {import("./frames.js").Rows} rows
 * @param {number} width steps of a bucket
 * @param {(step: number) => boolean} wanted
 * @returns {Map<number, {value: number, t: number, bad: number}>} mean of the medians, by bucket
 */
function folds(rows, width, wanted) {
  const [steps, times, mids, bads] = ["x", "t", "mid", "bad"].map((name) => rows.column(name));
  const found = new Map();
  for (let i = 0; i < steps.length; i += 1) {
    // A row that only an earlier attempt has is none of the latest's.
    if (Number.isNaN(times[i]) || !wanted(steps[i])) continue;
    const bucket = Math.floor(steps[i] / width);
    let held = found.get(bucket);
    if (!held) found.set(bucket, (held = { sum: 0, count: 0, value: NaN, t: times[i], bad: 0 }));
    held.t = Math.max(held.t, times[i]);
    held.bad += bads[i] > 0 ? bads[i] : 0;
    if (!Number.isFinite(mids[i])) continue;
    held.sum += mids[i];
    held.count += 1;
    held.value = held.sum / held.count;
  }
  return found;
}
