// For tests: what stands on the screen of one chart, as plain values.

/** @param {import("./panel.js").Panel} panel */
export function inspected(panel) {
  const { chart, card, drawing, plot, layers, colours } = panel;
  return {
    metric: panel.metric,
    title: card.name.textContent,
    kind: chart.kind ?? "line",
    scale: plot?.scale ?? null,
    painted: plot?.paints ?? 0,
    newest: layers[0]?.newest ?? null,
    value: card.value.textContent,
    layers: layers.map(({ spec, refusal, drawing: drawn }, i) => ({
      run: spec.run, label: spec.label, ranks: spec.ranks, colour: colours[i], refusal,
      x: [...(drawn?.x ?? [])], y: [...(drawn?.raw ?? [])],
    })),
    left: panel.left,
    columns: drawing && {
      x: [...drawing.x], step: [...drawing.step], t: [...drawing.t], lo: [...drawing.lo], p10: [...drawing.p10],
      mid: [...drawing.mid], raw: [...drawing.raw], p90: [...drawing.p90], hi: [...drawing.hi], bad: [...drawing.bad],
    },
    lines: drawing?.lines.map((line) => ({ ...line.info, x: [...line.x], y: [...line.raw] })) ?? [],
    starts: drawing?.starts ?? [],
    complete: drawing?.complete ?? true,
    gaps: drawing?.gaps ?? [],
    ranks: drawing?.ranks ?? 0,
    shift: drawing?.shift ?? 0,
    range: plot?.xRange ?? null,
    yRange: plot?.yRange ?? null,
    following: panel.following,
  };
}
