// The top row: which run, is it alive, how far is it, is anything lost.

import { age, bytes, compact, isolated, lag, measure, whole } from "./format.js";

/** @typedef {"live"|"hollow"|"amber"|"red"|"none"} Tone */

/** What each state of a run looks like; a word always stands beside it. */
const TONES = { waiting: "hollow", joining: "hollow", live: "live", stale: "amber", gone: "red", done: "none", failed: "red" };
/** Data older than this are told by their age, not by the lag of the line. */
const OLD_S = 2;
/** A run that lives and has made no step for so many of its steps, and seconds, is said to make none. */
const STEPS_WAITED = 5;
const STILL_S = 10;
/** The same, where nobody knows how long a step takes. */
const STILL_UNKNOWN_S = 60;
const NEARLY_FULL = 0.97;

const NEWEST = "";

/** What each way that recording goes looks like. */
const DISK_TONES = { ok: "none", off: "none", full: "red", failing: "red" };

export class Header {
  /** @param {{choose: (run: string|null) => void}} on */
  constructor(on) {
    const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
    this.picker = /** @type {HTMLSelectElement} */ (get("run"));
    this.stats = /** @type {HTMLElement} */ (document.querySelector(".stats"));
    this.parts = {
      word: get("state-word"), lag: get("state-lag"), ranks: get("stat-ranks"), ranksLabel: get("ranks-label"), step: get("stat-step"),
      stepLabel: get("step-label"), eta: get("stat-eta"), etaLabel: get("eta-label"), disk: get("stat-disk"), rate: get("stat-rate"), rateLabel: get("rate-label"), dropped: get("stat-dropped"), memory: get("stat-memory"), bar: get("memory-bar"),
    };
    this.cells = {
      state: this.#cell("state"), ranks: this.#cell("ranks"), dropped: this.#cell("dropped"), memory: this.#cell("memory"),
      disk: this.#cell("disk"), step: this.#cell("step"), rate: this.#cell("rate"),
    };
    /** @type {{run: string|undefined, pace: number|null}|null} steps a second, as last known */
    this.paceOf = null;
    this.picker.addEventListener("change", () => on.choose(this.picker.value === NEWEST ? null : this.picker.value));
  }

  #cell(/** @type {string} */ name) {
    return /** @type {HTMLElement} */ (document.querySelector(`.stat-${name}`));
  }

  /**
   * @param {{run: string, state: string, attempt: number}[]} runs newest first
   * @param {string|null} shown
   * @param {string|null} chosen null: the newest
   */
  showRuns(runs, shown, chosen) {
    const wanted = JSON.stringify([runs.map(({ run, state, attempt }) => [run, state, attempt]), shown, chosen]);
    // An open list must not be rebuilt under the pointer.
    if (wanted === this.listed) return;
    this.listed = wanted;
    const options = runs.map(({ run, state, attempt }) => option(run, `${isolated(run)} — ${state}${attempt > 0 ? `, attempt ${attempt}` : ""}`));
    if (chosen !== null && !runs.some(({ run }) => run === chosen)) options.unshift(option(chosen, `${chosen} — unknown`));
    options.unshift(option(NEWEST, chosen === null && shown ? `${isolated(shown)} (newest)` : "newest"));
    this.picker.replaceChildren(...(runs.length > 0 || shown || chosen !== null ? options : [option(NEWEST, "no run yet")]));
    this.picker.value = chosen ?? NEWEST;
    this.picker.disabled = runs.length === 0;
    this.picker.title = shown ?? "";
  }

  /**
   * @param {any} status the server's last word
   * @param {import("./link.js").LinkState} link
   * @param {number} sinceStatus seconds since it came
   * @param {boolean} paused
   * @param {boolean} refused
   * @param {{started: number, last: number}} when the run began and was heard last, seconds since the epoch; 0: unknown
   */
  show(status, link, sinceStatus, paused, refused, when) {
    const { parts, cells } = this;
    const run = Boolean(status?.run);
    this.stats.classList.toggle("has-run", run);
    this.stats.classList.toggle("lost", link === "lost");
    if (link !== "open") {
      say(parts.word, refused ? "no room" : link === "lost" ? "no server" : "connecting");
      say(parts.lag, "");
      cells.state.dataset.tone = link === "lost" ? "red" : "hollow";
    } else {
      const state = status?.state ?? "waiting";
      const old = (status?.age_s ?? 0) + sinceStatus;
      const ended = state === "done" || state === "failed";
      // While it stands still nobody knows its pace: what it was counts.
      if (this.paceOf?.run !== status?.run) this.paceOf = { run: status?.run, pace: null };
      if (status?.steps_per_s) this.paceOf.pace = status.steps_per_s;
      const still = state === "live" && run && old > stillAfter(this.paceOf.pace);
      say(parts.word, paused && state === "live" ? "paused" : still ? "no step" : state);
      say(parts.lag, ended || paused || !run || status.age_s === null ? "" : old > OLD_S ? age(old) : lag(status.lag_ms));
      cells.state.dataset.tone = paused && state === "live" ? "hollow" : still ? "amber" : (TONES[/** @type {keyof TONES} */ (state)] ?? "none");
    }
    if (!status) return;
    const over = status.state === "done";
    say(parts.ranks, over ? whole(status.ranks_expected) : `${whole(status.ranks_live)}/${whole(status.ranks_expected)}`);
    say(parts.ranksLabel, over ? "ranks" : "ranks live");
    const missing = ["live", "stale"].includes(status.state) && status.ranks_live < status.ranks_expected;
    cells.ranks.dataset.tone = missing ? "amber" : "none";
    this.#showProgress(status, when);
    say(parts.dropped, whole(status.dropped));
    cells.dropped.dataset.tone = status.dropped > 0 ? "amber" : "none";
    const share = status.memory_allowed > 0 ? status.memory_used / status.memory_allowed : 0;
    say(parts.memory, `${bytes(status.memory_used)} of ${bytes(status.memory_allowed)}`);
    parts.bar.style.transform = `scaleX(${Math.min(1, share).toFixed(3)})`;
    cells.memory.dataset.tone = share >= NEARLY_FULL ? "amber" : "none";
    this.#showDisk(status.journal);
  }

  /**
   * How far it is, how fast, and how long still; what nobody told the publisher is not known here.
   * @param {any} status
   * @param {{started: number, last: number}} when
   */
  #showProgress(status, when) {
    const { parts, cells } = this;
    const { step, total_steps: total = null, eta_s: eta = null, throughput = null, mfu = null, steps_per_s: pace = null } = status;
    const attempt = status.attempt > 0 ? `, attempt ${status.attempt}` : "";
    say(parts.step, whole(step));
    say(parts.stepLabel, total === null ? `step${attempt}` : `step of ${total < 1e7 ? whole(total) : compact(total)}`);
    const share = total > 0 && step !== null ? ` (${Math.min(100, Math.floor((100 * step) / total))} %)` : "";
    title(cells.step, [total === null ? "" : `step ${whole(step)} of ${whole(total)}${share}${attempt}`, pace === null ? "" : `${measure(pace)} steps/s`]);
    const over = status.state === "done" || status.state === "failed";
    // Without an end that is known, how long it has been going on is what can be said.
    const openEnd = total === null || over;
    const lasted = when.started > 0 ? (over ? when.last : status.now) - when.started : NaN;
    say(parts.eta, openEnd ? age(lasted) : eta === null ? "–" : age(eta));
    say(parts.etaLabel, over ? "took" : openEnd ? "running for" : "time left");
    this.stats.classList.toggle("has-eta", eta !== null && !over);
    const known = throughput !== null && Number.isFinite(throughput);
    const steps = pace === null || over ? "–" : pace < 10 ? String(Number(pace.toPrecision(2))) : compact(pace);
    say(parts.rate, (known ? compact(throughput) : steps) + (mfu === null ? "" : ` · ${Math.round(100 * mfu)} %`));
    say(parts.rateLabel, `${known ? (status.throughput_unit ?? "samples/s") : "steps/s"}${mfu === null ? "" : " · MFU"}`);
    title(cells.rate, [known ? "what the training gets through" : "steps that the rank in the middle makes", `this server receives ${compact(status.samples_per_s)} values/s in all`]);
  }

  /** @param {{kind: "ok"|"off"|"full"|"failing", bytes_used: number, bytes_allowed: number, path: string}|undefined} journal */
  #showDisk(journal) {
    const { parts, cells } = this;
    const kind = journal?.kind ?? "off";
    const words = { off: "not recorded", full: "▲ full", failing: "▲ failing", ok: "" }[kind];
    say(parts.disk, words || `${bytes(journal?.bytes_used ?? 0)} of ${bytes(journal?.bytes_allowed ?? 0)}`);
    cells.disk.dataset.tone = DISK_TONES[kind];
    cells.disk.dataset.kind = kind;
    cells.disk.title = journal?.path ?? "";
  }
}

/**
 * @param {string} value
 * @param {string} text
 */
function option(value, text) {
  const element = document.createElement("option");
  element.value = value;
  element.textContent = text;
  return element;
}

/** Seconds after which a run that lives stands still. @param {number|null} pace steps a second */
function stillAfter(pace) {
  return pace ? Math.max(STILL_S, STEPS_WAITED / pace) : STILL_UNKNOWN_S;
}

/**
 * Write only what is new: a text set again is laid out again.
 * @param {HTMLElement} element
 * @param {string} text
 */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {HTMLElement} element
 * @param {string[]} sentences
 */
function title(element, sentences) {
  const text = sentences.filter(Boolean).join(", ");
  if (element.title !== text) element.title = text;
}
