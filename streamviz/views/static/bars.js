// Bars beside each other's names: what takes most of something, the greatest first.

import { isolated } from "./format.js";
import { div, span } from "./make.js";

/**
 * @param {{label: string, value: number, text: string, title?: string}[]} rows
 * @param {number} most how many at most
 */
export function barList(rows, most) {
  const sorted = [...rows].filter(({ value }) => value > 0).sort((a, b) => b.value - a.value).slice(0, most);
  const longest = sorted[0]?.value ?? 1;
  const list = div("bars");
  list.setAttribute("role", "list");
  list.append(...sorted.map(({ label, value, text, title }) => {
    const filled = span("bars-filled");
    filled.style.setProperty("transform", `scaleX(${(value / longest).toFixed(4)})`);
    const name = span("bars-label", isolated(label));
    name.title = title ?? label;
    const row = div("bars-row", name, span("bars-track", filled), span("bars-text", text));
    row.setAttribute("role", "listitem");
    return row;
  }));
  return list;
}
