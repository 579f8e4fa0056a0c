// A model's modules as ranks sent them, made into a tree that can be walked, whatever the list said.

/** Modules that are shown; a list may hold more, and the page says so. */
export const MOST_MODULES = 20_000;

/**
 * @typedef {object} Module
 * @property {string} path as named_modules() has it, "" for the model itself
 * @property {string} name the path's last part
 * @property {string} type
 * @property {number} depth
 * @property {number} parent its place in the list, -1 for none
 * @property {number} end the place behind its last descendant
 * @property {number} own parameters of its own
 * @property {number} total parameters with those inside
 * @property {number} trainable of the total
 * @property {number} bytes
 * @property {string} input shape
 * @property {string} output
 * @property {number|null} seconds of a forward pass, with what is inside
 * @property {number|null} ownSeconds without
 * @property {string} extra
 */

/**
 * @param {any} document
 * @returns {{modules: Module[], left: number}} in depth-first order, parents before what is inside
 */
export function modulesOf(document) {
  const listed = Array.isArray(document?.modules) ? document.modules : [];
  const sent = listed.slice(0, MOST_MODULES).map(objectOf);
  /** @type {number[][]} */
  const inside = sent.map(() => []);
  /** @type {number[]} */
  const roots = [];
  for (const [i, { parent }] of sent.entries()) {
    // A parent stands before what is inside it; so there is no circle.
    if (Number.isInteger(parent) && parent >= 0 && parent < i) inside[parent].push(i);
    else roots.push(i);
  }
  /** @type {Module[]} */
  const modules = [];
  const waiting = roots.reverse().map((from) => ({ from, parent: -1, depth: 0 }));
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { from, parent, depth } = next;
    const place = modules.length;
    modules.push({ ...moduleOf(sent[from], parent, depth), end: place + 1 });
    for (const child of inside[from].reverse()) waiting.push({ from: child, parent: place, depth: depth + 1 });
  }
  for (let i = modules.length - 1; i >= 0; i -= 1) {
    const { parent, end } = modules[i];
    if (parent >= 0) modules[parent].end = Math.max(modules[parent].end, end);
  }
  for (const module of modules) module.ownSeconds = module.seconds;
  for (const { parent, seconds } of modules) {
    if (parent < 0 || seconds === null || modules[parent].ownSeconds === null) continue;
    modules[parent].ownSeconds = Math.max(0, modules[parent].ownSeconds - seconds);
  }
  return { modules, left: listed.length - sent.length + countOf(document?.left_out) };
}

/** @param {any} value */
function objectOf(value) {
  return value !== null && typeof value === "object" ? value : {};
}

/**
 * @param {any} sent
 * @param {number} parent
 * @param {number} depth
 * @returns {Module}
 */
function moduleOf(sent, parent, depth) {
  const path = textOf(sent.path);
  const own = countOf(sent.parameters);
  const seconds = typeof sent.seconds === "number" && sent.seconds >= 0 ? sent.seconds : null;
  return {
    path, parent, depth, own, seconds, end: 0, ownSeconds: null,
    name: path.slice(path.lastIndexOf(".") + 1),
    type: textOf(sent.type),
    total: Math.max(own, countOf(sent.total)),
    trainable: countOf(sent.trainable),
    bytes: countOf(sent.bytes),
    input: textOf(sent.input),
    output: textOf(sent.output),
    extra: textOf(sent.extra),
  };
}

/** @param {unknown} value */
function textOf(value) {
  return typeof value === "string" ? value : "";
}

/** @param {unknown} value */
function countOf(value) {
  return typeof value === "number" && value > 0 && Number.isFinite(value) ? value : 0;
}

/**
 * The modules that stand on the screen.
 * @param {Module[]} modules
 * @param {Set<string>} open paths of those whose inside is shown
 * @param {Set<number>|null} chosen only these and what they are in; null for all
 * @returns {number[]} places
 */
export function shownOf(modules, open, chosen) {
  const rows = [];
  for (let i = 0; i < modules.length; ) {
    if (chosen && !chosen.has(i)) {
      i = modules[i].end;
      continue;
    }
    rows.push(i);
    const leaf = modules[i].end <= i + 1;
    i = leaf || chosen || open.has(modules[i].path) ? i + 1 : modules[i].end;
  }
  return rows;
}

/**
 * Those that match, and all that they are in.
 * @param {Module[]} modules
 * @param {string} text
 * @returns {Set<number>|null} null where nothing was typed
 */
export function matchingOf(modules, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return null;
  const found = new Set();
  for (const [i, { path, type }] of modules.entries()) {
    if (!path.toLowerCase().includes(wanted) && !type.toLowerCase().includes(wanted)) continue;
    for (let at = i; at >= 0 && !found.has(at); at = modules[at].parent) found.add(at);
  }
  return found;
}
