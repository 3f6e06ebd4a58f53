/** What public/worker.py exports, for the compiler. */
export interface Statistics {
  mean(values: number[]): number;
  histogram(values: number[], bins: number): { edges: number[]; counts: number[] };
  count_to(last: number, callback: (number: number) => void): void;
}
