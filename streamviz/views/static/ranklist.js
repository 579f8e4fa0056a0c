// Who is behind: the rows of the board out of the server's columns, their order, and one sentence.

import { age, isolated, plural, whole } from "./format.js";

/**
 * @typedef {object} RankRow
 * @property {number} rank
 * @property {string} host
 * @property {number|null} local its place on its node
 * @property {number} attempt
 * @property {string} state as the server says
 * @property {string} look the state, or "behind" for a live one that is
 * @property {number|null} step
 * @property {number|null} behind steps
 * @property {string} phase
 * @property {number} phase_s
 * @property {number} age seconds since its last word
 * @property {number} dropped rows
 * @property {boolean} trouble
 */

/** Every look with its glyph beside the word, the mark on its square (none when all is well), and how bad it is. */
export const STATES = [
  { name: "failed", glyph: "✕", mark: "✕", bad: true },
  { name: "gone", glyph: "✕", mark: "✕", bad: true },
  { name: "stale", glyph: "▲", mark: "!", bad: true },
  { name: "absent", glyph: "?", mark: "?", bad: true },
  { name: "stuck", glyph: "■", mark: "!", bad: true },
  { name: "behind", glyph: "◀", mark: "‹", bad: true },
  { name: "slow", glyph: "◆", mark: "~", bad: true },
  { name: "joining", glyph: "○", mark: "·", bad: false },
  { name: "live", glyph: "●", mark: "", bad: false },
  { name: "done", glyph: "✓", mark: "✓", bad: false },
];
const WORDS = new Map([["stale", "silent"], ["absent", "never heard"]]);
const BADNESS = new Map(STATES.map(({ name }, i) => [name, i]));
const BAD = new Set(STATES.filter(({ bad }) => bad).map(({ name }) => name));

/** Ranks that log at their own pace are a step or two apart: that is not behind. */
const BEHIND_FROM = 3;

/** What a rank of which an alert goes on is called, by the alert's rule: step and heartbeat do not show it. */
const NAMED = new Map([["stall", "stuck"], ["straggler", "slow"]]);

/** Most ranks that never said hello and are listed. */
const MAX_ABSENT = 4_096;

export const DEFAULT_SORT = { column: "worst", down: false };

/** @param {string} look */
export function wordOf(look) {
  return WORDS.get(look) ?? look;
}

/**
 * @param {any[]} alerts as the server tells them
 * @returns {Map<number, string>} what each rank that an alert holds up is called
 */
export function named(alerts) {
  /** @type {Map<number, string>} */
  const looks = new Map();
  for (const { rule, rank, until } of alerts) {
    const look = NAMED.get(rule);
    if (look && until === null && typeof rank === "number" && looks.get(rank) !== "stuck") looks.set(rank, look);
  }
  return looks;
}

/**
 * @param {any} who columns of what does not change
 * @param {any} now columns of what does
 * @param {Map<number, string>} looks of ranks that are named by an alert
 * @returns {RankRow[]} by rank; ranks that never said hello among them
 */
export function parseRows(who, now, looks = new Map()) {
  /** @type {RankRow[]} */
  const rows = who.rank.map((/** @type {number} */ rank, /** @type {number} */ i) => {
    const state = now.states[now.state[i]];
    const behind = now.behind[i];
    const late = behind !== null && behind >= BEHIND_FROM ? "behind" : state;
    const look = state === "live" ? (looks.get(rank) ?? late) : state;
    return {
      rank, state, look, behind,
      host: who.hosts[who.host[i]] ?? "",
      local: who.local[i],
      attempt: who.attempt[i],
      step: behind === null || now.front === null ? null : now.front - behind,
      phase: now.phases[now.phase[i]] ?? "",
      phase_s: now.phase_s[i],
      age: now.age[i],
      dropped: now.dropped[i],
      trouble: BAD.has(look),
    };
  });
  const known = new Set(who.rank);
  if (who.ranks === rows.length) {
    for (let rank = 0, left = MAX_ABSENT; rank < who.expected && left > 0; rank += 1) {
      if (known.has(rank)) continue;
      left -= 1;
      rows.push({
        rank, host: "", local: null, attempt: 0, state: "absent", look: "absent", step: null, behind: null,
        phase: "", phase_s: 0, age: NaN, dropped: 0, trouble: true,
      });
    }
  }
  return rows.sort((a, b) => a.rank - b.rank);
}

/**
 * @param {RankRow[]} rows
 * @param {string} text ranks and ranges, or a part of a node's, phase's or state's name
 * @param {string|null} look
 */
export function matching(rows, text, look) {
  const wanted = text.trim().toLowerCase();
  const ranges = /^[\d\s,-]+$/.test(wanted) ? rangesOf(wanted) : null;
  return rows.filter((row) => {
    if (look !== null && row.look !== look) return false;
    if (ranges) return ranges.some(([first, last]) => first <= row.rank && row.rank <= last);
    return wanted === "" || [row.host, row.phase, wordOf(row.look), `r${row.rank}`].some((part) => part.toLowerCase().includes(wanted));
  });
}

/** @param {string} text */
function rangesOf(text) {
  return text.split(",").map((part) => part.trim()).filter(Boolean).map((part) => {
    const [first, last] = part.split("-").map((end) => (end.trim() === "" ? NaN : Number(end)));
    // Half-typed: "8-" is 8 so far.
    return [first, Number.isNaN(last ?? NaN) ? first : last];
  });
}

/** @type {Record<string, (row: RankRow) => number|string>} */
const KEYS = {
  state: (row) => BADNESS.get(row.look) ?? 0,
  rank: (row) => row.rank,
  host: (row) => row.host,
  local: (row) => row.local ?? -1,
  attempt: (row) => row.attempt,
  step: (row) => row.step ?? -1,
  behind: (row) => -(row.behind ?? Infinity),
  phase: (row) => row.phase,
  phase_s: (row) => -row.phase_s,
  age: (row) => -(Number.isNaN(row.age) ? Infinity : row.age),
  dropped: (row) => -row.dropped,
};

const natural = new Intl.Collator("en", { numeric: true });

/**
 * @param {RankRow[]} rows
 * @param {{column: string, down: boolean}} sort by column; numbers of trouble the largest first
 */
export function inOrder(rows, { column, down }) {
  const key = KEYS[column];
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    if (!key) return worst(a, b);
    const [one, other] = [key(a), key(b)];
    const order = typeof one === "string" ? natural.compare(one, String(other)) : one - Number(other);
    // Infinity less itself is no number.
    return sign * (Number.isNaN(order) ? 0 : order) || a.rank - b.rank;
  });
}

/**
 * Who is in trouble first, and among those the one furthest behind.
 * @param {RankRow} a
 * @param {RankRow} b
 */
function worst(a, b) {
  const state = (BADNESS.get(a.look) ?? 0) - (BADNESS.get(b.look) ?? 0);
  const lag = (/** @type {RankRow} */ row) => (row.trouble ? (row.behind ?? 0) : 0);
  return state || lag(b) - lag(a) || a.rank - b.rank;
}

/**
 * The one thing to know; "" when all keep up.
 * @param {RankRow[]} rows
 * @param {number|null} front
 */
export function sentence(rows, front) {
  const bad = rows.filter(({ trouble }) => trouble);
  if (bad.length === 0) return "";
  const [first] = [...bad].sort(worst);
  const who = `rank ${first.rank}${first.host ? ` (${isolated(first.host)})` : ""}`;
  const where = first.phase && first.phase_s >= 1 ? ` in ${first.phase} for ${age(first.phase_s)}` : "";
  const at = first.step === null ? "" : ` at step ${whole(first.step)}`;
  const said = {
    failed: `failed${at}`,
    gone: `gone, last heard ${age(first.age)} ago${at}`,
    stale: `silent for ${age(first.age)}, last${at}${where}`,
    absent: `never heard of, of ${plural(rows.length, "rank")} expected`,
    behind: `${plural(first.behind ?? 0, "step")} behind${at}${where}`,
    stuck: `stands still${at}${where}`,
    // Where it stands now may be where all wait for another one.
    slow: "is slower than the others",
  }[first.look];
  const others = bad.length > 1 ? `; ${plural(bad.length - 1, "other rank")} in trouble` : "";
  const waiting = first.look !== "absent" && front !== null && bad.length < rows.length ? `; ${plural(rows.length - bad.length, "rank")} at ${whole(front)}` : "";
  return `▲ ${who} ${said}${others}${waiting}`;
}
