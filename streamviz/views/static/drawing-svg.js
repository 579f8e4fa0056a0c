// A chart as a drawing of its own: vectors, text as text, nothing that it would have to load.
//
// It is made of what the plot was last filled with, so it shows what is on the screen and no more.

import { isolated } from "./format.js";

const SPACE = "http://www.w3.org/2000/svg";
const MARGIN = 12;
const HEAD = 30;
const LEGEND_ROW = 18;
const MOST_LEGEND = 12;
/** What XML has no way to write, and halves of characters. */
const UNWRITABLE = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

/**
 * @typedef {import("./plot.js").Plot} Plot
 * @typedef {import("./theme.js").Palette} Palette
 * @typedef {{label: string, color: string, area?: number}} LegendEntry area: opacity of an area
 */

/**
 * @param {Plot} plot
 * @param {object} about
 * @param {string} about.title
 * @param {string} about.subtitle
 * @param {LegendEntry[]} about.legend
 * @param {{text: string, color: string, x: number, y: number}[]} about.labels at the ends of lines, pixels of the plot
 * @param {Palette} palette
 * @returns {{svg: string, width: number, height: number}}
 */
export function drawnAsSvg(plot, { title, subtitle, legend, labels }, palette) {
  const frame = plot.frame;
  const entries = legend.slice(0, MOST_LEGEND);
  if (legend.length > MOST_LEGEND) entries.push({ label: `+${legend.length - MOST_LEGEND} more`, color: palette.surface });
  const box = plot.view.el.getBoundingClientRect();
  const width = Math.round(box.width) + 2 * MARGIN;
  const rows = legendRows(entries, width - 2 * MARGIN);
  const top = HEAD + rows.length * LEGEND_ROW;
  const height = Math.round(box.height) + top + MARGIN;
  const svg = made("svg", { xmlns: SPACE, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": palette.font, "font-size": 11 });
  svg.append(
    made("title", {}, `${title} ${subtitle}`),
    made("rect", { width, height, fill: palette.surface }),
    made("text", { x: MARGIN, y: 20, fill: palette.ink, "font-size": 13, "font-weight": 600 }, title),
    made("text", { x: width - MARGIN, y: 20, fill: palette.ink2, "text-anchor": "end" }, subtitle),
  );
  rows.forEach((row, i) => row.forEach((entry) => svg.append(...legendOf(entry, HEAD + i * LEGEND_ROW + 9, palette))));
  const clip = made("clipPath", { id: "frame" });
  clip.append(made("rect", { x: frame.left, y: frame.top, width: frame.width, height: frame.height }));
  const defs = made("defs", {});
  defs.append(clip, hatching(palette));
  const body = made("g", { transform: `translate(${MARGIN} ${top})` });
  const inside = made("g", { "clip-path": "url(#frame)" });
  body.append(defs, ...axes(plot, palette), inside);
  inside.append(...gaps(plot), ...areas(plot, palette), ...lines(plot), ...dots(plot));
  body.append(...marks(plot));
  body.append(...labels.map(({ text, color, x, y }) => made("text", { x: x + 3, y: y + 9, fill: color }, text)));
  svg.append(body);
  return { svg: new XMLSerializer().serializeToString(svg), width, height };
}

/**
 * @param {string} name
 * @param {Record<string, string|number>} attributes
 * @param {string} [text]
 */
function made(name, attributes, text) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key !== "xmlns") element.setAttribute(key, typeof value === "number" ? String(Math.round(value * 100) / 100) : value);
  }
  if (text !== undefined) element.textContent = isolated(text).replace(UNWRITABLE, "\ufffd");
  return element;
}

/**
 * @param {LegendEntry[]} entries
 * @param {number} width
 */
function legendRows(entries, width) {
  /** @type {(LegendEntry & {x: number})[][]} */
  const rows = [];
  let x = Infinity;
  for (const entry of entries) {
    const wide = 22 + 6.4 * entry.label.length + 14;
    if (x + wide > width) {
      rows.push([]);
      x = 0;
    }
    rows[rows.length - 1].push({ ...entry, x: MARGIN + x });
    x += wide;
  }
  return rows;
}

/**
 * @param {LegendEntry & {x: number}} entry
 * @param {number} y
 * @param {Palette} palette
 */
function legendOf({ label, color, area, x }, y, palette) {
  const high = area ? 8 : 2;
  return [
    made("rect", { x, y: y - high / 2, width: 14, height: high, rx: 1, fill: color, "fill-opacity": area ?? 1 }),
    made("text", { x: x + 20, y: y + 4, fill: palette.ink2 }, label),
  ];
}

/** @param {Palette} palette */
function hatching(palette) {
  const pattern = made("pattern", { id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(made("rect", { width: 7, height: 7, fill: palette.ink2, "fill-opacity": 0.06 }), made("rect", { width: 1, height: 7, fill: palette.ink2, "fill-opacity": 0.35 }));
  return pattern;
}

/**
 * @param {Plot} plot
 * @param {Palette} palette
 */
function axes(plot, palette) {
  const { left, top, width, height } = plot.frame;
  const { x, y } = plot.ticks;
  const bottom = top + height;
  return [
    ...y.at.flatMap((value, i) => {
      const at = plot.yToPixel(value);
      if (!(at >= top - 1 && at <= bottom + 1)) return [];
      return [
        made("line", { x1: left, x2: left + width, y1: at, y2: at, stroke: palette.grid }),
        made("text", { x: left - 6, y: at + 4, fill: palette.axis, "text-anchor": "end" }, y.labels[i]),
      ];
    }),
    made("line", { x1: left, x2: left + width, y1: bottom, y2: bottom, stroke: palette.line }),
    ...x.at.map((value, i) => made("text", { x: plot.xToPixel(value), y: bottom + 16, fill: palette.axis, "text-anchor": "middle" }, x.labels[i])),
  ];
}

/** @param {Plot} plot */
function gaps(plot) {
  const { x0 = [], x1 = [] } = columns(plot, "gaps");
  const { top, height } = plot.frame;
  return Array.from(x0, (from, i) => {
    const [left, right] = [plot.xToPixel(from), plot.xToPixel(x1[i])];
    return made("rect", { x: left, y: top, width: Math.max(1, right - left), height, fill: "url(#hatch)" });
  });
}

/**
 * @param {Plot} plot
 * @param {Palette} palette
 */
function areas(plot, palette) {
  const found = [];
  for (const [name, alpha] of /** @type {const} */ ([["outer", 0.13], ["inner", 0.2]])) {
    const { x = [], y1 = [], y2 = [] } = columns(plot, name);
    const [there, back] = [[], []];
    for (let i = 0; i < x.length; i += 1) {
      if (!Number.isFinite(y1[i]) || !Number.isFinite(y2[i])) continue;
      there.push(point(plot, x[i], y1[i]));
      back.unshift(point(plot, x[i], y2[i]));
    }
    if (there.length > 1) found.push(made("polygon", { points: [...there, ...back].join(" "), fill: palette.hue, "fill-opacity": alpha }));
  }
  const { xs = [], ys = [], color = [], alpha = [] } = columns(plot, "bands");
  xs.forEach((/** @type {Float64Array} */ x, /** @type {number} */ i) => {
    const points = Array.from(x, (at, row) => point(plot, at, ys[i][row]));
    found.push(made("polygon", { points: points.join(" "), fill: color[i], "fill-opacity": alpha[i] }));
  });
  return found;
}

/** @param {Plot} plot */
function lines(plot) {
  const { xs = [], ys = [], color = [], alpha = [], width = [] } = columns(plot, "lines");
  return xs.map((/** @type {Float64Array} */ x, /** @type {number} */ i) => {
    let path = "";
    let joined = false;
    for (let row = 0; row < x.length; row += 1) {
      const [px, py] = [plot.xToPixel(x[row]), plot.yToPixel(ys[i][row])];
      const there = Number.isFinite(px) && Number.isFinite(py);
      if (there) path += `${joined ? "L" : "M"}${px.toFixed(2)} ${py.toFixed(2)}`;
      joined = there;
    }
    return made("path", { d: path, fill: "none", stroke: color[i], "stroke-opacity": alpha[i], "stroke-width": width[i], "stroke-linejoin": "round" });
  });
}

/** @param {Plot} plot */
function dots(plot) {
  const { x = [], y = [], color = [] } = columns(plot, "dots");
  return Array.from(x, (at, i) => made("circle", { cx: plot.xToPixel(at), cy: plot.yToPixel(y[i]), r: 2, fill: color[i] }));
}

/** @param {Plot} plot */
function marks(plot) {
  const { x = [], edge = [], angle = [], color = [] } = columns(plot, "marks");
  const { top, height } = plot.frame;
  return Array.from(x, (at, i) => {
    const [px, py] = [plot.xToPixel(at), edge[i] > 0.5 ? top : top + height];
    return made("path", { d: "M-4 3.5L4 3.5L0 -3.5Z", fill: color[i], transform: `translate(${px.toFixed(2)} ${py.toFixed(2)}) rotate(${((angle[i] * 180) / Math.PI).toFixed(0)})` });
  });
}

/**
 * @param {Plot} plot
 * @param {string} name
 * @returns {Record<string, any>} in values
 */
function columns(plot, name) {
  return plot.filled.get(name) ?? {};
}

/**
 * @param {Plot} plot
 * @param {number} x
 * @param {number} y
 */
function point(plot, x, y) {
  const { top, height } = plot.frame;
  // What has no place on a log axis lies below the frame.
  const py = plot.yToPixel(y);
  return `${plot.xToPixel(x).toFixed(2)},${(Number.isFinite(py) ? py : top + 2 * height).toFixed(2)}`;
}
