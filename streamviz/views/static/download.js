// What a chart can be taken away as: its samples as CSV at full resolution, its picture as PNG or SVG.

import { drawnAsSvg } from "./drawing-svg.js";
import { lookOf } from "./look.js";
import { offer } from "./menu.js";

const { prefix = "" } = document.documentElement.dataset;
/** Pixels of the picture for one of the page. */
const FINE = 2;
const UNSAFE = /[^A-Za-z0-9._-]+/g;
const MOST_FILES = 8;

/**
 * @param {string} name
 * @param {string} address
 */
function save(name, address) {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
}

/**
 * @param {string} name
 * @param {Blob} blob
 */
function saveBlob(name, blob) {
  const address = URL.createObjectURL(blob);
  save(name, address);
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** @param {any} panel @param {string} ending */
function fileName(panel, ending) {
  const name = `${panel.app.run.name}-${panel.metric}`.replace(UNSAFE, "_").slice(0, 120).replace(/^[._]+/, "");
  return `${name || "chart"}.${ending}`;
}

/** What the legend names: the fold over the ranks, then each line. @param {any} panel */
function legendOf(panel) {
  const { drawing, drawn, app } = panel;
  const look = lookOf(app.state.choices, panel.own);
  const { hue } = panel;
  const named = (drawn?.named ?? []).map((/** @type {any} */ line) => ({ label: line.label, color: line.color }));
  const several = (panel.layers?.length ?? 1) > 1;
  if (several) {
    return [...panel.layers.map((/** @type {any} */ layer, /** @type {number} */ i) => ({ label: layer.spec.label, color: panel.colours?.[i] ?? hue })), ...named];
  }
  if (!drawing || look.mode === "lines") return named;
  if (drawing.ranks < 2) return named;
  const middle = look.mode === "std" ? ["mean", "mean ± std"] : ["median", "p10–p90"];
  return [{ label: `${middle[0]} of ${drawing.ranks} ranks`, color: hue }, { label: middle[1], color: hue, area: 0.4 }, { label: "min–max", color: hue, area: 0.15 }, ...named];
}

/** The names at the ends of the lines, where they are. @param {any} panel */
function labelsOf(panel) {
  return [...panel.card.over.querySelectorAll(".end-label")].map((element) => {
    const place = new DOMMatrixReadOnly(element.style.transform);
    return { text: element.textContent, color: element.style.color, x: place.e, y: place.f };
  });
}

/** @param {any} panel */
export function pictureOf(panel) {
  const { app, plot } = panel;
  const about = { title: panel.metric, subtitle: panel.layers.length === 1 ? panel.layers[0].spec.run : app.run.name, legend: legendOf(panel), labels: labelsOf(panel) };
  return drawnAsSvg(plot, about, { ...app.theme.palette, hue: panel.hue });
}

/** @param {any} panel */
export function saveSvg(panel) {
  saveBlob(fileName(panel, "svg"), new Blob([pictureOf(panel).svg], { type: "image/svg+xml" }));
}

/** @param {any} panel */
export async function savePng(panel) {
  const { svg, width, height } = pictureOf(panel);
  const image = new Image(width, height);
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = width * FINE;
  canvas.height = height * FINE;
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => {
    if (blob) saveBlob(fileName(panel, "png"), blob);
  }, "image/png");
}

/**
 * Which series a chart is made of.
 * @param {any} panel
 * @returns {{run: string, metric: string, ranks: string|null}[]}
 */
function seriesOf(panel) {
  const { app, layers, metric } = panel;
  const ranks = app.state.choices.ranks || null;
  if (!layers) return [{ run: app.run.name, metric, ranks }];
  const all = layers.flatMap((/** @type {any} */ { spec, sources }) => sources.map((/** @type {any} */ { name }) => ({ run: spec.run, metric: name, ranks: spec.ranks })));
  return [...new Map(all.map((/** @type {any} */ one) => [JSON.stringify(one), one])).values()];
}

/** @param {{run: string, metric: string, ranks: string|null}} series */
export function csvAddress({ run, metric, ranks }) {
  const query = new URLSearchParams({ run, metric });
  if (ranks) query.set("ranks", ranks);
  return `${prefix}/api/v1/csv?${query}`;
}

offer(80, (panel) => {
  const drawn = panel.plot !== null && panel.drawing !== null && panel.drawing.n > 0;
  const series = seriesOf(panel);
  const several = series.length > 1;
  return [
    ...series.slice(0, MOST_FILES).map((one) => ({
      label: several ? `CSV of ${one.run === panel.app.run.name ? one.metric : `${one.run} ${one.metric}`}` : "CSV, every row",
      act: () => save("", csvAddress(one)),
    })),
    { label: "PNG", disabled: !drawn, act: () => savePng(panel) },
    { label: "SVG", disabled: !drawn, act: () => saveSvg(panel) },
  ];
});
