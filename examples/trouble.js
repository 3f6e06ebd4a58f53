// Shows an error that nobody caught, with a button that tries again: a worker that does not start, a file that is missing.
// Python pages call showTrouble() for the error of their worker's start.
addEventListener("error", ({ target, error, message }) => {
  const file = target?.src ?? target?.href;
  showTrouble(file ? `${file} cannot be loaded` : (error ?? message));
}, true);
addEventListener("unhandledrejection", ({ reason }) => showTrouble(reason));
// PyScript shows the error of a script, such as a package that could not be installed, in an element at the end of the page.
addEventListener("DOMContentLoaded", () => {
  const showScriptsError = () => {
    const shown = document.querySelector(".py-error");
    if (shown) showTrouble(shown.textContent);
  };
  new MutationObserver(showScriptsError).observe(document.body, { childList: true });
});
// Pyodide waits for ever if one of its own files is missing. The browser knows the status of each file. The status of a file of
// this site is 0 if the connection broke off.
new PerformanceObserver((files) => {
  for (const { name, responseStatus, decodedBodySize } of files.getEntries()) {
    const isPyodides = name.startsWith(`${location.origin}/`) && name.endsWith(".wasm");
    const isBroken = isPyodides && responseStatus === 0 && decodedBodySize === 0;
    const why = isBroken ? "the connection broke off" : `HTTP ${responseStatus}`;
    if (isBroken || responseStatus >= 400) showTrouble(`${name} cannot be loaded: ${why}`);
  }
}).observe({ type: "resource", buffered: true });

function showTrouble(reason) {
  if (document.querySelector("#trouble")) return;
  if (!document.body) {
    // A file that the head names.
    addEventListener("DOMContentLoaded", () => showTrouble(reason));
    return;
  }
  const trouble = document.createElement("div");
  trouble.id = "trouble";
  trouble.role = "alert";
  const button = document.createElement("button");
  button.textContent = "Try again";
  button.addEventListener("click", () => location.reload());
  // At the end of a Python traceback stands the error itself.
  const lines = String(reason).trim().split("\n");
  trouble.append(`This did not work. ${lines.findLast((line) => line.includes("Error: ")) ?? lines.at(-1)} `, button);
  (document.querySelector("main") ?? document.body).append(trouble);
}
