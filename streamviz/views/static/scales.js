// The scales of an axis: from a value to its place on it and back.
//
// The figure itself is always linear; whatever else there is, is done to the values here. Symlog is
// linear about zero and logarithmic further out, on both sides, so that zero and negative values have
// a place on it.

/**
 * @typedef {"linear"|"log"|"symlog"} ScaleKind
 * @typedef {object} Scale
 * @property {ScaleKind} kind
 * @property {number} bend of symlog: where it turns from linear to logarithmic
 * @property {(value: number) => number} to -Infinity or NaN for what has no place
 * @property {(place: number) => number} from
 */

export const SCALE_KINDS = /** @type {const} */ (["linear", "log", "symlog"]);

const same = (/** @type {number} */ value) => value;

/** @type {Scale} */
export const LINEAR = { kind: "linear", bend: 1, to: same, from: same };
/** @type {Scale} */
export const LOG = { kind: "log", bend: 1, to: Math.log10, from: (place) => 10 ** place };

/**
 * @param {number} bend above 0
 * @returns {Scale}
 */
export function symlog(bend) {
  return {
    kind: "symlog",
    bend,
    to: (value) => Math.sign(value) * Math.log10(1 + Math.abs(value) / bend),
    from: (place) => Math.sign(place) * bend * (10 ** Math.abs(place) - 1),
  };
}

/**
 * @param {ScaleKind} kind
 * @param {number} [bend]
 */
export function scaleOf(kind, bend = 1) {
  return kind === "log" ? LOG : kind === "symlog" ? symlog(bend) : LINEAR;
}

/** The bend moves only when the data have left it this many decades behind: an axis must rest. */
const REST_DECADES = 1.5;
const SAMPLE = 400;

/**
 * Where symlog should bend for some data: a power of ten below all but the smallest tenth of them.
 * @param {Iterable<ArrayLike<number>>} columns
 * @param {number|null} current
 */
export function bendFor(columns, current) {
  const sizes = [];
  for (const column of columns) {
    const stride = Math.max(1, Math.floor(column.length / SAMPLE));
    for (let i = 0; i < column.length; i += stride) {
      const size = Math.abs(column[i]);
      if (size > 0 && size < Infinity) sizes.push(size);
    }
  }
  if (sizes.length === 0) return current ?? 1;
  sizes.sort((a, b) => a - b);
  const low = Math.log10(sizes[Math.floor(0.1 * (sizes.length - 1))]);
  if (current !== null && Math.abs(Math.log10(current) - Math.floor(low)) < REST_DECADES) return current;
  return 10 ** Math.floor(low);
}

/**
 * @param {ArrayLike<number>} values
 * @param {Scale} scale
 * @returns {ArrayLike<number>} `values` itself where the scale is linear; NaN where there is no place
 */
export function onScale(values, scale) {
  if (scale.kind === "linear") return values;
  return Float64Array.from(values, (value) => {
    const place = scale.to(value);
    return place === -Infinity ? NaN : place;
  });
}
