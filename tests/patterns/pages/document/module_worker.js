import * as Comlink from "/comlink/esm/comlink.mjs";
import { loadPyodide } from "/pyodide/pyodide.mjs";
class PyodideWorker {
async init() {
this.pyodide = await loadPyodide();
}
async runPython(code) {
return await this.pyodide.runPythonAsync(code);
}
}
Comlink.expose(new PyodideWorker());
