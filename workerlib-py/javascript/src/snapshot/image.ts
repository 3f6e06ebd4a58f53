/**
 * The form in which snapshots are kept and handed on: only the pages of memory that are not all zero.
 *
 * A snapshot of Pyodide's is its whole memory, about half of which is zero. An image is a header of four numbers (magic,
 * length of the snapshot, number of its pages, zero), a bit for each page, and the pages whose bit is set. This file knows
 * nothing of Pyodide and keeps nothing.
 */

const MAGIC = 0x31534c57;
const HEADER = 16;
const PAGE = 4096;

/** Makes the image of a snapshot. */
export function pack(snapshot: Uint8Array): Uint8Array {
  const pages = Math.ceil(snapshot.length / PAGE);
  const bits = new Uint8Array(Math.ceil(pages / 8));
  const kept: Uint8Array[] = [];
  let size = HEADER + bits.length;
  for (let page = 0; page < pages; page += 1) {
    const content = snapshot.subarray(page * PAGE, (page + 1) * PAGE);
    if (isZero(content)) continue;
    bits[page >> 3]! |= 1 << (page & 7);
    kept.push(content);
    size += content.length;
  }
  const image = new Uint8Array(size);
  new Uint32Array(image.buffer, 0, 3).set([MAGIC, snapshot.length, pages]);
  image.set(bits, HEADER);
  let end = HEADER + bits.length;
  for (const content of kept) {
    image.set(content, end);
    end += content.length;
  }
  return image;
}

/**
 * Makes the snapshot of an image.
 *
 * @throws Error if the image is not as long as its header says, or is none
 */
export function unpack(image: Uint8Array): Uint8Array {
  if (image.length < HEADER) throw new Error("the image of the snapshot is cut off");
  const [magic, length, pages] = new Uint32Array(new Uint8Array(image.subarray(0, HEADER)).buffer);
  if (magic !== MAGIC || length === undefined || pages !== Math.ceil(length / PAGE)) {
    throw new Error("it is no image of a snapshot");
  }
  const snapshot = new Uint8Array(length);
  let start = HEADER + Math.ceil(pages / 8);
  for (let page = 0; page < pages; page += 1) {
    if ((image[HEADER + (page >> 3)]! & (1 << (page & 7))) === 0) continue;
    const size = Math.min(PAGE, length - page * PAGE);
    const content = image.subarray(start, start + size);
    if (content.length < size) throw new Error("the image of the snapshot is cut off");
    snapshot.set(content, page * PAGE);
    start += size;
  }
  if (start !== image.length) throw new Error("the image of the snapshot is too long");
  return snapshot;
}

/** Tells whether all bytes are zero; their place in memory need not be aligned. */
function isZero(bytes: Uint8Array): boolean {
  // Most pages that are in use show it in their first bytes.
  for (let at = 0; at < bytes.length; at += 1) if (bytes[at] !== 0) return false;
  return true;
}
