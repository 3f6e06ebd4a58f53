"use strict";
/**
 * @file Checks the parts of a message that has arrived, and puts buffers together that come in pieces.
 *
 * Python (workerlib/_channels/message_port.py) evaluates this script and hands its value to `message_port.js`. Nothing that
 * comes from the other side is believed. Of its bytes, only pieces are copied here.
 *
 * @typedef {object} SortedParts - The parts of a message that has been checked.
 * @property {Uint8Array<ArrayBuffer>} frame - The frame.
 * @property {number[]} lengths - The length of each buffer; negative if it comes in pieces, 0 for an object.
 * @property {(Uint8Array<ArrayBuffer> | Transferred)[]} arrived - The buffers and objects that are there.
 * @property {Room[]} rooms - The places of buffers that come in pieces.
 * @property {ArrayBuffer[]} returned - Memory that is given back.
 *
 * @typedef {object} Room - The place of a buffer that comes in pieces.
 * @property {number} length - How many bytes are announced.
 * @property {number} arrived - How many have come.
 * @property {Uint8Array<ArrayBuffer>[]} held - What has come and is not copied yet.
 * @property {number | undefined} address - Where the next piece is copied to, once there is room.
 * @property {boolean} isBelieved - Whether enough has come to make room for the rest.
 * @property {(piece: Uint8Array<ArrayBuffer>) => void} add - Takes in what comes next.
 *
 * @typedef {object} PlaceOfPieces - The channel by which they come.
 * @property {{HEAPU8: Uint8Array}} heap - Pyodide's module, whose memory they are copied into.
 * @property {{room: (size: number) => number}} handlers - Makes room for a buffer: its address.
 * @property {{keep: (buffer: ArrayBuffer) => void}} memory - Keeps a buffer out of which all has been copied.
 */

(() => {
  /** From how many bytes on a buffer goes in pieces, and how large they are: a processor's cache holds some of them. */
  const IN_PIECES = 2 << 20;
  const PIECE = 1 << 20;
  /**
   * Room for a buffer in pieces is made when it is at most so large, or so many times larger than what has come of it, or no
   * larger than one that has come whole before: for that the heap has grown already.
   */
  const BELIEVED = 16 << 20;
  const TIMES_BELIEVED = 4;

  /**
   * Tells whether a part of a message is an object of the user's, in its wrapping.
   *
   * @param {any} part - The part.
   * @returns {part is Transferred} Whether it is.
   */
  const isTransferred = (part) =>
    Object.prototype.toString.call(part) === "[object Object]" &&
    ("object" in part || typeof part.refused === "string");

  /**
   * Tells whether a value is memory that only this side can write to, and whose length stays what it is.
   *
   * @param {any} buffer - The value.
   * @returns {buffer is ArrayBuffer} Whether it is: not if it is shared, or can be resized.
   */
  const isOwn = (buffer) => buffer instanceof ArrayBuffer && /** @type {any} */ (buffer).resizable !== true;

  /**
   * Checks that a part of a message has bytes that stay what they are until they have been copied.
   *
   * @param {any} part - The part.
   * @param {string} what - What it should be, for the error.
   * @returns {Uint8Array<ArrayBuffer>} The part.
   */
  const bytesOf = (part, what) => {
    if (!(part instanceof Uint8Array && isOwn(part.buffer))) throw new TypeError(`${what} that has no bytes of its own`);
    return /** @type {Uint8Array<ArrayBuffer>} */ (part);
  };

  /** The place of a buffer that comes in pieces. */
  class Room {
    /**
     * @param {number} length - How many bytes are announced.
     * @param {number} largest - How many the largest buffer had that has come whole.
     */
    constructor(length, largest) {
      if (!Number.isSafeInteger(length) || length < IN_PIECES) throw new TypeError(`pieces of ${length} bytes in all`);
      this.length = length;
      this.largest = largest;
      /** The number of bytes that have come. */
      this.arrived = 0;
      /** @type {Uint8Array<ArrayBuffer>[]} What has come and is not copied yet. */
      this.held = [];
      /** @type {number | undefined} Where the next piece is copied to, once there is room. */
      this.address = undefined;
    }

    /** Tells whether enough has come to make room for the rest. */
    get isBelieved() {
      return this.length <= Math.max(BELIEVED, this.largest, TIMES_BELIEVED * this.arrived);
    }

    /**
     * Takes in what comes next.
     *
     * @param {Uint8Array<ArrayBuffer>} piece - It.
     */
    add(piece) {
      const expected = Math.min(PIECE, this.length - this.arrived);
      if (piece.length !== expected) throw new TypeError(`a piece of ${piece.length} bytes, where ${expected} follow`);
      this.held.push(piece);
      this.arrived += expected;
    }
  }

  /** A message whose pieces are coming. */
  class Coming {
    /**
     * @param {SortedParts} parts - Its parts, of which some come in pieces.
     * @param {number} first - The number of its first buffer.
     * @param {PlaceOfPieces} place - The channel.
     */
    constructor({ frame, lengths, rooms }, first, place) {
      this.frame = frame;
      this.lengths = lengths;
      this.first = first;
      this.rooms = rooms;
      this.place = place;
    }

    /** Tells whether all pieces have come. */
    get isComplete() {
      return this.rooms.every(({ arrived, length }) => arrived === length);
    }

    /** Gives the number of bytes of the largest buffer that comes in pieces. */
    get largest() {
      return Math.max(...this.rooms.map(({ length }) => length));
    }

    /**
     * Takes in the next piece, and copies what has come when there is room for it.
     *
     * @param {Uint8Array<ArrayBuffer>} piece - It.
     */
    add(piece) {
      const { heap, handlers, memory } = this.place;
      const room = /** @type {Room} */ (this.rooms.find(({ arrived, length }) => arrived < length));
      room.add(piece);
      if (!room.isBelieved) return;
      room.address ??= handlers.room(room.length);
      for (const held of room.held) {
        heap.HEAPU8.set(held, room.address);
        room.address += held.length;
        memory.keep(held.buffer);
      }
      room.held.length = 0;
    }
  }

  /**
   * Checks a message with parts, and sorts these. No two parts may have the same memory: what has been copied out of one is used
   * again, while the other still waits.
   *
   * @param {any[]} parts - The frame; buffers, or their lengths if they come in pieces; memory that is given back.
   * @param {number} largest - How many bytes the largest buffer had that has come in pieces.
   * @returns {SortedParts} The parts.
   */
  const sorted = ([first, ...parts], largest) => {
    const frame = bytesOf(first, "a frame");
    /** @type {Set<unknown>} */
    const memory = new Set([frame.buffer]);
    const add = (/** @type {unknown} */ buffer) => {
      if (memory.has(buffer)) throw new TypeError("two parts that have the same memory");
      memory.add(buffer);
    };
    /** @type {SortedParts} */
    const { lengths, arrived, rooms, returned } = { frame, lengths: [], arrived: [], rooms: [], returned: [] };
    let hasObjects = false;
    for (const part of parts) {
      if (typeof part === "number") {
        rooms.push(new Room(part, largest));
        // Python knows what it made room for by the sign.
        lengths.push(-part);
      } else if (isOwn(part)) {
        add(part);
        returned.push(part);
      } else if (isTransferred(part)) {
        hasObjects = true;
        arrived.push(part);
        lengths.push(0);
      } else {
        const bytes = bytesOf(part, "a part");
        add(bytes.buffer);
        arrived.push(bytes);
        lengths.push(bytes.byteLength);
      }
    }
    if (hasObjects && returned.length > 0) throw new TypeError("memory that is given back beside an object");
    return { frame, lengths, arrived, rooms, returned };
  };

  return { IN_PIECES, PIECE, bytesOf, isOwn, sorted, Coming };
})();
