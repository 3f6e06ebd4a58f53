/**
 * The controls' own behaviour: they show their values in words, keep the two ends of a range in order, and start again.
 *
 * Until the page's Python runs, this file also shows errors: a file that is missing, a package that cannot be installed.
 * No answer depends on this file; main.py reads the controls when it asks the worker.
 */

const element = (id) => document.getElementById(id);
const LOWEST_DELAY = element("least-delay").min;

for (const [from, to] of [["distance-from", "distance-to"], ["hour-from", "hour-to"]]) {
  element(from).addEventListener("input", () => keepInOrder(element(from), element(to), element(from)));
  element(to).addEventListener("input", () => keepInOrder(element(from), element(to), element(to)));
}
element("controls").addEventListener("input", describe);
element("model-form").addEventListener("input", describe);
for (const form of ["controls", "model-form", "questions"]) {
  element(form).addEventListener("submit", (event) => event.preventDefault());
}
describe();

// A file dropped beside the drop zone, or before Python is there, must not replace the page.
for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());
addEventListener("dragover", () => document.body.classList.add("dragging"));
addEventListener("drop", () => document.body.classList.remove("dragging"));
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dragging"); });

element("try-again").addEventListener("click", () => location.reload());
// Resources that fail to load have an event that does not bubble, so it is captured.
addEventListener("error", showEarlyTrouble, true);
addEventListener("unhandledrejection", showEarlyTrouble);
// PyScript shows a script's error, such as a package that it could not install, in an element at the end of the page.
new MutationObserver(() => {
  const shown = document.querySelector(".py-error");
  if (shown) showEarlyTrouble({ message: shown.textContent });
}).observe(document.body, { childList: true });
// Pyodide waits for ever if one of its own files is missing. The browser knows the status of each file. The status of a file of
// this site is 0 if the connection broke off.
new PerformanceObserver((files) => {
  for (const { name, responseStatus, decodedBodySize } of files.getEntries()) {
    const isPyodides = name.startsWith(`${location.origin}/`) && name.endsWith(".wasm");
    const isBroken = isPyodides && responseStatus === 0 && decodedBodySize === 0;
    const why = isBroken ? "the connection broke off" : `HTTP ${responseStatus}`;
    if (isBroken || responseStatus >= 400) showEarlyTrouble({ message: `${name} cannot be loaded: ${why}` });
  }
}).observe({ type: "resource", buffered: true });

function showEarlyTrouble({ target, reason, error, message }) {
  if (element("stage-page").dataset.state !== "waiting") return;
  const file = target?.src ?? target?.href;
  const words = file ? `${file} cannot be loaded` : String(reason ?? error ?? message);
  // At the end of a Python traceback stands the error itself.
  const lines = words.trim().split("\n");
  element("trouble-text").textContent = lines.findLast((line) => line.includes("Error: ")) ?? lines.at(-1);
  element("trouble").hidden = false;
}

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
  element("model-hour-output").value = clock(element("model-hour").value, "00");
  element("model-miles-output").value = `${Number(element("model-miles").value).toLocaleString("en")} miles`;
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
