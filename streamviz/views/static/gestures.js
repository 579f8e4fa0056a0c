// What the pointer does on a chart: drag zooms, shift-drag pans, double-click resets, the wheel zooms
// over an axis or with alt or ctrl. A plain wheel scrolls the page, a finger scrubs.

const CLICK_WITHIN_PX = 4;
const WHEEL_STEP = 0.0016;

/**
 * @param {import("./panel.js").Panel} panel
 * @param {import("./panel.js").App} app
 */
export function attachGestures(panel, app) {
  const { over } = panel.card;
  /** @type {{id: number, x: number, pan: boolean, moved: boolean, range: {start: number, end: number}}|null} */
  let drag = null;
  const rubber = document.createElement("div");
  rubber.className = "rubber";

  const at = (/** @type {PointerEvent|WheelEvent|MouseEvent} */ event) => {
    const box = over.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  const where = (/** @type {{x: number, y: number}} */ point) => {
    const frame = panel.plot?.frame;
    if (!frame) return null;
    if (point.y > frame.top + frame.height) return "x";
    if (point.x < frame.left) return "y";
    return "frame";
  };

  over.addEventListener("pointerdown", (event) => {
    const point = at(event);
    if (!panel.plot || !panel.drawing?.n || event.button !== 0) return;
    if (event.pointerType === "touch") {
      app.cursor.move(panel, event.clientX, event.clientY, true);
      return;
    }
    if (where(point) !== "frame") return;
    drag = { id: event.pointerId, x: point.x, pan: event.shiftKey, moved: false, range: panel.plot.xRange };
  });

  over.addEventListener("pointermove", (event) => {
    if (!panel.plot) return;
    const point = at(event);
    if (!drag) {
      if (where(point) === "frame" || event.pointerType === "touch") app.cursor.move(panel, event.clientX, event.clientY, event.pointerType === "touch");
      else app.cursor.leave();
      over.style.cursor = where(point) === "y" ? "ns-resize" : where(point) === "x" ? "ew-resize" : "";
      return;
    }
    if (!drag.moved && Math.abs(point.x - drag.x) < CLICK_WITHIN_PX) return;
    if (!drag.moved) {
      drag.moved = true;
      over.setPointerCapture(drag.id);
      app.cursor.leave();
      if (drag.pan) over.classList.add("panning");
      else over.append(rubber);
    }
    const { left, top, width, height } = panel.plot.frame;
    if (drag.pan) {
      app.zoomed(panel, moved(panel.plot.scales.x, drag.range, (drag.x - point.x) / width));
      return;
    }
    const inside = Math.min(left + width, Math.max(left, point.x));
    rubber.style.left = `${Math.min(inside, drag.x)}px`;
    rubber.style.width = `${Math.abs(inside - drag.x)}px`;
    rubber.style.top = `${top}px`;
    rubber.style.height = `${height}px`;
  });

  const end = (/** @type {PointerEvent} */ event) => {
    const done = drag;
    drag = null;
    rubber.remove();
    over.classList.remove("panning");
    if (!done?.moved || done.pan || event.type === "pointercancel" || !panel.plot) return;
    const { left, width } = panel.plot.frame;
    const inside = Math.min(left + width, Math.max(left, at(event).x));
    const [from, to] = [Math.min(inside, done.x), Math.max(inside, done.x)];
    if (to - from < CLICK_WITHIN_PX) return;
    app.zoomed(panel, limited(panel, panel.plot.pixelToX(from), panel.plot.pixelToX(to)));
  };
  over.addEventListener("pointerup", end);
  over.addEventListener("pointercancel", end);

  // The second click of a double-click may end a tiny drag first: reset comes last and wins.
  over.addEventListener("dblclick", () => app.zoomed(panel, null));
  over.addEventListener("pointerleave", (event) => {
    if (event.pointerType !== "touch") app.cursor.leave();
  });

  over.addEventListener(
    "wheel",
    (event) => {
      const point = at(event);
      const part = where(point);
      if (!panel.plot || !panel.drawing?.n || !part) return;
      const over_ = part === "frame" ? (event.altKey || event.ctrlKey || event.metaKey ? "x" : null) : part;
      if (!over_) return;
      event.preventDefault();
      const turned = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
      const factor = Math.exp(Math.max(-240, Math.min(240, turned)) * WHEEL_STEP);
      if (over_ === "x") wheelX(panel, app, point.x, factor);
      else wheelY(panel, point.y, factor);
    },
    { passive: false },
  );

  return { forget: () => { drag = null; rubber.remove(); } };
}

/**
 * @param {import("./panel.js").Panel} panel
 * @param {import("./panel.js").App} app
 * @param {number} pixel
 * @param {number} factor
 */
function wheelX(panel, app, pixel, factor) {
  const plot = /** @type {import("./plot.js").Plot} */ (panel.plot);
  const { left, width } = plot.frame;
  const x = plot.pixelToX(Math.min(left + width, Math.max(left, pixel)));
  const { start, end } = widened(plot.scales.x, plot.xRange, x, factor);
  app.zoomed(panel, limited(panel, start, end));
}

/**
 * @param {import("./panel.js").Panel} panel
 * @param {number} pixel
 * @param {number} factor
 */
function wheelY(panel, pixel, factor) {
  const plot = /** @type {import("./plot.js").Plot} */ (panel.plot);
  const { start, end } = widened(plot.scales.y, plot.yRange, plot.pixelToY(pixel), factor);
  panel.zoomY(start, end);
}

/**
 * A range about a value so many times as wide, on its scale.
 * @param {import("./scales.js").Scale} scale
 * @param {{start: number, end: number}} range
 * @param {number} value
 * @param {number} factor
 */
function widened({ to, from }, { start, end }, value, factor) {
  const middle = to(value);
  return { start: from(middle - (middle - to(start)) * factor), end: from(middle + (to(end) - middle) * factor) };
}

/**
 * A range so many times its own width further on, on its scale.
 * @param {import("./scales.js").Scale} scale
 * @param {{start: number, end: number}} range
 * @param {number} widths
 */
function moved({ to, from }, { start, end }, widths) {
  const shift = widths * (to(end) - to(start));
  return { start: from(to(start) + shift), end: from(to(end) + shift) };
}

/**
 * Not further in than two steps, and not further out than the data: that is following again.
 * @param {import("./panel.js").Panel} panel
 * @param {number} start
 * @param {number} end
 */
function limited(panel, start, end) {
  const drawing = /** @type {import("./derive.js").Drawing} */ (panel.drawing);
  const { end: last } = drawing.span;
  const log = panel.plot?.scales.x.kind === "log" && drawing.span.start <= 0;
  const first = log ? (drawing.x.find((x) => x > 0) ?? drawing.span.start) : drawing.span.start;
  if (start <= first && end >= last) return null;
  const steps = drawing.step[drawing.n - 1] - drawing.step[0];
  const least = steps > 0 ? (2 * (last - first)) / steps : 0;
  if (end - start < least) {
    const middle = (start + end) / 2;
    return { start: middle - least / 2, end: middle + least / 2 };
  }
  return { start, end };
}
