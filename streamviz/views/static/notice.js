// The one line above the charts: what is wrong, if anything is, and else how things stand. The most
// urgent comes first; that values are not kept is said behind it and never left out for it.

import { age, isolated, plural, whole } from "./format.js";

/** @typedef {{tone: ""|"note"|"amber"|"red", text: string}} Notice */

const NAMES_AT_MOST = 3;
const PROCESSES_AT_MOST = 3;
const FULL = 0.97;

/**
 * What to say, the most urgent first.
 * @param {object} facts
 * @param {import("./link.js").LinkState} facts.link
 * @param {number} facts.lostFor seconds
 * @param {string} facts.refusal why the server does not take this page
 * @param {boolean} facts.paused
 * @param {number} facts.newSteps
 * @param {any} facts.status
 * @param {number} facts.sinceStatus seconds
 * @param {{rank: number, attempt: number, host: string, state: string}[]} facts.workers
 * @param {{rank: number, processes: {attempt: number, host: string, pid: number}[]}[]} facts.duplicates
 * @param {string[]} facts.overflow some of the metric names that there was no room for
 * @param {number} facts.started
 * @param {number} facts.lastTime wall time of the last word of any rank
 * @param {boolean} facts.hasMetrics
 * @param {Notice|null} [facts.alert] whom the run waits for, or the newest alert that goes on
 * @returns {Notice}
 */
export function notice({ link, lostFor, refusal, paused, newSteps, status, sinceStatus, workers, duplicates, overflow, started, lastTime, hasMetrics, alert = null }) {
  if (link === "lost" && refusal) return { tone: "amber", text: `▲ not live: ${refusal}` };
  if (link === "lost") return { tone: "red", text: `▲ connection lost ${age(lostFor)} ago, trying again` };
  if (link === "connecting" || !status) return { tone: "", text: "connecting" };
  const urgent = standing({ paused, newSteps, status, sinceStatus, workers, duplicates, started, lastTime, hasMetrics, alert });
  if (overflow.length === 0) return urgent;
  const lost = `▲ too many metric names: the values of others are counted, not kept, such as ${overflow.map(isolated).join(", ")}`;
  return { tone: ["", "note"].includes(urgent.tone) ? "amber" : urgent.tone, text: urgent.text ? `${urgent.text} · ${lost}` : lost };
}

/**
 * How the run and its server stand, in one sentence.
 * @param {Pick<Parameters<typeof notice>[0], "paused"|"newSteps"|"status"|"sinceStatus"|"workers"|"duplicates"|"started"|"lastTime"|"hasMetrics"|"alert">} facts
 * @returns {Notice}
 */
function standing({ paused, newSteps, status, sinceStatus, workers, duplicates, started, lastTime, hasMetrics, alert }) {
  const trouble = disk(status.journal, sinceStatus);
  if (trouble) return trouble;
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
  if (duplicates.length > 0) return { tone: "amber", text: twice(duplicates, status.run) };
  if (alert) return alert;
  const silent = workers.filter((worker) => ["stale", "gone", "failed"].includes(worker.state));
  if (silent.length > 0) return { tone: "amber", text: `▲ ${plural(silent.length, "rank")} silent${named(silent, ["stale", "gone", "failed"], ": ")}` };
  if (status.memory_allowed > 0 && status.memory_used / status.memory_allowed >= FULL) {
    return { tone: "amber", text: "▲ memory is full: the finest of the oldest data is being thinned out, extremes stay" };
  }
  if (status.run && !hasMetrics) return { tone: "", text: "connected, waiting for the first numbers" };
  return { tone: "", text: "" };
}

/**
 * @param {{kind: string, since_s: number|null, detail: string, path: string}|undefined} journal
 * @param {number} sinceStatus seconds
 * @returns {Notice|null}
 */
function disk(journal, sinceStatus) {
  if (!journal || !["full", "failing"].includes(journal.kind)) return null;
  const since = journal.since_s === null ? "" : ` for ${age(journal.since_s + sinceStatus)}`;
  const kept = "what comes is drawn and not stored, the ranks keep their rows";
  const where = journal.path ? `in ${isolated(journal.path)}` : "on the server";
  if (journal.kind === "full") return { tone: "red", text: `▲ the disk has been full${since}: ${kept}; make room ${where}` };
  const why = journal.detail ? ` (${isolated(journal.detail)})` : "";
  return { tone: "red", text: `▲ the disk has been failing${since}${why}: ${kept}; look ${where}` };
}

/**
 * @param {{rank: number, processes: {attempt: number, host: string, pid: number}[]}[]} duplicates
 * @param {string} run
 */
function twice(duplicates, run) {
  const [{ rank, processes }] = duplicates;
  const who = processes.slice(0, PROCESSES_AT_MOST).map(({ host, pid, attempt }) => `${isolated(host)} pid ${pid} (attempt ${attempt})`);
  const more = processes.length - who.length;
  const first = `rank ${rank}: ${who.join(", ")}${more > 0 ? ` and ${whole(more)} more` : ""}`;
  const others = duplicates.length > 1 ? `; ${plural(duplicates.length - 1, "other rank")} too` : "";
  return `▲ several jobs send as “${isolated(run)}”: ${first}${others}. Give each a run name of its own (run=…)`;
}

/**
 * @param {{rank: number, host: string, state: string}[]} workers
 * @param {string[]} states
 * @param {string} before
 */
function named(workers, states, before) {
  const found = workers.filter((worker) => states.includes(worker.state));
  if (found.length === 0) return "";
  const names = found.slice(0, NAMES_AT_MOST).map(({ rank, host }) => (host ? `r${rank} (${isolated(host)})` : `r${rank}`));
  const more = found.length - names.length;
  return before + names.join(", ") + (more > 0 ? ` and ${whole(more)} more` : "");
}
