// A card dragged by its title onto another: both in one chart.

const KIND = "application/x-streamviz-chart";

/**
 * @param {HTMLElement} root
 * @param {(element: Element) => import("./panel.js").Panel|undefined} panelOf
 * @param {(onto: import("./panel.js").Panel, from: import("./panel.js").Panel) => void} combine
 */
export function attachDragging(root, panelOf, combine) {
  /** @type {HTMLElement|null} */
  let from = null;
  /** @type {HTMLElement|null} */
  let onto = null;
  const mark = (/** @type {HTMLElement|null} */ card) => {
    onto?.classList.remove("dropped-on");
    onto = card;
    onto?.classList.add("dropped-on");
  };
  const cardOf = (/** @type {EventTarget|null} */ target) => (target instanceof Element ? /** @type {HTMLElement|null} */ (target.closest(".card")) : null);
  // A title is made something to take hold of when the pointer comes to it: cards come and go.
  root.addEventListener("pointerover", ({ target }) => {
    if (target instanceof HTMLElement && target.matches(".card-title")) target.draggable = true;
  });
  root.addEventListener("dragstart", (event) => {
    from = event.target instanceof Element && event.target.matches(".card-title") ? cardOf(event.target) : null;
    if (!from || !event.dataTransfer) return;
    event.dataTransfer.effectAllowed = "copy";
    event.dataTransfer.setData(KIND, "chart");
    event.dataTransfer.setData("text/plain", from.getAttribute("aria-label") ?? "");
  });
  root.addEventListener("dragover", (event) => {
    const card = cardOf(event.target);
    if (!from || !card || card === from) {
      mark(null);
      return;
    }
    event.preventDefault();
    if (card !== onto) mark(card);
  });
  root.addEventListener("drop", (event) => {
    const card = cardOf(event.target);
    if (!from || !card || card === from) return;
    event.preventDefault();
    const [one, other] = [panelOf(card), panelOf(from)];
    if (one && other) combine(one, other);
  });
  root.addEventListener("dragend", () => {
    mark(null);
    from = null;
  });
}
