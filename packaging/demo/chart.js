/**
 * Draws bar charts as SVG: `columns` that stand on an axis, or `rows` for groups with long names.
 *
 * A chart is a plain object (see `draw`); it is drawn anew when the room for it changes. Every bar carries its
 * label and its value as data attributes, so what is shown can be read back. No number is computed here.
 */

const SVG = "http://www.w3.org/2000/svg";
const shown = new Map();
const room = new ResizeObserver((entries) => {
  for (const { target } of entries) if (shown.has(target)) render(target, shown.get(target));
});
const tip = document.createElement("div");
tip.className = "tip";
// It follows the pointer; a screen reader has the chart's label instead.
tip.setAttribute("aria-hidden", "true");
document.body.append(tip);

/**
 * Draws a chart into an element, or changes the one that is there.
 *
 * @param {string} id of the element
 * @param {string} json {kind: "columns" | "rows", labels, values (null: nothing to show), band?: [low, high][],
 *   format: {unit?: string, percent?: boolean, digits: number}, notes?: string[] (more lines for the tooltip),
 *   edges?: boolean (the labels name the bars' left edges), about: string}
 */
export function draw(id, json) {
  const element = document.getElementById(id);
  const chart = JSON.parse(json);
  if (!shown.has(element)) room.observe(element);
  shown.set(element, chart);
  render(element, chart);
}

function render(element, chart) {
  const width = Math.floor(element.clientWidth);
  if (!width) return;
  const svg = element.querySelector("svg") ?? element.appendChild(make("svg", { role: "img" }));
  const bars = chart.kind === "rows" ? rows(chart, width) : columns(chart, width, element.clientHeight);
  element.style.height = chart.kind === "rows" ? `${bars.height}px` : "";
  set(svg, { viewBox: `0 0 ${width} ${bars.height}`, width, height: bars.height, "aria-label": chart.about });
  keep(svg, bars);
}

/** Columns over a value axis; values below zero hang down from it. */
function columns({ labels, values, band, format, notes, edges }, width, height) {
  const margin = { top: 10, right: edges ? 14 : 6, bottom: 26, left: 52 };
  const present = values.filter((value) => value !== null);
  const ends = (band ?? []).filter(Boolean).flat();
  const [low, high] = roomFor([0, ...present, ...ends]);
  const ticks = niceTicks(low, high, 4);
  const y = (value) => margin.top + ((high - value) / (high - low)) * (height - margin.top - margin.bottom);
  const step = (width - margin.left - margin.right) / labels.length;
  const thick = Math.max(1, step * (edges ? 0.92 : 0.74));
  const axis = ticks.flatMap((tick) => [
    make("line", { class: tick === 0 ? "zero" : "grid", x1: margin.left, x2: width - margin.right, y1: y(tick), y2: y(tick) }),
    make("text", { class: "tick end", x: margin.left - 8, y: y(tick) + 4 }, say(tick, { ...format, digits: digitsOf(ticks, format) }, true)),
  ]);
  const widest = Math.max(...labels.map((label) => label.length)) * 6.6 + 10;
  const every = Math.max(1, Math.ceil(widest / step));
  labels.forEach((label, index) => {
    if (index % every) return;
    const x = margin.left + step * (edges ? index : index + 0.5);
    axis.push(make("text", { class: "tick middle", x, y: height - 8 }, label));
  });
  const bars = values.map((value, index) => {
    const x = margin.left + step * index + (step - thick) / 2;
    const top = value === null ? y(0) : Math.min(y(value), y(0));
    return {
      label: labels[index], value, note: notes?.[index], said: value === null ? "nothing" : say(value, format),
      box: { x, y: top, width: thick, height: value === null ? 0 : Math.abs(y(value) - y(0)), rx: Math.min(3, thick / 3) },
      start: { y: y(0), height: 0 },
      hit: { x: margin.left + step * index, y: margin.top, width: step, height: height - margin.top - margin.bottom },
    };
  });
  const whiskers = (band ?? []).flatMap((span, index) => {
    if (!span) return [];
    const x = margin.left + step * (index + 0.5);
    const cap = Math.min(5, thick / 3);
    bars[index].said += ` (${say(span[0], format)} to ${say(span[1], format)})`;
    return [make("path", {
      class: "whisker", "data-low": span[0], "data-high": span[1],
      d: `M${x} ${y(span[0])}V${y(span[1])}M${x - cap} ${y(span[0])}h${2 * cap}M${x - cap} ${y(span[1])}h${2 * cap}`,
    })];
  });
  return { height, axis, bars, whiskers };
}

/** Rows with their names at the left and their values at the end of each bar. */
function rows({ labels, values, format, notes }, width) {
  const step = 26;
  const names = Math.min(width * 0.4, Math.max(...labels.map((label) => label.length)) * 7 + 14);
  const said = values.map((value) => (value === null ? "nothing" : say(value, format)));
  const tail = Math.max(...said.map((text) => text.length)) * 7 + 14;
  const present = values.filter((value) => value !== null);
  const low = Math.min(0, ...present);
  const high = Math.max(0, ...present);
  const x = (value) => names + ((value - low) / (high - low || 1)) * (width - names - tail);
  const height = labels.length * step + 6;
  const axis = labels.flatMap((label, index) => {
    const middle = index * step + step / 2 + 4;
    const end = values[index] === null ? x(0) : Math.max(x(values[index]), x(0));
    const most = Math.floor((names - 14) / 7);
    return [
      make("text", { class: "tick end name", x: names - 8, y: middle }, label.length > most ? `${label.slice(0, most - 1)}…` : label),
      make("text", { class: "tick start", x: end + 8, y: middle }, said[index]),
    ];
  });
  axis.push(make("line", { class: "zero", x1: x(0), x2: x(0), y1: 0, y2: height - 6 }));
  const bars = values.map((value, index) => ({
    label: labels[index], value, note: notes?.[index], said: said[index],
    box: { x: Math.min(x(value ?? 0), x(0)), y: index * step + 4, width: Math.abs(x(value ?? 0) - x(0)), height: step - 8, rx: 3 },
    start: { x: x(0), width: 0 },
    hit: { x: 0, y: index * step, width, height: step },
  }));
  return { height, axis, bars, whiskers: [] };
}

/** Puts the parts into the SVG; bars that are there already move to their new place (style.css animates it). */
function keep(svg, { axis, bars, whiskers }) {
  const group = (name) => svg.querySelector(`g.${name}`) ?? svg.appendChild(make("g", { class: name }));
  group("axis").replaceChildren(...axis);
  const holder = group("bars");
  while (holder.children.length > bars.length) holder.lastChild.remove();
  bars.forEach(({ label, value, box, start }, index) => {
    let bar = holder.children[index];
    if (!bar) {
      bar = holder.appendChild(make("rect", { class: "bar", ...box, ...start }));
      bar.getBoundingClientRect();
    }
    set(bar, { ...box, "data-label": label, "data-value": value ?? "", "data-below": value < 0 });
  });
  group("whiskers").replaceChildren(...whiskers);
  group("hits").replaceChildren(...bars.map((bar, index) => {
    const area = make("rect", { class: "hit", ...bar.hit });
    area.addEventListener("pointerenter", () => tell(bar, holder.children[index], area));
    area.addEventListener("pointerleave", () => hush(holder.children[index]));
    return area;
  }));
}

function tell(bar, rect, area) {
  rect.classList.add("lit");
  tip.replaceChildren(...[bar.label, bar.said, bar.note].filter(Boolean).map((line, index) => {
    const element = document.createElement(index === 1 ? "b" : "span");
    element.textContent = line;
    return element;
  }));
  tip.classList.add("shown");
  const place = (bar.hit.height > bar.hit.width ? rect : area).getBoundingClientRect();
  const half = tip.offsetWidth / 2 + 8;
  const middle = Math.min(Math.max(place.x + place.width / 2, half), document.documentElement.clientWidth - half);
  tip.style.translate = `calc(${middle}px - 50%) calc(${Math.max(place.y, tip.offsetHeight + 12)}px - 100% - 8px)`;
}

function hush(rect) {
  rect.classList.remove("lit");
  tip.classList.remove("shown");
}

/** The span of an axis: all of the values, and a little more where they leave zero. */
function roomFor(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (low === high) return [0, 1];
  const more = (high - low) * 0.04;
  return [low < 0 ? low - more : 0, high > 0 ? high + more : 0];
}

function niceTicks(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [10, 5, 2, 1].map((factor) => factor * power).find((size) => size <= rough * 1.5);
  const ticks = [];
  for (let number = Math.ceil(low / step - 1e-9); number <= Math.floor(high / step + 1e-9); number += 1) ticks.push(number * step || 0);
  return ticks;
}

function digitsOf(ticks, { percent }) {
  const step = (ticks[1] - ticks[0]) * (percent ? 100 : 1);
  return Math.min(6, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}

function say(value, { unit, percent, digits }, short = false) {
  if (percent) return `${(value * 100).toFixed(digits)} %`;
  const large = short && Math.abs(value) >= 10000;
  const number = value.toLocaleString("en", large
    ? { notation: "compact", maximumFractionDigits: 1 }
    : { maximumFractionDigits: digits, minimumFractionDigits: Number.isInteger(value) ? 0 : digits });
  return unit && !short ? `${number} ${unit}` : number;
}

function make(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  set(element, attributes);
  if (text !== undefined) element.textContent = text;
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}
