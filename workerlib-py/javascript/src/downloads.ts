/**
 * Counts the bytes that a worker downloads while it starts, by standing in for `fetch`.
 *
 * It is used only where the page asks for progress. The total includes files that have not begun to arrive: they are announced
 * by `expect`, and servers are asked for their sizes. So a bar is not full while files are still to come. A file's size is what
 * the server says of it; where it says none, or sends the file compressed, the total is not known. A server of another origin may
 * not let a page see that it compresses: a file that turns out larger than its size was one of these.
 */

/** The number of bytes that have arrived, and how many there are in all files. */
export interface Downloaded {
  loadedBytes: number;
  /** Not there while a file, or the size of a file, is unknown. */
  totalBytes?: number;
}

/** The count of a worker's downloads. */
export interface Downloads {
  /** Announces files that will be fetched, by their addresses; undefined if nobody can name them. */
  expect(addresses: Promise<string[] | undefined>): void;
  /** Ends the counting. */
  end(): void;
}

/** After how many milliseconds the next news is told at the earliest. */
const PAUSE = 100;

/**
 * Begins to count.
 *
 * @param report is told of files, at most every tenth of a second while one arrives, and when it has arrived
 */
export function countDownloads(report: (file: string, downloaded: Downloaded) => void): Downloads {
  const original = globalThis.fetch;
  /** The files whose sizes are in `total`, if they are known, and the sizes of those that are to come. */
  const begun = new Set<string>();
  const expected = new Map<string, number | undefined>();
  let announcements = 0;
  let loaded = 0;
  let total = 0;
  let isKnown = true;
  let told = 0;
  const totalBytes = (): number | undefined => {
    let sum = total;
    for (const size of expected.values()) {
      if (size === undefined) return undefined;
      sum += size;
    }
    return isKnown && announcements === 0 ? sum : undefined;
  };
  const tell = (file: string, isLast = false): void => {
    const now = performance.now();
    if (!isLast && now - told < PAUSE) return;
    told = now;
    const bytes = totalBytes();
    report(file, { loadedBytes: loaded, ...(bytes !== undefined && { totalBytes: bytes }) });
  };
  const counting = (file: string, size: number | undefined): Counter => {
    let arrived = 0;
    return new TransformStream({
      transform(chunk, controller) {
        loaded += chunk.byteLength;
        arrived += chunk.byteLength;
        if (size !== undefined && arrived > size) isKnown = false;
        tell(file);
        controller.enqueue(chunk);
      },
      flush: () => tell(file, true),
    });
  };
  const ask = async (address: string): Promise<void> => {
    const size = await original(address, { method: "HEAD" }).then(sizeOf, () => undefined);
    if (!begun.has(address)) expected.set(address, size);
  };
  globalThis.fetch = async (input, init) => {
    const asked = new URL(input instanceof Request ? input.url : input, self.location.href).href;
    const response = await original(input, init);
    // Not before the answer: until then the size is that of the announcement.
    begun.add(asked);
    expected.delete(asked);
    if (!response.ok || response.body === null) return response;
    const file = new URL(response.url, self.location.href).pathname.split("/").at(-1)!;
    const size = sizeOf(response);
    if (size === undefined) isKnown = false;
    else total += size;
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
  return {
    expect(addresses) {
      announcements += 1;
      void addresses
        .then(async (known) => {
          if (known === undefined) return;
          await Promise.all(known.filter((address) => !begun.has(address)).map(ask));
          announcements -= 1;
        })
        // The files cannot be named: whoever fetches them tells why.
        .catch(() => {});
    },
    end() {
      globalThis.fetch = original;
    },
  };
}

type Counter = TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>;

/** The size of a file by its server's answer, if that tells it. */
function sizeOf({ ok, headers }: Response): number | undefined {
  const size = Number(headers.get("content-length"));
  return ok && size > 0 && !headers.has("content-encoding") ? size : undefined;
}
