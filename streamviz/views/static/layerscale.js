// Colours for numbers that may lie decades apart, as norms of layers do.

/**
 * The ends of the colours, and a value's place between them: by its size where all are above zero
 * and far apart, as norms are.
 * @param {(number|string|null)[][]} values
 */
export function scaleOf(values) {
  const finite = /** @type {number[]} */ (values.flat().filter((value) => typeof value === "number")).sort((a, b) => a - b);
  if (finite.length === 0) return { low: 0, high: 1, log: false, below: false, place: () => 0 };
  const least = finite[0];
  const high = finite[finite.length - 1];
  const positive = finite.find((value) => value > 0) ?? 0;
  const log = least >= 0 && positive > 0 && high / positive > 20;
  // A few of the values may lie below: a layer that hardly moves is not to take all the colours.
  const low = log ? Math.max(positive, finite[Math.floor(finite.length / 25)], high * 1e-9) : least;
  const span_ = log ? Math.log(high / low) : high - low;
  const place = (/** @type {number} */ value) => (span_ > 0 ? Math.max(0, Math.min(1, (log ? Math.log(Math.max(value, low) / low) : value - low) / span_)) : 0.5);
  return { low, high, log, below: least < low, place };
}

