// PyScript 0.7 makes the hooks of its workers by evaluating strings, which a strict policy forbids. There is one such hook
// by default, for pyscript.fs in workers; without it nothing is evaluated.
import { hooks } from "/pyscript/core.js";

hooks.worker.onBeforeRunAsync.clear();
