// A hostile peer of workerlib/_channels/message_port.js: whatever it posts, no byte is written where none belongs, and no other
// connection of the same page is harmed: node --test. FUZZ_MESSAGES says how many messages are tried.
import assert from "node:assert/strict";
import { test } from "node:test";

import { evaluateChannel } from "./channel_script.mjs";

const MEGABYTE = 1 << 20;
const GUARD = 0xa5;
const INBOX = 8192;
const MESSAGES = Number(process.env.FUZZ_MESSAGES ?? 20_000);
const UNTOUCHED = Buffer.alloc(256 * MEGABYTE, GUARD);

/**
 * The memory of a Python whose every byte is guarded: what is written outside of the inbox, of a room or of a place that
 * was asked for is found.
 */
class GuardedMemory {
  HEAPU8 = new Uint8Array(1 << 15).fill(GUARD);
  top = 64;
  /** The places that may be written to: address and length. */
  places = [];
  delivered = [];
  reasons = [];
  made = 0;
  /** Runs when room is asked for: between what is checked and what is copied. */
  onRoom = () => {};

  place(size) {
    assert.ok(Number.isSafeInteger(size) && size >= 0, `room for ${size} bytes`);
    const address = this.top;
    this.top += size + 64;
    if (this.top > this.HEAPU8.length) {
      const grown = new Uint8Array(2 * this.top).fill(GUARD);
      grown.set(this.HEAPU8);
      this.HEAPU8 = grown;
    }
    this.places.push([address, size]);
    return address;
  }

  /** Checks that no byte outside of the places has been written. */
  check(what) {
    let start = 0;
    for (const [address, size] of [...this.places, [this.HEAPU8.length, 0]]) {
      const between = Buffer.from(this.HEAPU8.buffer, start, address - start);
      if (Buffer.compare(between, UNTOUCHED.subarray(0, between.length)) !== 0) {
        const at = between.findIndex((byte) => byte !== GUARD);
        assert.fail(`byte ${start + at} was written by ${what()}`);
      }
      start = address + size;
    }
  }

  /** Forgets what came: the places that were made since are guarded again. */
  reset(inbox) {
    for (const [address, size] of this.places) this.HEAPU8.fill(GUARD, address, address + size);
    this.places = [[inbox, INBOX]];
    this.top = inbox + INBOX + 64;
    this.delivered = [];
    this.reasons = [];
    this.made = 0;
    if (this.HEAPU8.length > MEGABYTE) this.HEAPU8 = new Uint8Array(1 << 15).fill(GUARD);
  }

  handlers = {
    deliver: (size, first, ...lengths) => {
      assert.ok(Number.isSafeInteger(size) && size >= 0);
      for (const length of lengths) assert.ok(Number.isSafeInteger(length), `a length of ${length}`);
      this.delivered.push({ size, first, lengths });
    },
    deliverAll: (...sizes) => {
      for (const size of sizes) assert.ok(Number.isSafeInteger(size) && size > 0, `a size of ${size}`);
      assert.ok(sizes.reduce((sum, size) => sum + size, 0) <= INBOX);
      this.delivered.push({ size: 0, first: 0, lengths: [] });
    },
    room: (size) => {
      this.made += size;
      const address = this.place(size);
      this.onRoom();
      return address;
    },
    broken: (reason) => this.reasons.push(reason),
    beat: (beat) => assert.equal(typeof beat, "number"),
    died: (reason, ...error) => {
      assert.ok(error.length <= 2);
      for (const text of error) assert.ok(typeof text === "string" && text.length <= 1000);
      assert.ok(typeof reason === "string" && reason.length <= 1000);
      this.reasons.push(reason);
    },
  };
}

/** A port in the test's hands: what is posted is kept, what is said is heard at once, as a clone. */
class Port {
  posted = [];
  listeners = new Map();

  addEventListener(type, listener) {
    this.listeners.set(type, listener);
  }

  removeEventListener(type) {
    this.listeners.delete(type);
  }

  postMessage(data, transfer = []) {
    this.posted.push(structuredClone(data, { transfer }));
  }

  say(message) {
    this.listeners.get("message")?.({ data: structuredClone(message) });
  }
}

function open(script) {
  const memory = new GuardedMemory();
  const port = new Port();
  const channel = script.open(memory, port, memory.handlers);
  const inbox = memory.place(INBOX);
  channel.listen(inbox, INBOX);
  return { memory, port, channel, inbox };
}

/** Takes out what was delivered, as Python does: into a place of just the length that was told. */
function takeAll({ memory, channel }, what) {
  for (const { first, lengths } of memory.delivered) {
    let number = first;
    for (const length of lengths) {
      if (length < 0) continue;
      try {
        const place = memory.place(length);
        channel.take(number, place);
      } catch (error) {
        assert.match(String(error), /is an object/, what());
      }
      number += 1;
    }
  }
  memory.delivered = [];
}

/** Random numbers that are the same in each run. */
function generator(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const PATTERN = Uint8Array.from({ length: 64 << 10 }, (_, index) => (index * 31) & 255);
const bytes = (length, seed = 1) => PATTERN.slice(seed & 255, (seed & 255) + length);

const shared = () => new SharedArrayBuffer(64, { maxByteLength: 4 * MEGABYTE });
const resizable = () => new ArrayBuffer(64, { maxByteLength: 4 * MEGABYTE });
const whole = bytes(10_000);
const sparse = Object.assign([], { length: 2 ** 32 - 1 });

/** Makes values that a hostile peer puts where something else is expected. */
const HOSTILE = [
  ...[null, undefined, true, false, "", "text", NaN, Infinity, -Infinity, -0, 0, 1, -1, -5, 1.5, 2 ** 31, 2 ** 32],
  ...[2 ** 53, -(2 ** 53), 10n, -3_000_000, 1_500_000_000, 2 * MEGABYTE, 5 * MEGABYTE, 2 * MEGABYTE + 0.5],
  ...[[], {}, [null], sparse, new Map(), new Date(0), /a/, new Error("text")],
  ...[{ length: -3_000_000 }, { length: 10 }, { byteLength: 5 }, { buffer: whole.buffer, length: 3 }],
  ...[{ object: 1 }, { object: whole.buffer }, { refused: "so" }, { refused: 3 }, { object: [whole] }, { refused: {} }],
  ...[new Uint8Array(0), bytes(7), whole, new Uint8Array(whole.buffer, 100, 9000), bytes(9000).subarray(5, 8990)],
  ...[new Float64Array(4), new Uint16Array(9000), new DataView(new ArrayBuffer(20)), new Uint8ClampedArray(5)],
  ...[new ArrayBuffer(0), new ArrayBuffer(9000), whole.buffer, new Uint8Array(MEGABYTE), new Uint8Array(MEGABYTE + 1)],
].map((value) => () => value);
HOSTILE.push(() => new Uint8Array(shared()), () => new Uint8Array(resizable()), () => new Uint8Array(shared(), 0, 8));
HOSTILE.push(shared, resizable);

/** Messages as a good peer posts them. */
function goodMessage(random) {
  const frame = bytes(random(2) ? random(200) + 1 : random(3 * INBOX) + 1);
  switch (random(8)) {
    case 7:
      return [true, ...Array.from({ length: random(4) + 1 }, () => "x".repeat(random(3000)))];
    case 0:
      return frame;
    case 1:
      return [[3, 4, 5], bytes(12)];
    case 2:
      return [false, new ArrayBuffer(9000), new ArrayBuffer(20_000)];
    case 3:
      return [frame, 2 * MEGABYTE];
    case 4:
      return [null, new Uint8Array(MEGABYTE)];
    case 5:
      return [frame, bytes(random(20_000)), { object: new ArrayBuffer(5) }, bytes(10)];
    default:
      return [frame, bytes(random(20_000)), bytes(random(200)), new ArrayBuffer(9000)];
  }
}

/** Replaces, repeats, removes or adds something, somewhere. */
function mutated(message, random) {
  const value = () => HOSTILE[random(HOSTILE.length)]();
  if (random(20) === 0) return value();
  const parts = Array.isArray(message) ? [...message] : [message];
  for (let turn = random(3); turn >= 0; turn -= 1) {
    const index = random(parts.length + 1);
    switch (random(5)) {
      case 0:
        parts.splice(index, 1);
        break;
      case 1:
        parts.splice(index, 0, value());
        break;
      case 2:
        if (Array.isArray(parts[0]) && parts[0].length < 100) parts[0] = [...parts[0].slice(1), value()];
        break;
      case 3: {
        // Two parts that have the same memory.
        const other = parts[random(parts.length)];
        parts.splice(index, 0, ArrayBuffer.isView(other) && random(2) ? other.buffer : other);
        break;
      }
      default:
        parts[index] = value();
    }
  }
  return parts;
}

function shown(message) {
  const show = (part) => {
    if (ArrayBuffer.isView(part)) return `${part.constructor.name}(${part.byteLength} of ${part.buffer.constructor.name})`;
    if (part instanceof ArrayBuffer || part instanceof SharedArrayBuffer) return `${part.constructor.name}(${part.byteLength})`;
    if (Array.isArray(part)) return part.length > 100 ? `Array(${part.length})` : `[${part.map(show).join(", ")}]`;
    if (typeof part === "object" && part !== null) return `{${Object.keys(part)}}`;
    return String(part);
  };
  return show(message);
}

/** The buffers that a message has at its top. */
const buffersOf = (message) =>
  [message].flat().flatMap((part) => (ArrayBuffer.isView(part) ? [part.buffer] : part instanceof SharedArrayBuffer ? [part] : []));

test(`no byte is written where none belongs, in ${MESSAGES} hostile messages`, () => {
  const script = evaluateChannel();
  const random = generator(20261128);
  let [hostile, taken] = [open(script), 0];
  for (let number = 0; number < MESSAGES; number += 1) {
    const message = random(8) === 0 ? goodMessage(random) : mutated(goodMessage(random), random);
    const said = () => `message ${number}: ${shown(message)}`;
    // Memory that both sides see grows as soon as its length has been looked at.
    hostile.memory.onRoom = () => {
      for (const buffer of buffersOf(message)) if (buffer.growable && buffer.byteLength < MEGABYTE) buffer.grow(MEGABYTE);
    };
    const before = hostile.memory.top;
    try {
      hostile.port.say(message);
    } catch (error) {
      assert.fail(`${said()} was thrown out of the event handler: ${error}`);
    }
    taken += hostile.memory.delivered.length;
    takeAll(hostile, said);
    if (hostile.memory.top !== before || number % 16 === 0) hostile.memory.check(said);
    assert.ok(hostile.memory.reasons.length <= 1, `${said()} broke the channel more than once`);
    if (hostile.memory.reasons.length > 0) {
      hostile.channel.close();
      const { memory, inbox } = hostile;
      memory.check(said);
      memory.reset(inbox);
      const port = new Port();
      hostile = { memory, inbox, port, channel: script.open(memory, port, memory.handlers) };
      hostile.channel.listen(inbox, INBOX);
    } else if (hostile.channel.coming === null) {
      hostile.memory.reset(hostile.inbox);
    }
    script.pool.buffers.forEach((buffer) => assert.ok(buffer instanceof ArrayBuffer && !buffer.resizable, said()));
    assert.equal(new Set(script.pool.buffers).size, script.pool.buffers.length, said());
  }
  assert.ok(taken > MESSAGES / 20, `only ${taken} messages were delivered: the good ones are refused too`);
});

test("a hostile connection harms no other one of the same page, which shares its pool", () => {
  const script = evaluateChannel();
  const random = generator(7);
  for (let number = 0; number < 2000; number += 1) {
    const hostile = open(script);
    for (let turn = random(4); turn >= 0; turn -= 1) {
      const message = mutated(goodMessage(random), random);
      hostile.port.say(message);
      takeAll(hostile, () => shown(message));
    }
    const good = open(script);
    const contents = [bytes(9000, number), bytes(20_000, number + 1), bytes(9100, number + 2)];
    const places = contents.map((content) => {
      const address = good.memory.place(content.length);
      good.memory.HEAPU8.set(content, address);
      return [address, content.length, 0];
    });
    good.channel.sendAll(...places[0], ...places[1], ...places[2]);
    const [posted] = good.port.posted;
    assert.deepEqual(posted.slice(0, 3), contents);
    hostile.channel.close();
    good.channel.close();
  }
});

// Each of these was written outside of its buffer, or into memory that somebody else sees, before it was checked.
const frame = bytes(10);
for (const [what, messages] of Object.entries({
  "a piece that only has a length": () => [[frame, 5 * MEGABYTE], [null, { length: -3_000_000 }]],
  "a piece that is longer than what is missing": () => [[frame, 2 * MEGABYTE], [null, new Uint8Array(3 * MEGABYTE)]],
  "a piece of another size": () => [[frame, 2 * MEGABYTE], [null, bytes(17)]],
  "a piece of other elements": () => [[frame, 2 * MEGABYTE], [null, new Float64Array(MEGABYTE / 8)]],
  "a piece that both sides see": () => [[frame, 2 * MEGABYTE], [null, new Uint8Array(new SharedArrayBuffer(MEGABYTE))]],
  "sizes of which one is negative": () => [[[-5, 10], bytes(5)]],
  "sizes that are not integers": () => [[[2.5, 2.5], bytes(5)]],
  "sizes that are missing": () => [[Object.assign([], { 1: 5 }), bytes(5)]],
  "a billion sizes": () => [[Object.assign([], { length: 2 ** 32 - 1 }), bytes(5)]],
  "a billion parts": () => [Object.assign([frame], { length: 2 ** 32 - 1 })],
  "a negative length": () => [[frame, -2 * MEGABYTE]],
  "a length that is not a number of bytes": () => [[frame, 2 * MEGABYTE + 0.5]],
  "two buffers in the same memory": () => {
    const buffer = bytes(20_000);
    return [[frame, buffer, buffer.subarray(0, 9000)]];
  },
  "a buffer whose memory is given back beside it": () => {
    const buffer = bytes(20_000);
    return [[frame, buffer, buffer.buffer]];
  },
  "memory that both sides see, given back": () => [[false, new SharedArrayBuffer(20_000)]],
  "memory that can be resized, given back": () => [[frame, new ArrayBuffer(9000, { maxByteLength: 20_000 })]],
  "memory of an object's, given back beside it": () => {
    const buffer = new ArrayBuffer(20_000);
    return [[frame, { object: [buffer] }, buffer]];
  },
  "a message between the pieces of another one": () => [[frame, 2 * MEGABYTE], frame],
  "a second message in pieces before the first has come": () => [
    [frame, 2 * MEGABYTE],
    [frame, 2 * MEGABYTE],
  ],
})) {
  test(`${what} ends the connection, and nothing is written`, () => {
    const script = evaluateChannel();
    const peer = open(script);
    for (const message of messages()) peer.port.say(message);
    assert.equal(peer.memory.reasons.length, 1, "the channel did not notice");
    assert.match(peer.memory.reasons[0], /could not be taken in/);
    assert.deepEqual(peer.memory.delivered, []);
    peer.memory.places = [];
    peer.memory.check(() => what);
    assert.equal(script.pool.bytes, 0);
    peer.port.say(frame);
    assert.deepEqual(peer.memory.delivered, [], "nothing more is read");
    assert.equal(peer.memory.reasons.length, 1);
  });
}

test("of a death that a peer tells, three texts of 1,000 characters are taken", () => {
  const peer = open(evaluateChannel());
  let heard;
  peer.memory.handlers.died = (...told) => (heard = told);
  peer.port.say([true, ...Array.from({ length: 100_000 }, () => "x".repeat(5000))]);
  assert.deepEqual(heard, ["x", "x", "x"].map((text) => text.repeat(1000)));
  assert.deepEqual(peer.memory.reasons, []);
  peer.channel.close();
});

test("room grows as pieces come: a length alone costs nothing", () => {
  const peer = open(evaluateChannel());
  peer.port.say([frame, 1_500_000_000, 1_000_000_000]);
  assert.equal(peer.memory.made, 0);
  const most = 16 * MEGABYTE;
  for (let came = 1; came <= 3; came += 1) {
    peer.port.say([null, new Uint8Array(MEGABYTE)]);
    assert.ok(peer.memory.made <= most + 4 * came * MEGABYTE, `${peer.memory.made} bytes for ${came} MiB`);
  }
  assert.deepEqual(peer.memory.reasons, []);
  peer.channel.close();
});

test("a length that has come whole before is believed at once: no piece waits", () => {
  const peer = open(evaluateChannel());
  const sayPieces = (count) => {
    for (let number = 0; number < count; number += 1) peer.port.say([null, new Uint8Array(MEGABYTE).fill(number + 1)]);
  };
  peer.port.say([frame, 40 * MEGABYTE]);
  sayPieces(9);
  assert.equal(peer.memory.made, 0);
  sayPieces(31);
  const made = peer.memory.made;
  assert.ok(made >= 40 * MEGABYTE);
  peer.port.say([frame, 40 * MEGABYTE]);
  sayPieces(1);
  assert.ok(peer.memory.made >= made + 40 * MEGABYTE, "room is made with the first piece");
  sayPieces(39);
  peer.port.say([frame, 41 * MEGABYTE]);
  const before = peer.memory.made;
  sayPieces(1);
  assert.equal(peer.memory.made, before, "a longer one is not believed");
  peer.channel.close();
});

test("a large buffer arrives whole, though room for it is made late", () => {
  const peer = open(evaluateChannel());
  const [length, pieces] = [70 * MEGABYTE + 3, 71];
  peer.port.say([frame, length]);
  let checked = false;
  for (let number = 0; number < pieces; number += 1) {
    const piece = new Uint8Array(number < 70 ? MEGABYTE : 3).fill(number + 1);
    peer.port.say([null, piece]);
    checked ||= number === 10 && peer.memory.made === 0;
  }
  assert.ok(checked, "room was made before enough had come");
  assert.deepEqual(peer.memory.delivered, [{ size: frame.length, first: 0, lengths: [-length] }]);
  const [address] = peer.memory.places[1];
  for (const number of [0, 1, 10, 16, 17, 18, 69]) {
    assert.equal(peer.memory.HEAPU8[address + number * MEGABYTE], number + 1);
    assert.equal(peer.memory.HEAPU8[address + (number + 1) * MEGABYTE - 1], number + 1);
  }
  assert.equal(peer.memory.HEAPU8[address + length - 1], 71);
  peer.memory.check(() => "the pieces");
});

test("the reason of a death is cut, however long it is", () => {
  const peer = open(evaluateChannel());
  peer.port.say([true, "x".repeat(5_000_000)]);
  assert.deepEqual(peer.memory.reasons, ["x".repeat(1000)]);
});
