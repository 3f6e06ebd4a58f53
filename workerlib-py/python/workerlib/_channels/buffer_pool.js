"use strict";
/**
 * @file Keeps ArrayBuffers for the next message, since fresh ones cost more than the copy into them.
 *
 * Python (workerlib/_channels/message_port.py) evaluates this script, whose value is the pool that all connections of a
 * Python share, and hands it to `message_port.js`. Each channel counts the buffers that go and come, so that both sides keep as
 * many as they need. It never looks at the content of a buffer.
 */

(() => {
  /** From how many bytes on a buffer is transferred and kept: below, two copies of a clone are cheaper than a transfer. */
  const LEAST = 8 << 10;
  /** The number of bytes of ArrayBuffers that are kept at most, and the milliseconds without use for which they are kept. */
  const KEPT = 256 << 20;
  const IDLE = 2000;

  /** ArrayBuffers that are kept for the next message: fresh ones cost more than the copy into them. */
  class Pool {
    constructor() {
      this.least = LEAST;
      /** @type {ArrayBuffer[]} */
      this.buffers = [];
      this.bytes = 0;
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      this.timer = undefined;
      this.lastUse = 0;
    }

    /**
     * Takes out a buffer, or makes one.
     *
     * @param {number} size - How many bytes it must have at least.
     * @returns {ArrayBuffer} One of at most twice that size.
     */
    take(size) {
      let best = -1;
      let least = 2 * size + 1;
      for (let index = this.buffers.length - 1; index >= 0 && least > size; index -= 1) {
        const length = /** @type {ArrayBuffer} */ (this.buffers[index]).byteLength;
        if (length >= size && length < least) {
          best = index;
          least = length;
        }
      }
      this.lastUse = performance.now();
      if (best >= 0) {
        const [buffer] = /** @type {[ArrayBuffer]} */ (this.buffers.splice(best, 1));
        this.bytes -= buffer.byteLength;
        return buffer;
      }
      // Sizes are rounded up, so that what differs a little fits next time.
      const step = Math.max(4096, 2 ** (Math.floor(Math.log2(size)) - 3));
      const length = Math.ceil(size / step) * step;
      try {
        return new ArrayBuffer(length);
      } catch {
        this.clear();
        return new ArrayBuffer(length);
      }
    }

    /**
     * Keeps a buffer, if there is room.
     *
     * @param {ArrayBuffer} buffer - Nobody else may use it.
     */
    put(buffer) {
      if (buffer.byteLength < LEAST || this.bytes + buffer.byteLength > KEPT) return;
      if (this.buffers.includes(buffer)) return;
      this.buffers.push(buffer);
      this.bytes += buffer.byteLength;
      this.lastUse = performance.now();
      this.timer ??= this.wait();
    }

    wait() {
      const timer = setTimeout(() => {
        this.timer = undefined;
        if (performance.now() - this.lastUse >= IDLE) this.clear();
        else this.timer = this.wait();
      }, IDLE);
      // Node would wait for it before it ends.
      /** @type {any} */ (timer).unref?.();
      return timer;
    }

    clear() {
      this.buffers.length = this.bytes = 0;
    }

    /** Begins to count what goes and comes over a channel. */
    open() {
      return new Lent(this);
    }
  }

  /** The memory of one channel: what came of the other side's, and how much of that is the other side's still. */
  class Lent {
    /** @param {Pool} pool - Keeps what is this side's. */
    constructor(pool) {
      this.pool = pool;
      /** @type {ArrayBuffer[]} Buffers that came, to be used or given back. */
      this.borrowed = [];
      /** The number of buffers that have come and not gone: only these are the other side's. */
      this.owed = 0;
    }

    /**
     * Takes out a buffer that will go to the other side.
     *
     * @param {number} size - How many bytes it must have at least.
     * @returns {ArrayBuffer} One of at most twice that size.
     */
    take(size) {
      const index = this.borrowed.findIndex((buffer) => buffer.byteLength >= size && buffer.byteLength <= 2 * size);
      const [borrowed] = index < 0 ? [] : this.borrowed.splice(index, 1);
      const buffer = borrowed ?? this.pool.take(size);
      this.owed -= 1;
      return buffer;
    }

    /**
     * Keeps a buffer that came, and out of which all has been copied, or that the other side has given back. A buffer that stands
     * for one that has gone is this side's from now on: the next message as large finds it here.
     *
     * @param {ArrayBuffer} buffer - It.
     */
    keep(buffer) {
      this.owed += 1;
      if (this.owed > 0) this.borrowed.push(buffer);
      else this.pool.put(buffer);
    }

    /**
     * Appends what is owed to a message, and keeps the rest.
     *
     * @param {any[]} parts - The message.
     * @param {Transferable[]} transfer - Its transfer list.
     */
    giveBack(parts, transfer) {
      for (const buffer of this.borrowed) {
        if (this.owed > 0) {
          parts.push(buffer);
          transfer.push(buffer);
          this.owed -= 1;
        } else this.pool.put(buffer);
      }
      this.borrowed.length = 0;
    }

    /** Keeps what is there for other channels. */
    close() {
      this.borrowed.forEach((buffer) => this.pool.put(buffer));
      this.borrowed.length = 0;
    }
  }

  const pool = new Pool();
  // A page that nobody looks at may be asked to be small.
  globalThis.document?.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") pool.clear();
  });
  return pool;
})();
