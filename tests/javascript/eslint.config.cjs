// The lints of the JavaScript that ships in the wheel and of the benchmark; `cargo xtask test --only transport` runs them.
const js = require("@eslint/js");
const globals = require("globals");

const rules = {
  ...js.configs.recommended.rules,
  eqeqeq: "error",
  "no-implicit-globals": "error",
  "no-shadow": "error",
  "no-unused-expressions": "off",
  "no-var": "error",
  "prefer-const": "error",
};

module.exports = [
  {
    files: ["workerlib-py/python/workerlib/_channels/*.js"],
    languageOptions: { sourceType: "script", globals: { ...globals.browser, ...globals.worker } },
    rules,
  },
  {
    files: ["benches/browser/*.mjs", "tests/javascript/*.mjs"],
    languageOptions: { sourceType: "module", globals: { ...globals.browser, ...globals.worker, ...globals.node } },
    rules,
  },
];
