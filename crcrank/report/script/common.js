// What all parts of the page use. Every text of the data is inserted as text, never as markup.

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
