// What was chosen of runs, groups and charts, as the address has it: lists and small values, checked.

/** As it is unless somebody chose otherwise. */
export const COMPARING = {
  runs: "",
  group: "none",
  pins: "",
  size: /** @type {"s"|"m"|"l"} */ ("m"),
  own: "",
  layout: /** @type {""|"off"} */ (""),
};

export const SIZES = /** @type {const} */ (["s", "m", "l"]);
const GROUP = /^(none|node|(mesh|config):.{1,200})$/s;
/** Entries of a list: the address is to stay one. */
const MOST_LISTED = 64;
/** Longest text of own charts that an address may carry, characters: browsers and proxies cut longer ones. */
export const MOST_OWN = 6_000;

/**
 * What an address says of it; whatever it does not say, or says wrongly, is as it is without.
 * @param {URLSearchParams} query
 */
export function comparingFrom(query) {
  const choices = { ...COMPARING };
  choices.runs = textOf(listOf(query.get("runs") ?? ""));
  const group = query.get("group") ?? "";
  if (GROUP.test(group)) choices.group = group;
  choices.pins = textOf(listOf(query.get("pins") ?? ""));
  choices.size = SIZES.find((size) => size === query.get("size")) ?? COMPARING.size;
  const own = query.get("own") ?? "";
  if (own.length <= MOST_OWN) choices.own = own;
  if (query.get("layout") === "off") choices.layout = "off";
  return choices;
}

/**
 * Names in one text, `\\` before a comma that is part of one.
 * @param {string[]} names
 */
export function textOf(names) {
  return [...new Set(names)].slice(0, MOST_LISTED).map((name) => name.replace(/[\\,]/g, "\\$&")).join(",");
}

/** @param {string} text */
export function listOf(text) {
  const names = [""];
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === ",") names.push("");
    else names[names.length - 1] += text[i] === "\\" && i + 1 < text.length ? text[(i += 1)] : text[i];
  }
  return names.filter(Boolean);
}
