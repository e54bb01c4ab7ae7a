// The page's charts, its table of recommendations and its filters. Every text of the data is inserted as text, never as markup.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data-of-page").textContent);
  const find = (id) => document.getElementById(id);
  const whole = new Intl.NumberFormat("en").format;

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  // ---- chemistry in type ----

  function formulaNodes(text) {
    return text.split(/(\d+)/).map((part) => (/^\d/.test(part) ? make("sub", {}, part) : part));
  }

  function ionNodes(label) {
    const [, element, number, sign] = label.match(/^(\D+?)(\d+)([+-])$/);
    return [element, make("sup", {}, (number === "1" ? "" : number) + (sign === "-" ? "−" : "+"))];
  }

  const RAISED = Object.fromEntries([..."0123456789+-"].map((sign, i) => [sign, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"[i]]));
  function ionText(label) {
    const [, element, number, sign] = label.match(/^(\D+?)(\d+)([+-])$/);
    return element + [...((number === "1" ? "" : number) + sign)].map((letter) => RAISED[letter]).join("");
  }

  const elementOf = (ion) => ion.replace(/\d+[+-]$/, "");
  const isAnion = (ion) => ion.endsWith("-");

  function readable(value) {
    if (value === 0) return "0";
    if (value >= 10) return whole(Math.round(value));
    if (value >= 0.001) return String(Number(value.toPrecision(2)));
    const [digits, exponent] = value.toExponential(1).split("e");
    return `${digits}\u00a0×\u00a010${[...exponent].map((letter) => RAISED[letter] ?? letter).join("")}`;
  }

  function percent(share) {
    const value = 100 * share;
    return `${value === 0 || value >= 9.95 ? value.toFixed(0) : value >= 0.0995 ? value.toFixed(1) : value.toPrecision(2)}\u00a0%`;
  }

  const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

  // ---- the recommendations ----

  const columns = data.columns;
  const n = columns.rank.length;
  const classNames = data.classes.map((item) => item.name);
  const elementsOfRow = columns.ions.map((row) => new Set(row.map((i) => elementOf(data.ions[i]))));
  const systemOfRow = elementsOfRow.map((elements) => [...elements].sort().join("-"));
  const anionOfRow = columns.ions.map((row) => row.map((i) => data.ions[i]).filter(isAnion).map(elementOf).join(" "));
  const ionsOfRow = columns.ions.map((row) => row.map((i) => data.ions[i]));

  const isThere = (value) => value !== null && value !== undefined;
  const hasKnown = columns.nearest_known.some(isThere);
  const flags = [
    ...data.holdouts.map((name, j) => ({ style: "found", label: `found in ${name}`, has: (i) => columns.found_in[i].includes(j) })),
    { style: "warn", label: "radioactive", has: (i) => columns.radioactive[i] },
    { style: "warn", label: "toxic element", has: (i) => columns.toxic[i].length > 0, text: (i) => [`toxic: ${columns.toxic[i].join(", ")}`] },
    { label: "scarce element", has: (i) => columns.scarce[i].length > 0, text: (i) => [`scarce: ${columns.scarce[i].join(", ")}`] },
    { label: "unusual ion", has: (i) => columns.unusual_ions[i].length > 0, text: (i) => ["unusual: ", ...columns.unusual_ions[i].flatMap(ionNodes)] },
    { label: "mixture of known", has: (i) => isThere(columns.mixture[i]), text: (i) => ["= ", ...mixtureNodes(columns.mixture[i])] },
  ].filter((flag) => columns.rank.some((_, i) => flag.has(i)));

  const shownColumns = [
    { key: "rank", head: "Rank", isNumber: true, value: (i) => columns.rank[i], cell: (i) => [whole(columns.rank[i])], compare: byClassThenRank },
    { key: "composition_class", head: "Class", value: (i) => columns.composition_class[i], cell: (i) => [classNames[columns.composition_class[i]]] },
    { key: "formula", head: "Formula", value: (i) => columns.pretty_formula[i], cell: formulaCell, style: "formula" },
    { key: "score", head: "Score", isNumber: true, isBestHigh: true, value: (i) => columns.score[i], cell: (i) => [columns.score[i].toFixed(3)] },
    {
      key: "probability", head: "Probability", isNumber: true, isBestHigh: true, isAbsent: !columns.probability.every(isThere),
      value: (i) => columns.probability[i], cell: (i) => [columns.probability[i] > 0.9995 ? "> 0.999" : columns.probability[i].toFixed(3)],
    },
    { key: "nearest_known", head: "Nearest known", isAbsent: !hasKnown, value: (i) => columns.nearest_known[i] ?? "", cell: nearestCell },
    { key: "n_one_ion_away", head: "One ion away", isNumber: true, isBestHigh: true, isAbsent: !hasKnown, value: (i) => columns.n_one_ion_away[i] ?? 0, cell: (i) => [whole(columns.n_one_ion_away[i] ?? 0)] },
    { key: "n_known_in_system", head: "In system", isNumber: true, isAbsent: !hasKnown, value: (i) => columns.n_known_in_system[i] ?? 0, cell: (i) => [whole(columns.n_known_in_system[i] ?? 0)] },
    { key: "flags", head: "Flags", isBestHigh: true, value: (i) => flags.filter((flag) => flag.has(i)).length, cell: flagCell },
  ].filter((column) => !column.isAbsent);

  function formulaCell(i) {
    return [make("b", {}, ...formulaNodes(columns.pretty_formula[i])), make("small", {}, ...ionsCell(i)), make("span", { class: "marks" }, ...flagCell(i))];
  }

  function ionsCell(i) {
    return ionsOfRow[i].flatMap((ion, j) => [j ? " " : "", ...ionNodes(ion)]);
  }

  // Of "ZnCl2 + 2 Cs3ZnCl5" the numbers after letters are subscripts, those before are not.
  function mixtureNodes(text) {
    return text.split(" ").flatMap((word, j) => [j ? " " : "", ...(/^\d+$/.test(word) ? [word] : formulaNodes(word))]);
  }

  function nearestCell(i) {
    if (!isThere(columns.nearest_known[i])) return ["none"];
    const [old, replaced] = columns.substitution[i].split(" -> ");
    return [...formulaNodes(columns.nearest_known[i]), make("small", {}, ...ionNodes(old), " \u2192 ", ...ionNodes(replaced))];
  }

  function flagCell(i) {
    return flags.filter((flag) => flag.has(i)).map((flag) => make("span", { class: `flag ${flag.style ?? ""}` }, ...(flag.text ? flag.text(i) : [flag.label])));
  }

  function byClassThenRank(i, j) {
    return columns.composition_class[i] - columns.composition_class[j] || columns.rank[i] - columns.rank[j];
  }

  const state = { column: "rank", direction: 1, page: 0, size: 25, rows: [], elements: new Map() };

  // ---- filters ----

  function parseFormula(text) {
    const amounts = {};
    if (!/^([A-Z][a-z]?\d*)+$/.test(text)) return null;
    for (const [, element, amount] of text.matchAll(/([A-Z][a-z]?)(\d*)/g)) amounts[element] = (amounts[element] ?? 0) + Number(amount || 1);
    const divisor = Object.values(amounts).reduce((a, b) => { while (b) [a, b] = [b, a % b]; return a; });
    return Object.keys(amounts).sort().map((element) => element + (amounts[element] / divisor === 1 ? "" : amounts[element] / divisor)).join("");
  }

  function wordFilter(word) {
    if (/^[A-Z][a-z]?(-[A-Z][a-z]?)+$/.test(word)) {
      const system = word.split("-").sort().join("-");
      return (i) => systemOfRow[i] === system;
    }
    if (/^[A-Z][a-z]?$/.test(word)) return (i) => elementsOfRow[i].has(word);
    if (/^[A-Z][a-z]?\d*[+-]$/.test(word)) {
      const ion = word.replace(/^(\D+?)([+-])$/, "$11$2");
      return (i) => ionsOfRow[i].includes(ion);
    }
    const formula = parseFormula(word);
    const wanted = word.toLowerCase();
    return (i) => columns.formula[i] === formula || columns.pretty_formula[i].toLowerCase().includes(wanted);
  }

  function chosenFilters() {
    const chosen = find("query").value.trim().split(/[\s,]+/).filter(Boolean).map(wordFilter);
    const { value: wantedClass } = find("class");
    if (wantedClass) chosen.push((i) => columns.composition_class[i] === Number(wantedClass));
    const { value: anion } = find("anion");
    if (anion) chosen.push((i) => anionOfRow[i].split(" ").includes(anion));
    const [least, near, inSystem] = ["least", "near", "in-system"].map((id) => find(id).valueAsNumber);
    if (!Number.isNaN(least)) chosen.push((i) => columns.score[i] >= least);
    if (!Number.isNaN(near)) chosen.push((i) => columns.n_one_ion_away[i] >= near);
    if (!Number.isNaN(inSystem)) chosen.push((i) => columns.n_known_in_system[i] <= inSystem);
    for (const [element, isRequired] of state.elements) chosen.push((i) => elementsOfRow[i].has(element) === isRequired);
    flags.forEach((flag, j) => {
      const { value } = find(`flag-${j}`);
      if (value) chosen.push((i) => flag.has(i) === (value === "only"));
    });
    return chosen;
  }

  function update() {
    const filters = chosenFilters();
    const column = shownColumns.find((item) => item.key === state.column);
    const order = column.compare ?? ((i, j) => {
      const [a, b] = [column.value(i), column.value(j)];
      return typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
    });
    const passing = d3.range(n).filter((i) => filters.every((filter) => filter(i)));
    state.rows = (find("one-per-family").checked ? bestOfFamilies(passing) : passing).sort((i, j) => state.direction * order(i, j) || byClassThenRank(i, j));
    state.page = 0;
    showPage();
  }

  // Rows come best first, class by class.
  function bestOfFamilies(rows) {
    const seen = new Set();
    return rows.filter((i) => {
      const family = columns.family[i] && `${columns.composition_class[i]} ${columns.family[i]}`;
      return !family || (!seen.has(family) && seen.add(family));
    });
  }

  function showPage() {
    const start = state.page * state.size;
    const rows = state.rows.slice(start, start + state.size);
    find("list").tBodies[0].replaceChildren(...rows.map(rowNode));
    const last = Math.max(1, Math.ceil(state.rows.length / state.size));
    find("count").textContent = state.rows.length
      ? `${whole(state.rows.length)} of ${whole(n)} compositions, ${whole(start + 1)} to ${whole(start + rows.length)} shown`
      : "No composition passes these filters.";
    find("page-number").textContent = `Page ${whole(state.page + 1)} of ${whole(last)}`;
    find("previous").disabled = state.page === 0;
    find("next").disabled = state.page >= last - 1;
    find("download").disabled = !state.rows.length;
  }

  function rowNode(i) {
    return make("tr", {}, ...shownColumns.map((column) => {
      const style = [column.isNumber ? "number" : "", column.style ?? "", `of-${column.key}`].join(" ").trim();
      return make("td", { class: style }, ...column.cell(i));
    }));
  }

  function showHead() {
    const cells = shownColumns.map((column) => {
      const button = make("button", { type: "button" }, column.head);
      const cell = make("th", { scope: "col", class: `${column.isNumber ? "number " : ""}of-${column.key}` }, button);
      button.addEventListener("click", () => sortBy(column));
      cell.dataset.key = column.key;
      return cell;
    });
    find("list").tHead.replaceChildren(make("tr", {}, ...cells));
    find("list").classList.toggle("probable", shownColumns.some((column) => column.key === "probability"));
    markSorted();
  }

  function sortBy(column) {
    state.direction = state.column === column.key ? -state.direction : column.isBestHigh ? -1 : 1;
    state.column = column.key;
    markSorted();
    update();
  }

  function markSorted() {
    for (const cell of find("list").tHead.rows[0].cells) {
      if (cell.dataset.key === state.column) cell.setAttribute("aria-sort", state.direction > 0 ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
  }

  function csvText() {
    const texts = {
      composition_class: (i) => classNames[columns.composition_class[i]],
      ions: (i) => ionsOfRow[i].join(" "),
      chemical_system: (i) => systemOfRow[i],
      found_in: (i) => columns.found_in[i].map((j) => data.holdouts[j]).join(" "),
    };
    const heads = [...Object.keys(columns), "chemical_system"];
    const text = (key, i) => texts[key]?.(i) ?? (Array.isArray(columns[key][i]) ? columns[key][i].join(" ") : columns[key][i] ?? "");
    const lines = state.rows.map((i) => heads.map((key) => text(key, i)));
    const quoted = (cell) => (/[",\n\r]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell));
    return [heads, ...lines].map((line) => line.map(quoted).join(",") + "\n").join("");
  }

  function download() {
    const url = URL.createObjectURL(new Blob([csvText()], { type: "text/csv" }));
    make("a", { href: url, download: "recommendations.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  function addOptions(select, pairs) {
    select.replaceChildren(...pairs.map(([value, label]) => make("option", { value }, label)));
  }

  function setUpTable() {
    addOptions(find("class"), [["", "all"], ...classNames.map((name, i) => [i, name])]);
    addOptions(find("anion"), [["", "any"], ...d3.sort(new Set(anionOfRow.flatMap((text) => text.split(" ")))).map((anion) => [anion, anion])]);
    flags.forEach((flag, j) => {
      const select = make("select", { id: `flag-${j}` });
      addOptions(select, [["", "any"], ["only", "only"], ["none", "none"]]);
      find("flags").append(make("label", { class: "check" }, select, flag.label));
    });
    find("flags").hidden = !flags.length;
    document.querySelectorAll(".of-known").forEach((label) => { label.hidden = !hasKnown; });
    document.querySelector(".one-line").hidden = !columns.family.some(isThere);
    setUpElements();
    showHead();
    find("filters").addEventListener("input", update);
    find("filters").addEventListener("submit", (event) => event.preventDefault());
    find("reset").addEventListener("click", reset);
    find("download").addEventListener("click", download);
    find("previous").addEventListener("click", () => turn(-1));
    find("next").addEventListener("click", () => turn(1));
    find("page-size").addEventListener("input", (event) => {
      state.size = Number(event.target.value);
      state.page = 0;
      showPage();
    });
    update();
  }

  function turn(step) {
    state.page += step;
    showPage();
    find("recommendations").querySelector(".toolbar").scrollIntoView({ block: "nearest" });
  }

  function reset() {
    find("filters").reset();
    state.elements.clear();
    find("element-filter").querySelectorAll("button").forEach(markElement);
    update();
  }

  // ---- the periodic table of the filter ----

  function setUpElements() {
    const present = new Set(elementsOfRow.flatMap((elements) => [...elements]));
    const buttons = data.elements.map(([symbol, row, column]) => {
      const button = elementButton(symbol, row, column, symbol);
      button.disabled = !present.has(symbol);
      markElement(button);
      return button;
    });
    find("element-filter").replaceChildren(...buttons);
    find("element-filter").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) toggleElement(button);
    });
    moveWithArrows(find("element-filter"));
  }

  function toggleElement(button) {
    const { symbol } = button.dataset;
    if (!state.elements.has(symbol)) state.elements.set(symbol, true);
    else if (state.elements.get(symbol)) state.elements.set(symbol, false);
    else state.elements.delete(symbol);
    markElement(button);
    update();
  }

  function markElement(button) {
    const isRequired = state.elements.get(button.dataset.symbol);
    const words = isRequired === undefined ? "" : isRequired ? ", required" : ", excluded";
    button.setAttribute("aria-pressed", isRequired === undefined ? "false" : isRequired ? "true" : "mixed");
    button.setAttribute("aria-label", button.dataset.symbol + words);
  }

  // One stop for the Tab key in a periodic table; the arrow keys move on from there.
  const ARROWS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
  function moveWithArrows(group) {
    const enabled = () => [...group.querySelectorAll("button:enabled")];
    group.addEventListener("focusin", (event) => enabled().forEach((button) => { button.tabIndex = button === event.target ? 0 : -1; }));
    group.addEventListener("keydown", (event) => {
      const step = ARROWS[event.key];
      if (!step) return;
      event.preventDefault();
      const ahead = enabled().map((button) => ({ button, ...distance(event.target.dataset, button.dataset, step) }));
      d3.least(ahead.filter((item) => item.along > 0 && (step[0] || !item.aside)), (item) => item.along + 3 * item.aside)?.button.focus();
    });
    const [first] = enabled();
    if (first) first.tabIndex = 0;
  }

  function distance(from, to, [down, right]) {
    const [rows, columnsAway] = [to.row - from.row, to.column - from.column];
    return { along: rows * down + columnsAway * right, aside: Math.abs(down ? columnsAway : rows) };
  }

  function elementButton(symbol, row, column, ...children) {
    const button = make("button", { type: "button", style: `grid-area: ${row} / ${column}`, tabindex: -1 }, ...children);
    Object.assign(button.dataset, { symbol, row, column });
    return button;
  }

  // ---- charts ----

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

  // ---- heat map of the elements ----

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

  // ---- maps of the ions ----

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

  // ---- histogram of the scores ----

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

  // ---- all at once ----

  const columnsOf = (id, wide) => (matchMedia("(min-width: 60rem)").matches ? wide : 1);
  function widthIn(id, wide) {
    const n = columnsOf(id, wide);
    return Math.floor((find(id).clientWidth - 24 * (n - 1)) / n);
  }

  function draw() {
    if (data.curves.length) drawCurves(widthIn("curves", Math.min(3, Math.max(1, classNames.length))));
    if (data.ion_map) drawIons(widthIn("ion-part", 2));
    if (hasScores) drawScores(widthIn("score-charts", Math.min(3, classNames.length)));
  }

  const hasScores = Object.keys(data.histograms).length > 0;
  let drawnWidth = 0;
  function drawIfResized() {
    const width = document.documentElement.clientWidth;
    if (width === drawnWidth || (drawnWidth && matchMedia("print").matches)) return;
    drawnWidth = width;
    draw();
  }

  setUpTable();
  setUpHeat();
  showCurveLegend();
  for (const id of ["curves", "score-charts"]) {
    find(id).classList.toggle("three", classNames.length > 2);
    find(id).classList.toggle("two", classNames.length === 2);
  }
  find("score-part").hidden = !hasScores;
  find("ion-part").hidden = !data.ion_map;
  drawIfResized();
  addEventListener("resize", drawIfResized);
  addEventListener("beforeprint", () => document.querySelectorAll("details.why").forEach((item) => { item.open = true; }));
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
