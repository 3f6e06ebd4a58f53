// PyScript makes the functions that run in its workers by evaluating strings, and reads them before it runs any script: under
// a strict policy it would run none. There is one such function by default, for pyscript.fs in workers.
//
// The page loads PyScript by this import only. PyScript starts workers as soon as it has loaded its plugins, and a module of
// another script tag may be loaded later than that.
import { hooks } from "/pyscript/core.js";

hooks.worker.onBeforeRunAsync.clear();
