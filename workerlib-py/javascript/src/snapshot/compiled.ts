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
      const response = await source;
      const compile = (): Promise<WebAssembly.WebAssemblyInstantiatedSource> =>
        instantiateStreaming.call(wasm, response, imports);
      return expected.has(response) || FILE.test(response.url) ? linked(imports, compile) : compile();
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
    return { loaded: await load(), module };
  } finally {
    Object.assign(wasm, { instantiate, instantiateStreaming });
    globalThis.fetch = fetch;
  }
}
