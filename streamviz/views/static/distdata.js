// One name's distribution over the steps, as the server tells it, and what a picture asks of it.

/**
 * @typedef {object} Told
 * @property {number[]} steps
 * @property {number[]} times
 * @property {number[]} edges
 * @property {number[][]} counts
 * @property {{p: number[], values: (number|null)[][]}} percentiles
 * @property {[boolean, boolean]} tails whether the ends are bins of what lies far out
 * @property {number[]} ranks
 * @property {boolean} merged
 * @property {number} left_off
 * @property {number} unreadable
 */

export class DistData {
  /** @param {Told} told */
  constructor(told) {
    this.told = told;
    this.steps = told.steps;
    this.bins = told.edges.length - 1;
    /** What each step counted. */
    this.totals = told.counts.map((counts) => counts.reduce((sum, count) => sum + count, 0));
    const [first, last] = told.tails;
    /** The ends of the axis of values: without the bins of what lies far out. */
    this.low = told.edges[first ? 1 : 0];
    this.high = told.edges[this.bins - (last ? 1 : 0)];
    /** Even bins on the axis. */
    this.even = this.bins - (first ? 1 : 0) - (last ? 1 : 0);
    const shares = [];
    for (let step = 0; step < this.steps.length; step += 1) {
      for (let bin = 0; bin < this.bins; bin += 1) {
        const share = this.share(step, bin);
        if (share > 0) shares.push(share);
      }
    }
    shares.sort((a, b) => a - b);
    /** The share that is as high as a ridge may be: of no step more than one bin is cut by it. */
    this.most = Math.max(0, ...told.counts.map((counts, step) => secondOf(counts) / (this.totals[step] || 1))) * 1.15 || 1;
    /** The share that takes the brightest colour: one bin of all zeros is not to take them all. */
    this.bright = shares[Math.floor(0.96 * (shares.length - 1))] ?? 1;
  }

  /**
   * Of what a step counted, the part in a bin: steps of different size are read alike.
   * @param {number} step its place
   * @param {number} bin
   */
  share(step, bin) {
    const total = this.totals[step];
    return total > 0 ? this.told.counts[step][bin] / total : 0;
  }

  /**
   * How much of its colour or height a share takes, 0 to 1.
   * @param {number} share
   * @param {boolean} log
   * @param {number} most the share that takes all of it
   */
  strength(share, log, most) {
    if (!log) return Math.min(1, share / most);
    // Four decades: a thousandth of the peak is still seen.
    return share <= 0 ? 0 : Math.max(0, Math.min(1, 1 + Math.log10(share / most) / 4));
  }

  /**
   * Where a value lies along the axis: 0 at its low end, 1 at its high one; what lies far out, in its bin.
   * @param {number} value
   */
  place(value) {
    const [first, last] = this.told.tails;
    const at = (value - this.low) / (this.high - this.low);
    const from = first ? 1 : 0;
    const all = this.bins;
    if (at < 0) return first ? 0.5 / all : 0;
    if (at > 1) return last ? 1 - 0.5 / all : 1;
    return (from + at * this.even) / all;
  }

  /**
   * The bin at a place along the axis.
   * @param {number} place 0 to 1
   */
  binAt(place) {
    return Math.max(0, Math.min(this.bins - 1, Math.floor(place * this.bins)));
  }

  /** The place of a percentile among those told. @param {number} p */
  percentile(p) {
    return this.told.percentiles.p.indexOf(p);
  }
}

/**
 * The greatest of some numbers but one; the greatest where the others are nothing.
 * @param {number[]} values
 */
function secondOf(values) {
  let [first, second] = [0, 0];
  for (const value of values) {
    if (value > first) [first, second] = [value, first];
    else if (value > second) second = value;
  }
  return second || first;
}
