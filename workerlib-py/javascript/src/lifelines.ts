/**
 * Notes what PyScript's workers tell of themselves before anybody connects to them: the Web Lock that each holds while it lives,
 * that its script has ended, and why its Python has ended.
 *
 * A worker says so once, when its script imports workerlib. `connect()` may come much later, when the worker is dead and silent for
 * ever. Python evaluates this file when the page imports workerlib (`_hosts/browser/liveness.py`). A worker that tells before
 * that, because it starts faster than the page, is not noted.
 */

import { type Termination, terminationOf } from "./termination.js";

interface Tag extends Element {
  /** PyScript's worker of this tag, as soon as it has made one. */
  xworker?: ScriptWorker;
}

interface ScriptWorker extends Worker {
  /** Resolves when the worker's script has ended. */
  ready?: Promise<unknown>;
}

/** The marks of the messages by which a worker tells of itself. */
interface Marks {
  /** It runs; with the name of its lock as `lifeline`, once it holds that. */
  running: string;
  /** Its Python has ended, for the `reason`. */
  died: string;
}

interface Told {
  mark?: unknown;
  lifeline?: unknown;
  reason?: unknown;
}

/** The milliseconds between two looks for the worker of a tag, and for how long it is looked for. PyScript gives no event for it. */
const PAUSE = 20;
const PATIENCE = 10_000;

const noted = new WeakSet<Worker>();

/** Notes it of the workers of all tags that there are and that will come. */
export function noteLifelines(selector: string, marks: Marks): void {
  const watch = (root: Element | Document): void => {
    if (root instanceof Element && root.matches(selector)) awaitWorker(root, marks, PATIENCE);
    for (const tag of root.querySelectorAll(selector)) awaitWorker(tag, marks, PATIENCE);
  };
  watch(document);
  new MutationObserver((records) => {
    for (const { addedNodes } of records)
      for (const node of addedNodes) if (node instanceof Element) watch(node);
  }).observe(document, { childList: true, subtree: true });
}

function awaitWorker(tag: Tag, marks: Marks, patience: number): void {
  if (tag.xworker instanceof Worker) note(tag.xworker, marks);
  else if (patience > 0) setTimeout(awaitWorker, PAUSE, tag, marks, patience - PAUSE);
}

function note(worker: ScriptWorker, marks: Marks): void {
  if (noted.has(worker)) return;
  noted.add(worker);
  const termination: Termination = terminationOf(worker);
  worker.ready?.then(
    () => {
      termination.isUp = true;
    },
    // `connect()` hears why.
    () => undefined,
  );
  const hear = ({ data }: MessageEvent<Told | null>): void => {
    if (data?.mark === marks.died) {
      termination.isDead = true;
      termination.reason = String(data.reason);
    } else if (data?.mark === marks.running && typeof data.lifeline === "string") {
      // The lock tells of everything from now on, but for the reason.
      termination.lifeline = data.lifeline;
      return;
    } else return;
    worker.removeEventListener("message", hear);
  };
  worker.addEventListener("message", hear);
}
