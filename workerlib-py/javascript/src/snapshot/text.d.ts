/** Python's sources, which esbuild puts into the bundles as text. */
declare module "*.py" {
  const source: string;
  export default source;
}
