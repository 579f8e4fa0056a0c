// Where the rows of a run are: the sum that shows whether anything was lost, and how recording goes.

import { bytes, plural, whole } from "./format.js";

/** Reasons that are named one by one; the others are added up. */
const REASONS_AT_MOST = 6;

export class Delivery {
  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.dialog = dialog;
    this.body = /** @type {HTMLElement} */ (dialog.querySelector(".delivery"));
    this.shown = "";
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
  }

  open() {
    if (!this.dialog.open) this.dialog.showModal();
  }

  /** @param {any} status the server's last word */
  show(status) {
    if (!this.dialog.open) return;
    const lines = linesOf(status);
    const key = JSON.stringify(lines);
    if (key === this.shown) return;
    this.shown = key;
    this.body.replaceChildren(...lines.map(row));
  }
}

/**
 * @typedef {{name: string, value: string, kind?: "total"|"part"|"note"|"bad"}} Line
 *
 * @param {any} status
 * @returns {Line[]}
 */
function linesOf(status) {
  return [...rowsOf(status?.delivery), ...recordingOf(status?.journal)];
}

/**
 * @param {any} sum
 * @returns {Line[]}
 */
function rowsOf(sum) {
  if (!sum) return [{ name: "no run is shown", value: "", kind: "note" }];
  /** @type {Line[]} */
  const lines = [
    { name: "rows sent by the ranks", value: whole(sum.sent), kind: "total" },
    { name: "stored", value: whole(sum.stored) },
    { name: "in gaps, drawn hatched", value: whole(sum.missing) },
  ];
  const dropped = Object.entries(sum.dropped ?? {}).filter(([, count]) => Number(count) > 0);
  const named = dropped.slice(0, REASONS_AT_MOST);
  for (const [reason, count] of named) lines.push({ name: `dropped by the ranks: ${reason}`, value: whole(Number(count)), kind: "part" });
  const rest = dropped.slice(REASONS_AT_MOST).reduce((total, [, count]) => total + Number(count), 0);
  if (rest > 0) lines.push({ name: "dropped by the ranks: other reasons", value: whole(rest), kind: "part" });
  lines.push({ name: "held by the ranks, still to come", value: whole(sum.held) });
  if (sum.spilled > 0) lines.push({ name: "on their own disks", value: whole(sum.spilled), kind: "part" });
  lines.push({ name: "▲ lost with a process that ended", value: whole(sum.lost), kind: sum.lost > 0 ? "bad" : undefined });
  if (sum.lost === 0) lines[lines.length - 1].name = "lost with a process that ended";
  lines.push({ name: "came twice, kept once", value: plural(sum.repeated, "frame"), kind: "note" });
  return lines;
}

/**
 * @param {any} journal
 * @returns {Line[]}
 */
function recordingOf(journal) {
  if (!journal || journal.kind === "off") {
    return [{ name: "not recorded: what is shown is kept in memory and ends with the server", value: "", kind: "note" }];
  }
  const used = `${bytes(journal.bytes_used)} of ${bytes(journal.bytes_allowed)}`;
  if (journal.kind === "ok") return [{ name: `recorded in ${journal.path}`, value: used, kind: "note" }];
  return [{ name: `▲ not recorded: ${journal.detail || journal.kind}, ${journal.path}`, value: used, kind: "bad" }];
}

/** @param {Line} line */
function row({ name, value, kind }) {
  const element = document.createElement("div");
  element.className = kind ?? "";
  const left = document.createElement("dt");
  left.textContent = name;
  const right = document.createElement("dd");
  right.textContent = value;
  element.append(left, right);
  return element;
}
