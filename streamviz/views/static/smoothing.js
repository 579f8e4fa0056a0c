// Three ways to smooth a line: the debiased moving average that TensorBoard draws, a running median,
// a running mean. What is absent stays absent and enters nothing.

/**
 * @typedef {"ema"|"median"|"mean"} SmoothKind
 * @typedef {{kind: SmoothKind, amount: number}} Smooth amount: of `ema` how much of the former mean is
 *   kept, in (0, 1); else the width of the window in points
 */

export const SMOOTH_KINDS = /** @type {const} */ (["ema", "median", "mean"]);

/** Points of a window: from the least that does something to what keeps a frame short. */
export const WIDTH = { least: 2, most: 501 };
const MOST_KEPT = 0.999;

/**
 * What an address says: `ema:0.9`, `median:11`, `mean:21`.
 * @param {string|null} text
 * @returns {Smooth|null} null: as it came
 */
export function parseSmooth(text) {
  const [name, number, ...more] = (text ?? "").split(":");
  const kind = SMOOTH_KINDS.find((known) => known === name);
  if (!kind || more.length > 0 || !/^\d{1,4}(\.\d{1,6})?$/.test(number ?? "")) return null;
  const amount = Number(number);
  if (kind === "ema") return amount > 0 && amount <= MOST_KEPT ? { kind, amount } : null;
  return Number.isInteger(amount) && amount >= WIDTH.least && amount <= WIDTH.most ? { kind, amount } : null;
}

/** @param {Smooth|null} how */
export function smoothText(how) {
  return how ? `${how.kind}:${how.amount}` : "";
}

/** @param {Smooth|null} how */
export function smoothWords(how) {
  if (!how) return "off";
  return how.kind === "ema" ? how.amount.toFixed(3).replace(/0{1,2}$/, "") : `${how.kind} of ${how.amount}`;
}

/**
 * @param {Float64Array} values NaN where there is none
 * @param {Smooth|number|null|undefined} how a number: the weight of the moving average
 * @returns {Float64Array} `values` itself where there is nothing to smooth
 */
export function smooth(values, how) {
  if (how === null || how === undefined) return values;
  if (typeof how === "number") return how > 0 ? average(values, how) : values;
  if (how.kind === "ema") return average(values, how.amount);
  return how.kind === "mean" ? runningMean(values, how.amount) : runningMedian(values, how.amount);
}

/**
 * s = w s + (1 - w) v from 0 on, divided by 1 - wⁿ: the first values are not drawn towards 0.
 * @param {Float64Array} values
 * @param {number} weight in (0, 1)
 */
function average(values, weight) {
  const out = new Float64Array(values.length);
  let last = 0;
  let kept = 1; // weight ** n
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i];
    if (!Number.isFinite(value)) {
      out[i] = NaN;
      continue;
    }
    last = last * weight + (1 - weight) * value;
    kept *= weight;
    out[i] = last / (1 - kept);
  }
  return out;
}

/**
 * The mean of the values around each; at the ends of those there are.
 * @param {Float64Array} values
 * @param {number} width
 */
function runningMean(values, width) {
  const n = values.length;
  const sums = new Float64Array(n + 1);
  const counts = new Int32Array(n + 1);
  // About the first value, so that large ones do not use up the digits.
  const base = values.find(Number.isFinite) ?? 0;
  for (let i = 0; i < n; i += 1) {
    const finite = Number.isFinite(values[i]);
    sums[i + 1] = sums[i] + (finite ? values[i] - base : 0);
    counts[i + 1] = counts[i] + (finite ? 1 : 0);
  }
  const { before, after } = sides(width);
  return values.map((value, i) => {
    if (!Number.isFinite(value)) return NaN;
    const from = Math.max(0, i - before);
    const to = Math.min(n, i + after + 1);
    return base + (sums[to] - sums[from]) / (counts[to] - counts[from]);
  });
}

/**
 * The median of the values around each: a spike narrower than half the window leaves no trace.
 * @param {Float64Array} values
 * @param {number} width
 */
function runningMedian(values, width) {
  const n = values.length;
  const { before, after } = sides(width);
  const held = new Float64Array(width);
  let size = 0;
  const place = (/** @type {number} */ value) => {
    let [low, high] = [0, size];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (held[middle] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const enter = (/** @type {number} */ i) => {
    if (i >= n || !Number.isFinite(values[i])) return;
    const at = place(values[i]);
    held.copyWithin(at + 1, at, size);
    held[at] = values[i];
    size += 1;
  };
  const leave = (/** @type {number} */ i) => {
    if (i < 0 || !Number.isFinite(values[i])) return;
    held.copyWithin(place(values[i]), place(values[i]) + 1, size);
    size -= 1;
  };
  const out = new Float64Array(n).fill(NaN);
  for (let i = 0; i < Math.min(after, n); i += 1) enter(i);
  for (let i = 0; i < n; i += 1) {
    leave(i - before - 1);
    enter(i + after);
    if (!Number.isFinite(values[i])) continue;
    const middle = size >> 1;
    out[i] = size % 2 ? held[middle] : (held[middle - 1] + held[middle]) / 2;
  }
  return out;
}

/** How many points of a window lie before its own and after it. @param {number} width */
function sides(width) {
  return { before: width >> 1, after: width - 1 - (width >> 1) };
}
