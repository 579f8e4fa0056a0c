// Layout files: the server's, one that is loaded here, and the page's own written as one.

import { plainChart } from "./chart.js";

/**
 * @param {object} page
 * @param {import("./state.js").State} page.state
 * @param {import("./arrangement.js").Arrangement} page.arrangement
 * @param {string} page.prefix
 * @param {Record<"save"|"load"|"file"|"on"|"row"|"problem", HTMLElement>} page.inputs
 */
export function attachLayouts({ state, arrangement, prefix, inputs }) {
  const address = `${prefix}/api/v1/layout`;
  const file = /** @type {HTMLInputElement} */ (inputs.file);
  const on = /** @type {HTMLInputElement} */ (inputs.on);
  const say = (/** @type {string} */ words) => {
    inputs.problem.textContent = words;
    inputs.problem.hidden = !words;
  };
  const show = () => {
    inputs.row.hidden = arrangement.layout === null;
    on.checked = state.choices.layout !== "off";
    if (arrangement.overflow) say("too much for the address: save it as a layout to keep it");
  };
  const take = (/** @type {import("./arrangement.js").Layout|null} */ layout) => {
    if (layout?.size && state.choices.size === "m") state.set({ size: /** @type {any} */ (layout.size) });
    arrangement.load(layout);
    show();
  };

  inputs.save.addEventListener("click", () => saved(yamlOf(arrangement, state.choices.size)));
  inputs.load.addEventListener("click", () => file.click());
  on.addEventListener("change", () => state.set({ layout: on.checked ? "" : "off" }));
  file.addEventListener("change", async () => {
    const [chosen] = file.files ?? [];
    file.value = "";
    if (!chosen) return;
    say("");
    try {
      const answer = await fetch(address, { method: "POST", body: await chosen.arrayBuffer(), credentials: "same-origin" });
      const said = await answer.json();
      if (answer.ok) {
        state.set({ layout: "" });
        take(said.layout);
      } else say(`${chosen.name}: ${said.error ?? "the server does not take it"}`);
    } catch (problem) {
      say(`${chosen.name} could not be read: ${problem}`);
    }
  });
  state.addEventListener("change", show);
  fetch(address, { credentials: "same-origin" })
    .then((answer) => (answer.ok ? answer.json() : { layout: null }))
    .then(({ layout }) => take(layout), () => undefined);
  show();
}

/**
 * What stands on the page, as a layout file: pinned charts, own ones, and those of the layout it has.
 * @param {import("./arrangement.js").Arrangement} arrangement
 * @param {string} size
 */
export function yamlOf(arrangement, size) {
  const { sections, charts } = arrangement.sections;
  const lines = ["version: 1", `size: ${size}`, `rest: ${arrangement.rest}`, "sections:"];
  const put = (/** @type {string} */ title, /** @type {number} */ columns, /** @type {string[]} */ keys) => {
    if (keys.length === 0) return;
    lines.push(`  - title: ${quoted(title)}`);
    if (columns > 0) lines.push(`    columns: ${columns}`);
    lines.push("    charts:");
    for (const key of keys) lines.push(...chartLines(arrangement.changed_(charts.get(key) ?? plainChart(key))));
  };
  const { pins } = arrangement;
  put("pinned", 0, pins);
  for (const { title, columns, keys } of sections) put(title, columns, keys.filter((key) => !pins.includes(key)));
  const changed = [...arrangement.changes.keys()].filter((key) => !key.startsWith("\0") && !pins.includes(key));
  put("changed", 0, changed);
  if (lines.at(-1) === "sections:") lines[lines.length - 1] = "# Nothing is pinned, made or changed on this page yet: sections are empty.\nsections: []";
  return `${lines.join("\n")}\n`;
}

/** @param {import("./chart.js").Chart} chart */
function chartLines({ title, series, xLabel, yLabel, scale, kind, size }) {
  const metrics = series.flatMap((one) => ("metric" in one ? [one.metric] : []));
  const expressions = series.flatMap((one) => ("expression" in one ? [one.expression] : []));
  const entries = [["title", title], ["x_label", xLabel], ["y_label", yLabel], ["scale", scale], ["kind", kind], ["size", size]];
  const lines = entries.flatMap(([name, value]) => (value ? [`${name}: ${quoted(value)}`] : []));
  if (metrics.length > 0) lines.push(`metrics: [${metrics.map(quoted).join(", ")}]`);
  if (expressions.length > 0) lines.push(`expressions: [${expressions.map(quoted).join(", ")}]`);
  return lines.map((line, i) => `${i === 0 ? "      - " : "        "}${line}`);
}

/** As YAML takes it whatever stands in it: what JSON writes is YAML. @param {string|undefined} text */
function quoted(text) {
  return JSON.stringify(text ?? "").replace(/[\u007f-\u009f\u2028\u2029\ufeff\ud800-\udfff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** @param {string} text */
function saved(text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/yaml" }));
  link.download = "streamviz-layout.yaml";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
}
