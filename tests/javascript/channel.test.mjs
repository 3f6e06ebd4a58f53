// Tests of workerlib/_channels/message_port.js, with memory and handlers that are JavaScript's own: node --test.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageChannel } from "node:worker_threads";

import { evaluateChannel } from "./channel_script.mjs";

const MEGABYTE = 1 << 20;
const LIMIT = { timeout: 10_000 * Number(process.env.WORKERLIB_TEST_PACE ?? 1) };

/** A Python, as far as a channel knows it: memory, and functions that note what they are called with. */
class Memory {
  HEAPU8 = new Uint8Array(1 << 16);
  top = 1 << 12;
  delivered = [];
  rooms = [];
  reasons = [];
  /** @type {string[][]} */
  deaths = [];
  heard = () => {};

  /** Makes room, in memory that moves whenever it grows. */
  place(size) {
    const address = this.top;
    this.top += size;
    if (this.top > this.HEAPU8.length) {
      const grown = new Uint8Array(2 * this.top);
      grown.set(this.HEAPU8);
      // A view of the old memory reads nonsense.
      this.HEAPU8.fill(0xee);
      this.HEAPU8 = grown;
    }
    return address;
  }

  write(bytes) {
    const address = this.place(bytes.length);
    this.HEAPU8.set(bytes, address);
    return address;
  }

  read(address, length) {
    return this.HEAPU8.slice(address, address + length);
  }

  handlers = {
    deliver: (size, first, ...lengths) => {
      this.delivered.push({ size, first, lengths, rooms: this.rooms });
      this.rooms = [];
      this.heard();
    },
    deliverAll: (...sizes) => {
      // The next message is put in the same place.
      let address = this.inbox;
      for (const size of sizes) {
        this.delivered.push({ together: this.read(address, size) });
        address += size;
      }
      this.heard();
    },
    room: (size) => {
      const address = this.place(size);
      this.rooms.push(address);
      return address;
    },
    beat: (beat) => {
      this.delivered.push({ beat });
      this.heard();
    },
    died: (...told) => {
      this.deaths.push(told);
      this.heard();
    },
    broken: (reason) => {
      this.reasons.push(reason);
      this.heard();
    },
  };

  /** Waits until so many messages have been delivered, or the channel is broken. */
  async until(count) {
    const isOver = () => this.reasons.length > 0 || this.deaths.length > 0;
    while (this.delivered.length < count && !isOver()) await new Promise((done) => (this.heard = done));
  }
}

/** Two ends of a channel, each in a realm of its own as page and worker are. */
function connect() {
  const { port1, port2 } = new MessageChannel();
  return [port1, port2].map((port) => {
    const memory = new Memory();
    const script = evaluateChannel();
    const channel = script.open(memory, port, memory.handlers);
    memory.inbox = memory.place(8192);
    channel.listen(memory.inbox, 8192);
    return { memory, channel, port, pool: script.pool };
  });
}

const bytes = (length, seed = 1) => Uint8Array.from({ length }, (_, index) => (index * 31 + seed) & 255);

test("a small frame arrives in the inbox", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const frame = bytes(40);
  one.channel.send(one.memory.write(frame), 40);
  await other.memory.until(1);
  const [message] = other.memory.delivered;
  assert.deepEqual(message, { size: 40, first: 0, lengths: [], rooms: [] });
  assert.deepEqual(other.memory.read(other.channel.inbox, 40), frame);
});

/** Has small frames go past the handlers of a side, into a list. */
function shorten({ channel, memory }) {
  const { HEAPU8 } = memory;
  const size = (address) => HEAPU8.slice(address, address + 4).reduceRight((sum, byte) => 256 * sum + byte, 0);
  memory._PyBytes_FromStringAndSize = () => 0;
  memory.addFunction = (callback) => {
    memory.post = callback;
    return 7;
  };
  memory._PyObject_CallNoArgs = (inlet) => {
    assert.equal(inlet, 42);
    const length = size(memory.inbox - 4);
    if (length > 0) memory.delivered.push({ alone: memory.read(memory.inbox, length) });
    for (let at = memory.inbox; length === 0 && size(at) > 0; at += 4 + size(at)) {
      memory.delivered.push({ among: memory.read(at + 4, size(at)) });
    }
    memory.heard();
    return 1;
  };
  return channel.shorten(42);
}

test("small frames go past the handlers, alone and together", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const frames = [bytes(40), bytes(1, 2), bytes(300, 3)];
  const [place, number] = shorten(one);
  assert.equal(place, 7);
  shorten(other);
  const regions = frames.flatMap((frame) => [one.memory.write(frame), frame.length]);
  assert.equal(one.memory.post(number, regions[0], regions[1], 0), 0);
  one.channel.sendTogether(...regions);
  await other.memory.until(4);
  assert.deepEqual(other.memory.delivered, [{ alone: frames[0] }, ...frames.map((among) => ({ among }))]);
  // A Python may send by a channel that has been closed.
  one.channel.close();
  assert.equal(one.memory.post(number, regions[0], regions[1], 0), 0);
});

/** Protects what Rust sends at a time, such as a stream and its first item: it is one event at the other side. */
test("frames that are kept go in one message, when Rust says so", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const frames = [bytes(40), bytes(1, 2), bytes(300, 3)];
  const [, number] = shorten(one);
  shorten(other);
  for (const frame of frames) assert.equal(one.memory.post(number, one.memory.write(frame), frame.length, 2), 0);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(other.memory.delivered, [], "nothing before that");
  assert.equal(one.memory.post(number, 0, 0, 0), 0);
  await other.memory.until(3);
  assert.deepEqual(
    other.memory.delivered,
    frames.map((among) => ({ among })),
  );
});

test("a frame that is larger than the inbox goes past the handlers, as an object", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const frame = bytes(100_000);
  const { memory } = other;
  const objects = new Map();
  memory.addFunction = () => 7;
  memory._PyBytes_FromStringAndSize = (content, size) => {
    assert.equal(content, 0);
    // Memory may grow, and move: what is copied next must go to where it is then.
    const address = memory.place(size + 16);
    objects.set(address, size);
    return address;
  };
  memory._PyBytes_AsString = (object) => object + 16;
  const number = (address) => new DataView(memory.HEAPU8.buffer).getUint32(address, true);
  memory._PyObject_CallNoArgs = () => {
    assert.equal(number(memory.inbox - 4), 0xffffffff);
    const object = number(memory.inbox);
    memory.delivered.push(memory.read(object + 16, objects.get(object)));
    memory.heard();
    return 1;
  };
  other.channel.shorten(42);
  one.channel.send(one.memory.write(frame), frame.length);
  await memory.until(1);
  assert.deepEqual(memory.delivered, [frame]);
  // A heap without room ends the connection, and Python hears why.
  memory._PyBytes_FromStringAndSize = () => 0;
  one.channel.send(one.memory.write(frame), frame.length);
  await memory.until(2);
  assert.match(memory.reasons[0], /no memory for a frame of 100000 bytes/);
});

test("channels whose handlers are the same are told apart by their numbers", LIMIT, async (t) => {
  const script = evaluateChannel(
    Object.fromEntries(
      ["deliver", "deliverAll", "room", "broken", "beat", "died"].map((name) => [
        name,
        (number, ...values) => memories.get(number).handlers[name](...values),
      ]),
    ),
  );
  const memories = new Map([
    [1, new Memory()],
    [2, new Memory()],
  ]);
  const { port1, port2 } = new MessageChannel();
  const ends = [port1, port2].map((port, index) => {
    const memory = memories.get(index + 1);
    const channel = script.openNumbered(memory, port, index + 1);
    memory.inbox = memory.place(8192);
    channel.listen(memory.inbox, 8192);
    return { memory, channel };
  });
  t.after(() => ends[0].channel.close());
  for (const [from, to] of [ends, [ends[1], ends[0]]]) {
    const frame = bytes(20_000, 3);
    from.channel.send(from.memory.write(frame), frame.length);
    from.channel.beat(1);
    await to.memory.until(2);
    const [message, beat] = to.memory.delivered;
    assert.deepEqual(to.memory.read(message.rooms[0], message.size), frame);
    assert.deepEqual(beat, { beat: 1 });
  }
});

test("frames of one event: the first goes at once, the others together, and all in their order", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const frames = Array.from({ length: 12 }, (_, index) => bytes(10 + index, index));
  for (const frame of frames) one.channel.hold(one.memory.write(frame), frame.length);
  // Messages that are sent in other ways do not overtake them.
  one.channel.send(one.memory.write(bytes(5)), 5);
  one.channel.hold(one.memory.write(bytes(6)), 6);
  await other.memory.until(14);
  const { delivered } = other.memory;
  assert.deepEqual([delivered[0].size, delivered[12].size], [10, 5]);
  assert.deepEqual(delivered.slice(1, 12).map(({ together }) => together), frames.slice(1));
  assert.equal(delivered[13].size, 6);
  // The next event's first goes at once again.
  one.channel.hold(one.memory.write(frames[0]), 10);
  await other.memory.until(15);
  assert.equal(delivered[14].size, 10);
});

test("frames of one event that wait for each other: all together, in their order", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const frames = Array.from({ length: 7 }, (_, index) => bytes(10 + index, index));
  for (const frame of frames) one.channel.holdAll(one.memory.write(frame), frame.length);
  await other.memory.until(7);
  const { delivered } = other.memory;
  assert.deepEqual(
    delivered.map(({ together }) => together),
    frames,
  );
  // A frame that is sent at once takes them along, and a large one waits for nothing.
  const large = bytes(20_000, 3);
  one.channel.holdAll(one.memory.write(frames[1]), 11);
  one.channel.send(one.memory.write(frames[0]), 10);
  one.channel.holdAll(one.memory.write(large), large.length);
  one.channel.holdAll(one.memory.write(frames[2]), 12);
  await other.memory.until(11);
  assert.deepEqual(
    delivered.slice(7).map(({ size }) => size),
    [11, 10, 20_000, 12],
  );
});

test("a Python that has failed fatally says so, and nothing after that", LIMIT, async (t) => {
  const [one, other] = [new Memory(), new Memory()].map((memory) => ({ memory }));
  for (const { memory } of [one, other]) memory.inbox = memory.place(8192);
  /** @type {((reason: string, error?: unknown) => void)[]} */
  const listeners = [];
  const { port1, port2 } = new MessageChannel();
  t.after(() => port1.close());
  const script = evaluateChannel();
  const dying = script.open(one.memory, port1, one.memory.handlers, {
    listen: (listener) => {
      listeners.push(listener);
      return () => listeners.splice(listeners.indexOf(listener), 1);
    },
  });
  dying.listen(one.memory.inbox, 8192);
  const heard = script.open(other.memory, port2, other.memory.handlers);
  heard.listen(other.memory.inbox, 8192);
  listeners[0]("a trap", new RangeError("out of bounds"));
  // Messages that a broken Python still sends, or is sent, reach nobody.
  dying.send(one.memory.write(bytes(40)), 40);
  dying.sendTogether(one.memory.write(bytes(40)), 40);
  dying.sendAll(one.memory.write(bytes(40)), 40, 0);
  heard.send(other.memory.write(bytes(40)), 40);
  await other.memory.until(1);
  await new Promise((done) => setTimeout(done, 50));
  assert.deepEqual(other.memory.deaths, [["a trap", "RangeError", "out of bounds"]]);
  assert.deepEqual([one.memory.delivered, other.memory.delivered], [[], []]);
  assert.deepEqual(listeners, []);
});

test("frames arrive in the order in which they were sent, whatever their size", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const sizes = [10, 100_000, 20, 5, 50_000, 1];
  for (const size of sizes) one.channel.send(one.memory.write(bytes(size)), size);
  await other.memory.until(sizes.length);
  assert.deepEqual(
    other.memory.delivered.map(({ size }) => size),
    sizes,
  );
});

test("frames that are sent together arrive in their order, in few messages", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const sizes = [10, 20, 3000, 5000, 300, 9000, 5];
  const frames = sizes.map((size, index) => bytes(size, index));
  one.channel.sendTogether(...frames.flatMap((frame) => [one.memory.write(frame), frame.length]));
  // Later changes of the memory are not sent.
  one.memory.HEAPU8.fill(0);
  await other.memory.until(sizes.length);
  const { rooms } = other.memory.delivered[5];
  // The last three have no neighbour that fits.
  const alone = (index) => ({ size: sizes[index], first: 0, lengths: [], rooms: index === 5 ? rooms : [] });
  assert.deepEqual(
    other.memory.delivered,
    frames.map((frame, index) => (index < 4 ? { together: frame } : alone(index))),
  );
  assert.deepEqual(other.memory.read(rooms[0], 9000), frames[5]);
});

test("frames of other sizes than they are said to have end the channel", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  one.port.postMessage([[3, 4], bytes(8)]);
  await other.memory.until(1);
  assert.match(other.memory.reasons[0], /other sizes/);
});

test("buffers keep their content while the memory of both sides grows and moves", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const contents = [bytes(10, 2), bytes(20_000, 3), bytes(5 * MEGABYTE + 7, 4), bytes(300_000, 5)];
  const regions = contents.flatMap((content, index) => [one.memory.write(content), content.length, index === 2 ? 1 : 0]);
  one.channel.sendAll(one.memory.write(bytes(30)), 30, 0, ...regions);
  // Later changes of the memory are not sent.
  one.memory.HEAPU8.fill(0);
  await other.memory.until(1);
  const [{ lengths, first, rooms }] = other.memory.delivered;
  assert.deepEqual(lengths, [10, 20_000, -(5 * MEGABYTE + 7), 300_000]);
  assert.deepEqual(other.memory.read(rooms[0], contents[2].length), contents[2]);
  for (const [offset, content] of [contents[0], contents[1], contents[3]].entries()) {
    const address = other.memory.place(content.length);
    other.channel.take(first + offset, address);
    assert.deepEqual(other.memory.read(address, content.length), content);
  }
  assert.throws(() => other.channel.take(first, 0), /taken before/);
});

test("several large buffers of one message, and a message behind them", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const contents = [bytes(3 * MEGABYTE, 6), bytes(4 * MEGABYTE + 1, 7)];
  one.channel.sendAll(one.memory.write(bytes(9)), 9, 0, ...contents.flatMap((c) => [one.memory.write(c), c.length, 1]));
  one.channel.send(one.memory.write(bytes(8)), 8);
  await other.memory.until(2);
  const [large, small] = other.memory.delivered;
  large.rooms.forEach((address, index) =>
    assert.deepEqual(other.memory.read(address, contents[index].length), contents[index]),
  );
  assert.equal(small.size, 8);
});

test("buffers come back and are used again", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const size = 100_000;
  const address = one.memory.write(bytes(size));
  const place = other.memory.place(size);
  for (let turn = 1; turn <= 3; turn += 1) {
    one.channel.sendAll(one.memory.write(bytes(5)), 5, 0, address, size, 0);
    assert.equal(one.pool.bytes, 0, "what was kept is on its way");
    await other.memory.until(turn);
    const message = other.memory.delivered.at(-1);
    other.channel.take(message.first, place);
    other.channel.send(other.memory.write(bytes(4)), 4);
    await one.memory.until(turn);
    // It follows by itself: a large answer could have used it.
    while (one.pool.buffers.length === 0) await new Promise((done) => setTimeout(done, 1));
    assert.equal(one.pool.buffers.length, 1);
  }
});

test("a large answer behind a small message uses the memory that was borrowed", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const size = 100_000;
  one.channel.sendAll(one.memory.write(bytes(5)), 5, 0, one.memory.write(bytes(size)), size, 0);
  await other.memory.until(1);
  other.channel.take(other.memory.delivered[0].first, other.memory.place(size));
  other.channel.send(other.memory.write(bytes(4)), 4);
  assert.equal(other.channel.memory.borrowed.length, 1);
  other.channel.sendAll(other.memory.write(bytes(6)), 6, 0, other.memory.write(bytes(size)), size, 0);
  assert.equal(other.channel.memory.borrowed.length, 0);
  await one.memory.until(2);
  assert.equal(one.pool.buffers.length, 0, "it came back as the answer");
});

/** Sends a buffer, and has the other side copy it into its memory. */
async function carry(from, to, size) {
  const count = to.memory.delivered.length;
  from.channel.sendAll(from.memory.write(bytes(5)), 5, 0, from.memory.write(bytes(size)), size, 0);
  await to.memory.until(count + 1);
  to.channel.take(to.memory.delivered.at(-1).first, to.memory.place(size));
}

// Protects calls whose answers are as large as they are: a small call between two of them gave the memory away, and the next large
// one had to have fresh memory.
test("memory that comes in the place of what has gone stays for the next message", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const size = 100_000;
  for (let turn = 1; turn <= 3; turn += 1) {
    await carry(one, other, size);
    await carry(other, one, size);
    assert.equal(one.pool.buffers.length, 1);
    one.channel.send(one.memory.write(bytes(4)), 4);
    await other.memory.until(2 * turn);
    assert.equal(one.pool.buffers.length, 1, "nothing is given back with a small call");
    assert.deepEqual([other.pool.buffers.length, other.channel.memory.borrowed.length], [0, 0]);
    assert.deepEqual([one.channel.memory.owed, other.channel.memory.owed], [0, 0]);
  }
  // More has come than has gone: that is given back.
  await carry(other, one, size);
  await carry(other, one, size);
  assert.equal(one.channel.memory.borrowed.length, 2);
  one.channel.send(one.memory.write(bytes(4)), 4);
  while (other.pool.buffers.length < 2) await new Promise((done) => setTimeout(done, 1));
  assert.deepEqual([one.channel.memory.owed, other.channel.memory.owed, one.pool.buffers.length], [0, 0, 1]);
});

// Protects the side that lends: memory came in the place of what had gone, and what had gone came back as well.
test("memory that comes back although as much has come in its place is given back", () => {
  const { pool } = evaluateChannel();
  const memory = pool.open();
  const lent = memory.take(100_000);
  memory.keep(new ArrayBuffer(lent.byteLength));
  assert.deepEqual([pool.buffers.length, memory.borrowed.length], [1, 0]);
  memory.keep(lent);
  assert.deepEqual([pool.buffers.length, memory.borrowed.length], [1, 1]);
  const [parts, transfer] = [[], []];
  memory.giveBack(parts, transfer);
  assert.deepEqual([parts, transfer, memory.owed], [[lent], [lent], 0]);
  pool.clear();
});

test("a buffer is not used again before it has been copied", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const size = 50_000;
  for (const seed of [1, 2, 3]) {
    one.channel.sendAll(one.memory.write(bytes(5)), 5, 0, one.memory.write(bytes(size, seed)), size, 0);
  }
  await other.memory.until(3);
  other.channel.sendAll(other.memory.write(bytes(6)), 6, 0, other.memory.write(bytes(size, 9)), size, 0);
  await one.memory.until(1);
  for (const [index, { first }] of other.memory.delivered.entries()) {
    const address = other.memory.place(size);
    other.channel.take(first, address);
    assert.deepEqual(other.memory.read(address, size), bytes(size, index + 1));
  }
});

test("what is kept is bounded, and freed when a buffer cannot be had", () => {
  const [{ channel, pool }] = connect();
  for (let index = 0; index < 10; index += 1) pool.put(new ArrayBuffer(64 * MEGABYTE));
  assert.equal(pool.bytes, 256 * MEGABYTE);
  assert.throws(() => pool.take(2 ** 53), RangeError);
  assert.equal(pool.bytes, 0);
  channel.close();
});

test("what is kept is freed when it is not used", (t) => {
  const timers = t.mock.method(globalThis, "setTimeout", () => ({}));
  const [{ channel, pool }] = connect();
  pool.put(new ArrayBuffer(MEGABYTE));
  const [expire] = timers.mock.calls[0].arguments;
  expire();
  assert.equal(pool.bytes, MEGABYTE, "it was used a moment ago");
  pool.lastUse = -Infinity;
  expire();
  assert.equal(pool.bytes, 0);
  channel.close();
});

test("a message that makes no sense breaks the channel, once, and throws nowhere", LIMIT, async () => {
  for (const nonsense of [null, 5, [null, new Uint8Array(3)], ["text"], [new Uint8Array(1), "text"]]) {
    const [one, other] = connect();
    one.port.postMessage(nonsense);
    await other.memory.until(1);
    assert.match(other.memory.reasons[0], /could not be taken in/);
    one.channel.close();
  }
});

test("nothing is delivered after the end", LIMIT, async () => {
  const [one, other] = connect();
  one.channel.send(one.memory.write(bytes(5)), 5);
  other.channel.close();
  await new Promise((done) => setTimeout(done, 20));
  assert.deepEqual(other.memory.delivered, []);
  one.channel.close();
});

test("what nobody wants any more is let go, though the channel was closed or has forgotten it", LIMIT, async () => {
  const [one, other] = connect();
  one.channel.sendAll(one.memory.write(bytes(5)), 5, 0, one.memory.write(bytes(20_000)), 20_000, 0);
  await other.memory.until(1);
  const [{ first }] = other.memory.delivered;
  other.channel.close();
  other.channel.take(first, -1);
  assert.throws(() => other.channel.take(first, 0), /taken before/, "to want its content is a mistake still");
  assert.equal(other.channel.memory.borrowed.length, 0);
});

test("an object that is transferred arrives itself, once, beside buffers", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const buffer = bytes(50_000).buffer;
  const content = bytes(20_000, 3);
  const regions = [buffer, -1, 0, one.memory.write(content), content.length, 0];
  one.channel.sendAll(one.memory.write(bytes(9)), 9, 0, ...regions);
  await other.memory.until(1);
  assert.equal(buffer.byteLength, 0);
  const [{ first, lengths }] = other.memory.delivered;
  assert.deepEqual(lengths, [0, content.length]);
  assert.throws(() => other.channel.take(first + 1, 0) ?? other.channel.takeObject(first + 1), /not an object/);
  assert.deepEqual(new Uint8Array(other.channel.takeObject(first)), bytes(50_000));
  assert.throws(() => other.channel.takeObject(first), /not an object/);
});

test("what cannot be transferred is refused alone: the message arrives, and says why", LIMIT, async (t) => {
  const [one, other] = connect();
  t.after(() => one.channel.close());
  const impossible = () => {};
  const kept = new ArrayBuffer(16);
  one.channel.sendAll(one.memory.write(bytes(9)), 9, 0, kept, -1, 0, impossible, -1, 0);
  await other.memory.until(1);
  const [{ first }] = other.memory.delivered;
  assert.throws(() => other.channel.takeObject(first), /the sender could not transfer it: \w*Error/);
  assert.throws(() => other.channel.takeObject(first + 1), /could not transfer it/);
  assert.equal(kept.byteLength, 16);
});
