// The model as boxes within boxes, in the order in which its modules are defined, with the shapes between.

import { compact, isolated } from "./format.js";

const SPACE = "http://www.w3.org/2000/svg";
/** Boxes of one picture; where there are more, what is deepest stays closed. */
const MOST_BOXES = 300;
const WIDTH = 240;
const LEAF = 38;
const PAD = 10;
const HEAD = 24;
const BETWEEN = 22;

/** @typedef {import("./modules.js").Module} Module */
/** @typedef {{place: number, x: number, y: number, width: number, height: number, boxes: Box[]|null}} Box */

/**
 * @param {Module[]} modules
 * @param {Set<string>} open paths of those whose inside is shown
 * @param {object} on
 * @param {(place: number) => void} on.turn a box with others in it was chosen
 * @param {(place: number) => {fill: string, ink: string, text: string}|null} on.look what colours a box
 */
export function structureOf(modules, open, { turn, look }) {
  const svg = /** @type {SVGSVGElement} */ (make("svg", { class: "structure-picture", role: "group", "aria-label": "the model's structure" }));
  const roots = [];
  for (let i = 0; i < modules.length; i = modules[i].end) roots.push(i);
  const room = { left: MOST_BOXES };
  let y = 1;
  let widest = WIDTH;
  for (const root of roots) {
    const box = boxOf(modules, open, root, 1, y, room);
    if (!box) break;
    y += box.height + BETWEEN;
    widest = Math.max(widest, box.width);
    draw(svg, modules, box, widest, { turn, look });
  }
  for (const [name, value] of Object.entries({ width: widest + 2, height: y - BETWEEN + 1, viewBox: `0 0 ${widest + 2} ${y - BETWEEN + 1}` })) svg.setAttribute(name, String(value));
  return { svg, cut: room.left <= 0 };
}

/**
 * @param {Module[]} modules
 * @param {Set<string>} open
 * @param {number} place
 * @param {number} x
 * @param {number} y
 * @param {{left: number}} room
 * @returns {Box|null} null where there is no room for it
 */
function boxOf(modules, open, place, x, y, room) {
  if (room.left <= 0) return null;
  room.left -= 1;
  const { end, path, depth } = modules[place];
  // Its own walk goes as deep as boxes can be told apart.
  if (end <= place + 1 || !open.has(path) || depth > 12) return { place, x, y, width: WIDTH, height: LEAF, boxes: null };
  const boxes = [];
  let below = y + HEAD + PAD;
  let width = WIDTH;
  for (let child = place + 1; child < end; child = modules[child].end) {
    const box = boxOf(modules, open, child, x + PAD, below, room);
    if (!box) break;
    boxes.push(box);
    below += box.height + BETWEEN;
    width = Math.max(width, box.width);
  }
  return { place, x, y, width: width + 2 * PAD, height: below - BETWEEN + PAD - y, boxes };
}

/**
 * @param {SVGElement} svg
 * @param {Module[]} modules
 * @param {Box} box
 * @param {number} width all boxes beside it are as wide
 * @param {{turn: (place: number) => void, look: (place: number) => {fill: string, ink: string, text: string}|null}} on
 */
function draw(svg, modules, box, width, on) {
  const module = modules[box.place];
  const inner = module.end > box.place + 1;
  const colours = box.boxes ? null : on.look(box.place);
  const group = make("g", { class: box.boxes ? "structure-box" : "structure-leaf" });
  const rect = make("rect", { x: box.x, y: box.y, width, height: box.height, rx: 5 });
  if (colours) /** @type {SVGElement & {style: CSSStyleDeclaration}} */ (rect).style.setProperty("fill", colours.fill);
  const title = make("title", {});
  title.textContent = `${module.path || "(the model)"}  ${module.type}${module.extra ? `(${module.extra})` : ""}`;
  const name = module.name || module.type || "(the model)";
  group.append(rect, title, text(box.x + 10, box.y + 16, short(name, 20), "structure-name", colours?.ink));
  const right = [inner && !box.boxes ? `+ ${module.type}` : module.name ? module.type : "", colours?.text ?? ""].filter(Boolean).join(" · ");
  group.append(text(box.x + width - 10, box.y + 16, short(right, 28), "structure-type", colours?.ink));
  if (!box.boxes) group.append(text(box.x + 10, box.y + 31, module.total ? `${compact(module.total)} parameters` : "", "structure-more", colours?.ink));
  if (inner) {
    group.setAttribute("role", "button");
    group.setAttribute("tabindex", "0");
    group.setAttribute("aria-expanded", String(box.boxes !== null));
    group.setAttribute("aria-label", `${isolated(name)}, ${isolated(module.type)}`);
    group.addEventListener("click", () => on.turn(box.place));
    group.addEventListener("keydown", (event) => {
      const { key } = /** @type {KeyboardEvent} */ (event);
      if (key !== "Enter" && key !== " ") return;
      event.preventDefault();
      on.turn(box.place);
    });
  }
  svg.append(group);
  for (const [i, child] of (box.boxes ?? []).entries()) {
    draw(svg, modules, child, width - 2 * PAD, on);
    if (i + 1 === box.boxes?.length) continue;
    const middle = child.x + (width - 2 * PAD) / 2;
    const foot = child.y + child.height;
    svg.append(make("path", { class: "structure-arrow", d: `M${middle} ${foot + 2}V${foot + BETWEEN - 6}m-3.5 -3.5l3.5 4l3.5 -4` }));
    svg.append(text(middle + 8, foot + 15, short(modules[child.place].output, 24), "structure-shape"));
  }
}

/**
 * @param {string} tag
 * @param {Record<string, string|number>} attributes
 */
function make(tag, attributes) {
  const element = /** @type {SVGElement} */ (document.createElementNS(SPACE, tag));
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} words
 * @param {string} name of the class
 * @param {string} [ink]
 */
function text(x, y, words, name, ink) {
  const element = make("text", { x, y, class: name });
  element.textContent = isolated(words);
  if (ink) element.style.setProperty("fill", ink);
  return element;
}

/** @param {string} words @param {number} most */
function short(words, most) {
  return words.length > most ? `${words.slice(0, most - 1)}…` : words;
}
