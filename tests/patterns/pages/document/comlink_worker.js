importScripts("/comlink/umd/comlink.js");
importScripts("/pyodide-0.29/pyodide.js");
class PyodideWorker {
async init() {
this.pyodide = await loadPyodide();
}
async runPython(code) {
return await this.pyodide.runPythonAsync(code);
}
}
Comlink.expose(new PyodideWorker());
