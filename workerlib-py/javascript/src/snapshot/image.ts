/**
 * The form in which snapshots are kept and handed on: a WebAssembly module that writes the memory.
 *
 * A snapshot of Pyodide's is a header and its whole memory, about half of which is zero. The image imports a memory and has
 * the pages that are not zero as data segments, so that an instance of it writes them. The threads of a process share a
 * compiled module and its bytes; a buffer would be copied for each worker. A custom section holds the header and tells
 * where the pages are in the file, so that JavaScript can write them as well. This file knows nothing of Pyodide and keeps
 * nothing.
 */

/** Names this form: images of another one cannot be read. */
export const FORM = "module 1";

const NAME = "workerlib snapshot";
/** A run of pages is kept if one of its bytes is not zero. */
const PAGE = 4096;
/** The unit in which WebAssembly counts memory. */
const LARGE_PAGE = 1 << 16;
const PREAMBLE = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
/** The numbers of the sections that an image has. */
const CUSTOM = 0;
const IMPORT = 2;
const DATA = 11;
/** The length of a number in LEB128 here. The format allows more bytes than a number needs. */
const NUMBER = 5;
/** The length of a section's or segment's own bytes: of the latter a flag, `i32.const` with a number, `end`, its length. */
const SECTION = 1 + NUMBER;
const SEGMENT = 1 + 1 + NUMBER + 1 + NUMBER;
/** The place at which the content of the custom section begins, which is the first section. */
const CONTENT = PREAMBLE.length + SECTION + 1 + NAME.length;
/** The number of numbers in front of the table of runs: the lengths of file, memory and header, and how many runs there are. */
const FIGURES = 4;
/** The import: one, of the memory `env.memory`, without a largest size, as long as the number after it. */
const IMPORTED = [1, 3, ...ascii("env"), 6, ...ascii("memory"), 2, 0];

/**
 * A module with a function that clears those pages between two places that are not zero. Most are: a third of the memory of a
 * Python that has just begun is reserved for its stack. Memory that is only read costs neither time nor room, unlike
 * memory that is filled with zeros.
 *
 *     (module
 *       (import "env" "memory" (memory 0))
 *       (func (export "clear") (param $at i32) (param $end i32) (local $word i32) (local $next i32)
 *         (loop $pages
 *           (if (i32.lt_u (local.get $at) (local.get $end)) (then
 *             (local.set $next (i32.add (local.get $at) (i32.const 4096)))
 *             (local.set $word (local.get $at))
 *             (loop $words
 *               (if (i64.eqz (i64.or
 *                     (i64.or (i64.load (local.get $word)) (i64.load offset=8 (local.get $word)))
 *                     (i64.or (i64.load offset=16 (local.get $word)) (i64.load offset=24 (local.get $word)))))
 *                 (then
 *                   (local.set $word (i32.add (local.get $word) (i32.const 32)))
 *                   (br_if $words (i32.lt_u (local.get $word) (local.get $next))))
 *                 (else (memory.fill (local.get $at) (i32.const 0) (i32.const 4096)))))
 *             (local.set $at (local.get $next))
 *             (br $pages))))))
 */
const CLEARS =
  "AGFzbQEAAAABBgFgAn9/AAIPAQNlbnYGbWVtb3J5AgAAAwIBAAcJAQVjbGVhcgAACloBWAECfwNAIAAgAUkEQCAAQYAgaiEDIAAhAgNAIAIpAwAgAikDCIQg" +
  "AikDECACKQMYhIRQBEAgAkEgaiECIAIgA0kNAQUgAEEAQYAg/AsACwsgAyEADAELCws=";

const CUT_OFF = "the image of the snapshot is cut off";

/** A part of the memory that is in the image. */
interface Run {
  /** Its beginning in the memory. */
  at: number;
  length: number;
  /** Its beginning in the file. */
  place: number;
}

/** A snapshot that can be written into a memory. */
export interface Image {
  /** The bytes before the memory. */
  head: Uint8Array<ArrayBuffer>;
  /** The number of bytes of memory that it has. */
  length: number;
  /**
   * Writes the memory.
   *
   * @param memory a memory of this length at least
   * @param used how many of its bytes may not be zero
   */
  write(memory: WebAssembly.Memory, used: number): void;
}

/**
 * Makes the image of a snapshot.
 *
 * @param snapshot the header and the memory
 * @param start where the memory begins
 */
export function pack(snapshot: Uint8Array, start: number): Uint8Array<ArrayBuffer> {
  const [head, memory] = [snapshot.subarray(0, start), snapshot.subarray(start)];
  const runs = runsOf(memory);
  const table = new Uint32Array(FIGURES + 3 * runs.length);
  const data = CONTENT + table.byteLength + head.length + SECTION + IMPORTED.length + NUMBER + SECTION + NUMBER;
  let end = data;
  for (const run of runs) {
    run.place = end + SEGMENT;
    end = run.place + run.length;
  }
  table.set([end, memory.length, head.length, runs.length]);
  table.set(runs.flatMap(({ at, length, place }) => [at, length, place]), FIGURES);

  const image = new Uint8Array(end);
  let next = 0;
  const write = (bytes: ArrayLike<number>): void => {
    image.set(bytes, next);
    next += bytes.length;
  };
  write(PREAMBLE);
  write([CUSTOM, ...number(1 + NAME.length + table.byteLength + head.length), NAME.length, ...ascii(NAME)]);
  write(new Uint8Array(table.buffer));
  write(head);
  write([IMPORT, ...number(IMPORTED.length + NUMBER), ...IMPORTED, ...number(Math.ceil(memory.length / LARGE_PAGE))]);
  write([DATA, ...number(NUMBER + end - data), ...number(runs.length)]);
  for (const { at, length } of runs) {
    write([0, 0x41, ...number(at), 0x0b, ...number(length)]);
    write(memory.subarray(at, at + length));
  }
  return image;
}

/**
 * Reads an image.
 *
 * @param given its bytes, or the module that was compiled from them
 * @throws Error if it is not an image, or is damaged in such a way that it could not be written
 */
export function read(given: Uint8Array<ArrayBuffer> | WebAssembly.Module): Image {
  if (given instanceof WebAssembly.Module) {
    const [content] = WebAssembly.Module.customSections(given, NAME);
    if (content === undefined) throw new Error("it is not an image of a snapshot");
    const { head, length, runs } = contentOf(new Uint8Array(content));
    return {
      head,
      length,
      write(memory, used) {
        clear(memory, runs, used);
        new WebAssembly.Instance(given, { env: { memory } });
      },
    };
  }
  if (given.length < CONTENT + 4 * FIGURES || !isSame(given, PREAMBLE, 0) || !isSame(given, ascii(NAME), CONTENT - NAME.length)) {
    throw new Error("it is not an image of a snapshot");
  }
  const { end, head, length, runs } = contentOf(given.subarray(CONTENT));
  if (end > given.length) throw new Error(CUT_OFF);
  if (end < given.length) throw new Error("the image of the snapshot is too long");
  return {
    head,
    length,
    write(memory, used) {
      clear(memory, runs, used);
      const heap = new Uint8Array(memory.buffer);
      for (const { at, length, place } of runs) heap.set(given.subarray(place, place + length), at);
    },
  };
}

/** Makes the whole snapshot of an image. */
export function unpack(image: Image): Uint8Array<ArrayBuffer> {
  const { head, length } = image;
  const memory = new WebAssembly.Memory({ initial: Math.ceil(length / LARGE_PAGE) });
  image.write(memory, 0);
  const snapshot = new Uint8Array(head.length + length);
  snapshot.set(head);
  snapshot.set(new Uint8Array(memory.buffer, 0, length), head.length);
  return snapshot;
}

/** Reads the content of the custom section. */
function contentOf(content: Uint8Array<ArrayBuffer>): {
  end: number;
  head: Uint8Array<ArrayBuffer>;
  length: number;
  runs: Run[];
} {
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  const number = (at: number): number => view.getUint32(4 * at, true);
  const [end, length, headLength, count] = [number(0), number(1), number(2), number(3)];
  const place = 4 * (FIGURES + 3 * count);
  if (place + headLength > content.length) throw new Error(CUT_OFF);
  const runs = Array.from({ length: count }, (_, run) => {
    const at = FIGURES + 3 * run;
    return { at: number(at), length: number(at + 1), place: number(at + 2) };
  });
  if (runs.some((run) => run.at + run.length > length || run.place + run.length > end)) throw new Error(CUT_OFF);
  // A copy, which begins where numbers may begin.
  return { end, head: content.slice(place, place + headLength), length, runs };
}

/** Clears the memory between the runs, as far as it has been used. */
function clear(memory: WebAssembly.Memory, runs: Run[], used: number): void {
  const module = new WebAssembly.Module(Uint8Array.from(atob(CLEARS), (byte) => byte.charCodeAt(0)));
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const clearPages = instance.exports["clear"] as (at: number, end: number) => void;
  const between = (at: number, end: number): void => {
    const whole = end - (end % PAGE);
    if (at < whole) clearPages(at, whole);
    new Uint8Array(memory.buffer).fill(0, Math.max(at, whole), end);
  };
  let next = 0;
  for (const { at, length } of runs) {
    if (next >= used) return;
    if (next < at) between(next, Math.min(at, used));
    next = at + length;
  }
  if (next < used) between(next, used);
}

/** Finds the runs of pages that are not all zero. */
function runsOf(memory: Uint8Array): Run[] {
  const runs: Run[] = [];
  for (let at = 0; at < memory.length; at += PAGE) {
    const page = memory.subarray(at, at + PAGE);
    if (isZero(page)) continue;
    const last = runs.at(-1);
    if (last !== undefined && last.at + last.length === at) last.length += page.length;
    else runs.push({ at, length: page.length, place: 0 });
  }
  return runs;
}

function isZero(bytes: Uint8Array): boolean {
  // Most pages that are in use show it in their first bytes.
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at] !== 0) return false;
  return true;
}

function isSame(bytes: Uint8Array, expected: number[], at: number): boolean {
  return expected.every((byte, place) => bytes[at + place] === byte);
}

/** A number in LEB128. One below 2**31 is the same with a sign. */
function number(value: number): number[] {
  return Array.from({ length: NUMBER }, (_, at) => ((value >>> (7 * at)) & 0x7f) | (at < NUMBER - 1 ? 0x80 : 0));
}

function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}
