// Whether a worker's thread stays awake depends on times and tasks alone: in this file both are the test's.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const SCRIPT = new URL("../../workerlib-py/python/workerlib/_channels/wakefulness.js", import.meta.url);

/** Evaluates the script as in a worker; `message` and `turn` tell how many tasks keep it awake after a message or such a task. */
function evaluate() {
  let now = 0;
  let tasks = [];
  const scope = {
    scheduler: { postTask: (task) => tasks.push(task) },
    WorkerGlobalScope: class {},
    navigator: { hardwareConcurrency: 2 },
  };
  const performance = { now: () => now };
  const within = new Function("globalThis", "performance", "script", "return eval(script)");
  const wakefulness = within(scope, performance, readFileSync(SCRIPT, "utf8"));
  return {
    message(at) {
      now = at;
      wakefulness.around(() => {});
      return tasks.length;
    },
    turn(at) {
      now = at;
      const due = tasks;
      tasks = [];
      for (const task of due) task();
      return tasks.length;
    },
  };
}

test("a worker is awake for a moment after a message that follows another one closely", () => {
  const { message, turn } = evaluate();
  assert.equal(message(1000), 0);
  assert.equal(message(1001), 1);
  assert.equal(turn(1001.2), 1);
  assert.equal(turn(1001.6), 0);
  assert.equal(message(1005), 0);
});

test("a thread that had to wait for the processor may sleep, longer each time", () => {
  const { message, turn } = evaluate();
  message(1000);
  assert.equal(message(1001), 1);
  assert.equal(turn(1010), 0, "the task came late");
  message(1100);
  assert.equal(message(1101), 0, "0.1 s are not over");
  message(1111);
  assert.equal(message(1112), 1);
  assert.equal(turn(1120), 0);
  message(1300);
  assert.equal(message(1301), 0, "0.2 s are not over");
  message(1321);
  assert.equal(message(1322), 1);
});

test("a message that comes late where a task was due shows it, too", () => {
  const { message, turn } = evaluate();
  message(1000);
  assert.equal(message(1001), 1);
  message(1010);
  assert.equal(turn(1010.1), 0);
  assert.equal(message(1010.2), 0);
});
