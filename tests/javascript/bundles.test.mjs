// What a bundle of the npm package needs beside it, as docs/javascript.md says: node --test.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const modules = process.env.WORKERLIB_NODE_MODULES;
const { buildSync } = createRequire(`${modules}/bundles.js`)("esbuild");
const path = (relative) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));

test("esbuild leaves the addresses of two files in the bundle, and the document says to copy these", () => {
  const { outputFiles } = buildSync({
    entryPoints: [path("workerlib-py/javascript/src/index.ts")],
    bundle: true,
    format: "esm",
    loader: { ".py": "text" },
    nodePaths: [modules],
    write: false,
  });
  const [{ text }] = outputFiles;
  const named = new Set([...text.matchAll(/new URL\("\.\/([\w.]+)", import\.meta\.url\)/g)].map(([, name]) => name));
  const section = readFileSync(path("docs/javascript.md"), "utf8").split("### With esbuild")[1].split("\n### ")[0];
  const copied = new Set([...section.matchAll(/node_modules\/workerlib\/dist\/([\w.]+)/g)].map(([, name]) => name));
  assert.deepEqual(copied, named);
  assert.deepEqual(named, new Set(["worker.js", "workerlib.whl"]));
});
