"use strict";
/**
 * @file Carries messages between the memory of this Python and a MessagePort: the hot path of workerlib's transport.
 *
 * A message is a frame and buffers beside it (docs/wire-format.md, section 2). Python names both by address and length.
 * A small part is cloned; a larger part is copied once into an ArrayBuffer that is transferred, and that comes back to
 * be used again. A very large buffer goes as a sequence of pieces, so that the other side copies one while this side
 * copies the next.
 *
 * Invariants: views of the heap are taken anew in each call, since memory that grows detaches them; whatever is sent has
 * been copied when `send` returns; no exception leaves an event handler. Nothing that comes from the other side is
 * believed: each type and length is checked before a byte is written, no memory is used that somebody else may still see
 * or resize, and the heap grows with the bytes that have come, not with those that are announced. A message that breaks
 * these rules ends its connection and no other. This file knows nothing of what frames mean, and is a script whose value is
 * a function: Python evaluates it and calls it with the values of `buffer_pool.js`, `wakefulness.js`, `arriving_parts.js`
 * and `frame_inlet.js` (workerlib/_channels/message_port.py).
 *
 * @typedef {object} Pool - ArrayBuffers that are kept for the next message (`buffer_pool.js`).
 * @property {number} least - How large the smallest of them are.
 * @property {(size: number) => ArrayBuffer} take - Takes out a buffer that has so many bytes or more.
 * @property {(buffer: ArrayBuffer) => void} put - Keeps a buffer that nobody else uses.
 * @property {() => Lent} open - Begins to count what goes and comes over a channel.
 *
 * @typedef {object} Lent - The memory of a channel (`buffer_pool.js`).
 * @property {ArrayBuffer[]} borrowed - Buffers of the other side's, to be used or given back.
 * @property {(size: number) => ArrayBuffer} take - Takes out a buffer that will go to the other side.
 * @property {(buffer: ArrayBuffer) => void} keep - Keeps a buffer that came, and out of which all has been copied.
 * @property {(parts: any[], transfer: Transferable[]) => void} giveBack - Appends what is owed to a message, and keeps the rest.
 * @property {() => void} close - Keeps what is there for other channels.
 *
 * @typedef {{around(handle: () => void): void}} Wakefulness - Runs what handles a message (`wakefulness.js`).
 *
 * @typedef {object} Coming - A message whose pieces are coming (`arriving_parts.js`).
 * @property {Uint8Array<ArrayBuffer>} frame - The frame.
 * @property {number[]} lengths - The length of each buffer, as in `SortedParts`.
 * @property {number} first - The number of its first buffer.
 * @property {number} largest - The number of bytes of its largest buffer that comes in pieces.
 * @property {boolean} isComplete - Whether all pieces have come.
 * @property {(piece: Uint8Array<ArrayBuffer>) => void} add - Takes in the next piece.
 *
 * @typedef {object} ArrivingParts - Checks of what the other side has posted (`arriving_parts.js`).
 * @property {number} IN_PIECES - From how many bytes on a buffer goes in pieces.
 * @property {number} PIECE - How large these are.
 * @property {(part: any, what: string) => Uint8Array<ArrayBuffer>} bytesOf - Checks that a part has bytes of its own.
 * @property {(buffer: any) => buffer is ArrayBuffer} isOwn - Tells whether only this side can write to memory.
 * @property {(parts: any[], largest: number) => SortedParts} sorted - Checks a message with parts, and sorts these.
 * @property {new (parts: SortedParts, first: number, place: PlaceOfPieces) => Coming} Coming - Puts pieces together.
 *
 * @typedef {Partial<InletHeap> & {HEAPU8: Uint8Array, addFunction?: AddFunction}} Heap - Pyodide's module: the memory, and what of it
 *   calls Python and is called by it.
 *
 * @typedef {(callback: (a: number, b: number, c: number, d: number) => number, types: string) => number} AddFunction - Puts a function into the table
 *   of functions of WebAssembly; returns its place.
 *
 * @typedef {object} Handlers - Functions of Python's.
 * @property {(size: number, first: number, ...lengths: number[]) => void} deliver - Takes a message: the frame's size, the
 *   number of its first buffer, and the length of each.
 * @property {(...sizes: number[]) => void} deliverAll - Takes frames that came in one message, which stand one behind the
 *   other in the inbox.
 * @property {(size: number) => number} room - Makes room for a frame, or for a buffer that comes in pieces; returns its
 *   address.
 * @property {(reason: string) => void} broken - Hears that nothing more can come.
 * @property {(beat: number) => void} beat - Hears a question for a sign of life, or an answer.
 * @property {(reason: string, ...error: string[]) => void} died - Hears that the other side has failed fatally, and the name and
 *   text of the error, if by one.
 *
 * @typedef {Record<keyof Handlers, (number: number, ...values: any[]) => any>} Hearing - The same for all channels: each is called
 *   with a channel's number first.
 *
 * @typedef {{listen(listener: (reason: string, error?: unknown) => void): () => void}} FatalWatch - Tells when this Python has failed fatally
 *   (javascript/src/fatal_errors.ts).
 *
 * @typedef {{object?: any, refused?: string}} Transferred - An object that is transferred, or why it could not be.
 *
 * @typedef {Pick<MessagePort, "postMessage" | "addEventListener" | "removeEventListener"> & {start?: () => void,
 *   close?: () => void}} Port
 */

(
  /** @type {Pool} */ pool,
  /** @type {Wakefulness} */ wakefulness,
  /** @type {ArrivingParts} */ arriving,
  /** @type {new (heap: InletHeap, inlet: number, inbox: number) => FrameInlet} */ Inlet,
  /** @type {Hearing | undefined} */ hearing,
) => {
  /** From how many bytes on a part is transferred: below, two copies of a clone are cheaper than a transfer. */
  const TRANSFERRED = pool.least;
  const { IN_PIECES, PIECE, bytesOf, isOwn, sorted, Coming } = arriving;
  /** The number of parts that a message has at most: an array can say that it has billions, and have none. */
  const MOST_PARTS = 1 << 17;
  /**
   * The largest number of bytes of frames in one message, and of frames of one event, so that the event loop handles other
   * events, too. If the first frame goes alone, fewer frames follow it at first: the other side has nothing else to do.
   */
  const TOGETHER = 8 << 10;
  const MOST_TOGETHER = 16;
  const SECOND_TOGETHER = 8;

  /** @type {Port} The port of a Python that has failed fatally. */
  const MUTE = { postMessage() {}, addEventListener() {}, removeEventListener() {} };
  /**
   * The open channels by number, for Python: it may send by one that has been closed.
   *
   * @type {Map<number, Channel>}
   */
  const channels = new Map();
  /** The number of the channel that is opened next. */
  let next = 1;
  /** @type {number | undefined} The place of `post` in the table of functions of WebAssembly. */
  let poster;

  /**
   * Sends a small frame, called by WebAssembly; returns 1 if that failed, and Python is to see how.
   *
   * @param {number} number - The channel's number.
   * @param {number} address - The frame's address.
   * @param {number} length - Its length; with a length of 0, what is kept is sent now.
   * @param {number} how - When: 0 for now, 1 for together with others of the same event (`hold`), 2 for together with the next
   *   ones (`add`), 3 for together with others of the same event, the first too (`holdAll`).
   * @returns {number} Whether it failed.
   */
  const post = (number, address, length, how) => {
    const channel = channels.get(number);
    try {
      if (length === 0) {
        channel?.flush();
        channel?.returnSoon();
      } else if (how === 1) channel?.hold(address, length);
      else if (how === 2) channel?.add(address, length);
      else if (how === 3) channel?.holdAll(address, length);
      else channel?.send(address, length);
      return 0;
    } catch {
      return 1;
    }
  };

  /**
   * Gives the handlers of a channel.
   *
   * @param {number} number - The channel's number in Python.
   * @returns {Handlers} Functions that call those of all channels.
   */
  const numbered = (number) => {
    const { deliver, deliverAll, room, broken, beat, died } = /** @type {Hearing} */ (hearing);
    return {
      deliver: (...values) => deliver(number, ...values),
      deliverAll: (...sizes) => deliverAll(number, ...sizes),
      room: (size) => room(number, size),
      broken: (reason) => broken(number, reason),
      beat: (beat_) => beat(number, beat_),
      died: (...told) => died(number, ...told),
    };
  };

  /** The length of the other side's words about its end that is passed on. */
  const LONGEST_REASON = 1000;

  /** One end of a channel. */
  class Channel {
    /**
     * @param {Heap} heap - Pyodide's module.
     * @param {Port} port - Nobody else may listen to it.
     * @param {Handlers} handlers - What Python does.
     * @param {FatalWatch} [fatal] - Says when there is no Python any more.
     */
    constructor(heap, port, handlers, fatal) {
      this.heap = heap;
      this.port = port;
      this.handlers = handlers;
      /** @type {Map<number, Uint8Array | Transferred>} Parts that Python has not taken yet, by number. */
      this.arrived = new Map();
      this.next = 0;
      /** Buffers that came, to be used or given back. */
      this.memory = pool.open();
      /** Whether they are about to be given back. */
      this.isReturning = false;
      /** The address in Python's memory to which small frames are written. */
      this.inbox = 0;
      this.inboxSize = 0;
      /** @type {number[]} The sizes of small frames that go together, at the end of this event at the latest. */
      this.held = [];
      /** @type {Uint8Array<ArrayBuffer> | undefined} Memory in which they stand, one behind the other. */
      this.heldFrames = undefined;
      this.heldBytes = 0;
      /** The number of these that go together. */
      this.mostHeld = MOST_TOGETHER;
      /** Whether one of this event has been sent. */
      this.isHolding = false;
      /** @type {FrameInlet | undefined} What takes in frames without buffers; undefined if they are delivered like others. */
      this.inlet = undefined;
      /** The number by which Python names this channel. */
      this.number = next;
      next += 1;
      /** @type {Coming | null} The message whose pieces are coming. */
      this.coming = null;
      /** The number of bytes that the largest buffer had that has come in pieces. */
      this.largest = 0;
      this.isClosed = false;
      /** Whether the other side has broken the rules: nothing more of it is read. */
      this.isBroken = false;
      this.onMessage = (/** @type {any} */ event) => wakefulness.around(() => this.receive(event.data));
      this.stopWatching = fatal?.listen((reason, error) => this.die(reason, error));
      this.onError = () => this.fail("a message could not be read by the browser (messageerror)");
    }

    /**
     * Starts to deliver.
     *
     * @param {number} inbox - The address where small frames are put.
     * @param {number} inboxSize - How large they may be.
     */
    listen(inbox, inboxSize) {
      [this.inbox, this.inboxSize] = [inbox, inboxSize];
      this.port.addEventListener("message", this.onMessage);
      this.port.addEventListener("messageerror", this.onError);
      this.port.start?.();
    }

    /**
     * Has small frames go past the handlers, by Python's C interface: without proxies, which take as long as the rest.
     *
     * @param {number} inlet - The address of an object of Python's that is called when a frame is in the inbox, and its size
     *   in the four bytes before. It lives until the channel is closed.
     * @returns {[number, number] | undefined} The place of a function that sends a frame, and what it knows the channel by.
     */
    shorten(inlet) {
      const { addFunction, _PyObject_CallNoArgs, _PyBytes_FromStringAndSize } = this.heap;
      if (addFunction === undefined || _PyObject_CallNoArgs === undefined) return undefined;
      if (_PyBytes_FromStringAndSize === undefined) return undefined;
      poster ??= addFunction(post, "iiiii");
      channels.set(this.number, this);
      this.inlet = new Inlet(/** @type {InletHeap} */ (this.heap), inlet, this.inbox);
      return [poster, this.number];
    }

    /**
     * Sends a frame without buffers.
     *
     * @param {number} address - Where it is.
     * @param {number} length - How many bytes it has.
     */
    send(address, length) {
      const { heap } = this;
      this.flush();
      if (length >= TRANSFERRED) {
        const copy = this.copy(heap.HEAPU8, address, length);
        this.port.postMessage(copy, [copy.buffer]);
      } else this.port.postMessage(heap.HEAPU8.slice(address, address + length));
      this.returnSoon();
    }

    /**
     * Sends a frame without buffers together with others of the same event. The first goes at once: the other side can begin.
     *
     * @param {number} address - Where it is.
     * @param {number} length - How many bytes it has.
     */
    hold(address, length) {
      if (this.isHolding && length < TRANSFERRED) {
        this.add(address, length);
        if (this.held.length >= this.mostHeld) {
          this.flush();
          this.mostHeld = MOST_TOGETHER;
        }
        return;
      }
      this.send(address, length);
      if (!this.isHolding) this.mostHeld = SECOND_TOGETHER;
      this.releaseSoon();
    }

    /**
     * Sends a frame without buffers together with others of the same event, also if it is the first.
     *
     * @param {number} address - Where it is.
     * @param {number} length - How many bytes it has.
     */
    holdAll(address, length) {
      if (length < TRANSFERRED) this.releaseSoon();
      this.hold(address, length);
    }

    /** Has what is held sent at the end of the event. */
    releaseSoon() {
      if (this.isHolding) return;
      this.isHolding = true;
      queueMicrotask(() => this.release());
    }

    /**
     * Has a frame go together with others that are small, too.
     *
     * @param {number} address - Where it is.
     * @param {number} length - How many bytes it has.
     */
    add(address, length) {
      if (this.heldBytes + length > TOGETHER) this.flush();
      if (length > TOGETHER) {
        this.send(address, length);
        return;
      }
      this.heldFrames ??= new Uint8Array(TOGETHER);
      this.heldFrames.set(this.heap.HEAPU8.subarray(address, address + length), this.heldBytes);
      this.held.push(length);
      this.heldBytes += length;
    }

    /** Sends what is held, at the end of the event. */
    release() {
      this.isHolding = false;
      this.mostHeld = MOST_TOGETHER;
      try {
        this.flush();
      } catch (error) {
        this.fail(`the channel failed: ${error}`);
      }
    }

    /** Sends what is held. */
    flush() {
      const { held, heldBytes, heldFrames } = this;
      if (held.length === 0 || heldFrames === undefined) return;
      this.held = [];
      this.heldBytes = 0;
      const frames = heldFrames.slice(0, heldBytes);
      this.port.postMessage(held.length === 1 ? frames : [held, frames]);
    }

    /** Has what was borrowed given back at the end of this event: a large answer may follow at once, which can use it. */
    returnSoon() {
      if (this.memory.borrowed.length === 0 || this.isReturning) return;
      this.isReturning = true;
      queueMicrotask(() => this.returnBorrowed());
    }

    /** Gives back what was borrowed and is not needed. */
    returnBorrowed() {
      this.isReturning = false;
      /** @type {any[]} */
      const parts = [false];
      /** @type {Transferable[]} */
      const transfer = [];
      this.memory.giveBack(parts, transfer);
      if (transfer.length === 0) return;
      try {
        this.port.postMessage(parts, transfer);
      } catch (error) {
        this.fail(`memory could not be given back: ${error}`);
      }
    }

    /**
     * Sends frames without buffers: the small ones that follow each other in one message, which costs little more than
     * that of one.
     *
     * @param {...number} regions - Address and length of each.
     */
    sendTogether(...regions) {
      this.flush();
      for (let index = 0; index < regions.length; index += 2) {
        this.add(.../** @type {[number, number]} */ (regions.slice(index, index + 2)));
      }
      this.flush();
      this.returnSoon();
    }

    /**
     * Sends a frame and its buffers.
     *
     * @param {...any} regions - Address, length, and whether it may go in pieces (0 or 1), of the frame and each buffer;
     *   of an object that is to be transferred: the object, -1, 0.
     */
    sendAll(...regions) {
      this.flush();
      const heap = this.heap.HEAPU8;
      /** @type {any[]} */
      const parts = [];
      /** @type {Transferable[]} */
      const transfer = [];
      /** @type {Transferred[]} */
      const objects = [];
      const large = [];
      for (let index = 0; index < regions.length; index += 3) {
        const [address, length, inPieces] = regions.slice(index, index + 3);
        if (length < 0) {
          const part = { object: address };
          parts.push(part);
          objects.push(part);
        } else if (inPieces && length >= IN_PIECES) {
          parts.push(length);
          large.push([address, length]);
        } else if (length < TRANSFERRED) {
          parts.push(heap.slice(address, address + length));
        } else {
          const copy = this.copy(heap, address, length);
          parts.push(copy);
          transfer.push(copy.buffer);
        }
      }
      // An object of the user's may have memory inside of it: what is given back comes in a message of its own.
      if (large.length === 0 && objects.length === 0) this.memory.giveBack(parts, transfer);
      if (objects.length > 0) this.postWithObjects(parts, transfer, objects);
      else this.port.postMessage(parts, transfer);
      for (const [address, length] of /** @type {[number, number][]} */ (large)) {
        for (let start = 0; start < length; start += PIECE) {
          const piece = this.copy(heap, address + start, Math.min(PIECE, length - start));
          this.port.postMessage([null, piece], [piece.buffer]);
        }
      }
    }

    /**
     * Sends a message that has objects of the user's, or says in their place why they cannot be sent.
     *
     * @param {any[]} parts - The message.
     * @param {Transferable[]} transfer - Its transfer list.
     * @param {Transferred[]} objects - Those of its parts that have objects.
     */
    postWithObjects(parts, transfer, objects) {
      const moved = objects
        .map(({ object }) => (ArrayBuffer.isView(object) ? object.buffer : object))
        // The browser clones a File or a Blob, and the clone shares its bytes.
        .filter((object) => !(object instanceof Blob));
      try {
        this.port.postMessage(parts, [...transfer, ...moved]);
      } catch (error) {
        // Nothing has been sent nor detached then: the standard's StructuredSerializeWithTransfer checks first.
        for (const part of objects) {
          delete part.object;
          part.refused = `the sender could not transfer it: ${error}`;
        }
        this.port.postMessage(parts, transfer);
      }
    }

    /**
     * Copies out of the heap, into memory that can be transferred.
     *
     * @param {Uint8Array} heap - The memory.
     * @param {number} address - Where from.
     * @param {number} length - How many bytes.
     * @returns {Uint8Array<ArrayBuffer>} The copy.
     */
    copy(heap, address, length) {
      const copy = new Uint8Array(this.memory.take(length), 0, length);
      copy.set(heap.subarray(address, address + length));
      return copy;
    }

    /**
     * Takes in what the other side posted: a frame; frames in one; a frame, buffers, and memory that is given back; a piece;
     * or memory alone.
     *
     * @param {any} message - What was posted.
     */
    receive(message) {
      if (this.isClosed || this.isBroken) return;
      try {
        if (message instanceof Uint8Array) {
          this.requireNoPieces();
          this.deliver(bytesOf(message, "a frame"), this.next, []);
          return;
        }
        if (!Array.isArray(message)) throw new TypeError("neither a frame nor parts");
        if (message.length > MOST_PARTS) throw new TypeError(`a message of ${message.length} parts`);
        const [head] = message;
        if (head === null) {
          this.fill(message);
          return;
        }
        this.requireNoPieces();
        if (head === false) this.takeBack(message.slice(1));
        else if (head === true) this.hearDeath(message.slice(1, 4));
        else if (typeof head === "number") this.handlers.beat(head);
        else if (Array.isArray(head)) this.deliverAll(head, message);
        else this.begin(message);
      } catch (error) {
        this.fail(`a message could not be taken in: ${error}`);
      }
    }

    /** Checks that no pieces are to come: they follow their message at once. */
    requireNoPieces() {
      if (this.coming !== null) throw new Error("a message before the last piece of another one");
    }

    /**
     * Puts memory that is given back into the pool.
     *
     * @param {any[]} buffers - It, each once.
     */
    takeBack(buffers) {
      // `every` would not look at what an array lacks.
      if (buffers.findIndex((buffer) => !isOwn(buffer)) >= 0) throw new TypeError("what is given back is not memory");
      for (const buffer of buffers) this.memory.keep(buffer);
    }

    /**
     * Takes in a message with parts, and delivers it unless pieces of it are to come. All of it is checked before anything is kept.
     *
     * @param {any[]} parts - The frame; buffers, or their lengths if they come in pieces; memory that is given back.
     */
    begin(parts) {
      const checked = sorted(parts, this.largest);
      for (const buffer of checked.returned) this.memory.keep(buffer);
      const number = this.next;
      for (const part of checked.arrived) {
        this.arrived.set(this.next, part);
        this.next += 1;
      }
      if (checked.rooms.length > 0) this.coming = new Coming(checked, number, this);
      else this.deliver(checked.frame, number, checked.lengths);
    }

    /**
     * Takes in a piece; the last one completes the message.
     *
     * @param {any[]} message - A mark, and what comes next.
     */
    fill(message) {
      const { coming } = this;
      if (coming === null) throw new Error("a piece of no message");
      coming.add(bytesOf(message[1], "a piece"));
      if (!coming.isComplete) return;
      this.coming = null;
      this.largest = Math.max(this.largest, coming.largest);
      this.deliver(coming.frame, coming.first, coming.lengths);
    }

    /**
     * Hands a message to Python.
     *
     * @param {Uint8Array<ArrayBuffer>} frame - The frame.
     * @param {number} first - The number of its first buffer.
     * @param {number[]} lengths - The lengths of all.
     */
    deliver(frame, first, lengths) {
      const { inbox, inboxSize, inlet } = this;
      const size = frame.length;
      const isInlet = inlet !== undefined && lengths.length === 0;
      if (isInlet && size > inboxSize) {
        const object = inlet.copy(frame);
        this.memory.keep(frame.buffer);
        inlet.enterObject(object);
        return;
      }
      // Memory may grow, and move.
      const address = size <= inboxSize ? inbox : this.handlers.room(size);
      this.heap.HEAPU8.set(frame, address);
      if (size >= TRANSFERRED) this.memory.keep(frame.buffer);
      if (isInlet) inlet.enter(size);
      else this.handlers.deliver(size, first, ...lengths);
    }

    /**
     * Hands frames that came in one message to Python.
     *
     * @param {any[]} sizes - The size of each.
     * @param {any[]} message - They, and the frames one behind the other.
     */
    deliverAll(sizes, message) {
      const frames = bytesOf(message[1], "frames");
      const most = Math.min(TOGETHER, this.inboxSize);
      let total = sizes.length > most ? NaN : 0;
      for (let index = 0; index < sizes.length && total <= most; index += 1) {
        const size = sizes[index];
        total += Number.isSafeInteger(size) && size > 0 ? size : NaN;
      }
      if (frames.length !== total || total > most) {
        throw new TypeError("frames of other sizes than they should have");
      }
      if (this.inlet === undefined) {
        this.heap.HEAPU8.set(frames, this.inbox);
        this.handlers.deliverAll(...sizes);
      } else this.inlet.enterTogether(sizes, frames);
    }

    /**
     * Copies a buffer that arrived into the heap, and forgets it.
     *
     * @param {number} number - Which.
     * @param {number} address - Where to; negative for nowhere.
     */
    take(number, address) {
      const buffer = this.arrived.get(number);
      if (buffer === undefined) {
        // To let go of what a closed channel has forgotten already is not a mistake.
        if (address < 0) return;
        throw new Error(`buffer ${number} was taken before`);
      }
      this.arrived.delete(number);
      if (!(buffer instanceof Uint8Array)) {
        if (address >= 0) throw new Error(`buffer ${number} is an object`);
        return;
      }
      if (address >= 0) this.heap.HEAPU8.set(buffer, address);
      if (buffer.byteLength >= TRANSFERRED) this.memory.keep(/** @type {ArrayBuffer} */ (buffer.buffer));
    }

    /**
     * Takes out an object that arrived.
     *
     * @param {number} number - Which.
     * @returns {any} The object.
     */
    takeObject(number) {
      const part = this.arrived.get(number);
      this.arrived.delete(number);
      if (part === undefined || part instanceof Uint8Array) throw new Error(`buffer ${number} is not an object`);
      if (part.refused !== undefined) throw new Error(part.refused);
      return part.object;
    }

    /** Closes the port; what was posted before is delivered. */
    close() {
      if (this.isClosed) return;
      this.release();
      this.stopListening();
      channels.delete(this.number);
      this.inlet = undefined;
      this.port.close?.();
      this.arrived.clear();
      this.memory.close();
      this.coming = null;
    }

    /**
     * Asks for a sign of life, or gives one.
     *
     * @param {number} beat - 1 for a question, 2 for an answer.
     */
    beat(beat) {
      this.port.postMessage([beat]);
    }

    /** Lets nothing reach Python from now on. */
    stopListening() {
      this.isClosed = true;
      this.stopWatching?.();
      this.port.removeEventListener("message", this.onMessage);
      this.port.removeEventListener("messageerror", this.onError);
    }

    /**
     * Tells the other side that this Python has failed fatally. Nothing is sent after that, whatever this Python still does.
     *
     * @param {string} reason - Why.
     * @param {unknown} error - The error by which it failed, if by one.
     */
    die(reason, error) {
      this.release();
      const { name, message } = Object(error);
      this.port.postMessage([true, reason, ...(typeof name === "string" && typeof message === "string" ? [name, message] : [])]);
      this.stopListening();
      this.port = MUTE;
    }

    /**
     * Tells Python that the other side has failed fatally.
     *
     * @param {any[]} told - Why, in the other side's words, and the name and text of its error, if it has told one.
     */
    hearDeath(told) {
      // `every` would not look at what an array lacks.
      if (told.length === 0 || told.findIndex((text) => typeof text !== "string") >= 0) throw new TypeError("a death without a reason");
      this.isBroken = true;
      const [reason, ...error] = told.map((text) => text.slice(0, LONGEST_REASON));
      this.handlers.died(reason, ...error);
    }

    /**
     * Tells Python that nothing more can come.
     *
     * @param {string} reason - Why.
     */
    fail(reason) {
      if (this.isClosed || this.isBroken) return;
      this.isBroken = true;
      this.coming = null;
      try {
        this.handlers.broken(reason);
      } catch (error) {
        console.error(`workerlib: ${reason}; ${error}`);
      }
    }
  }

  return {
    /** Opens an end of a channel. */
    open: (/** @type {Heap} */ heap, /** @type {Port} */ port, /** @type {Handlers} */ handlers, /** @type {FatalWatch | undefined} */ fatal) =>
      new Channel(heap, port, handlers, fatal),
    /** Opens an end of a channel whose handlers are those of all channels, with its number. */
    openNumbered: (/** @type {Heap} */ heap, /** @type {Port} */ port, /** @type {number} */ number, /** @type {FatalWatch | undefined} */ fatal) =>
      new Channel(heap, port, numbered(number), fatal),
    pool,
  };
};
