// How charts look, and the discovery curves.

const COLOURS = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c5"].map((name) => `var(${name})`);
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];
const lines = [...data.holdouts, ...(data.holdouts.length > 1 ? ["united"] : [])];
const armNames = [...new Set(data.arms.map((arm) => arm.name))];
const styleOf = (i) => ({ stroke: COLOURS[i % COLOURS.length], strokeDasharray: DASHES[i % DASHES.length] });
const styleOfArm = (name) => ({ stroke: COLOURS[(armNames.indexOf(name) + 1) % COLOURS.length], symbol: ["square", "triangle", "diamond", "star"][armNames.indexOf(name) % 4] });

function swatch(draw) {
  const svg = d3.create("svg").attr("width", 28).attr("height", 12).attr("aria-hidden", "true");
  draw(svg);
  return svg.node();
}

function lineSwatch(attributes, hasBand = false) {
  return swatch((svg) => {
    if (hasBand) svg.append("rect").attr("width", 28).attr("height", 12).attr("fill", attributes.stroke).attr("opacity", 0.2);
    const line = svg.append("line").attr("x2", 28).attr("y1", 6).attr("y2", 6).attr("stroke-width", 2);
    for (const [key, value] of Object.entries(attributes)) if (value) line.attr(key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), value);
  });
}

function symbolSwatch(name) {
  const { stroke, symbol } = styleOfArm(name);
  const shape = { square: d3.symbolSquare, triangle: d3.symbolTriangle, diamond: d3.symbolDiamond, star: d3.symbolStar }[symbol];
  return swatch((svg) => svg.append("path").attr("d", d3.symbol(shape, 50)()).attr("transform", "translate(14,6)").attr("fill", stroke));
}

const legendItem = (picture, label) => make("span", {}, picture, label);

const OUTER = { marginLeft: 46, marginRight: 16, marginBottom: 38, marginTop: 18 };
const K_TICKS = [1, 10, 100, 1000, 10000, 100000];
const HIT_TICKS = [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000];

function chart(title, options, label) {
  const box = make("div", {}, make("h3", {}, title));
  const svg = Plot.plot({ ...OUTER, style: { fontFamily: "inherit", fontSize: "12px" }, ...options });
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  box.append(svg);
  return box;
}

function drawCurves(width) {
  const longest = d3.max(data.curves, (curve) => curve.k.at(-1)) ?? 1;
  const most = Math.max(d3.max(data.curves, (curve) => curve.high.at(-1)) ?? 1, d3.max(data.arms, (arm) => d3.max(arm.hits)) ?? 1);
  const scales = {
    x: { type: "log", domain: [1, longest], ticks: K_TICKS.filter((k) => k <= longest), tickFormat: whole, label: "First k recommendations" },
    y: { type: "symlog", constant: 1, domain: [0, most * 1.25], ticks: HIT_TICKS.filter((hits) => hits <= most * 1.25), tickFormat: whole, label: "Hits", labelArrow: "none", tickSize: 0 },
  };
  find("curves").replaceChildren(...classNames.map((name) => {
    const curves = data.curves.filter((curve) => curve.composition_class === name);
    const arms = data.arms.filter((arm) => arm.composition_class === name);
    const words = curves.map((curve) => `${curve.holdout}: ${cutoffs(curve).map((point) => `${point.hits} hits in the first ${point.k}`).join(", ")}`).join("; ");
    return curves.length
      ? chart(capital(name), { width, height: 300, ...scales, marks: curveMarks(curves, arms, most * 1.25) }, `Discovery curve, ${name}. ${words}. At random: ${readable(curves[0].base_rate * longest)} in ${longest}.`)
      : make("div", {}, make("h3", {}, capital(name)), make("p", { class: "absent" }, "Nothing of the holdouts could be found in this class."));
  }));
}

function points(curve) {
  return curve.k.map((k, i) => ({ k, hits: curve.hits[i], low: curve.low[i], high: curve.high[i], curve }));
}

function cutoffs(curve) {
  const all = points(curve);
  const wanted = [100, 1000].filter((k) => k < curve.k.at(-1) / 1.5);
  return [...wanted.map((k) => d3.least(all, (point) => Math.abs(point.k - k))), all.at(-1)];
}

function pointTitle({ k, hits, low, high, curve }) {
  return `First ${whole(k)}, ${curve.holdout}\n${whole(hits)} hits, ${percent(hits / k)}\n95 %: ${percent(low / k)} to ${percent(high / k)}\nAt random: ${readable(k * curve.base_rate)}`;
}

function curveMarks(curves, arms, top) {
  const longest = d3.max(curves, (curve) => curve.k.at(-1));
  const reach = d3.max(curves, (curve) => curve.n_reachable);
  const steps = d3.range(0, 101).map((i) => longest ** (i / 100));
  const best = curves.at(-1);
  return [
    Plot.gridY(HIT_TICKS.filter((hits) => hits <= top), { stroke: "var(--line)", strokeOpacity: 0.6 }),
    Plot.line(steps, { x: (k) => k, y: (k) => Math.min(k, reach), stroke: "var(--quiet)", strokeOpacity: 0.6, clip: true }),
    Plot.line(steps, { x: (k) => k, y: (k) => k * best.base_rate, stroke: "var(--quiet)", strokeDasharray: "3 3" }),
    ...curves.map((curve) => Plot.areaY(points(curve), { x: "k", y1: "low", y2: "high", fill: COLOURS[lines.indexOf(curve.holdout) % COLOURS.length], fillOpacity: 0.18 })),
    ...arms.map((arm) => armMarks(arm)),
    ...curves.map((curve) => Plot.line(points(curve), { x: "k", y: "hits", strokeWidth: 2.2, ...styleOf(lines.indexOf(curve.holdout)) })),
    Plot.dot(cutoffs(best), { x: "k", y: "hits", r: 3.5, fill: styleOf(lines.indexOf(best.holdout)).stroke }),
    Plot.text(cutoffs(best), { x: "k", y: "hits", text: (point) => whole(point.hits), dx: -6, dy: -9, textAnchor: "end", fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 4, fontWeight: 600 }),
    Plot.tip(curves.flatMap(points), Plot.pointer({ x: "k", y: "hits", title: pointTitle, fill: "var(--paper)", stroke: "var(--line)" })),
  ];
}

function armMarks(arm) {
  const { stroke, symbol } = styleOfArm(arm.name);
  const rows = arm.k.map((k, i) => ({ k, hits: arm.hits[i], error: arm.error[i] ?? 0 }));
  return [
    Plot.line(rows, { x: "k", y: "hits", stroke, strokeWidth: 1, strokeOpacity: 0.6 }),
    Plot.ruleX(rows, { x: "k", y1: (row) => row.hits - row.error, y2: (row) => row.hits + row.error, stroke, strokeWidth: 1.5 }),
    Plot.dot(rows, { x: "k", y: "hits", symbol, r: 4, fill: stroke, title: (row) => `${arm.name}: ${readable(row.hits)} hits in the first ${whole(row.k)}` }),
  ];
}

function showCurveLegend() {
  if (!data.curves.length) return;
  find("curve-legend").replaceChildren(
    ...lines.map((name, i) => legendItem(lineSwatch(styleOf(i), true), `found in ${name === "united" ? "any of them" : name}, with 95 % interval`)),
    ...armNames.map((name) => legendItem(symbolSwatch(name), name)),
    legendItem(lineSwatch({ stroke: "var(--quiet)", strokeDasharray: "3 3" }), "at random"),
    legendItem(lineSwatch({ stroke: "var(--quiet)", strokeOpacity: "0.6" }), "every one a hit"),
  );
}
