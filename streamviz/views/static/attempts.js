// Where attempts begin: a thin line over the figure with the attempt's name at its top.

/** A name needs so much room; without it the line stands alone. */
const LABEL_PX = 72;

/**
 * @param {HTMLElement} over
 * @param {import("./plot.js").Plot} plot
 * @param {import("./derive.js").Drawing} drawing
 */
export function attemptMarks(over, plot, drawing) {
  const held = /** @type {HTMLElement[]} */ ([...over.querySelectorAll(".start")]);
  const { start, end } = plot.xRange;
  const shown = drawing.starts.filter(({ x }) => x >= start && x <= end);
  const { left, top, width, height } = plot.frame;
  let free = Infinity;
  // From the newest on: where names do not fit, that of the newest is the one to keep.
  shown.reverse().forEach(({ x, label }, i) => {
    const element = held[i] ?? made(over);
    const pixel = Math.round(plot.xToPixel(x));
    const right = pixel + LABEL_PX <= Math.min(free, left + width);
    const fits = right || (pixel - LABEL_PX >= left && free === Infinity);
    if (fits) free = right ? pixel : pixel - LABEL_PX;
    element.style.height = `${height}px`;
    element.style.transform = `translate(${pixel}px, ${top}px)`;
    element.classList.toggle("leftward", fits && !right);
    const text = fits ? label : "";
    if (element.textContent !== text) element.textContent = text;
  });
  for (const element of held.slice(shown.length)) element.remove();
}

/** @param {HTMLElement} over */
function made(over) {
  const element = document.createElement("div");
  element.className = "start";
  over.prepend(element);
  return element;
}
