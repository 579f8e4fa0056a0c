// One card of the Media tab: the pictures of one kind and name, of the ranks that are chosen, at the
// step where its slider stands.
//
// Law: its size is the same before, while and after anything comes; what is far from the screen
// holds nothing but its heading.

import { clock, plural, whole } from "./format.js";
import { div, span } from "./make.js";
import { CurvePicture } from "./media-curve.js";
import { BokehPicture, PlotlyPicture } from "./media-figures.js";
import { nearest, ranksShown, titleOf } from "./media-frames.js";
import { HparamsPicture } from "./media-hparams.js";
import { ImagePicture, OtherPicture, TablePicture, TensorPicture, TextPicture } from "./media-plain.js";

/** @typedef {import("./media-plain.js").Context} Context @typedef {import("./media-frames.js").Shelf} Shelf @typedef {import("./media-frames.js").Place} Place @typedef {import("./media-frames.js").Frame} Frame */

/** Ranks that stand side by side. */
const MOST_RANKS = 8;
/** @type {Record<string, new (place: HTMLElement, context: Context) => import("./media-plain.js").Picture>} */
const PICTURES = {
  image: ImagePicture, text: TextPicture, table: TablePicture, chart: BokehPicture, tensor: TensorPicture,
  pr_curve: CurvePicture, hparams: HparamsPicture, other: OtherPicture,
};

/** The picture of one rank, in its place, with words on what cannot be drawn. */
export class Cell {
  /** @param {Omit<Context, "still">} context */
  constructor(context) {
    this.context = context;
    this.element = div("media-cell");
    this.label = div("media-rank");
    this.label.hidden = true;
    this.place = div("media-place");
    this.words = div("media-words");
    this.element.append(this.label, this.place, this.words);
    /** The payload that is to be shown, and the one that is. */
    this.wanted = -1;
    this.drawn = -1;
    /** @type {import("./media-plain.js").Picture|null} */
    this.picture = null;
    this.drawnBy = "";
  }

  /**
   * @param {number} rank
   * @param {Frame} frame
   * @param {string} label "" for none
   */
  async show(rank, frame, label) {
    this.label.hidden = label === "";
    this.label.textContent = label;
    if (this.wanted === frame.number) return;
    this.wanted = frame.number;
    if (this.drawn < 0) this.words.textContent = "…";
    const { payloads, shelf } = this.context;
    try {
      const { body, step } = await payloads.get(frame.number);
      if (this.wanted !== frame.number) return;
      const by = shelf.kind === "figure" ? body.library : shelf.kind;
      if (this.drawnBy !== by) this.#clear();
      this.drawnBy = by;
      const Picture_ = PICTURES[by] ?? (by === "plotly" ? PlotlyPicture : BokehPicture);
      this.picture ??= new Picture_(this.place, { ...this.context, still: (number) => this.wanted === number });
      await this.picture.show({ number: frame.number, rank, step, name: shelf.name, body });
      if (this.wanted !== frame.number) return;
      this.drawn = frame.number;
      this.words.textContent = "";
    } catch (error) {
      if (this.wanted !== frame.number) return;
      this.#clear();
      this.words.textContent = /** @type {Error} */ (error).message;
    }
  }

  recolour() {
    this.picture?.recolour?.();
  }

  /** Draw the same anew: what it stands beside has changed. */
  again() {
    this.wanted = -1;
  }

  release() {
    this.wanted = -1;
    this.#clear();
    this.words.textContent = "";
  }

  #clear() {
    this.picture?.release?.();
    this.picture = null;
    this.drawn = -1;
    this.drawnBy = "";
    this.place.replaceChildren();
  }
}

export class MediaCard {
  /**
   * @param {Shelf} shelf
   * @param {object} page
   * @param {import("./payloads.js").Payloads} page.payloads
   * @param {import("./theme.js").Theme} page.theme
   * @param {() => ((rank: number) => boolean)|null} page.wanted which ranks somebody chose
   * @param {() => string[]} page.runs that are compared
   * @param {(card: MediaCard) => void} page.moved the person moved its slider
   * @param {(card: MediaCard) => void} page.enlarge
   */
  constructor(shelf, page) {
    this.shelf = shelf;
    this.page = page;
    /** @type {Place|null} where it was put; null: it follows the newest */
    this.pin = null;
    this.near = false;
    /** @type {Map<number, Cell>} */
    this.cells = new Map();
    this.element = document.createElement("article");
    this.element.className = "card media-card";
    this.element.dataset.kind = shelf.kind;
    this.element.setAttribute("aria-label", shelf.name);
    const title = document.createElement("h3");
    title.className = "card-title";
    title.textContent = titleOf(shelf.name);
    title.title = shelf.name;
    this.notes = div("card-notes");
    const tools = div("card-tools");
    const enlarge = document.createElement("button");
    enlarge.type = "button";
    enlarge.className = "icon-button small";
    enlarge.textContent = "⤢";
    enlarge.title = "full size";
    enlarge.setAttribute("aria-label", `full size: ${shelf.name}`);
    enlarge.addEventListener("click", () => page.enlarge(this));
    tools.append(enlarge);
    this.body = div("media-body");
    this.slider = document.createElement("input");
    this.slider.type = "range";
    this.slider.min = "0";
    this.slider.setAttribute("aria-label", `step of ${shelf.name}`);
    this.slider.addEventListener("input", () => this.move(Number(this.slider.value)));
    this.at = span("media-at");
    this.when = span("media-when");
    this.element.append(div("card-head", title, this.notes), tools, this.body, div("media-foot", this.slider, this.at, this.when));
    this.take(shelf);
  }

  /** The frames of the first rank that is shown: where the slider may stand. */
  get frames() {
    return this.shelf.ranks.get(this.ranks[0]) ?? [];
  }

  /** Which of the frames is shown. */
  get index() {
    return nearest(this.frames, this.pin);
  }

  /** There is more of it, or other ranks are wanted. @param {Shelf} shelf */
  take(shelf) {
    this.shelf = shelf;
    const chosen = shelf.kind === "hparams" ? null : this.page.wanted();
    const all = ranksShown(shelf, chosen);
    this.ranks = all.slice(0, MOST_RANKS);
    this.left = all.length - this.ranks.length;
    this.element.style.setProperty("--rows", String(Math.min(8, shelf.ranks.size + this.page.runs().length)));
    this.element.classList.toggle("several", this.ranks.length > 1);
    this.draw();
  }

  /** @param {number} index of the frames; the last one follows what comes */
  move(index) {
    const { frames } = this;
    if (index < 0 || index >= frames.length) return;
    this.pin = index === frames.length - 1 ? null : { step: frames[index].step, attempt: frames[index].attempt };
    this.page.moved(this);
    this.draw();
  }

  /** @param {Place|null} pin */
  put(pin) {
    const { frames } = this;
    const at = nearest(frames, pin);
    this.pin = pin === null || at === frames.length - 1 ? null : { step: frames[at].step, attempt: frames[at].attempt };
    this.draw();
  }

  draw() {
    const { frames, index } = this;
    const frame = frames[index];
    this.slider.max = String(Math.max(0, frames.length - 1));
    this.slider.value = String(index);
    this.slider.disabled = frames.length < 2;
    this.at.textContent = frame ? `step ${whole(frame.step)}${frame.attempt > 0 ? ` · attempt ${frame.attempt}` : ""}` : "no rank of these";
    this.when.textContent = frame ? clock(frame.time * 1000) : "";
    this.when.title = frame ? new Date(frame.time * 1000).toLocaleString() : "";
    this.slider.setAttribute("aria-valuetext", frame ? `step ${frame.step}` : "");
    this.#note();
    if (this.near) this.#fill();
  }

  #note() {
    const { shelf, ranks } = this;
    const gone = ranks.reduce((sum, rank) => sum + (shelf.gone.get(rank) ?? 0), 0);
    const notes = [];
    if (shelf.kind !== "hparams") notes.push(ranks.length === 1 ? `rank ${ranks[0]}` : ranks.length > 1 ? plural(ranks.length + this.left, "rank") : "");
    if (this.left > 0) notes.push(`the first ${MOST_RANKS} drawn`);
    if (gone > 0) notes.push(`${whole(gone)} older made room`);
    this.notes.textContent = notes.filter(Boolean).join(" · ");
    this.notes.title = gone > 0 ? "of each name and rank the server keeps the newest in memory; the run's file has what --data-dir kept" : "";
  }

  /** Show each rank's frame nearest to where the slider stands. */
  #fill() {
    const { frames, index, ranks, shelf, page } = this;
    const frame = frames[index];
    for (const [rank, cell] of this.cells) {
      if (frame && ranks.includes(rank)) continue;
      cell.release();
      cell.element.remove();
      this.cells.delete(rank);
    }
    if (!frame) return;
    for (const rank of ranks) {
      let cell = this.cells.get(rank);
      if (!cell) {
        cell = new Cell({ payloads: page.payloads, theme: page.theme, shelf, full: false, runs: page.runs(), enlarge: () => page.enlarge(this) });
        this.cells.set(rank, cell);
        this.body.append(cell.element);
      }
      Object.assign(cell.context, { shelf, runs: page.runs() });
      const of = /** @type {Frame[]} */ (shelf.ranks.get(rank));
      const own = of[nearest(of, this.pin === null ? null : frame)];
      const label = ranks.length === 1 ? "" : `rank ${rank}${own.step === frame.step ? "" : ` · step ${whole(own.step)}`}`;
      cell.show(rank, own, label);
    }
  }

  approach() {
    this.near = true;
    this.#fill();
  }

  leave() {
    this.near = false;
  }

  /** It is far away: give everything back. */
  release() {
    this.near = false;
    for (const cell of this.cells.values()) cell.release();
    this.cells.clear();
    this.body.replaceChildren();
  }

  recolour() {
    for (const cell of this.cells.values()) cell.recolour();
  }

  /** Other runs are compared now. */
  again() {
    if (this.shelf.kind !== "hparams") return;
    for (const cell of this.cells.values()) cell.again();
    this.draw();
  }

  /** For tests: what stands on the screen. */
  inspect() {
    return {
      name: this.shelf.name, kind: this.shelf.kind, near: this.near, ranks: this.ranks, index: this.index, frames: this.frames.length,
      step: this.frames[this.index]?.step ?? null, following: this.pin === null, at: this.at.textContent, notes: this.notes.textContent,
      cells: [...this.cells].map(([rank, cell]) => ({ rank, drawn: cell.drawn, shown: cell.drawn >= 0 && cell.drawn === cell.wanted, words: cell.words.textContent })),
    };
  }
}
