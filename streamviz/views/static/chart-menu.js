// What a chart's menu says of how it is drawn: its own smoothing, y axis and outliers, its width.

import { OUTLIERS } from "./look.js";
import { offer } from "./menu.js";
import { SmoothControl } from "./smooth-control.js";
import { SMOOTH_KINDS } from "./smoothing.js";

const SCALES = /** @type {const} */ ([["linear", "linear"], ["log", "log"], ["symlog", "symlog"]]);

/**
 * @param {string} words
 * @param {HTMLElement[]} parts
 */
function row(words, ...parts) {
  const element = document.createElement("div");
  element.className = "menu-row";
  const label = document.createElement("span");
  label.className = "menu-label";
  label.textContent = words;
  element.append(label, ...parts);
  return element;
}

/** @param {string} label @param {readonly (readonly [string, string])[]} options */
function list(label, options) {
  const select = document.createElement("select");
  select.className = "field";
  select.setAttribute("aria-label", label);
  for (const [value, text] of options) {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = text;
    select.append(option);
  }
  return select;
}

offer(10, (panel, app) => {
  const own = () => ({ ...app.state.choices, ...panel.own });
  const reset = document.createElement("button");
  reset.type = "button";
  reset.className = "menu-item";
  reset.textContent = "as the side panel says";
  reset.hidden = Object.keys(panel.own ?? {}).length === 0;
  const slider = document.createElement("input");
  slider.type = "range";
  slider.setAttribute("aria-label", "smoothing of this chart");
  const kinds = list("kind of smoothing of this chart", SMOOTH_KINDS.map((kind) => [kind, kind === "ema" ? "EMA" : kind]));
  const value = document.createElement("output");
  const control = new SmoothControl(slider, kinds, value, (smooth) => {
    panel.setOwn({ smooth });
    control.show(smooth);
    reset.hidden = false;
  });
  control.show(own().smooth);
  const scale = list("y axis of this chart", SCALES);
  scale.value = own().y;
  scale.addEventListener("change", () => {
    panel.setOwn({ y: scale.value });
    reset.hidden = false;
  });
  const outliers = list("outliers in y on this chart", OUTLIERS.map((one) => [one, { "": "some", ignore: "ignore", show: "show all" }[one]]));
  outliers.value = own().outliers;
  outliers.addEventListener("change", () => {
    panel.setOwn({ outliers: outliers.value });
    reset.hidden = false;
  });
  reset.addEventListener("click", () => {
    panel.setOwn(null);
    control.show(own().smooth);
    scale.value = own().y;
    outliers.value = own().outliers;
    reset.hidden = true;
    slider.focus();
  });
  const smoothing = row("smoothing", value);
  const pair = document.createElement("div");
  pair.className = "smoothing";
  pair.append(slider, kinds);
  return [smoothing, pair, row("y axis", scale), row("outliers in y", outliers), reset];
});

offer(20, (panel) => [
  { label: "full width", key: "f", pressed: panel.card.element.classList.contains("wide"), act: () => panel.app.widen(panel) },
  { label: "reset zoom", disabled: panel.following && !panel.manualY, act: () => panel.app.zoomed(panel, null) },
]);
