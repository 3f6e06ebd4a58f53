// Draws the charts of a benchmark's results, as SVG files beside them.
//
//     node charts.mjs FOLDER NAME
//
// FOLDER/NAME.json has the results of each page by the page's name; `cargo xtask bench` writes it.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { charts } from "../browser/charts.mjs";

const [folder, name] = process.argv.slice(2);
const pages = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
for (const [page, results] of Object.entries(pages)) {
  for (const [group, svg] of Object.entries(charts(results))) {
    writeFileSync(join(folder, `${name}-${page}-${group.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}.svg`), svg);
  }
}
