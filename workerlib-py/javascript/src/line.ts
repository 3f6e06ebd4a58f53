/**
 * A line of tasks, results or calls. Pools have many thousands in one if a map reads far ahead, and a worker if a page makes as
 * many calls at once.
 *
 * Its steps take the same time however long it is. An array moves all elements when its first one is taken.
 */

/** How many places in front of the first item may be unused before the items are moved. */
const UNUSED = 1024;

/** Items, of which the first one to come is the first one to go. */
export class Line<T> {
  #items: (T | undefined)[] = [];
  /** The index of the first item. */
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** The first item; undefined if there is none. */
  get first(): T | undefined {
    return this.#items[this.#head];
  }

  /** Adds an item behind all others. */
  push(item: T): void {
    this.#items.push(item);
  }

  /** Adds an item before all others. */
  unshift(item: T): void {
    if (this.#head === 0) this.#items.unshift(item);
    else this.#items[(this.#head -= 1)] = item;
  }

  /** Takes the first item out; undefined if there is none. */
  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.first;
    // The line must not keep it.
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head > UNUSED && this.#head > this.length) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes out the items for which a function says so, or all. */
  remove(isMeant: (item: T) => boolean = () => true): T[] {
    const removed: T[] = [];
    const kept: T[] = [];
    for (const item of this.#items.slice(this.#head) as T[]) (isMeant(item) ? removed : kept).push(item);
    this.#items = kept;
    this.#head = 0;
    return removed;
  }
}
