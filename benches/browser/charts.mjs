// Charts of the benchmark's results as SVG text: one for each group of measurements, a bar for each peer.

const WIDTH = 760;
/** Where bars begin at the least, and how wide a letter of a peer's name may be: text is not measured here. */
const LEAST_LABEL = 230;
const LETTER = 7.2;
const BAR = 18;
const KINDS = { workerlib: "own", "JS ping": "bare", "JS ping, 32 bytes": "bare", "four memcpys": "bare" };
const OTHER = "other";
// A chart is a picture of its own, also where a README shows it: so the colours of both modes stand in it.
const STYLE =
  "text{font:13px system-ui,sans-serif;fill:#1c2024}.name{font-weight:600}.peer{text-anchor:end}.value{fill:#555c66}" +
  ".ground{fill:#fff}.own{fill:#0b6e4f}.bare{fill:#7b8089}.other{fill:#5f92b3}" +
  "@media(prefers-color-scheme:dark){text{fill:#e8eaee}.value{fill:#a3aab6}.ground{fill:#1b1f27}.own{fill:#3fbf8a}.bare{fill:#8a8f98}.other{fill:#7aa6c2}}";

/** @typedef {{group: string, name: string, unit: string, values: Record<string, number>, ratios: Record<string, number>}} Row */

const escape = (text) => String(text).replace(/[&<>"]/g, (found) => `&#${found.charCodeAt(0)};`);

/** Writes a number with three digits that count. */
export function digits(value) {
  if (!Number.isFinite(value)) return "–";
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

/** Draws the rows of one group. */
function chart(group, rows) {
  const lines = [];
  const peers = rows.flatMap(({ values }) => Object.keys(values));
  const label = Math.max(LEAST_LABEL, 20 + Math.round(LETTER * Math.max(...peers.map(({ length }) => length))));
  let y = 34;
  for (const row of rows) {
    lines.push(`<text x="12" y="${y}" class="name">${escape(row.name)}</text>`);
    y += 8;
    const most = Math.max(...Object.values(row.values));
    for (const [peer, value] of Object.entries(row.values).sort(([, one], [, other]) => one - other)) {
      const width = Math.max(2, (value / most) * (WIDTH - label - 170));
      const ratio = row.ratios[peer];
      const note = peer === "workerlib" || ratio === undefined ? "" : ` (${digits(ratio)}×)`;
      lines.push(
        `<text x="${label - 8}" y="${y + 13}" class="peer">${escape(peer)}</text>`,
        `<rect x="${label}" y="${y}" width="${width.toFixed(1)}" height="${BAR - 4}" rx="2" class="${KINDS[peer] ?? OTHER}"/>`,
        `<text x="${label + width + 6}" y="${y + 12}" class="value">${digits(value)} ${escape(row.unit)}${note}</text>`,
      );
      y += BAR;
    }
    y += 26;
  }
  const height = y - 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${escape(group)}</title>
<style>${STYLE}</style>
<rect width="${WIDTH}" height="${height}" class="ground"/>
${lines.join("\n")}
</svg>`;
}

/**
 * Draws all charts.
 *
 * @param {{rows: Row[]}} results - What the suite measured.
 * @returns {Record<string, string>} SVG texts by the groups' names.
 */
export function charts(results) {
  const groups = new Map();
  for (const row of results.rows) {
    if (row.unit === "times") continue;
    groups.set(row.group, [...(groups.get(row.group) ?? []), row]);
  }
  return Object.fromEntries([...groups].map(([group, rows]) => [group, chart(group, rows)]));
}

/** Writes the goals as a table in HTML. */
export function table(goals) {
  const rows = goals.map(
    ({ name, goal, value, met }) =>
      `<tr class="${met ? "met" : "missed"}"><td>${escape(name)}</td><td>${escape(goal)}</td><td>${digits(value)}</td><td>${met ? "met" : "not met"}</td></tr>`,
  );
  return `<table><thead><tr><th>goal</th><th>wanted</th><th>is</th><th></th></tr></thead><tbody>${rows.join("")}</tbody></table>`;
}
