// The workers tab: every rank's state, as squares by node and as a table with the worst on top.

import { plural, spoken, whole } from "./format.js";
import { div, span } from "./make.js";
import { DEFAULT_SORT, inOrder, matching, named, parseRows, sentence, STATES, wordOf } from "./ranklist.js";
import { RankTable } from "./ranktable.js";

/** @typedef {import("./ranklist.js").RankRow} RankRow */

/** A table is arranged by node when there are this many ranks on several. */
const BY_NODE_FROM = 17;
/** Nodes are closed, but for those in trouble, when there are more than this. */
const NODES_OPEN = 8;

export class Workers {
  /**
   * @param {HTMLElement} root
   * @param {object} app
   * @param {import("./link.js").Link} app.link
   * @param {(to: {rank: number}) => void} app.goTo
   */
  constructor(root, app) {
    this.app = app;
    this.run = "";
    this.shown = false;
    /** @type {any} the last word on who the ranks are */
    this.who = null;
    /** @type {RankRow[]} by rank */
    this.rows = [];
    this.front = /** @type {number|null} */ (null);
    this.sort = { ...DEFAULT_SORT };
    this.text = "";
    /** @type {string|null} */
    this.state = null;
    /** @type {boolean|null} null: the page chooses */
    this.byNode = null;
    /** @type {Map<string, boolean>} nodes that the person opened or closed */
    this.opened = new Map();
    /** What the server makes of it; else the page says what it sees. */
    this.situation = "";
    /** Ranks that an alert holds up. */
    this.looks = named([]);
    /** @type {HTMLButtonElement[]} a square for each rank */
    this.squares = [];
    this.squaresFor = "";
    this.#build(root);
    app.link.addEventListener("message", (event) => this.#hear(/** @type {CustomEvent} */ (event).detail));
  }

  #build(/** @type {HTMLElement} */ root) {
    this.sentence = document.createElement("p");
    this.sentence.className = "board-sentence";
    this.counts = div("board-counts");
    this.counts.setAttribute("role", "group");
    this.counts.setAttribute("aria-label", "ranks by state");
    /** @type {Map<string, {button: HTMLButtonElement, count: HTMLElement}>} */
    this.chips = new Map(STATES.map(({ name, glyph }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "chip";
      button.dataset.state = name;
      const count = span("chip-count");
      button.append(span("glyph", glyph), span("", ` ${wordOf(name)} `), count);
      button.addEventListener("click", () => {
        this.state = this.state === name ? null : name;
        this.#draw();
      });
      this.counts.append(button);
      return [name, { button, count }];
    }));
    const filter = document.createElement("input");
    filter.type = "search";
    filter.placeholder = "ranks 0,8-15, node or phase";
    filter.setAttribute("aria-label", "filter ranks");
    filter.spellcheck = false;
    filter.addEventListener("input", () => {
      this.text = filter.value;
      this.#draw();
    });
    const node = document.createElement("input");
    node.type = "checkbox";
    node.setAttribute("role", "switch");
    node.addEventListener("change", () => {
      this.byNode = node.checked;
      this.#draw();
    });
    this.nodeSwitch = node;
    const label = document.createElement("label");
    label.className = "switch";
    label.append(span("", "by node"), node);
    this.count = span("board-note");
    this.matrix = div("matrix");
    this.table = new RankTable({
      sort: (column) => this.#sortBy(column),
      open: (host, opened) => {
        this.opened.set(host, opened);
        this.#draw();
      },
      choose: (rank) => this.app.goTo({ rank }),
    });
    this.blank = document.createElement("p");
    this.blank.className = "board-empty";
    this.blank.textContent = "no rank has said hello yet";
    this.parts = [this.sentence, this.counts, this.matrix, div("board-tools", div("board-tool board-filter", filter), label, this.count), this.table.element];
    root.append(...this.parts, this.blank);
    this.#draw();
  }

  // ---------------------------------------------------------------- what the server says

  /** @param {string} run */
  take(run) {
    if (run === this.run) return;
    if (this.shown) this.#ask(false);
    this.run = run;
    this.who = null;
    this.rows = [];
    this.situation = "";
    this.looks = named([]);
    this.state = null;
    if (this.shown) this.#ask(true);
    this.#draw();
  }

  show() {
    this.shown = true;
    this.#ask(true);
    this.#draw();
  }

  leave() {
    this.#ask(false);
    this.shown = false;
  }

  #ask(/** @type {boolean} */ on) {
    if (this.run) this.app.link.send({ op: "board", run: this.run, on });
  }

  #hear(/** @type {any} */ message) {
    if (message.op === "hello" && this.shown) this.#ask(true);
    if (message.run !== this.run || !this.run) return;
    if (message.op === "alerts") {
      this.situation = String(message.situation ?? "");
      this.looks = named(message.alerts ?? []);
    }
    if (message.op === "ranks") this.who = message;
    if (message.op !== "workers" || !this.who || message.who !== this.who.who) return;
    this.front = message.front;
    this.rows = parseRows(this.who, message, this.looks);
    this.#draw();
  }

  // ---------------------------------------------------------------- drawing

  #sortBy(/** @type {string} */ column) {
    const same = this.sort.column === column;
    this.sort = { column, down: same ? !this.sort.down : false };
    this.#draw();
  }

  #draw() {
    if (!this.shown) return;
    const { rows } = this;
    for (const part of this.parts) part.hidden = rows.length === 0;
    this.blank.hidden = rows.length > 0;
    if (rows.length === 0) return;
    const said = spoken(this.situation) || sentence(rows, this.front);
    this.sentence.textContent = said || `all ${plural(rows.length, "rank")} keep up${this.front === null ? "" : ` at step ${whole(this.front)}`}`;
    this.sentence.dataset.tone = said ? "amber" : "none";
    this.#drawCounts();
    this.#drawMatrix();
    const found = inOrder(matching(rows, this.text, this.state), this.sort);
    const hosts = new Set(rows.filter(({ state }) => state !== "absent").map(({ host }) => host));
    const byNode = this.byNode ?? (hosts.size > 1 && rows.length >= BY_NODE_FROM);
    this.nodeSwitch.checked = byNode;
    const total = this.who?.ranks ?? rows.length;
    const left = total > rows.length ? `, the worst of ${whole(total)}` : "";
    this.count.textContent = `${found.length === rows.length ? plural(rows.length, "rank") : `${whole(found.length)} of ${plural(rows.length, "rank")}`}${left} on ${plural(hosts.size, "node")}`;
    this.table.show(byNode ? this.#byNode(found, hosts.size) : found, this.sort, this.front);
  }

  #drawCounts() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { look } of this.rows) counts.set(look, (counts.get(look) ?? 0) + 1);
    for (const [name, { button, count }] of this.chips) {
      const many = counts.get(name) ?? 0;
      button.hidden = many === 0 && this.state !== name;
      button.setAttribute("aria-pressed", String(this.state === name));
      count.textContent = whole(many);
    }
  }

  /** A square for each rank, in a block for each node: where trouble sits is seen before it is read. */
  #drawMatrix() {
    const { rows } = this;
    const key = rows.map(({ rank, host }) => `${rank} ${host}`).join();
    if (key !== this.squaresFor) {
      this.squaresFor = key;
      /** @type {Map<string, HTMLElement>} */
      const blocks = new Map();
      this.squares = rows.map(({ rank, host }) => {
        const square = document.createElement("button");
        square.type = "button";
        square.className = "square";
        square.tabIndex = -1;
        square.addEventListener("click", () => this.app.goTo({ rank }));
        const block = blocks.get(host) ?? div("matrix-node");
        if (!blocks.has(host)) block.title = host;
        blocks.set(host, block);
        block.append(square);
        return square;
      });
      this.matrix.replaceChildren(...blocks.values());
      this.matrix.dataset.size = rows.length > 256 ? "small" : "large";
    }
    for (const [i, row] of rows.entries()) {
      const square = this.squares[i];
      if (square.dataset.state !== row.look) {
        square.dataset.state = row.look;
        square.textContent = STATES.find(({ name }) => name === row.look)?.mark ?? "";
      }
      const title = `r${row.rank}${row.host ? ` on ${row.host}` : ""}: ${wordOf(row.look)}${row.step === null ? "" : `, step ${whole(row.step)}`}${row.phase ? `, in ${row.phase}` : ""}`;
      if (square.title !== title) square.title = title;
    }
  }

  /**
   * Nodes in the order of their first rank, each followed by its ranks if it is open.
   * @param {RankRow[]} found in order
   * @param {number} hosts how many nodes there are
   */
  #byNode(found, hosts) {
    /** @type {Map<string, RankRow[]>} */
    const nodes = new Map();
    for (const row of found) {
      const ranks = nodes.get(row.host);
      if (ranks) ranks.push(row);
      else nodes.set(row.host, [row]);
    }
    return [...nodes].flatMap(([host, ranks]) => {
      const trouble = ranks.some(({ trouble: bad }) => bad);
      const open = this.opened.get(host) ?? (trouble || hosts <= NODES_OPEN || this.text !== "" || this.state !== null);
      return [{ node: host, ranks, open }, ...(open ? ranks : [])];
    });
  }

  /** For tests: what stands on the screen. */
  inspect() {
    return { rows: this.rows, front: this.front, listed: this.table.listed, sentence: this.sentence.textContent };
  }
}
