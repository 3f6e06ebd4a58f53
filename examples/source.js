// Shows the files that a page is made of, below the page: <section data-source="main.py worker.py">.
for (const section of document.querySelectorAll("[data-source]")) {
  for (const name of section.dataset.source.split(" ")) {
    const details = document.createElement("details");
    details.open = name === "worker.py";
    const summary = document.createElement("summary");
    summary.textContent = name;
    const code = document.createElement("pre");
    // A long file is scrolled by the keyboard, too.
    code.tabIndex = 0;
    code.setAttribute("aria-label", `The text of ${name}`);
    details.append(summary, code);
    section.append(details);
    fetch(name)
      .then((answer) => answer.text())
      .then((text) => (code.textContent = text));
  }
}
