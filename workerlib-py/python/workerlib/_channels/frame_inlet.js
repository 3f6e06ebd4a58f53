"use strict";
/**
 * @file Hands frames that have arrived to Python by its C interface: past Pyodide's proxies, which take as long as the rest.
 *
 * Python (workerlib/_channels/message_port.py) evaluates this script and hands its value to `message_port.js`, which has checked
 * the frames. They are written into the inbox, a place in the memory of this Python, and an object of Python's is called by its
 * address: an `Inlet` (workerlib-py/src/inlet.rs), which reads them. It sends nothing.
 *
 * @typedef {object} FrameInlet - Hands frames to one connection.
 * @property {(size: number) => void} enter - Has Python take in the frame in the inbox.
 * @property {(sizes: number[], frames: Uint8Array<ArrayBuffer>) => void} enterTogether - Hands over several frames.
 * @property {(frame: Uint8Array<ArrayBuffer>) => number} copy - Makes an object of a frame that is larger than the inbox: its address.
 * @property {(object: number) => void} enterObject - Hands over that object.
 *
 * @typedef {object} InletHeap - The part of Pyodide's module that is used here.
 * @property {Uint8Array} HEAPU8 - The memory as it is now.
 * @property {(callable: number) => number} _PyObject_CallNoArgs - Calls an object by its address; 0 if it raised an error.
 * @property {() => void} [_PyErr_Print] - Prints that error and forgets it.
 * @property {(content: number, size: number) => number} _PyBytes_FromStringAndSize - Makes a bytes object: its address; 0 if
 *   there is no memory.
 * @property {(bytes: number) => number} _PyBytes_AsString - The address of its content.
 * @property {{maybe_fatal_error(error: unknown): void}} [API] - Hears of what ends a Python.
 * @property {{value: boolean}} [validSuspender] - Whether the running stack may be suspended.
 */

(() => {
  /** In the place of a size: the frame is an object of its own, whose address follows. */
  const ELSEWHERE = -1;

  /**
   * Writes a size for Python.
   *
   * @param {Uint8Array} heap - The memory.
   * @param {number} address - Where to: four bytes, little-endian.
   * @param {number} size - The size.
   */
  const writeSize = (heap, address, size) => {
    for (let index = 0; index < 4; index += 1) heap[address + index] = size >> (8 * index);
  };

  return class {
    /**
     * @param {InletHeap} heap - Pyodide's module.
     * @param {number} inlet - The address of the object that is called.
     * @param {number} inbox - The address where frames are put. The size stands in the four bytes before.
     */
    constructor(heap, inlet, inbox) {
      this.heap = heap;
      this.inlet = inlet;
      this.inbox = inbox;
    }

    /** @param {number} size - The frame's size; 0 if there are several, each behind its size, and a 0 at the end; `ELSEWHERE`. */
    enter(size) {
      const { heap } = this;
      writeSize(heap.HEAPU8, this.inbox - 4, size);
      // As Pyodide's own proxies do it: no stack can be suspended in here, and a trap is the end of this Python.
      const suspender = heap.validSuspender ?? { value: false };
      const before = suspender.value;
      suspender.value = false;
      let result = 0;
      try {
        result = heap._PyObject_CallNoArgs(this.inlet);
      } catch (error) {
        heap.API?.maybe_fatal_error(error);
        throw error;
      } finally {
        suspender.value = before;
      }
      if (result === 0) {
        heap._PyErr_Print?.();
        throw new Error("Python could not take it in");
      }
    }

    /**
     * @param {number[]} sizes - The size of each frame.
     * @param {Uint8Array<ArrayBuffer>} frames - The frames, one behind the other.
     */
    enterTogether(sizes, frames) {
      const heap = this.heap.HEAPU8;
      let end = this.inbox;
      let start = 0;
      for (const size of sizes) {
        writeSize(heap, end, size);
        heap.set(frames.subarray(start, start + size), end + 4);
        start += size;
        end += 4 + size;
      }
      writeSize(heap, end, 0);
      this.enter(0);
    }

    /**
     * @param {Uint8Array<ArrayBuffer>} frame - The frame.
     * @returns {number} The address of a bytes object: a copy less than by way of the inbox.
     */
    copy(frame) {
      const { heap } = this;
      const object = heap._PyBytes_FromStringAndSize(0, frame.length);
      if (object === 0) {
        heap._PyErr_Print?.();
        throw new Error(`no memory for a frame of ${frame.length} bytes`);
      }
      // Memory may have grown.
      heap.HEAPU8.set(frame, heap._PyBytes_AsString(object));
      return object;
    }

    /** @param {number} object - The address of a bytes object, which Python has from now on. */
    enterObject(object) {
      writeSize(this.heap.HEAPU8, this.inbox, object);
      this.enter(ELSEWHERE);
    }
  };
})();
