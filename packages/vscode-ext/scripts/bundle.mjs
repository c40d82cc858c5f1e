// Bundles the extension into one file: the .vsix holds it and nothing of node_modules.
import { URL, fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

await build({
  entryPoints: [here("../src/extension.ts")],
  outfile: here("../dist/extension.cjs"),
  bundle: true,
  minify: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  conditions: ["source"],
  external: ["vscode"],
  legalComments: "none",
  logLevel: "warning",
});
