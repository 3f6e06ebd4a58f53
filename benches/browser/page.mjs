// What people see of the benchmark, and what `cargo xtask bench` calls: `bench.run(quick)` gives the results as JSON,
// `bench.charts(results)` their charts.
import { charts, table } from "./charts.mjs";

const status = document.querySelector("#status");
const buttons = [...document.querySelectorAll("button")];
let suite;

const bench = (window.bench = {
  isReady: false,
  tell: (text) => void (status.textContent = `Measuring: ${text} …`),
  ready(run) {
    suite = run;
    bench.isReady = true;
    status.textContent = "Ready.";
    for (const button of buttons) button.disabled = false;
  },
  run: (quick, only = "") => suite(quick, only),
  charts,
});

const isolation = crossOriginIsolated ? "isolated" : "not isolated";
document.querySelector("#about").textContent = `The page is ${isolation}; messages go the same way on both kinds of pages.`;

async function show(quick) {
  for (const button of buttons) button.disabled = true;
  try {
    const results = JSON.parse(await bench.run(quick));
    document.querySelector("#goals").innerHTML = table(results.goals);
    document.querySelector("#charts").innerHTML = Object.values(charts(results)).join("");
    document.querySelector("#results").hidden = false;
    status.textContent = "Done.";
  } catch (error) {
    status.textContent = `The measurement failed: ${error}`;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

document.querySelector("#quick").addEventListener("click", () => show(true));
document.querySelector("#full").addEventListener("click", () => show(false));
