// Evaluates the scripts of a channel as workerlib/_channels/message_port.py does: a pool of its own at each call.
import { readFileSync } from "node:fs";

const read = (name) =>
  readFileSync(new URL(`../../workerlib-py/python/workerlib/_channels/${name}`, import.meta.url), "utf8");
const [port, ...parts] = ["message_port.js", "buffer_pool.js", "wakefulness.js", "arriving_parts.js", "frame_inlet.js"].map(read);
const evaluate = (source) => (0, eval)(source);

/** Returns what `message_port.js` offers; `hearing` are the handlers of all channels that are opened with a number. */
export const evaluateChannel = (hearing) => evaluate(port)(...parts.map(evaluate), hearing);
