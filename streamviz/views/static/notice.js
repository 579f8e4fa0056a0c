// The one line above the charts: what is wrong, if anything is, and else how things stand.

import { age, plural, whole } from "./format.js";

/** @typedef {{tone: ""|"note"|"amber"|"red", text: string}} Notice */

const NAMES_AT_MOST = 3;
const FULL = 0.97;

/**
 * The most urgent thing to say.
 * @param {object} facts
 * @param {import("./link.js").LinkState} facts.link
 * @param {number} facts.lostFor seconds
 * @param {boolean} facts.paused
 * @param {number} facts.newSteps
 * @param {any} facts.status
 * @param {number} facts.sinceStatus seconds
 * @param {{rank: number, attempt: number, host: string, state: string}[]} facts.workers
 * @param {number} facts.started
 * @param {number} facts.lastTime wall time of the last word of any rank
 * @param {boolean} facts.hasMetrics
 * @returns {Notice}
 */
export function notice({ link, lostFor, paused, newSteps, status, sinceStatus, workers, started, lastTime, hasMetrics }) {
  if (link === "lost") return { tone: "red", text: `▲ connection lost ${age(lostFor)} ago, trying again` };
  if (link === "connecting" || !status) return { tone: "", text: "connecting" };
  if (paused) return { tone: "note", text: newSteps > 0 ? `paused, ${whole(newSteps)} new` : "paused" };
  const at = status.step === null ? "" : ` at step ${whole(status.step)}`;
  const took = lastTime > started ? ` after ${age(lastTime - started)}` : "";
  const silentFor = (status.age_s ?? 0) + sinceStatus;
  switch (status.state) {
    case "failed":
      return { tone: "red", text: `▲ failed${took}${at}${named(workers, ["failed"], ": ")}` };
    case "gone":
      return { tone: "red", text: `▲ lost${status.age_s === null ? "" : ` ${age(silentFor)} ago`}${at}${named(workers, ["gone", "stale"], ": ")}` };
    case "stale":
      return { tone: "amber", text: `▲ nothing heard for ${age(silentFor)}, last${at || " before any step"}` };
    case "done":
      return { tone: "", text: `done${took}${at}, ${plural(status.ranks_expected, "rank")}${status.dropped > 0 ? `, ${whole(status.dropped)} rows dropped` : ""}` };
    default:
  }
  const silent = workers.filter((worker) => ["stale", "gone", "failed"].includes(worker.state));
  if (silent.length > 0) return { tone: "amber", text: `▲ ${plural(silent.length, "rank")} silent${named(silent, ["stale", "gone", "failed"], ": ")}` };
  if (status.memory_allowed > 0 && status.memory_used / status.memory_allowed >= FULL) {
    return { tone: "amber", text: "▲ memory is full: the finest of the oldest data is being thinned out, extremes stay" };
  }
  if (status.run && !hasMetrics) return { tone: "", text: "connected, waiting for the first numbers" };
  return { tone: "", text: "" };
}

/**
 * @param {{rank: number, host: string, state: string}[]} workers
 * @param {string[]} states
 * @param {string} before
 */
function named(workers, states, before) {
  const found = workers.filter((worker) => states.includes(worker.state));
  if (found.length === 0) return "";
  const names = found.slice(0, NAMES_AT_MOST).map(({ rank, host }) => (host ? `r${rank} (${host})` : `r${rank}`));
  const more = found.length - names.length;
  return before + names.join(", ") + (more > 0 ? ` and ${whole(more)} more` : "");
}
