/**
 * Makes a worker's exported functions the methods of an object.
 *
 * The object has the members of `types.ts` and the functions that the script exports, and nothing of `Object.prototype`: a
 * function may have any name. Every other name is a function too, whose call rejects with the list of what there is; a script
 * may export more later.
 */

/** Calls an exported function. */
type Call = (name: string, args: unknown[]) => Promise<unknown>;

/** The name that `await` asks every object for: a function of this name is called by `call`. */
const ASKED_BY_AWAIT = "then";

/**
 * Makes an object of these members and of exported functions.
 *
 * @param members the members that are not functions of the worker; they win over exports of their names
 * @param exports the names of the exported functions
 * @param call calls one
 */
export function methodsOf(members: Record<PropertyKey, unknown>, exports: readonly string[], call: Call): object {
  const target = Object.create(null) as Record<PropertyKey, unknown>;
  for (const name of Reflect.ownKeys(members)) {
    // Not enumerable: `Object.keys(worker)` lists the worker's functions.
    Object.defineProperty(target, name, { value: members[name], configurable: true });
  }
  const methods = new Map<string, unknown>();
  const method = (name: string): unknown => {
    let known = methods.get(name);
    if (known === undefined) methods.set(name, (known = (...args: unknown[]) => call(name, args)));
    return known;
  };
  const isExport = (name: PropertyKey): name is string => typeof name === "string" && exports.includes(name);
  const isMember = (name: PropertyKey): boolean => Reflect.getOwnPropertyDescriptor(target, name) !== undefined;
  return new Proxy(target, {
    get(_, name) {
      if (isMember(name)) return target[name];
      if (typeof name !== "string" || name === ASKED_BY_AWAIT) return undefined;
      // `JSON.stringify` asks for this one.
      const isOfObjects = name === "toJSON" || name in Object.prototype;
      return isExport(name) || !isOfObjects ? method(name) : undefined;
    },
    has: (_, name) => isMember(name) || isExport(name),
    ownKeys: () => [...new Set([...Reflect.ownKeys(target), ...exports])],
    getOwnPropertyDescriptor(_, name) {
      const own = Reflect.getOwnPropertyDescriptor(target, name);
      if (own !== undefined || !isExport(name)) return own;
      return { value: name === ASKED_BY_AWAIT ? undefined : method(name), enumerable: true, configurable: true, writable: false };
    },
    set: () => false,
    deleteProperty: () => false,
    defineProperty: () => false,
  });
}

/**
 * Tells which exported functions cannot be called by their names, because a worker has members of these names.
 *
 * @param members the members
 * @param exports the names of the exported functions
 */
export function hiddenBy(members: Record<PropertyKey, unknown>, exports: readonly string[]): string[] {
  return exports.filter((name) => Object.hasOwn(members, name) || name === ASKED_BY_AWAIT);
}
