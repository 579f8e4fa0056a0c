// A page of charts alone: those written into it, or those of the server that it came from, live.

import { ShownChart } from "./chart-look.js";

const KEY = "streamviz.theme";
const THEMES = ["system", "light", "dark"];
const AGAIN_MS = 1_000;

const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const root = document.documentElement;

/** @type {ShownChart[]} */
const charts = [];
let version = -1;
let count = 0;

/** The height of a chart that stands alone: what the window has, within reason. */
function tall() {
  return Math.min(Math.max(innerHeight - 150, 320), 620);
}

/** @param {{title: string, note: string, columns: number, version: number, live: boolean, items: any[]}} state */
async function show(state) {
  byId("title").textContent = state.title;
  byId("note").textContent = state.note;
  byId("grid").style.setProperty("--columns", String(state.columns));
  count = state.items.length;
  for (const [i, item] of state.items.entries()) {
    if (charts[i]) {
      await charts[i].update(item);
    } else {
      const card = document.createElement("section");
      card.className = "card";
      byId("grid").append(card);
      charts[i] = await ShownChart.embed(item, card, () => (count === 1 ? tall() : 0));
    }
  }
  for (const chart of charts.splice(state.items.length)) {
    chart.release();
    chart.element.remove();
  }
  version = state.version;
}

/** @param {string} words @param {string} kind */
function say(words, kind) {
  byId("link").textContent = words;
  byId("link").className = kind;
}

/** Ask for what is newer than what is shown; the server answers when there is something. */
async function follow() {
  for (;;) {
    try {
      const answer = await fetch(`charts.json?after=${version}`, { credentials: "same-origin" });
      if (!answer.ok) throw new Error(String(answer.status));
      if (answer.status === 200) {
        const state = await answer.json();
        await show(state);
        if (!state.live) return;
      }
      say("following", "live");
    } catch {
      say("connection lost, trying again", "lost");
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

function recolour() {
  for (const chart of charts) chart.recolour();
}

try {
  root.dataset.theme = localStorage.getItem(KEY) ?? "system";
} catch {
  // As the system says, then.
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
byId("theme").addEventListener("click", () => {
  const chosen = THEMES[(THEMES.indexOf(root.dataset.theme ?? "system") + 1) % THEMES.length];
  root.dataset.theme = chosen;
  byId("theme").textContent = `theme: ${chosen}`;
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // It holds until the page is closed, then.
  }
  recolour();
});

const written = document.getElementById("charts");
if (written) await show(JSON.parse(written.textContent ?? ""));
else await follow();
root.dataset.shown = String(charts.length);
