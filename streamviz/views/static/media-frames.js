// What the Media tab shows, out of the index of payloads: a card for each kind and name, with the
// steps that each rank has of it. Values in, values out.

/** Kinds that have a card, in the order of their chips, and what one of them is called. */
export const KINDS = new Map([
  ["image", "image"], ["chart", "chart"], ["figure", "figure"], ["text", "text"], ["table", "table"],
  ["pr_curve", "PR curve"], ["hparams", "hparam table"], ["tensor", "tensor"], ["other", "other"],
]);
/** Those that another tab shows. */
const ELSEWHERE = new Set(["histogram", "graph", "profile", "layout"]);

const names = new Intl.Collator("en", { numeric: true });

/**
 * @typedef {{step: number, attempt: number, time: number, number: number}} Frame one payload of one rank
 * @typedef {{step: number, attempt: number}} Place where a slider stands; of an attempt's step
 * @typedef {object} Shelf all there is of one kind and name
 * @property {string} key
 * @property {string} kind of KINDS
 * @property {string} name
 * @property {Map<number, Frame[]>} ranks each with its frames, oldest first
 * @property {Map<number, number>} gone how many of a rank's made room for newer ones
 */

/**
 * @param {import("./payloads.js").Entry[]} index
 * @returns {Map<string, Shelf>} by key, in the order of names
 */
export function shelvesOf(index) {
  /** @type {Map<string, Shelf>} */
  const found = new Map();
  for (const { kind, name, rank, attempt, steps, times, numbers, gone = 0 } of index) {
    if (ELSEWHERE.has(kind)) continue;
    const shown = KINDS.has(kind) ? kind : "other";
    const key = `${kind}\0${name}`;
    const shelf = found.get(key) ?? { key, kind: shown, name, ranks: new Map(), gone: new Map() };
    found.set(key, shelf);
    const frames = numbers.map((number, i) => ({ step: steps[i], attempt, time: times[i], number }));
    shelf.ranks.set(rank, [...(shelf.ranks.get(rank) ?? []), ...frames].sort((a, b) => a.attempt - b.attempt || a.number - b.number));
    shelf.gone.set(rank, (shelf.gone.get(rank) ?? 0) + gone);
  }
  return new Map([...found].sort(([, a], [, b]) => names.compare(a.name, b.name) || names.compare(a.kind, b.kind)));
}

/**
 * Which of a shelf's ranks are shown: those that were chosen, or the lowest that has any.
 * @param {Shelf} shelf
 * @param {((rank: number) => boolean)|null} wanted null: nobody chose
 * @returns {number[]} ascending
 */
export function ranksShown(shelf, wanted) {
  const all = [...shelf.ranks.keys()].sort((a, b) => a - b);
  return wanted ? all.filter(wanted) : all.slice(0, 1);
}

/**
 * The frame nearest to a place: of the same attempt where it has one, of two as near the earlier.
 * @param {Frame[]} frames
 * @param {Place|null} place null: the newest
 * @returns {number} -1 where there are none
 */
export function nearest(frames, place) {
  if (place === null) return frames.length - 1;
  let best = -1;
  for (const [i, frame] of frames.entries()) {
    if (best < 0 || closer(frame, frames[best], place)) best = i;
  }
  return best;
}

/** @param {Frame} one @param {Frame} than @param {Place} place */
function closer(one, than, place) {
  const [mine, other] = [one, than].map(({ attempt }) => Math.abs(attempt - place.attempt));
  return mine !== other ? mine < other : Math.abs(one.step - place.step) < Math.abs(than.step - place.step);
}

/** The group of a name: what stands before its first "/". @param {string} name */
export function groupOf(name) {
  const slash = name.indexOf("/");
  return slash > 0 ? name.slice(0, slash) : "";
}

/** @param {string} name */
export function titleOf(name) {
  const slash = name.indexOf("/");
  return slash > 0 ? name.slice(slash + 1) : name;
}
