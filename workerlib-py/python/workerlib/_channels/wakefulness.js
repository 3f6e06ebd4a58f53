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
  /** A task that comes so many milliseconds late shows that other threads want the processor. */
  const LATE = 2;
  /** For how many milliseconds the thread may sleep then: twice as long each time, unless all was well for the longest time. */
  const SHORTEST = 100;
  const LONGEST = 3200;

  /**
   * Keeps a worker's thread from falling asleep between messages that follow each other closely: to wake it takes longer
   * than a small call. It runs nothing while anything else waits to be run, and only for a moment after each message.
   *
   * A thread that is always awake uses up its share of a busy processor, and has to wait for it when the next message comes.
   * Therefore the thread may sleep if other threads want the processor.
   */
  class Wakefulness {
    constructor() {
      const { scheduler, WorkerGlobalScope, navigator } = /** @type {any} */ (globalThis);
      // Of a page's main thread the processor is the user's, and a lone processor is the page's.
      this.isOf = scheduler?.postTask && WorkerGlobalScope && navigator.hardwareConcurrency > 1;
      /** When a message was last handled, and when this thread last ran anything that is known here. */
      this.last = 0;
      this.ran = 0;
      this.end = 0;
      /** Until when the thread may sleep. */
      this.rested = -Infinity;
      this.pause = SHORTEST;
      this.isAwake = false;
      this.turn = () => {
        const now = performance.now();
        this.note(now);
        this.isAwake = now < this.end && now >= this.rested;
        if (this.isAwake) scheduler.postTask(this.turn, { priority: "background" });
      };
    }

    /**
     * Notes that the thread runs, and whether it had to wait for the processor.
     *
     * @param {number} now - The time.
     */
    note(now) {
      if (this.isAwake && now - this.ran > LATE) {
        this.pause = now - this.rested < LONGEST ? Math.min(2 * this.pause, LONGEST) : SHORTEST;
        this.rested = now + this.pause;
      }
      this.ran = now;
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
      const now = performance.now();
      this.note(now);
      const isClose = now - this.last < CLOSE;
      handle();
      this.last = this.ran = performance.now();
      if (isClose) {
        this.end = this.last + AWAKE;
        if (!this.isAwake) this.turn();
      }
    }
  }

  return new Wakefulness();
})();
