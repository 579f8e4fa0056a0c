// Series made of others, as `ratio(train/loss, val/loss)`: a small grammar, read by recursive descent.
//
// Nothing of it is ever run as code (evaluation.js walks the tree); what cannot be read says where.

/**
 * @typedef {{text: string, names: string[], root: Node, counts: boolean}} Expression
 *   counts: whether it counts points, whose width depends on the zoom
 * @typedef {{kind: "number", value: number}
 *   | {kind: "name", name: string}
 *   | {kind: "negative", of: Node}
 *   | {kind: "operator", sign: string, left: Node, right: Node}
 *   | {kind: "call", name: string, of: Node[]}} Node
 */

/** Longest text, metrics and depth of one expression: more is a mistake, not a chart. */
export const EXPRESSION = { characters: 500, names: 8, depth: 32 };

/** Functions: how many arguments, and which of them are plain numbers. */
const FUNCTIONS = new Map([
  ["ratio", { least: 2, most: 2 }],
  ["diff", { least: 1, most: 1, counts: true }],
  ["rate", { least: 1, most: 1 }],
  ["rate_s", { least: 1, most: 1 }],
  ["mean", { least: 2, most: 2, number: 1 }],
  ["ema", { least: 2, most: 2, number: 1 }],
  ["min", { least: 2, most: 8 }],
  ["max", { least: 2, most: 8 }],
  ["abs", { least: 1, most: 1 }],
  ["log", { least: 1, most: 1 }],
  ["exp", { least: 1, most: 1 }],
  ["cumsum", { least: 1, most: 1, counts: true }],
]);

/** A name without backticks: `/` joins it where a letter follows at once, as in `train/loss`. */
const NAME = /[A-Za-z_][\w.:]*(?:\/[A-Za-z_][\w.:]*)*/y;
/** What may be one, if there is such a metric: `grad/0`, `top-1`. */
const WIDER = /[A-Za-z_][\w.:/-]*/y;
const NUMBER = /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;

/** An expression that cannot be read. */
export class BadExpression extends Error {
  /**
   * @param {string} what
   * @param {number} at characters from the start, from 1
   */
  constructor(what, at) {
    super(`${what}, at character ${at}`);
    this.at = at;
  }
}

/**
 * @param {string} text
 * @param {(name: string) => boolean} [known] whether there is a metric of this name
 * @returns {Expression}
 * @throws {BadExpression}
 */
export function parse(text, known = () => false) {
  if (text.length > EXPRESSION.characters) {
    throw new BadExpression(`an expression has at most ${EXPRESSION.characters} characters, this one ${text.length}`, EXPRESSION.characters);
  }
  const reader = new Reader(text, known);
  const root = reader.sum(0);
  reader.end();
  const names = [...reader.names];
  if (names.length === 0) throw new BadExpression("there is no metric in it", 1);
  if (names.length > EXPRESSION.names) throw new BadExpression(`it names ${names.length} metrics, at most ${EXPRESSION.names} go`, 1);
  return { text, names, root, counts: reader.counts };
}

class Reader {
  /**
   * @param {string} text
   * @param {(name: string) => boolean} known
   */
  constructor(text, known) {
    this.text = text;
    this.known = known;
    this.at = 0;
    /** @type {Set<string>} */
    this.names = new Set();
    this.counts = false;
    this.#skip();
  }

  #skip() {
    while (/\s/.test(this.text[this.at] ?? "")) this.at += 1;
  }

  /** @param {string} sign */
  #takes(sign) {
    if (this.text[this.at] !== sign) return false;
    this.at += 1;
    this.#skip();
    return true;
  }

  /** @param {string} what */
  #wrong(what) {
    const found = this.at < this.text.length ? `found “${this.text.slice(this.at, this.at + 12)}”` : "it ends";
    return new BadExpression(`${found}, expected ${what}`, this.at + 1);
  }

  end() {
    if (this.at < this.text.length) throw this.#wrong("an operator (+ − * / ^) or the end");
  }

  /** @param {number} depth @returns {Node} */
  sum(depth) {
    if (depth > EXPRESSION.depth) throw new BadExpression(`it is nested more than ${EXPRESSION.depth} deep`, this.at + 1);
    let left = this.#product(depth);
    for (;;) {
      const sign = ["+", "-", "−"].find((one) => this.#takes(one));
      if (!sign) return left;
      left = { kind: "operator", sign: sign === "−" ? "-" : sign, left, right: this.#product(depth) };
    }
  }

  /** @param {number} depth @returns {Node} */
  #product(depth) {
    let left = this.#signed(depth);
    for (;;) {
      const sign = ["*", "/"].find((one) => this.#takes(one));
      if (!sign) return left;
      left = { kind: "operator", sign, left, right: this.#signed(depth) };
    }
  }

  /** @param {number} depth @returns {Node} */
  #signed(depth) {
    if (depth > EXPRESSION.depth) throw new BadExpression(`it is nested more than ${EXPRESSION.depth} deep`, this.at + 1);
    if (this.#takes("-") || this.#takes("−")) return { kind: "negative", of: this.#signed(depth + 1) };
    const base = this.#atom(depth);
    return this.#takes("^") ? { kind: "operator", sign: "^", left: base, right: this.#signed(depth + 1) } : base;
  }

  /** @param {number} depth @returns {Node} */
  #atom(depth) {
    if (this.#takes("(")) {
      const inner = this.sum(depth + 1);
      if (!this.#takes(")")) throw this.#wrong("a closing parenthesis");
      return inner;
    }
    if (this.text[this.at] === "`") return this.#quoted();
    const number = this.#matched(NUMBER);
    if (number !== null) return { kind: "number", value: Number(number) };
    const start = this.at;
    const name = this.#knownName() ?? this.#matched(NAME);
    if (name === null) throw this.#wrong("a metric, a number or a parenthesis");
    if (this.text[this.at] === "(") return this.#call(name, start, depth);
    this.names.add(name);
    return { kind: "name", name };
  }

  /** The longest name from here on that there is, where it is longer than the grammar's own. */
  #knownName() {
    WIDER.lastIndex = this.at;
    const found = WIDER.exec(this.text)?.[0] ?? "";
    for (let length = found.length; length > 0; length -= 1) {
      if (!this.known(found.slice(0, length)) || this.text[this.at + length] === "(") continue;
      this.at += length;
      this.#skip();
      return found.slice(0, length);
    }
    return null;
  }

  /** @returns {Node} */
  #quoted() {
    const close = this.text.indexOf("`", this.at + 1);
    if (close < 0) throw new BadExpression("a backtick is not closed", this.at + 1);
    const name = this.text.slice(this.at + 1, close);
    if (!name) throw new BadExpression("there is no name between the backticks", this.at + 1);
    this.at = close + 1;
    this.#skip();
    this.names.add(name);
    return { kind: "name", name };
  }

  /**
   * @param {string} name
   * @param {number} start
   * @param {number} depth
   * @returns {Node}
   */
  #call(name, start, depth) {
    const known = FUNCTIONS.get(name);
    if (!known) throw new BadExpression(`there is no function “${name}”, there are ${[...FUNCTIONS.keys()].join(", ")}`, start + 1);
    this.#takes("(");
    const of = [this.sum(depth + 1)];
    while (this.#takes(",")) of.push(this.sum(depth + 1));
    if (!this.#takes(")")) throw this.#wrong("a comma or a closing parenthesis");
    if (of.length < known.least || of.length > known.most) {
      const wanted = known.least === known.most ? String(known.least) : `${known.least} to ${known.most}`;
      throw new BadExpression(`${name} takes ${wanted} arguments, not ${of.length}`, start + 1);
    }
    if (known.number !== undefined) check(name, of[known.number], start + 1);
    if (known.counts) this.counts = true;
    return { kind: "call", name, of };
  }

  /** @param {RegExp} pattern sticky */
  #matched(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) return null;
    this.at += found[0].length;
    this.#skip();
    return found[0];
  }
}

/**
 * @param {string} name
 * @param {Node} argument
 * @param {number} at
 */
function check(name, argument, at) {
  const value = argument.kind === "number" ? argument.value : NaN;
  if (name === "mean" && !(value >= 1)) throw new BadExpression("the second argument of mean is a number of steps, 1 or more", at);
  if (name === "ema" && !(value >= 0 && value < 1)) throw new BadExpression("the second argument of ema is a weight, 0 or more and below 1", at);
}
