// What fills the page while there are no charts to show.

/**
 * No run yet: the two lines that change this, with this server's address in them.
 * @param {string} endpoint where the server takes data, e.g. tcp://127.0.0.1:6167
 */
export function nothingYet(endpoint) {
  const lines = [
    `publisher = streamviz.Publisher("${reachable(endpoint)}")`,
    'publisher.send({"train/loss": loss}, step=step)',
  ];
  return toAdd(
    "waiting for a training run",
    "Add these two lines to the training script, before the loop and in it:",
    lines,
    "Charts appear here with the first numbers, one for each name. A “/” in a name makes a group.",
  );
}

/**
 * What to add to a training script so that there is something to see.
 * @param {string} title
 * @param {string} before
 * @param {string[]} lines of Python
 * @param {string} after
 */
export function toAdd(title, before, lines, after) {
  const text = lines.join("\n");
  const code = document.createElement("pre");
  code.textContent = text;
  code.tabIndex = 0;
  const copy = button("copy", async () => {
    copy.textContent = (await copied(text, code)) ? "copied" : "press ctrl-c";
    setTimeout(() => (copy.textContent = "copy"), 2_000);
  });
  return hello(title, element("p", "", before), element("div", "code", code, copy), element("p", "", after));
}

/**
 * The address names a run that is not there.
 * @param {string} run
 * @param {string[]} others
 * @param {(run: string|null) => void} choose
 */
export function unknownRun(run, others, choose) {
  const list = document.createElement("ul");
  for (const other of others.slice(0, 20)) {
    const item = document.createElement("li");
    item.append(button(other, () => choose(other)));
    list.append(item);
  }
  const words = others.length > 0 ? "It may have been forgotten, or is called otherwise. These are here:" : "It will be shown as soon as it sends.";
  return hello(`no run named “${run}” here`, element("p", "", words), list);
}

/** @param {string} run */
export function noMetricsYet(run) {
  return hello("waiting for the first numbers", element("p", "", `The ranks of “${run}” have said hello and sent no metric yet.`));
}

/** @param {string} ended */
export function nothingSent(ended) {
  return hello("nothing to show", element("p", "", `This run is ${ended} and sent no metric.`));
}

/**
 * A server that listens on every address is reached by the name this page was reached by.
 * @param {string} endpoint
 */
function reachable(endpoint) {
  return endpoint.replace(/\/\/(0\.0\.0\.0|\*|\[::\])(?=:)/, `//${location.hostname}`);
}

/**
 * @param {string} text
 * @param {HTMLElement} shown selected instead where the page may not write to the clipboard
 */
async function copied(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return false;
  }
}

/**
 * @param {string} title
 * @param {...HTMLElement} parts
 */
function hello(title, ...parts) {
  const heading = document.createElement("h2");
  heading.textContent = title;
  return element("section", "hello", heading, ...parts);
}

/**
 * @param {string} tag
 * @param {string} name
 * @param {...(HTMLElement|string)} parts
 */
function element(tag, name, ...parts) {
  const made = document.createElement(tag);
  made.className = name;
  made.append(...parts);
  return made;
}

/**
 * @param {string} text
 * @param {() => void} act
 */
function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  return made;
}
