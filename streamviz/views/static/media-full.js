// One card over the whole screen: the same picture larger, the same slider; Escape closes it.

import { Cell } from "./media-card.js";
import { clock, whole } from "./format.js";
import { div, span } from "./make.js";

export class FullSize {
  /** @param {{payloads: import("./payloads.js").Payloads, theme: import("./theme.js").Theme, runs: () => string[]}} page */
  constructor(page) {
    this.page = page;
    /** @type {import("./media-card.js").MediaCard|null} */
    this.card = null;
    /** @type {Cell|null} */
    this.cell = null;
    this.dialog = document.createElement("dialog");
    this.dialog.className = "media-full";
    this.dialog.setAttribute("aria-labelledby", "media-full-title");
    this.title = document.createElement("h2");
    this.title.id = "media-full-title";
    const close = document.createElement("button");
    close.type = "button";
    close.className = "button small";
    close.textContent = "close";
    close.addEventListener("click", () => this.dialog.close());
    this.save = document.createElement("a");
    this.save.className = "text-button";
    this.save.textContent = "download";
    this.save.hidden = true;
    this.ranks = document.createElement("select");
    this.ranks.className = "board-select";
    this.ranks.setAttribute("aria-label", "rank");
    this.ranks.addEventListener("change", () => this.draw());
    this.place = div("media-full-place");
    this.slider = document.createElement("input");
    this.slider.type = "range";
    this.slider.min = "0";
    this.slider.setAttribute("aria-label", "step");
    this.slider.addEventListener("input", () => this.#move(Number(this.slider.value)));
    this.at = span("media-at");
    this.when = span("media-when");
    this.dialog.append(div("media-full-head", this.title, this.ranks, this.save, close), this.place, div("media-foot", this.slider, this.at, this.when));
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => this.#closed());
    this.dialog.addEventListener("keydown", (event) => this.#key(event));
    document.body.append(this.dialog);
  }

  /** @param {import("./media-card.js").MediaCard} card */
  open(card) {
    const { shelf } = card;
    if (card.ranks.length === 0) return;
    this.card = card;
    this.title.textContent = shelf.name;
    this.ranks.replaceChildren(...card.ranks.map((rank) => new Option(`rank ${rank}`, String(rank))));
    this.ranks.hidden = shelf.kind === "hparams";
    this.cell = new Cell({ payloads: this.page.payloads, theme: this.page.theme, shelf, full: true, runs: this.page.runs() });
    this.place.dataset.kind = shelf.kind;
    this.place.replaceChildren(this.cell.element);
    this.dialog.showModal();
    this.slider.focus();
    this.draw();
  }

  /** Its card has moved, or there is more of it. */
  draw() {
    const { card, cell } = this;
    if (!card || !cell) return;
    const rank = Number(this.ranks.value);
    const frames = card.shelf.ranks.get(rank) ?? [];
    const { index } = card;
    this.slider.max = String(Math.max(0, card.frames.length - 1));
    this.slider.value = String(index);
    this.slider.disabled = card.frames.length < 2;
    const lead = card.frames[index];
    const frame = frames.length > 0 && lead ? frames.reduce((best, one) => (Math.abs(one.step - lead.step) < Math.abs(best.step - lead.step) || (one.step === lead.step && one.attempt === lead.attempt) ? one : best)) : undefined;
    if (!frame) return;
    this.at.textContent = `step ${whole(frame.step)}`;
    this.when.textContent = clock(frame.time * 1000);
    cell.context.shelf = card.shelf;
    cell.show(rank, frame, "");
    this.save.hidden = card.shelf.kind !== "image";
    this.save.href = this.page.payloads.media(frame.number);
    this.save.download = `${card.shelf.name.replace(/[^A-Za-z0-9._-]+/g, "-").slice(0, 80)}-${frame.step}`;
  }

  recolour() {
    this.cell?.recolour();
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  /** @param {number} index */
  #move(index) {
    this.card?.move(index);
    this.draw();
  }

  /** The arrows step from wherever the focus is. @param {KeyboardEvent} event */
  #key(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined || event.target === this.slider || event.target === this.ranks || !this.card) return;
    if (event.target instanceof Element && event.target.closest(".media-scroll")) return;
    event.preventDefault();
    this.#move(this.card.index + by);
  }

  #closed() {
    this.cell?.release();
    this.cell = null;
    this.card = null;
    this.place.replaceChildren();
  }
}
