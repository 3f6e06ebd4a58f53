// The functions that worker.py exports, for spawn<Statistics>().
// Written by `python -m workerlib.stubs --typescript`.

/** How many values lie between each two edges. */
export interface Histogram {
  edges: number[];
  counts: number[];
}

/** The functions that worker.py exports. */
export interface Statistics {
  /** Returns the arithmetic mean. */
  mean(values: number[]): number;

  /** Counts the values in intervals of equal width. */
  histogram(values: number[], bins: number): Histogram;

  /** Tells which interval has the most values: the page's object arrives as a Histogram. */
  fullest(histogram: Histogram): number;

  /** Counts; the callback is a function of the page's. */
  count_to(last: number, callback: (arg0: number) => void): void;
}
