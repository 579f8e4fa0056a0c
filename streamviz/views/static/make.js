// Elements as the boards need them: names are text, and a choice of few is a row of segments.

/**
 * @param {string} name of the class
 * @param {...(Node|string)} children
 */
export function div(name, ...children) {
  const element = document.createElement("div");
  element.className = name;
  element.append(...children);
  return element;
}

/**
 * @param {string} name of the class, "" for none
 * @param {...(Node|string)} children
 */
export function span(name, ...children) {
  const element = document.createElement("span");
  if (name) element.className = name;
  element.append(...children);
  return element;
}

/**
 * @param {string} label
 * @param {(value: string) => void} chosen
 */
export function choice(label, chosen) {
  const select = document.createElement("select");
  select.className = "board-select";
  select.setAttribute("aria-label", label);
  select.addEventListener("change", () => chosen(select.value));
  return select;
}

let groups = 0;

/**
 * @param {string} legend
 * @param {string[][]} options value and word of each
 * @param {string} now
 * @param {(value: string) => void} chosen
 */
export function segments(legend, options, now, chosen) {
  groups += 1;
  const name = `board-${groups}`;
  const set = document.createElement("fieldset");
  set.className = "board-tool";
  const title = document.createElement("legend");
  title.className = "board-label-text";
  title.textContent = legend;
  const row = div("segments");
  for (const [value, word] of options) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "radio";
    input.name = name;
    input.value = value;
    input.checked = value === now;
    input.addEventListener("change", () => chosen(value));
    label.append(input, span("", word));
    row.append(label);
  }
  set.append(title, row);
  return set;
}
