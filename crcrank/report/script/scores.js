// The histogram of the scores.

const SCORED = [
  { key: "n_candidates", label: "all candidates", fill: "var(--quiet)", opacity: 0.35 },
  { key: "n_known", label: "known", fill: "var(--c0)", opacity: 0.6 },
  { key: "n_asked", label: "of the holdouts", fill: "none", stroke: "var(--c1)" },
];
const LOWEST = 0.7;  // so that a single candidate has a bar

function drawScores(width) {
  const shown = classNames.filter((name) => data.histograms[name]);
  find("score-charts").replaceChildren(...shown.map((name) => {
    const bins = data.histograms[name];
    const rows = bins.low.map((low, i) => ({ low, high: bins.high[i], ...Object.fromEntries(SCORED.map(({ key }) => [key, bins[key][i]])) }));
    const most = d3.max(bins.n_candidates);
    const y = { type: "log", domain: [LOWEST, 2 * most], ticks: d3.range(0, 12, most > 1e5 ? 2 : 1).map((power) => 10 ** power).filter((count) => count <= most), tickFormat: "~s", label: "Candidates", labelArrow: "none", tickSize: 0 };
    const words = SCORED.map(({ key, label }) => `${label}: ${whole(d3.sum(bins[key]))}`).join("; ");
    const best = d3.greatest(rows.filter((row) => row.n_known), (row) => row.low);
    return chart(capital(name), { width, height: 260, y, x: { label: "Score of the search" }, marks: scoreMarks(rows, y.ticks) }, `Histogram of scores, ${name}. ${words}${best ? `; the best known lie at ${best.low.toFixed(1)}` : ""}.`);
  }));
  find("score-legend").replaceChildren(...SCORED.map(({ label, fill, opacity, stroke }) => legendItem(swatch((svg) =>
    svg.append("rect").attr("x", 1).attr("y", 1).attr("width", 26).attr("height", 10).attr("fill", fill).attr("fill-opacity", opacity ?? 1).attr("stroke", stroke ?? "none").attr("stroke-width", 1.5)), label)));
}

function scoreMarks(rows, ticks) {
  const title = (row) => [`Score ${row.low.toFixed(2)} to ${row.high.toFixed(2)}`, ...SCORED.map(({ key, label }) => `${whole(row[key])} ${label}`)].join("\n");
  return [
    Plot.gridY(ticks, { stroke: "var(--line)", strokeOpacity: 0.6 }),
    ...SCORED.map(({ key, fill, opacity, stroke }) => Plot.rect(rows.filter((row) => row[key]), { x1: "low", x2: "high", y1: LOWEST, y2: key, fill, fillOpacity: opacity, stroke, strokeWidth: 1.2, insetLeft: 0.5, insetRight: 0.5 })),
    Plot.tip(rows.filter((row) => row.n_candidates), Plot.pointerX({ x: (row) => (row.low + row.high) / 2, y: "n_candidates", title, fill: "var(--paper)", stroke: "var(--line)" })),
  ];
}
