// What one chart is to show: plain values, as they stand in a layout file and in the address.

/**
 * @typedef {{metric: string}|{expression: string}} Series
 * @typedef {object} Chart
 * @property {string} key unique on the page; of a chart that shows one metric as it is, its name
 * @property {string} title
 * @property {Series[]} series
 * @property {string} [xLabel]
 * @property {string} [yLabel]
 * @property {"linear"|"log"|"symlog"} [scale] absent: as the page has it
 * @property {"line"|"bar"} [kind]
 * @property {"s"|"m"|"l"|"wide"} [size] absent: as the page has it
 */

/**
 * The chart that every metric has.
 * @param {string} metric
 * @returns {Chart}
 */
export function plainChart(metric) {
  const slash = metric.indexOf("/");
  return { key: metric, title: slash > 0 ? metric.slice(slash + 1) : metric, series: [{ metric }] };
}

/** The unit is that of its metrics, where they have the same. @param {Chart} chart @param {(metric: string) => string} unitOf */
export function unitOfChart({ series }, unitOf) {
  const units = new Set(series.map((one) => ("metric" in one ? unitOf(one.metric) : "")));
  return units.size === 1 ? [...units][0] : "";
}
