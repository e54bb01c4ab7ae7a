// The table of recommendations and its filters.

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
