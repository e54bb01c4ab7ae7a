// Exact ranks and probabilities: the recall to the last compound, ranks by what is rare, calibration.

const RANK_WORDS = [[1e9, "billion"], [1e6, "million"]];
function rankText(rank) {
  for (const [size, word] of RANK_WORDS) if (rank >= size) return `${(rank / size).toPrecision(3)}\u00a0${word}`;
  return whole(rank);
}

function powerText(value) {
  return value < 1000 ? whole(value) : `10${[...String(Math.round(Math.log10(value)))].map((digit) => RAISED[digit]).join("")}`;
}

function rankAxis(nUnknown) {
  const powers = Math.floor(Math.log10(Math.max(10, nUnknown)));
  const ticks = d3.range(0, powers + 1, powers > 5 ? 2 : 1).map((power) => 10 ** power);
  return { type: "log", domain: [1, Math.max(10, nUnknown)], ticks, tickFormat: powerText, label: "Rank among all candidates" };
}

const classNamed = (name) => data.classes.find((item) => item.name === name);
const ofClass = (rows, name) => rows.filter((row) => row.composition_class === name);
const isAmong = (rows) => (name) => rows.some((row) => row.composition_class === name);
const nameOf = (holdout) => (holdout === "united" ? "all of them" : holdout);
const colourOf = (holdout) => styleOf(lines.indexOf(holdout)).stroke;

// Where the list ends: what lies left of it is on this page.
function listedMarks(name) {
  const listed = [classNamed(name).n_listed];
  return [
    Plot.rect(listed, { x1: 1, x2: (n) => n, fill: "var(--raised)" }),
    Plot.ruleX(listed, { stroke: "var(--line)" }),
  ];
}

// ---- recall ----

const MARKED = new Map([[0.25, "25\u00a0%"], [0.5, "half"], [0.9, "90\u00a0%"]]);

function drawRecalls(width) {
  const y = { domain: [0, 1], ticks: [0, 0.25, 0.5, 0.75, 1], tickFormat: percent, label: "Found", labelArrow: "none", tickSize: 0 };
  find("recalls").replaceChildren(...classNames.filter(isAmong(data.recalls)).map((name) => {
    const curves = ofClass(data.recalls, name);
    const depths = ofClass(data.depths, name).filter(({ holdout, recall }) => holdout === curves.at(-1).holdout && MARKED.has(recall));
    const words = depths.map(({ recall, rank }) => `${MARKED.get(recall)} by rank ${rankText(rank)}`).join(", ");
    const marks = [...listedMarks(name), Plot.gridY(y.ticks, { stroke: "var(--line)", strokeOpacity: 0.6 }), ...recallMarks(curves), ...depthMarks(depths, curves.at(-1))];
    return chart(capital(name), { width, height: 300, marginTop: 28, x: rankAxis(curves.at(-1).n_unknown), y, marks }, `Recall, ${name}. Of ${curves.at(-1).holdout}: ${words}.`);
  }));
}

function recallMarks(curves) {
  const nUnknown = curves.at(-1).n_unknown;
  const random = d3.range(0, 101).map((i) => nUnknown ** (i / 100));
  const all = curves.flatMap((curve) => curve.ranks.map((rank, i) => ({ rank, share: curve.shares[i], curve })));
  return [
    Plot.line(random, { x: (rank) => rank, y: (rank) => rank / nUnknown, stroke: "var(--quiet)", strokeDasharray: "3 3" }),
    ...curves.map((curve) => Plot.line([{ rank: 1, share: 0 }, ...all.filter((point) => point.curve === curve)], {
      x: "rank", y: "share", curve: "step-after", strokeWidth: 2.2, ...styleOf(lines.indexOf(curve.holdout)),
    })),
    Plot.tip(all, Plot.pointer({
      x: "rank", y: "share", fill: "var(--paper)", stroke: "var(--line)",
      title: ({ rank, share, curve }) => `${percent(share)} of ${curve.holdout} by rank ${rankText(rank)}\nAt random: ${percent(rank / nUnknown)}`,
    })),
  ];
}

function depthMarks(depths, curve) {
  const colour = colourOf(curve.holdout);
  const isLeft = (row) => Math.log(row.rank) < 0.45 * Math.log(curve.n_unknown);
  const text = (row) => `${MARKED.get(row.recall)}: ${rankText(row.rank)}`;
  const style = { y: "recall", text, fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 4, fontWeight: 600 };
  return [
    Plot.ruleY(depths, { x1: "rank_low", x2: "rank_high", y: "recall", stroke: colour, strokeWidth: 7, strokeOpacity: 0.3 }),
    Plot.dot(depths, { x: "rank", y: "recall", r: 4, fill: colour, stroke: "var(--paper)" }),
    Plot.text(depths.filter(isLeft), { x: "rank_high", dx: 8, textAnchor: "start", ...style }),
    Plot.text(depths.filter((row) => !isLeft(row)), { x: "rank_low", dx: -8, textAnchor: "end", ...style }),
  ];
}

function showRecallLegend() {
  find("recall-legend").replaceChildren(
    ...lines.map((name, i) => legendItem(lineSwatch(styleOf(i)), `found of ${nameOf(name)}`)),
    legendItem(swatch((svg) => {
      svg.append("line").attr("x2", 28).attr("y1", 6).attr("y2", 6).attr("stroke-width", 7).attr("stroke-opacity", 0.3).attr("stroke", colourOf(lines.at(-1)));
      svg.append("circle").attr("cx", 14).attr("cy", 6).attr("r", 4).attr("fill", colourOf(lines.at(-1)));
    }), "25\u00a0%, half and 90\u00a0%, with 95\u00a0% interval"),
    legendItem(lineSwatch({ stroke: "var(--quiet)", strokeDasharray: "3 3" }), "at random"),
    listedSwatch(),
  );
}

const listedSwatch = () => legendItem(swatch((svg) => svg.append("rect").attr("width", 27).attr("height", 12).attr("fill", "var(--raised)").attr("stroke", "var(--line)")), "in the list");

// ---- ranks by what is rare ----

function drawSpreads(width) {
  find("spreads").replaceChildren(...classNames.filter(isAmong(data.spreads)).map((name) => {
    const rows = ofClass(data.spreads, name);
    const there = rows.filter((row) => row.n).map((row) => ({ ...row, ...Object.fromEntries(["p10", "p25", "p50", "p75", "p90"].map((key, i) => [key, row.quantiles[i]])) }));
    const words = there.map((row) => `${row.rarity} (${whole(row.n)}): half by rank ${rankText(row.p50)}`).join("; ");
    const options = { width, height: 48 * rows.length + 52, marginLeft: 4, x: rankAxis(classNamed(name).n_candidates), y: { type: "point", domain: rows.map((row) => row.rarity), axis: null, padding: 0.7 } };
    return chart(capital(name), { ...options, marks: spreadMarks(name, rows, there) }, `Ranks by what is rare, ${name}. ${words}.`);
  }));
}

function spreadMarks(name, rows, there) {
  const label = { y: "rarity", dy: -15, fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 4 };
  const title = (row) => `${capital(row.rarity)}: ${whole(row.n)} compounds\n10\u00a0% by rank ${rankText(row.p10)}\n25\u00a0% by ${rankText(row.p25)}\nhalf by ${rankText(row.p50)}\n75\u00a0% by ${rankText(row.p75)}\n90\u00a0% by ${rankText(row.p90)}`;
  return [
    ...listedMarks(name),
    Plot.ruleY(there, { y: "rarity", x1: "p10", x2: "p90", stroke: "var(--c0)", strokeWidth: 1.5 }),
    Plot.ruleY(there, { y: "rarity", x1: "p25", x2: "p75", stroke: "var(--c0)", strokeWidth: 9, strokeOpacity: 0.45 }),
    Plot.dot(there, { y: "rarity", x: "p50", r: 4.5, fill: "var(--c0)", stroke: "var(--paper)" }),
    Plot.text(rows, { ...label, frameAnchor: "left", dx: 2, text: (row) => `${capital(row.rarity)} (${whole(row.n)})` }),
    Plot.text(there, { ...label, frameAnchor: "right", text: (row) => rankText(row.p50), fontWeight: 600 }),
    Plot.tip(there, Plot.pointerY({ y: "rarity", x: "p50", title, fill: "var(--paper)", stroke: "var(--line)" })),
  ];
}

function showSpreadLegend() {
  const bar = (width, opacity) => (svg) => svg.append("line").attr("x2", 28).attr("y1", 6).attr("y2", 6).attr("stroke", "var(--c0)").attr("stroke-width", width).attr("stroke-opacity", opacity);
  find("spread-legend").replaceChildren(
    legendItem(swatch((svg) => svg.append("circle").attr("cx", 14).attr("cy", 6).attr("r", 4.5).attr("fill", "var(--c0)")), "half is found by this rank"),
    legendItem(swatch(bar(9, 0.45)), "the middle half"),
    legendItem(swatch(bar(1.5, 1)), "all but the first and last tenth"),
    listedSwatch(),
  );
}

// ---- calibration ----

const SHARES = d3.range(-5, 1).flatMap((power) => [1, 2, 3, 5].map((digit) => Number(`${digit}e${power}`))).filter((share) => share <= 1);
function shareAxis(least, label) {
  const low = SHARES.findLast((share) => share <= least) ?? SHARES[0];
  const inside = SHARES.filter((share) => share >= low);
  const ticks = inside.length < 7 ? inside : inside.filter((share) => "13".includes(String(share.toExponential()[0])));
  return { type: "log", domain: [low, 1], ticks, tickFormat: (share) => `${Number((100 * share).toPrecision(2))}\u00a0%`, label };
}

function drawCalibrations(width) {
  find("calibrations").replaceChildren(...classNames.filter(isAmong(data.calibration)).map((name) => {
    const rows = ofClass(data.calibration, name);
    const x = shareAxis(d3.min(rows, (row) => row.mean_probability), "Mean probability of a tenth of the list");
    const y = { ...shareAxis(d3.min(rows, (row) => (row.n_found ? Math.max(row.share_low, row.share / 2) : row.share_high / 2)), "Found"), labelArrow: "none", tickSize: 0 };
    const errors = Object.entries(data.calibration_error[name] ?? {}).map(([holdout, error]) => percent(error) + (lines.length > 1 ? ` (${holdout})` : "")).join(", ");
    const words = rows.map((row) => `of ${percent(row.mean_probability)}, ${percent(row.share)} found in ${row.holdout}`).join("; ");
    const box = chart(capital(name), { width, height: 300, marginTop: 28, x, y, marks: calibrationMarks(rows, x.domain[0], y.domain[0], y.ticks) }, `Calibration, ${name}: ${words}.`);
    box.querySelector("h3").after(make("p", { class: "quiet" }, `mean difference ${errors}`));
    return box;
  }));
}

function calibrationMarks(rows, lowX, lowY, ticks) {
  const ends = [Math.max(lowX, lowY), 1];
  const colour = (row) => colourOf(row.holdout);
  const title = (row) => `${whole(row.n_formulas)} formulas of probability ${percent(row.low)} to ${percent(row.high)}\n${whole(row.n_found)} found in ${row.holdout}: ${percent(row.share)}\n95\u00a0%: ${percent(row.share_low)} to ${percent(row.share_high)}`;
  const share = (row) => Math.max(row.share, lowY);
  return [
    Plot.gridY(ticks, { stroke: "var(--line)", strokeOpacity: 0.6 }),
    Plot.line(ends, { x: (end) => end, y: (end) => end, stroke: "var(--quiet)", strokeDasharray: "3 3" }),
    Plot.ruleX(rows, { x: "mean_probability", y1: (row) => Math.max(row.share_low, lowY), y2: "share_high", stroke: colour, strokeWidth: 1.5 }),
    Plot.dot(rows, { x: "mean_probability", y: share, r: 4, fill: (row) => (row.n_found ? colour(row) : "var(--paper)"), stroke: colour }),
    Plot.tip(rows, Plot.pointer({ x: "mean_probability", y: share, title, fill: "var(--paper)", stroke: "var(--line)" })),
  ];
}

function showCalibrationLegend() {
  const dot = (colour) => (svg) => {
    svg.append("line").attr("x1", 14).attr("x2", 14).attr("y2", 12).attr("stroke", colour).attr("stroke-width", 1.5);
    svg.append("circle").attr("cx", 14).attr("cy", 6).attr("r", 4).attr("fill", colour);
  };
  find("calibration-legend").replaceChildren(
    ...lines.map((name) => legendItem(swatch(dot(colourOf(name))), `found in ${name === "united" ? "any of them" : name}, with 95\u00a0% interval`)),
    legendItem(lineSwatch({ stroke: "var(--quiet)", strokeDasharray: "3 3" }), "found as often as the probability says"),
  );
}

function showEvidence() {
  const parts = [["recall-part", data.recalls, showRecallLegend], ["spread-part", data.spreads, showSpreadLegend], ["calibration-part", data.calibration, showCalibrationLegend]];
  for (const [id, rows, showLegend] of parts) {
    find(id).hidden = !rows.length;
    if (rows.length) showLegend();
  }
}
