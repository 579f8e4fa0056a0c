// The exponential moving average that TensorBoard draws, bias of its start removed.

/**
 * @param {Float64Array} values NaN where there is none; those stay NaN and do not enter the mean
 * @param {number} weight in [0, 1): how much of the former mean is kept
 * @returns {Float64Array} `values` itself where there is nothing to smooth
 */
export function smooth(values, weight) {
  if (weight <= 0) return values;
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
