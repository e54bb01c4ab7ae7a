// All at once.

const PAPER = 900;  // wider than the paper, yet its charts keep letters that can be read
let isPrinting = false;

function widthIn(id, wide) {
  const n = isPrinting || matchMedia("(min-width: 60rem)").matches ? wide : 1;
  return Math.floor(((isPrinting ? PAPER : find(id).clientWidth) - 24 * (n - 1)) / n);
}

function draw() {
  for (const [id, isThere, drawIn] of BY_CLASS) if (isThere) drawIn(widthIn(id, Math.min(3, Math.max(1, classNames.length))));
  if (data.ion_map) drawIons(widthIn("ion-part", 2));
}

const hasScores = Object.keys(data.histograms).length > 0;
// Parts with a chart for each class.
const BY_CLASS = [
  ["curves", data.curves.length, drawCurves],
  ["recalls", data.recalls.length, drawRecalls],
  ["spreads", data.spreads.length, drawSpreads],
  ["calibrations", data.calibration.length, drawCalibrations],
  ["score-charts", hasScores, drawScores],
];
const LEAST_WIDTH = 200;  // a window that has no size yet
let drawnWidth = 0;
function drawIfResized() {
  const width = document.documentElement.clientWidth;
  if (width < LEAST_WIDTH || width === drawnWidth || (drawnWidth && matchMedia("print").matches)) return;
  drawnWidth = width;
  draw();
}

function drawForPrint(is) {
  isPrinting = is;
  draw();
}

setUpTable();
setUpHeat();
showCurveLegend();
showEvidence();
find("hit-part").hidden = !data.hits.length && !data.curves.length;
for (const [id] of BY_CLASS) {
  find(id).classList.toggle("three", classNames.length > 2);
  find(id).classList.toggle("two", classNames.length === 2);
}
find("score-part").hidden = !hasScores;
find("ion-part").hidden = !data.ion_map;
drawIfResized();
addEventListener("resize", drawIfResized);
addEventListener("beforeprint", () => {
  document.querySelectorAll("details.why").forEach((item) => { item.open = true; });
  drawForPrint(true);
});
addEventListener("afterprint", () => drawForPrint(false));
document.documentElement.dataset.ready = String(Math.round(performance.now()));
