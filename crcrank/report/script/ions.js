// The maps of the ions.

const viridis = (t) => d3.interpolateViridis(0.06 + 0.84 * t);

function drawIons(width) {
  const map = data.ion_map;
  const ions = map.ions.map((ion, i) => ({
    ion, x: map.x[i], y: map.y[i], n: map.n_known[i], group: map.groups[i], charge: map.oxidation_states[i], isFBlock: isFBlock(map.elements[i]),
  }));
  const height = Math.min(Math.round(0.85 * width), 520);
  const labels = placeLabels(ions, width, height);
  const groups = { label: "Group", domain: [1, 18], ticks: [1, 3, 6, 9, 12, 15, 18] };
  const charges = { label: "Oxidation state", domain: d3.extent(ions, (ion) => ion.charge) };
  find("ions-by-group").replaceChildren(...ionChart(ions, labels, "group", groups, width, height));
  find("ions-by-charge").replaceChildren(...ionChart(ions, labels, "charge", charges, width, height));
}

const isFBlock = (symbol) => data.elements.find(([other]) => other === symbol)[1] > 7;

const ION_OUTER = { marginLeft: 34, marginRight: 14, marginTop: 12, marginBottom: 36 };
function ionScales(ions, width, height) {
  const padded = (values) => {
    const [low, high] = d3.extent(values);
    const pad = 0.04 * (high - low || 1);
    return [low - pad, high + pad];
  };
  const x = { domain: padded(ions.map((ion) => ion.x)), range: [ION_OUTER.marginLeft, width - ION_OUTER.marginRight] };
  const y = { domain: padded(ions.map((ion) => ion.y)), range: [height - ION_OUTER.marginBottom, ION_OUTER.marginTop] };
  const r = { domain: [0, d3.max(ions, (ion) => ion.n)], range: [2.5, width < 450 ? 9 : 12], type: "sqrt" };
  return { x, y, r };
}

// Label ions, best known first, where their name covers neither a dot nor another name.
function placeLabels(ions, width, height) {
  const scales = ionScales(ions, width, height);
  const [x, y] = [scales.x, scales.y].map((scale) => d3.scaleLinear(scale.domain, scale.range));
  const r = d3.scaleSqrt(scales.r.domain, scales.r.range);
  const boxes = ions.map((ion) => ({ x0: x(ion.x) - 0.75 * r(ion.n), x1: x(ion.x) + 0.75 * r(ion.n), y0: y(ion.y) - 0.75 * r(ion.n), y1: y(ion.y) + 0.75 * r(ion.n) }));
  const labels = [];
  for (const ion of d3.sort(ions, (item) => -item.n)) {
    const wide = 7 * ionText(ion.ion).length;
    const away = r(ion.n) + 3;
    const places = [[away, 0, "start"], [-away, 0, "end"], [0, -away - 5, "middle"], [0, away + 5, "middle"]];
    for (const [dx, dy, textAnchor] of places) {
      const left = x(ion.x) + dx - (textAnchor === "start" ? 0 : textAnchor === "end" ? wide : wide / 2);
      const box = { x0: left, x1: left + wide, y0: y(ion.y) + dy - 6, y1: y(ion.y) + dy + 6 };
      if (box.x0 < 0 || box.x1 > width || boxes.some((other) => box.x0 < other.x1 && other.x0 < box.x1 && box.y0 < other.y1 && other.y0 < box.y1)) continue;
      boxes.push(box);
      labels.push({ ion, dx, dy, textAnchor });
      break;
    }
  }
  return labels;
}

function ionChart(ions, labels, key, color, width, height) {
  const { x, y, r } = ionScales(ions, width, height);
  const share = (i) => `Direction ${i + 1} (${percent(data.ion_map.shares[i])} of the variance)`;
  const ramp = { type: "linear", interpolate: viridis, ...color };
  const svg = Plot.plot({
    ...ION_OUTER, width, height, r,
    style: { fontFamily: "inherit", fontSize: "12px" },
    x: { ...x, label: share(0), ticks: 0 },
    y: { ...y, label: share(1), ticks: 0, labelAnchor: "center" },
    color: ramp,
    marks: [
      Plot.frame({ stroke: "var(--line)" }),
      Plot.dot(d3.sort(ions, (ion) => -ion.n), { x: "x", y: "y", r: "n", fill: key, symbol: (ion) => (ion.isFBlock ? "triangle" : "circle"), stroke: "var(--ink)", strokeWidth: 0.6, strokeOpacity: 0.7 }),
      ...d3.groups(labels, (label) => [label.dx, label.dy].join()).map(([, same]) => Plot.text(same, {
        x: (label) => label.ion.x, y: (label) => label.ion.y, text: (label) => ionText(label.ion.ion), dx: same[0].dx, dy: same[0].dy, textAnchor: same[0].textAnchor,
        fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 3, fontSize: 11,
      })),
      Plot.tip(ions, Plot.pointer({ x: "x", y: "y", title: (ion) => `${ionText(ion.ion)}\ngroup ${ion.group}${ion.isFBlock ? ", f block" : ""}\nin ${whole(ion.n)} known compounds`, fill: "var(--paper)", stroke: "var(--line)" })),
    ],
    symbol: { domain: ["circle", "triangle"], range: ["circle", "triangle"] },
  });
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Map of ${ions.length} ions, coloured by ${color.label.toLowerCase()}. Best known: ${labels.slice(0, 8).map((label) => label.ion.ion).join(", ")}.`);
  const legend = Plot.legend({ color: ramp, width: Math.min(width, 260), label: color.label, tickFormat: (value) => String(value), style: { fontFamily: "inherit" } });
  return [legend, svg];
}
