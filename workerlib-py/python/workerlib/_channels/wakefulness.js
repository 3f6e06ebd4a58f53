"use strict";
/**
 * @file Keeps a worker's thread awake between messages that follow each other closely.
 *
 * Python (workerlib/_channels/message_port.py) evaluates this script, whose value is shared by all connections of a Python,
 * and hands it to `message_port.js`, which runs by it what handles a message.
 */

(() => {
  /** Messages that come so many milliseconds after the last one was handled keep a worker awake, and for how many. */
  const CLOSE = 2;
  const AWAKE = 0.5;

  /**
   * Keeps a worker's thread from falling asleep between messages that follow each other closely: to wake it takes longer
   * than a small call. It runs nothing while anything else waits to be run, and only for a moment after each message.
   */
  class Wakefulness {
    constructor() {
      const { scheduler, WorkerGlobalScope, navigator } = /** @type {any} */ (globalThis);
      // Of a page's main thread the processor is the user's, and a lone processor is the page's.
      this.isOf = scheduler?.postTask && WorkerGlobalScope && navigator.hardwareConcurrency > 1;
      this.last = 0;
      this.end = 0;
      this.isAwake = false;
      this.turn = () => {
        this.isAwake = performance.now() < this.end;
        if (this.isAwake) scheduler.postTask(this.turn, { priority: "background" });
      };
    }

    /**
     * Runs what handles a message; stays awake after it if it came soon after the last one.
     *
     * @param {() => void} handle - What handles it.
     */
    around(handle) {
      if (!this.isOf) {
        handle();
        return;
      }
      const isClose = performance.now() - this.last < CLOSE;
      handle();
      this.last = performance.now();
      if (isClose) {
        this.end = this.last + AWAKE;
        if (!this.isAwake) this.turn();
      }
    }
  }

  return new Wakefulness();
})();
