// The page's script: starts the worker, and asks it.
import { spawn } from "../../workerlib/workerlib.js";

const [form, date, calendar, ask, load, status] = ["#form", "#date", "#calendar", "#ask", "#load", "#status"].map((name) =>
  document.querySelector(name),
);

const worker = await spawn({
  script: "./worker.py",
  pyodide: { indexURL: "../../pyodide/" },
  onProgress({ stage, what, loadedBytes, totalBytes }) {
    status.textContent = `${stage}: ${what}`;
    if (totalBytes) load.value = loadedBytes / totalBytes;
  },
});
load.value = 1;
status.textContent = "Ready.";
ask.disabled = false;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { weekday, written, days } = await worker.tell(date.valueAsDate, calendar.value);
    status.textContent = `${written} was a ${weekday}, ${days.toLocaleString("en")} days ago.`;
  } catch (error) {
    status.textContent = `${error.name}: ${error.message}`;
  }
});
