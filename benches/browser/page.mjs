// The benchmark's page for people, and the functions that `cargo xtask bench` calls: `bench.run(quick)` gives the results as JSON,
// `bench.charts(results)` their charts.
import { charts, table } from "./charts.mjs";

const status = document.querySelector("#status");
const buttons = [...document.querySelectorAll("button")];
let suite;
let began = 0;

const seconds = (milliseconds) => {
  const all = Math.round(milliseconds / 1000);
  return all < 100 ? `${all} s` : `${Math.floor(all / 60)} min ${all % 60} s`;
};

// How long a run takes depends on the machine, so a button says how long its last run took here.
const remember = (button, took) => {
  try {
    if (took) localStorage.setItem(`workerlib bench ${button.id}`, took);
    took ??= localStorage.getItem(`workerlib bench ${button.id}`);
  } catch {
    // The browser keeps nothing for this page.
  }
  if (took) button.querySelector(".took").textContent = ` (${took} the last time)`;
};
for (const button of buttons) remember(button);

const bench = (window.bench = {
  isReady: false,
  tell: (text) => {
    const since = began ? ` (${seconds(performance.now() - began)})` : "";
    status.textContent = `Measuring: ${text} …${since}`;
  },
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
  began = performance.now();
  try {
    const results = JSON.parse(await bench.run(quick));
    document.querySelector("#goals").innerHTML = table(results.goals);
    document.querySelector("#charts").innerHTML = Object.values(charts(results)).join("");
    document.querySelector("#results").hidden = false;
    const took = seconds(performance.now() - began);
    remember(document.querySelector(quick ? "#quick" : "#full"), took);
    status.textContent = `Done in ${took}.`;
  } catch (error) {
    status.textContent = `The measurement failed: ${error}`;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

document.querySelector("#quick").addEventListener("click", () => show(true));
document.querySelector("#full").addEventListener("click", () => show(false));
