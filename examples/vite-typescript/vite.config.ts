import { defineConfig } from "vite";

export default defineConfig({
  // The page works in any folder of a server.
  base: "./",
  // In development, packages are put together into one file each; this one has a worker and a wheel beside it.
  optimizeDeps: { exclude: ["workerlib"] },
  build: { target: "es2022" },
});
