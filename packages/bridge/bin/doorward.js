#!/usr/bin/env node
import { statSync } from "node:fs";
import module from "node:module";
import { URL } from "node:url";

// Node 22 and later can keep compiled code between runs.
module.enableCompileCache?.();
await import(isBundled() ? "../dist/command/main.js" : "../dist/cli/main.js");

/** Whether the command was bundled after everything that is in the bundle was compiled. */
function isBundled() {
  const time = (path) =>
    statSync(new URL(`../../${path}`, import.meta.url), { throwIfNoEntry: false })?.mtimeMs;
  const bundled = time("bridge/dist/command/main.js") ?? 0;
  const compiled = ["contracts", "guest", "client", "doors", "bridge"].map((name) =>
    time(`${name}/dist/.tsbuildinfo`),
  );
  return compiled.every((at) => at === undefined || at <= bundled);
}
