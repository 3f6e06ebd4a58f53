/**
 * Keeps the WebAssembly module that Pyodide compiles, and hands one in that is compiled already.
 *
 * Pyodide offers no option for either, so `WebAssembly` and `fetch` are replaced while it loads. That is done in workers
 * only, where nothing else runs at that time.
 */

const FILE = /\/pyodide\.asm\.wasm(?:[?#]|$)/;
/** Pyodide instantiates small modules too; its own has some megabytes. */
const LEAST_BYTES = 1 << 20;

/**
 * Loads Pyodide and returns its compiled module with it, where it could be seen.
 *
 * Pyodide only warns if its module cannot be had, and would wait for ever. Here that rejects, with the address and the reason.
 *
 * @param given the module that is used instead of compiling one; a promise of it is awaited when Pyodide fetches the file, and
 *   may turn out to have none
 * @param load loads Pyodide
 */
export async function withModule<T>(
  given: WebAssembly.Module | Promise<WebAssembly.Module | undefined> | undefined,
  load: () => Promise<T>,
): Promise<{ loaded: T; module: WebAssembly.Module | undefined }> {
  let module = given instanceof Promise ? undefined : given;
  const { fetch, WebAssembly: wasm } = globalThis;
  const { instantiate, instantiateStreaming } = wasm;
  const expected = new WeakSet<object>();
  let fail!: (error: Error) => void;
  const failure = new Promise<never>((_, reject) => (fail = reject));
  // Nobody may wait for it.
  failure.catch(() => {});

  const linked = async (
    imports: WebAssembly.Imports | undefined,
    compile: () => Promise<WebAssembly.WebAssemblyInstantiatedSource>,
  ): Promise<WebAssembly.WebAssemblyInstantiatedSource> => {
    if (module === undefined) {
      const source = await compile();
      ({ module } = source);
      return source;
    }
    return { module, instance: await instantiate.call(wasm, module, imports) };
  };
  const replaced = {
    async instantiateStreaming(source: Response | PromiseLike<Response>, imports?: WebAssembly.Imports) {
      let response: Response | undefined;
      try {
        response = await source;
        const compile = instantiateStreaming.bind(wasm, response, imports);
        return await (expected.has(response) || FILE.test(response.url) ? linked(imports, compile) : compile());
      } catch (error) {
        if (response === undefined || FILE.test(response.url)) fail(explained(error, response));
        throw error;
      }
    },
    async instantiate(source: BufferSource | WebAssembly.Module, imports?: WebAssembly.Imports) {
      const compile = (): Promise<any> => instantiate.call(wasm, source as any, imports);
      const isPyodide = !(source instanceof wasm.Module) && source.byteLength > LEAST_BYTES;
      return isPyodide ? linked(imports, compile) : compile();
    },
  };
  Object.assign(wasm, replaced);
  if (given !== undefined && typeof self !== "undefined") {
    globalThis.fetch = async (input, options) => {
      if (!FILE.test(input instanceof Request ? input.url : String(input))) return fetch(input, options);
      module ??= await given;
      if (module === undefined) return fetch(input, options);
      // Nobody reads the file if it is compiled already.
      const response = new Response();
      expected.add(response);
      return response;
    };
  }
  try {
    return { loaded: await Promise.race([load(), failure]), module };
  } finally {
    Object.assign(wasm, { instantiate, instantiateStreaming });
    globalThis.fetch = fetch;
  }
}

/** Says why the file of Pyodide's module is of no use: engines name neither its address nor what the server sent. */
function explained(error: unknown, response: Response | undefined): Error {
  const said = error instanceof Error ? error.message : String(error);
  const cause = { cause: error };
  if (response === undefined) return new Error(`pyodide.asm.wasm cannot be fetched: ${said}`, cause);
  const { url, ok, status, headers } = response;
  if (!ok) return new Error(`${url} cannot be fetched: HTTP ${status}`, cause);
  const type = headers.get("content-type") ?? "no type";
  if (type.startsWith("application/wasm")) return new Error(`${url} cannot be compiled: ${said}`, cause);
  return new Error(`${url}: the server sends ${type}, and has to send application/wasm`, cause);
}
