// Colours for numbers: ramps that are read the same in grey and by the colour-blind, as lookup tables.

/** @typedef {"viridis"|"cividis"|"diverging"} Ramp */

/** @type {Record<Ramp, string[]>} */
const STOPS = {
  viridis: ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"],
  cividis: ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"],
  diverging: ["#08468b", "#3b83bf", "#9cc4df", "#eeeeea", "#efbd86", "#cf7a33", "#824208"],
};

export const RAMPS = /** @type {Ramp[]} */ (Object.keys(STOPS));

/** What is no value on the ramp: beyond its ends, and not a number (two, which make a hatch). */
export const ABOVE = "#ff5fd2";
export const BELOW = "#00e0ff";
export const NAN = /** @type {const} */ (["#e5352b", "#5c0f0a"]);

/** Beyond the ends by this share of the span a value keeps the colour of the end; further off it is marked. */
const GRACE = 0.5;

export const ABSENT = 0x7fff;
const CODES = 65_536;
const SHADES = 256;

/** @type {Float32Array|null} */
let halves = null;

/** What each half-precision number is. */
function halfTable() {
  if (halves) return halves;
  halves = new Float32Array(CODES);
  for (let code = 0; code < CODES; code += 1) {
    const exponent = (code >> 10) & 0x1f;
    const fraction = code & 0x3ff;
    const sign = code & 0x8000 ? -1 : 1;
    if (exponent === 0) halves[code] = sign * fraction * 2 ** -24;
    else if (exponent === 31) halves[code] = fraction ? NaN : sign * Infinity;
    else halves[code] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return halves;
}

/**
 * What a cell's code means.
 * @param {number} code
 * @param {{base: number, exponent: number}} gauge
 */
export function valueOf(code, { base, exponent }) {
  const far = halfTable()[code] * 2 ** exponent;
  const value = base + far;
  // Nearer to zero than a code can tell: a rate of nothing shall not come out as a little below it.
  return Math.abs(value) < Math.abs(far) / 1024 && value !== base ? 0 : value;
}

/** @param {number} code */
export function isAbsent(code) {
  return code === ABSENT;
}

/**
 * The ends of the ramp for a scale: for a diverging one the same distance on both sides of the median.
 * @param {[number, number, number]} scale lo, mid, hi
 * @param {Ramp} ramp
 * @returns {{lo: number, hi: number, under: number, over: number}}
 */
export function endsOf([lo, mid, hi], ramp) {
  let [from, to] = [lo, hi];
  if (ramp === "diverging") {
    const reach = Math.max(hi - mid, mid - lo);
    [from, to] = [mid - reach, mid + reach];
  }
  if (!(to > from)) {
    // All alike: the colour of the middle, and room for what differs.
    const room = Math.abs(from) * 1e-3 || 1e-3;
    [from, to] = [from - room, from + room];
  }
  const grace = GRACE * (to - from);
  return { lo: from, hi: to, under: from - grace, over: to + grace };
}

/**
 * The colour of every code there is, as the bytes of a pixel.
 * @param {{base: number, exponent: number}} gauge
 * @param {[number, number, number]} scale
 * @param {Ramp} ramp
 * @returns {Uint32Array}
 */
export function lookup(gauge, scale, ramp) {
  const shades = shadesOf(ramp);
  const { lo, hi, under, over } = endsOf(scale, ramp);
  const [above, below, nan] = [pixel(ABOVE), pixel(BELOW), pixel(NAN[0])];
  const half = halfTable();
  const unit = 2 ** gauge.exponent;
  const step = (SHADES - 1) / (hi - lo);
  const table = new Uint32Array(CODES);
  for (let code = 0; code < CODES; code += 1) {
    const value = gauge.base + half[code] * unit;
    if (value !== value) table[code] = nan;
    else if (value > over) table[code] = above;
    else if (value < under) table[code] = below;
    else table[code] = shades[Math.max(0, Math.min(SHADES - 1, Math.round((value - lo) * step)))];
  }
  // Nothing is there: what lies behind shows through.
  table[ABSENT] = 0;
  return table;
}

/** The second colour of the hatch, for every third diagonal. */
export const HATCH = pixel(NAN[1]);
export const NAN_PIXEL = pixel(NAN[0]);

/** @param {Ramp} ramp */
function shadesOf(ramp) {
  const shades = new Uint32Array(SHADES);
  for (let i = 0; i < SHADES; i += 1) shades[i] = pixel(shade(ramp, i / (SHADES - 1)));
  return shades;
}

/**
 * @param {Ramp} ramp
 * @param {number} at 0 to 1
 * @returns {string} #rrggbb
 */
export function shade(ramp, at) {
  const stops = STOPS[ramp];
  const place = Math.max(0, Math.min(1, at)) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(place));
  const [from, to] = [bytesOf(stops[i]), bytesOf(stops[i + 1])];
  return `#${from.map((byte, k) => Math.round(byte + (to[k] - byte) * (place - i)).toString(16).padStart(2, "0")).join("")}`;
}

/** @param {Ramp} ramp */
export function gradient(ramp) {
  return `linear-gradient(to right, ${STOPS[ramp].join(", ")})`;
}

/** @param {string} colour #rrggbb */
function bytesOf(colour) {
  return [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
}

/** As it lies in the memory of a little-endian machine: alpha, blue, green, red. @param {string} colour */
function pixel(colour) {
  const [red, green, blue] = bytesOf(colour);
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
