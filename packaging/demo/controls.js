/**
 * What the page's controls do by themselves: say their values in words, and keep the two ends of a range in order.
 *
 * No answer depends on this file; main.py reads the controls when it asks the worker.
 */

const element = (id) => document.getElementById(id);
const LOWEST_DELAY = element("least-delay").min;

for (const [from, to] of [["distance-from", "distance-to"], ["hour-from", "hour-to"]]) {
  element(from).addEventListener("input", () => keepInOrder(element(from), element(to), element(from)));
  element(to).addEventListener("input", () => keepInOrder(element(from), element(to), element(to)));
}
element("controls").addEventListener("input", describe);
element("controls").addEventListener("submit", (event) => event.preventDefault());
element("questions").addEventListener("submit", (event) => event.preventDefault());
describe();

// A file dropped beside the drop zone, or before Python is there, must not replace the page.
for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());
addEventListener("dragover", () => document.body.classList.add("dragging"));
addEventListener("drop", () => document.body.classList.remove("dragging"));
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dragging"); });

function keepInOrder(low, high, moved) {
  if (Number(low.value) <= Number(high.value)) return;
  if (moved === low) low.value = high.value;
  else high.value = low.value;
}

function describe() {
  const [shortest, longest] = [element("distance-from").value, element("distance-to").value];
  element("distance-output").value = `${Number(shortest).toLocaleString("en")}–${Number(longest).toLocaleString("en")} miles`;
  element("hour-output").value = `${clock(element("hour-from").value, "00")}–${clock(element("hour-to").value, "59")}`;
  const least = element("least-delay").value;
  element("least-output").value = least === LOWEST_DELAY ? "any" : `${least} min`;
  for (const range of document.querySelectorAll(".dual")) {
    const [low, high] = range.querySelectorAll("input");
    const part = (input) => ((input.value - input.min) / (input.max - input.min)) * 100;
    range.style.setProperty("--from", `${part(low)}%`);
    range.style.setProperty("--to", `${part(high)}%`);
  }
}

function clock(hour, minutes) {
  return `${String(hour).padStart(2, "0")}:${minutes}`;
}
