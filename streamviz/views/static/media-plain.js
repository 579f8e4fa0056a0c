// Pictures of one payload that need no library: images, texts, tables, tensors, and what has no
// picture of its own.

import { div, span } from "./make.js";
import { SortedTable } from "./media-table.js";

/** An image of fewer pixels is drawn in squares. */
const TINY = 160;
const TAGS = new Set(["A", "BLOCKQUOTE", "BR", "CODE", "DD", "DEL", "DL", "DT", "EM", "H1", "H2", "H3", "H4", "H5", "H6", "HR", "LI", "OL", "P", "PRE", "S", "STRONG", "SUB", "SUP", "TABLE", "TBODY", "TD", "TH", "THEAD", "TR", "UL"]);
const LINK = /^(https?:|mailto:)/i;

/**
 * @typedef {object} Context what a picture may ask
 * @property {import("./payloads.js").Payloads} payloads
 * @property {import("./theme.js").Theme} theme
 * @property {import("./media-frames.js").Shelf} shelf
 * @property {boolean} full whether it has the whole screen
 * @property {string[]} runs that are compared with the one that is shown
 * @property {(number: number) => boolean} still whether this payload is still the one to be shown
 * @property {() => void} [enlarge]
 * @typedef {{number: number, rank: number, step: number, name: string, body: any}} Payload
 * @typedef {object} Picture
 * @property {(payload: Payload) => Promise<void>|void} show draw it, in place of what is there
 * @property {() => void} [recolour]
 * @property {() => void} [release]
 */

/** @implements {Picture} */
export class ImagePicture {
  /** @param {HTMLElement} place @param {Context} context */
  constructor(place, { payloads, full, enlarge, still }) {
    Object.assign(this, { payloads, still });
    this.frame = div("media-image");
    this.caption = div("media-caption");
    this.fit = div("media-fit", this.frame);
    if (enlarge && !full) this.fit.addEventListener("click", enlarge);
    this.fit.classList.toggle("clickable", Boolean(enlarge && !full));
    place.append(this.fit, this.caption);
  }

  /** @param {Payload} payload */
  async show({ number, name, body }) {
    const image = new Image();
    image.alt = body.caption || name;
    image.draggable = false;
    image.src = this.payloads.media(number);
    try {
      // The one before stays until this one can be drawn.
      await image.decode();
    } catch {
      throw new Error("this image's bytes are none that this browser can draw");
    }
    if (!this.still(number)) return;
    const width = image.naturalWidth || body.width || 300;
    const height = image.naturalHeight || body.height || 150;
    this.frame.style.setProperty("--ratio", String(width / height));
    image.classList.toggle("pixels", Math.max(width, height) <= TINY && body.media !== "image/svg+xml");
    this.frame.replaceChildren(image, ...boxes(body, body.width || width, body.height || height));
    const size = `${width} × ${height}`;
    this.caption.textContent = body.caption || size;
    this.caption.title = body.caption ? `${body.caption} (${size})` : size;
  }
}

/**
 * @param {any} body
 * @param {number} width of what the boxes were drawn on, pixels
 * @param {number} height
 */
function boxes({ boxes: found = [], box_labels: labels = [] }, width, height) {
  return found.map((/** @type {number[]} */ corners, /** @type {number} */ i) => {
    const [x0, y0, x1, y1] = corners.map(Number);
    const box = div("media-box");
    const label = Array.isArray(labels) ? labels[i] : undefined;
    if (label !== undefined && label !== null && label !== "") box.append(span("", String(label).slice(0, 100)));
    const at = [["left", Math.min(x0, x1) / width], ["top", Math.min(y0, y1) / height], ["width", Math.abs(x1 - x0) / width], ["height", Math.abs(y1 - y0) / height]];
    for (const [side, share] of at) box.style.setProperty(String(side), `${100 * Number(share)}%`);
    return box;
  });
}

/** @implements {Picture} */
export class TextPicture {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.text = "";
    this.shown = div("media-text media-scroll");
    this.shown.tabIndex = 0;
    this.count = span("board-note");
    const copy = document.createElement("button");
    copy.type = "button";
    copy.className = "text-button";
    copy.textContent = "copy";
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(this.text);
        copy.textContent = "copied";
      } catch {
        // The page may not write to the clipboard: the person does.
        getSelection()?.selectAllChildren(this.shown);
        copy.textContent = "press ctrl-c";
      }
      setTimeout(() => (copy.textContent = "copy"), 2_000);
    });
    place.append(this.shown, div("media-under", this.count, copy));
  }

  /** @param {Payload} payload */
  show({ body }) {
    this.text = String(body.text ?? "");
    if (typeof body.html === "string") this.shown.replaceChildren(harmless(body.html));
    else {
      const pre = document.createElement("pre");
      pre.textContent = this.text;
      this.shown.replaceChildren(pre);
    }
    const lines = this.text.split("\n").length;
    this.count.textContent = `${lines} ${lines === 1 ? "line" : "lines"}`;
  }
}

/**
 * The server's HTML once more without anything but these tags: parsed where nothing runs.
 * @param {string} html
 */
export function harmless(html) {
  const { body } = new DOMParser().parseFromString(html, "text/html");
  const out = document.createDocumentFragment();
  /** @param {Node} from @param {Node} into */
  const copy = (from, into) => {
    for (const node of from.childNodes) {
      if (node.nodeType === Node.TEXT_NODE) into.appendChild(document.createTextNode(node.textContent ?? ""));
      if (!(node instanceof HTMLElement) || !TAGS.has(node.tagName)) continue;
      const made = document.createElement(node.tagName);
      const href = node.getAttribute("href") ?? "";
      if (made instanceof HTMLAnchorElement && LINK.test(href)) Object.assign(made, { href, target: "_blank", rel: "noopener noreferrer nofollow", title: href });
      if (made instanceof HTMLOListElement && node.hasAttribute("start")) made.start = Number(node.getAttribute("start")) || 1;
      copy(node, made);
      into.appendChild(made);
    }
  };
  copy(body, out);
  return out;
}

/** @implements {Picture} */
export class TablePicture {
  /** @param {HTMLElement} place @param {Context} context */
  constructor(place, { shelf }) {
    this.table = new SortedTable(place, shelf.name);
  }

  /** @param {Payload} payload */
  show({ body }) {
    const columns = Array.isArray(body.columns) ? body.columns.map(String) : [];
    const rows = Array.isArray(body.rows) ? body.rows.filter(Array.isArray) : [];
    const left = Number(body.left_off ?? 0);
    this.table.show(columns, rows, left > 0 ? `${left} more were not sent` : "");
  }
}

/** Values of the last axis stand side by side; of more axes the others count up at the left. */
const MOST_SIDE_BY_SIDE = 32;

/** @implements {Picture} */
export class TensorPicture {
  /** @param {HTMLElement} place @param {Context} context */
  constructor(place, { shelf }) {
    this.head = div("media-tensor");
    place.append(this.head);
    this.table = new SortedTable(place, shelf.name);
  }

  /** @param {Payload} payload */
  show({ body }) {
    const shape = (Array.isArray(body.shape) ? body.shape : []).map(Number);
    const values = Array.isArray(body.values) ? body.values : [];
    this.head.textContent = `${body.dtype}  [${shape.join(", ")}]`;
    const across = shape.length >= 2 && shape[shape.length - 1] <= MOST_SIDE_BY_SIDE ? Math.max(1, shape[shape.length - 1]) : 1;
    const above = across > 1 ? shape.slice(0, -1) : shape;
    const rows = [];
    for (let i = 0; i * across < values.length; i += 1) rows.push([placeOf(i, above), ...values.slice(i * across, (i + 1) * across)]);
    const columns = ["at", ...(across > 1 ? Array.from({ length: across }, (_, i) => String(i)) : ["value"])];
    this.table.show(columns, rows, body.truncated ? "its first values" : "");
  }
}

/** @param {number} index @param {number[]} shape @returns {string} the place of a row, axis by axis */
function placeOf(index, shape) {
  const found = [];
  let rest = index;
  for (const size of [...shape].reverse()) {
    found.unshift(rest % Math.max(1, size));
    rest = Math.floor(rest / Math.max(1, size));
  }
  return found.join(", ");
}

/** @implements {Picture} */
export class OtherPicture {
  /** @param {HTMLElement} where */
  constructor(where) {
    this.shown = document.createElement("pre");
    where.append(div("media-text media-scroll", this.shown));
  }

  /** @param {Payload} payload */
  show({ body }) {
    this.shown.textContent = JSON.stringify(body, null, 1).slice(0, 20_000);
  }
}
