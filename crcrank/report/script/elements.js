// The heat map of the elements.

const EVERY = "all";
function elementCounts(name) {
  const chosen = d3.range(n).filter((i) => name === EVERY || classNames[columns.composition_class[i]] === name);
  const recommended = d3.rollup(chosen.flatMap((i) => [...elementsOfRow[i]]), (all) => all.length, (symbol) => symbol);
  const known = new Map();
  let nKnown = 0;
  for (const item of data.classes) {
    if (name !== EVERY && item.name !== name) continue;
    nKnown += data.known_elements[item.name].n;
    for (const [symbol, count] of Object.entries(data.known_elements[item.name].elements)) known.set(symbol, (known.get(symbol) ?? 0) + count);
  }
  return { recommended, known, nRecommended: chosen.length, nKnown };
}

function drawHeat() {
  const counts = elementCounts(find("heat-class").value);
  const kind = find("heat-kind").value;
  const cells = data.elements.map(([symbol, row, column]) => heatCell(symbol, row, column, counts, kind));
  cells.find((cell) => !cell.disabled)?.setAttribute("tabindex", 0);
  find("heat").replaceChildren(...cells);
  const shares = data.elements.map(([symbol]) => [symbol, ...sharesOf(symbol, counts)]).filter(([, a, b]) => a || b);
  const favoured = d3.sort(shares.filter(([, a]) => a > 0.01), ([, a, b]) => b / a).slice(0, 5).map(([symbol]) => symbol);
  find("heat").setAttribute("aria-label", `Periodic table, ${find("heat-kind").selectedOptions[0].label}. Most favoured: ${favoured.join(", ")}.`);
  showHeatLegend(kind, d3.max(shares, ([, a, b]) => (kind === "known" ? b : a)));
  find("heat-detail").textContent = "Point at an element, tap it or move to it with the arrow keys for its numbers.";
}

function sharesOf(symbol, counts) {
  return [(counts.recommended.get(symbol) ?? 0) / counts.nRecommended, (counts.known.get(symbol) ?? 0) / Math.max(1, counts.nKnown)];
}

const FARTHEST = 3;  // doublings
function heatCell(symbol, row, column, counts, kind) {
  const [recommended, known] = sharesOf(symbol, counts);
  const cell = elementButton(symbol, row, column, make("b", {}, symbol));
  cell.disabled = !recommended && !known;
  if (cell.disabled) return cell;
  const ratio = recommended / known;
  const largest = d3.max(data.elements, ([other]) => sharesOf(other, counts)[kind === "known" ? 1 : 0]);
  const strength = kind === "ratio" ? Math.max(-1, Math.min(1, Math.log2(ratio) / FARTHEST)) : Math.sqrt((kind === "known" ? known : recommended) / largest);
  const [colour, base] = kind === "ratio" ? [strength < 0 ? "--less" : "--more", "--even"] : ["--c0", "--raised"];
  cell.style.background = `color-mix(in oklab, var(${colour}) ${Math.round(92 * Math.abs(strength))}%, var(${base}))`;
  cell.style.color = Math.abs(strength) > 0.6 ? "var(--paper)" : "var(--ink)";
  const figure = kind === "ratio" ? times(ratio) : percent(kind === "known" ? known : recommended).replace("\u00a0", "");
  cell.append(make("small", {}, figure));
  const words = `${symbol}: in ${percent(recommended)} of the recommended (${whole(counts.recommended.get(symbol) ?? 0)}) and ${percent(known)} of the known (${whole(counts.known.get(symbol) ?? 0)})`;
  cell.setAttribute("aria-label", words);
  for (const event of ["pointerenter", "focus", "click"]) cell.addEventListener(event, () => { find("heat-detail").textContent = words; });
  return cell;
}

function times(ratio) {
  return ratio === Infinity ? "new" : ratio === 0 ? "0" : `×${ratio >= 9.95 ? ratio.toFixed(0) : ratio >= 0.0995 ? ratio.toFixed(1) : ratio.toFixed(2)}`;
}

function showHeatLegend(kind, largest) {
  const ramp = make("span", { class: "ramp", "aria-hidden": "true" });
  const isRatio = kind === "ratio";
  ramp.style.background = isRatio
    ? "linear-gradient(to right, color-mix(in oklab, var(--less) 92%, var(--even)), var(--even), color-mix(in oklab, var(--more) 92%, var(--even)))"
    : "linear-gradient(to right, var(--raised), color-mix(in oklab, var(--c0) 92%, var(--raised)))";
  const ends = isRatio ? ["×⅛", "×8 as often as among the known"] : ["0", `${percent(largest)} of the compositions`];
  find("heat-legend").replaceChildren(make("span", {}, ends[0], ramp, ends[1]));
}

function setUpHeat() {
  addOptions(find("heat-class"), [...classNames.map((name) => [name, name]), ...(classNames.length > 1 ? [[EVERY, "all"]] : [])]);
  for (const id of ["heat-class", "heat-kind"]) find(id).addEventListener("input", drawHeat);
  moveWithArrows(find("heat"));
  drawHeat();
}
