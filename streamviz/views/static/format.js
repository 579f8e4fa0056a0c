// Numbers as people read them: short, of steady width, never more exact than useful.

/** Thin, and never broken over two lines. */
const THIN = "\u202f";
const DASH = "–";
const PREFIXES = ["", "k", "M", "G", "T", "P"];

/**
 * A whole number with thin separators: 12 031.
 * @param {number|null|undefined} value
 */
export function whole(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const digits = String(Math.round(Math.abs(value)));
  const grouped = digits.replace(/\B(?=(\d{3})+$)/g, THIN);
  return value < 0 ? `−${grouped}` : grouped;
}

/**
 * A measured value in at most four significant digits: 1.235, 18.23k, 3.2e-7.
 * Trailing zeros stay where the value is not whole, so that its width does not jump.
 * @param {number} value
 */
export function measure(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const sign = value < 0 ? "−" : "";
  // As the ticks beside it: 3e−4, not 0.0003000.
  if (size < 1e-3 || size >= 1e18) return sign + tidyExponent(size.toExponential(3));
  if (size < 10_000) return sign + (Number.isInteger(size) ? String(size) : fixed4(size));
  let power = Math.floor(Math.log10(size) / 3);
  let scaled = size / 1000 ** power;
  // 999 960 rounds to 1000k, which is 1.000M.
  if (Number(scaled.toPrecision(4)) >= 1000 && power < PREFIXES.length - 1) {
    power += 1;
    scaled /= 1000;
  }
  return sign + fixed4(scaled) + PREFIXES[power];
}

/** @param {number} size */
function fixed4(size) {
  const text = size.toPrecision(4);
  return text.includes("e") ? tidyExponent(size.toExponential(3)) : text;
}

/** @param {string} text */
function tidyExponent(text) {
  return text.replace(/\.?0*e/, "e").replace("e+", "e").replace("e-", "e−");
}

/**
 * How many decimals tell apart ticks that are `step` away from each other.
 * @param {number} step
 */
export function decimalsFor(step) {
  return Math.max(0, Math.min(10, -Math.floor(Math.log10(step) + 1e-9)));
}

/**
 * The labels of an axis: one prefix and one number of decimals for all of them.
 * @param {number[]} ticks
 * @returns {string[]}
 */
export function tickLabels(ticks) {
  if (ticks.length === 0) return [];
  const largest = Math.max(...ticks.map(Math.abs));
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : largest || 1;
  if (largest !== 0 && (largest < 1e-3 || largest >= 1e18)) {
    return ticks.map((tick) => (tick === 0 ? "0" : minus(tidyExponent(Number(tick.toPrecision(4)).toExponential()))));
  }
  const power = largest >= 10_000 ? Math.floor(Math.log10(largest * 1.000001) / 3) : 0;
  const unit = 1000 ** power;
  const decimals = decimalsFor(step / unit);
  return ticks.map((tick) =>
    tick === 0 ? "0" : minus((tick / unit).toFixed(decimals)) + PREFIXES[power],
  );
}

/** @param {string} text */
function minus(text) {
  return text.replace(/^-/, "−");
}

/**
 * A rate or count in three or four digits: 950, 18.2k, 3.4M.
 * @param {number|null|undefined} value
 */
export function compact(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  if (value < 1000) return value >= 10 || value === 0 ? String(Math.round(value)) : value.toFixed(1);
  let power = 0;
  let scaled = value;
  while (scaled >= 999.5 && power < PREFIXES.length - 1) {
    scaled /= 1000;
    power += 1;
  }
  return scaled.toFixed(scaled < 100 ? 1 : 0) + PREFIXES[power];
}

/** @param {number} count */
export function bytes(count) {
  if (!Number.isFinite(count)) return DASH;
  let power = 0;
  let scaled = count;
  while (scaled >= 1023.5 && power < 5) {
    scaled /= 1024;
    power += 1;
  }
  const text = power === 0 || scaled >= 100 || Number.isInteger(scaled) ? scaled.toFixed(0) : scaled.toFixed(1);
  return `${text} ${["B", "KiB", "MiB", "GiB", "TiB", "PiB"][power]}`;
}

/**
 * A span of time in words: 3 s, 2 min, 3 h 12 min.
 * @param {number} seconds
 */
export function age(seconds) {
  if (!Number.isFinite(seconds)) return DASH;
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

/**
 * How far behind the page is: 42 ms, 1.2 s, 3 min.
 * @param {number|null|undefined} ms
 */
export function lag(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "";
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return age(ms / 1000);
}

/**
 * Elapsed time as an axis or a readout writes it: 45s, 3m, 2h 30m, 1d 4h.
 * @param {number} seconds
 * @param {number} [step] how far apart ticks are; finer parts are left out
 */
export function elapsed(seconds, step = 1) {
  if (!Number.isFinite(seconds)) return DASH;
  const sign = seconds < 0 ? "−" : "";
  let rest = Math.abs(seconds);
  if (step < 1) return `${sign}${rest.toFixed(decimalsFor(step))}s`;
  rest = Math.round(rest);
  if (rest === 0) return "0";
  const parts = [];
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]]) {
    const count = Math.floor(rest / Number(size));
    rest -= count * Number(size);
    if (count > 0) parts.push(`${count}${unit}`);
    if (Number(size) <= step && parts.length > 0) break;
  }
  return sign + parts.slice(0, 3).join(" ");
}

/**
 * The time of day, with seconds or parts of them where ticks are that close.
 * @param {number} ms since the epoch
 * @param {number} [stepMs]
 */
export function clock(ms, stepMs = 1000) {
  if (!Number.isFinite(ms)) return DASH;
  const at = new Date(ms);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const hours = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (stepMs >= 86_400_000) return `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  if (stepMs >= 60_000) {
    const midnight = at.getHours() === 0 && at.getMinutes() === 0;
    return midnight ? `${two(at.getMonth() + 1)}-${two(at.getDate())}` : hours;
  }
  const seconds = `${hours}:${two(at.getSeconds())}`;
  return stepMs >= 1000 ? seconds : `${seconds}.${String(at.getMilliseconds()).padStart(3, "0").slice(0, 1)}`;
}

/** Letters that are written from right to left, and marks that say which way to write. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc]/;
const OVERRIDES = /[\u202a-\u202e\u2066-\u2069]/g;

/**
 * A name from outside within a sentence of ours: what is written from right to left keeps to itself.
 * @param {string} name
 */
export function isolated(name) {
  return RIGHT_TO_LEFT.test(name) ? `\u2068${name.replace(OVERRIDES, "")}\u2069` : name;
}

/**
 * A sentence of the server's as it is shown: what stands between backticks is put in quotation marks.
 * @param {string} sentence
 * @returns {string}
 */
export function spoken(sentence) {
  return isolated(sentence.replace(/`([^`]*)`/g, "“$1”"));
}

/**
 * One thing, many things.
 * @param {number} count
 * @param {string} one
 * @param {string} [many]
 */
export function plural(count, one, many = `${one}s`) {
  return `${whole(count)} ${count === 1 ? one : many}`;
}

const UNITS = /(?:^|[_./\s(])(ms|us|ns|s|seconds|percent|pct|gib|mib|gb|mb|bytes)\)?$/i;
const UNIT_WORDS = new Map([
  ["seconds", "s"], ["percent", "%"], ["pct", "%"], ["us", "µs"],
  ["gib", "GiB"], ["mib", "MiB"], ["gb", "GB"], ["mb", "MB"], ["bytes", "B"],
]);

/**
 * A value in at most four significant digits, and its unit; seconds below one in the unit that suits.
 * @param {number} value
 * @param {string} unit
 * @returns {[string, string]}
 */
export function inUnit(value, unit) {
  const size = Math.abs(value);
  if (unit !== "s" || !(size > 0 && size < 0.9995)) return [measure(value), unit];
  return size < 0.0009995 ? [measure(rounded(value * 1e6)), "µs"] : [measure(rounded(value * 1e3)), "ms"];
}

/** Without the digits that the multiplication made up: 0.3 s is 300 ms. @param {number} value */
function rounded(value) {
  return Number(value.toPrecision(12));
}

/** What the publisher measures of a machine. */
const SYSTEM_UNITS = new Map([
  ["gpu_use", "%"], ["gpu_memory", "GiB"], ["gpu_temperature", "°C"], ["gpu_power", "W"],
  ["torch_allocated", "GiB"], ["torch_reserved", "GiB"],
  ["cpu", "%"], ["ram", "GiB"], ["ram_used", "%"], ["disk", "%"], ["disk_read", "MB/s"], ["disk_write", "MB/s"],
  ["net_sent", "MB/s"], ["net_received", "MB/s"], ["process_cpu", "%"], ["process_rss", "GiB"],
]);

/**
 * The unit that a metric's name says, if it says one: step_time_ms, gpu_memory_gib, tokens_per_s.
 * The phases that the publisher times are in seconds.
 * @param {string} metric
 */
export function unitOf(metric) {
  if (metric.startsWith("phase/")) return "s";
  const measured = metric.startsWith("system/") ? SYSTEM_UNITS.get(metric.slice(7)) : undefined;
  if (measured !== undefined) return measured;
  if (/per_s(ec(ond)?)?$|\/s$/i.test(metric)) return "/s";
  const found = UNITS.exec(metric);
  if (!found) return "";
  const word = found[1].toLowerCase();
  return UNIT_WORDS.get(word) ?? word;
}
