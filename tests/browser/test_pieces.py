"""Areas and lines that are painted in pieces look as if they were painted whole."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from serving import ServerProcess
from viewing import Viewer

pytestmark = pytest.mark.browser

PAINT = """
async ({ xs, low, high, scale }) => {
  const files = performance.getEntriesByType("resource").map(({ name }) => name);
  const file = files.find((name) => name.includes("pieces.js"));
  const { paintAreaInPieces, paintLinesInPieces } = await import(file);
  const numbers = (values) => Float64Array.from(values, (value) => value ?? NaN);
  const [x, y1, y2] = [xs, low, high].map(numbers);
  let filled = 0;
  let stroked = 0;
  const area = {
    visuals: { fill: { apply: (ctx) => { filled += 1; ctx.fill(); } } },
    _paint(ctx) {
      ctx.beginPath();
      for (let i = 0; i < x.length; i += 1) ctx.lineTo(x[i], y1[i]);
      for (let i = x.length - 1; i >= 0; i -= 1) ctx.lineTo(x[i], y2[i]);
      ctx.closePath();
      ctx.fill();
    },
  };
  const lines = {
    visuals: { line: { set_vectorize: () => {} } },
    _paint(ctx) {
      ctx.beginPath();
      let move = true;
      for (let i = 0; i < x.length; i += 1) {
        if (!Number.isFinite(x[i] + y1[i])) move = true;
        else if (move) { ctx.moveTo(x[i], y1[i]); move = false; }
        else ctx.lineTo(x[i], y1[i]);
      }
      ctx.stroke();
    },
  };
  const painted = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [450 * scale, 180 * scale];
    const ctx = canvas.getContext("2d");
    ctx.scale(scale, scale);
    ctx.translate(0.5, 0.5);
    Object.assign(ctx, { fillStyle: "rgba(0, 0, 0, 0.5)", lineWidth: 1.6, lineJoin: "bevel" });
    const stroke = ctx.stroke.bind(ctx);
    ctx.stroke = () => { stroked += 1; stroke(); };
    if (low.every((value) => value !== null)) area._paint(ctx, null, { sx: x, sy1: y1, sy2: y2 });
    ctx.translate(0, 80);
    lines._paint(ctx, [0], { sxs: { get: () => x }, sys: { get: () => y1 } });
    return ctx.getImageData(0, 0, canvas.width, canvas.height).data;
  };
  const whole = painted();
  paintAreaInPieces(area);
  paintLinesInPieces(lines);
  stroked = 0;
  const pieces = painted();
  let sum = 0, most = 0, ink = 0;
  for (let i = 3; i < whole.length; i += 4) {
    const apart = Math.abs(whole[i] - pieces[i]);
    sum += apart;
    most = Math.max(most, apart);
    ink += whole[i];
  }
  return { share: sum / ink, most, filled, stroked };
}
"""


def jumping(i: int, reach: float) -> float:
    """Return a value that jumps up and down, the same at every call."""
    return (i * i * 7919 % 101) / 101 * reach


def test_pieces_are_the_whole(server: ServerProcess, look: Callable[..., Viewer]) -> None:
    """Denser than pixels or not, smooth or jumping, with holes or without, on fine screens too."""
    page = look(server.page).page
    page.wait_for_function("() => globalThis.streamviz")
    for scale, reach, apart, holes in product((1, 2), (2, 70), (0.3, 0.86, 1.65, 12), (0, 1)):
        count = min(500, int(430 / apart))
        high = [40 + jumping(i, reach / 2) for i in range(count)]
        low: list[float | None] = [40 - jumping(i + 3, reach / 2) for i in range(count)]
        if holes:
            low[count // 3] = low[count // 2] = None
        drawing = {"xs": [apart * i for i in range(count)], "low": low, "high": high}
        seen = page.evaluate(PAINT, {**drawing, "scale": scale})
        what = f"{seen} at {scale=} {reach=} {apart=} {holes=}"
        assert seen["stroked"] >= count // 24, what
        assert holes or seen["filled"] >= count // 24, what
        # The slow way through a path and the quick one differ by as much at its edges.
        assert seen["share"] < 0.03, what
        assert seen["most"] < 100, what
