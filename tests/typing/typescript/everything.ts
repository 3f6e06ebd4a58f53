// The functions that everything_worker.py exports, for spawn<Everything>().
// Written by `python -m workerlib.stubs --typescript`.
import type { NDArray } from "workerlib";

export type Maybe = number | null;

export type Json = boolean | number | string | Json[] | { [key: string]: Json } | null;

/** A point in the plane. */
export interface Point {
  x: number;
  y: number;
}

export type Track = Point[];

/** A circle: what `*\/` says is no end of the comment. */
export interface Circle extends Point {
  radius: number;
  colour: Colour | null;
}

/** A colour. */
export type Colour = "red" | "green";

export type Level = 1 | 10 | 11;

export type Mode = "fast" | "slow";

export type SizeInput = [width: number, height?: number];

export type PairInput = [left: unknown, right?: unknown];

export type Size = [width: number, height: number];

export interface Options {
  digits?: number | undefined;
  mode?: Mode | undefined;
}

export interface Filter extends Options {
  text: string;
  limit?: number | undefined;
}

export interface Sample {
  taken: Date;
  values: NDArray<Float64Array>;
}

export interface MarkedInput {
  text: string;
  times?: number | undefined;
}

export interface Marked {
  text: string;
  times: number;
}

export interface Person extends Address {
  name: string;
  friends: Person[];
}

export interface Address {
  street: string;
  tags: Set<string>;
}

/** A page may leave out what has a default. */
export interface SearchInput {
  text: string;
  within?: CircleInput | undefined;
  limit?: number | undefined;
  required: number;
  demanded: number;
  /** How often it was annotated. */
  annotated?: number | undefined;
  size?: SizeInput | undefined;
}

/** A circle: what `*\/` says is no end of the comment. */
export interface CircleInput extends Point {
  radius?: number | undefined;
  seed?: number | undefined;
  within?: Point | null | undefined;
  colour?: Colour | null | undefined;
}

/** A page may leave out what has a default. */
export interface Search {
  text: string;
  within: Circle;
  limit: number;
  required: number;
  demanded: number;
  /** How often it was annotated. */
  annotated: number;
  size: Size;
}

export type Step = 1 | 2 | 3;

export type Planet = ["earth", 3] | ["mars", 4];

export type Port = number;

export type Unit = "m" | "s";

export type Ids = number[];

export interface Page<T> {
  items: T[];
  next: Page<T> | null;
}

/** It has the name of a class of JavaScript's. */
export interface Date_ {
  year: number;
  day: Date;
}

export interface Film {
  title: string;
  readonly year: number;
  readonly rating?: number | undefined;
}

export interface Ticket {
  /** The seat, if there is one. */
  readonly seat?: number | undefined;
  price?: number | undefined;
}

export type Suit = "hearts";

export type Both<T> = [T, T];

export type Names = string[];

export type OnNumberInput = (arg0: number) => void;

export type HandlerInput<P extends any[], T> = (...args: P) => T;

/** The functions that everything_worker.py exports. */
export interface Everything {
  /**
   * Has every kind of parameter.
   *
   * Keyword arguments, for `call("plain", args, kwargs)`: digits?: number, name: string
   */
  plain(a: number, b?: number, c?: string, ...rest: boolean[]): void;

  mean(values: number[]): number;

  find(user: number, default_?: string | null): string | undefined;

  maybe(value: Maybe): number | undefined;

  moments(day: Date, at: Date): [Date, number, string];

  texts(amount: string, path: string, id: string): string;

  containers(a: { [key: string]: number }, b: Map<number, string>, c: Set<string>, d: { [key: string]: unknown }): Map<number, string> | { [key: string]: undefined };

  count(text: string): { [key: string]: number };

  nested(rows: (number | null)[]): number[][];

  json(value: Json): boolean | number | string | Json[] | { [key: string]: Json } | undefined;

  geometry(points: Point[], track: Track, other: Point): Circle;

  choose(colour: Colour, level: Level, mode: Mode, rights: number, only: "a" | 1 | "red"): Colour;

  sizes(size: SizeInput, pair: PairInput): Size[];

  options(given: Options, filter: Filter): Filter;

  sample(): Sample;

  mark(one: MarkedInput): Marked;

  person(name: string): Person | undefined;

  search(first: SearchInput, ...more: SearchInput[]): Search[];

  pick(key: number | string, default_?: boolean | null): number | string | undefined;

  /** Keyword arguments, for `call("step_to", args, kwargs)`: [name]: number */
  step_to(step: Step, planet: Planet, port: Port, unit: Unit): Step;

  ids(): Ids;

  page(): Page<Point>;

  arrays(a: NDArray, b: NDArray<Float32Array>): NDArray<Int16Array>;

  data(raw: Uint8Array, picture: ImageBitmap): Uint8Array;

  steps(report: (arg0: number, arg1: Colour) => boolean, done: (done: number, of: number) => void, late: (...args: any[]) => unknown): void;

  dated(day: Date_): number;

  untyped(anything: unknown): unknown;

  /**
   * Has the name of a worker's own member.
   *
   * Every worker has a member of this name: `call("call", args)` calls the function.
   */
  call(value: number): number;

  "with-dashes"(): void;

  delete(new_: number, default_?: number): void;

  /** Gives its items one by one. */
  streamed(limit?: number): AsyncIterable<Point>;

  ticks(): AsyncIterable<unknown>;

  total(numbers: AsyncIterable<number>, others?: AsyncIterable<Point> | null): number;

  given(): AsyncIterable<number>;

  asked(question: (arg0: string) => boolean): void;

  film(one: Film, ticket: Ticket, suit: Suit): Film;

  aliases(both: Both<number>, names: Names, marks: number[]): Both<string>;

  heard(on_number: OnNumberInput, handler: HandlerInput<[number, string], boolean>, maybe?: OnNumberInput | null): void;

  /** Keyword arguments, for `call("unpacked", args, kwargs)`: those of Film */
  unpacked(...parts: [number, string]): [number, ...string[]];

  /** Keyword arguments, for `call("passed", args, kwargs)`: [name]: any */
  passed(function_: (...args: any[]) => unknown, ...args: any[]): void;

  by_name(colours: { [key in Colour]?: number | undefined }, modes: { [key in "a" | "b"]?: number | undefined }, either: Map<number | string, boolean> | { [key: string]: boolean }): { [key in Mode]?: number | undefined };

  is_text(value: unknown): boolean;

  once(value: number | string | null): void;
}
