"use strict";
/**
 * @file Gives a connection its part of a Worker's own channel, in the form of a MessagePort.
 *
 * Python (workerlib/_channels/message_port.py) evaluates this script, whose value is a function, and hands the result to
 * `message_port.js`. It looks at the mark of a message and at nothing else.
 */

(() => {
  /**
   * Whether a listener that captures hears of an event before others that were there first: not in Chromium, where a
   * MessagePort is as fast as a Worker's own channel.
   */
  const isCaptureFirst = (() => {
    /** @type {boolean[]} */
    const heard = [];
    const target = new EventTarget();
    for (const capture of [false, true]) target.addEventListener("workerlib", () => heard.push(capture), capture);
    target.dispatchEvent(new Event("workerlib"));
    return heard[0] === true;
  })();

  /** @typedef {(event: {data: any}) => void} Listener */

  /**
   * The listeners of the connections that go over a Worker's own channel, by the mark of their messages.
   *
   * @type {WeakMap<object, Map<string, Listener>>}
   */
  const listenersOf = new WeakMap();

  /** A connection's part of a Worker's own channel, in the form of a MessagePort: the messages that have its mark. */
  class OwnChannel {
    /**
     * @param {any} worker - The Worker, or in it the global object.
     * @param {string} mark - What no other connection has.
     */
    constructor(worker, mark) {
      this.worker = worker;
      this.mark = mark;
      // A library that wraps Workers, as PyScript does, may have put a method of its own on this one.
      this.post = worker === globalThis ? worker.postMessage : globalThis.Worker.prototype.postMessage;
      this.listeners = listenersOf.get(worker) ?? this.share();
    }

    /** Listens to the channel for all connections, for ever: nobody else would know what comes after the end of one. */
    share() {
      /** @type {Map<string, Listener>} */
      const listeners = new Map();
      listenersOf.set(this.worker, listeners);
      const listen = (/** @type {MessageEvent} */ event) => {
        if (typeof event.data?.workerlib !== "string") return;
        event.stopImmediatePropagation();
        listeners.get(event.data.workerlib)?.({ data: event.data.data });
      };
      this.worker.addEventListener("message", listen, true);
      return listeners;
    }

    /**
     * Posts as a MessagePort does.
     *
     * @param {any} data - What is posted.
     * @param {any} [transfer] - Its transfer list.
     */
    postMessage(data, transfer = []) {
      this.post.call(this.worker, { workerlib: this.mark, data }, transfer);
    }

    /**
     * Has a listener hear of this connection's messages; of one that cannot be read, it is not known whose it is.
     *
     * @param {string} type - "message" or "messageerror".
     * @param {any} listener - What hears.
     */
    addEventListener(type, listener) {
      if (type === "message") this.listeners.set(this.mark, listener);
      else this.worker.addEventListener(type, listener);
    }

    /**
     * Has it hear no more.
     *
     * @param {string} type - As it was added.
     * @param {any} listener - What heard.
     */
    removeEventListener(type, listener) {
      if (type === "message") this.listeners.delete(this.mark);
      else this.worker.removeEventListener(type, listener);
    }
  }

  /** Gives a connection's part of a Worker's own channel, or undefined where a MessagePort does as well. */
  return (/** @type {any} */ worker, /** @type {string} */ mark) =>
    isCaptureFirst && typeof globalThis.addEventListener === "function" ? new OwnChannel(worker, mark) : undefined;
})();
