/**
 * Counts the bytes that a worker downloads while it starts, by standing in for `fetch`.
 *
 * It is used only where the page asks for progress. A file's size is what the server says of it; where it says none, or sends
 * the file compressed, the total is not known. A server of another origin may not let a page see that it compresses: a file
 * that turns out larger than its size was one of these.
 */

/** How many bytes have arrived, and how many there are in the files that have been asked for so far. */
export interface Downloaded {
  loadedBytes: number;
  /** Not there while the size of a file is unknown. */
  totalBytes?: number;
}

/** After how many milliseconds the next news is told at the earliest. */
const PAUSE = 100;

/**
 * Begins to count.
 *
 * @param report is told of files, at most every tenth of a second while one arrives, and when it has arrived
 * @returns a function that ends the counting
 */
export function countDownloads(report: (file: string, downloaded: Downloaded) => void): () => void {
  const original = globalThis.fetch;
  let loaded = 0;
  let total = 0;
  let isKnown = true;
  let told = 0;
  const tell = (file: string, isLast = false): void => {
    const now = performance.now();
    if (!isLast && now - told < PAUSE) return;
    told = now;
    report(file, { loadedBytes: loaded, ...(isKnown && { totalBytes: total }) });
  };
  const counting = (file: string, size: number): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> => {
    let arrived = 0;
    return new TransformStream({
      transform(chunk, controller) {
        loaded += chunk.byteLength;
        arrived += chunk.byteLength;
        if (size > 0 && arrived > size) isKnown = false;
        tell(file);
        controller.enqueue(chunk);
      },
      flush: () => tell(file, true),
    });
  };
  globalThis.fetch = async (input, init) => {
    const response = await original(input, init);
    if (!response.ok || response.body === null) return response;
    const file = new URL(response.url, self.location.href).pathname.split("/").at(-1)!;
    const size = Number(response.headers.get("content-length"));
    if (size > 0 && !response.headers.has("content-encoding")) total += size;
    else isKnown = false;
    if (response.headers.get("content-type")?.startsWith("application/wasm")) {
      // Browsers keep compiled code for a response that is their own, so the bytes of a second one are counted.
      void response.clone().body!.pipeThrough(counting(file, size)).pipeTo(new WritableStream()).catch(() => {});
      return response;
    }
    const { status, statusText, headers } = response;
    const counted = new Response(response.body.pipeThrough(counting(file, size)), { status, statusText, headers });
    Object.defineProperty(counted, "url", { value: response.url });
    return counted;
  };
  return () => {
    globalThis.fetch = original;
  };
}
