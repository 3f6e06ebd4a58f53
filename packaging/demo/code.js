/**
 * Shows the essential lines of the scripts that are running: what stands between `# <show>` and `# </show>`.
 *
 * The lines are fetched, never copied into the page, so they cannot differ from what runs.
 */

const TOKEN = new RegExp(
  [
    /(?<comment>#.*)/, /(?<string>"""[^]*?"""|"[^"\n]*")/, /(?<decorator>@[\w.]+)/,
    /(?<keyword>\b(?:as|async|await|class|def|else|for|from|if|import|in|is|None|not|return|True|False|while|with|yield)\b)/,
    /(?<number>\b\d[\d_.]*\b)/, /(?<call>\b[a-z_]\w*(?=\())/,
  ].map((pattern) => pattern.source).join("|"),
  "g",
);

for (const code of document.querySelectorAll("code[data-source]")) show(code);

async function show(code) {
  const response = await fetch(code.dataset.source);
  if (!response.ok) throw new Error(`${code.dataset.source} answered ${response.status}`);
  code.replaceChildren(...highlighted(excerpt(await response.text())));
}

function excerpt(source) {
  const parts = [...source.matchAll(/^[ ]*# <show>\n([^]*?)^[ ]*# <\/show>/gm)].map(([, part]) => dedent(part.trimEnd()));
  return parts.join("\n\n").replaceAll("\n\n\n", "\n\n");
}

function dedent(text) {
  const lines = text.split("\n");
  const indents = lines.filter((line) => line.trim()).map((line) => line.search(/\S/));
  const margin = Math.min(...indents);
  return lines.map((line) => line.slice(margin)).join("\n");
}

function highlighted(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    nodes.push(text.slice(end, match.index));
    const span = document.createElement("span");
    span.className = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
    span.textContent = match[0];
    nodes.push(span);
    end = match.index + match[0].length;
  }
  nodes.push(text.slice(end));
  return nodes;
}
