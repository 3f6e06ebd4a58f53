// Shows an error that nobody caught, with a button that tries again: a worker that does not start, a file that is missing.
// Python pages call showTrouble() for what their worker's start raises.
addEventListener("error", ({ target, error, message }) => showTrouble(target?.src ? `${target.src} cannot be loaded` : (error ?? message)), true);
addEventListener("unhandledrejection", ({ reason }) => showTrouble(reason));

function showTrouble(reason) {
  if (document.querySelector("#trouble")) return;
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
