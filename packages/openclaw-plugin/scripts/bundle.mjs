// Bundles the plugin and the program that its exec spawns: the published package needs nothing but OpenClaw itself.
import { URL, fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

await build({
  entryPoints: [here("../src/index.ts"), here("../src/exec-child.ts")],
  outdir: here("../dist"),
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  conditions: ["source"],
  external: ["openclaw/*"],
  // ws is CommonJS and asks for Node's own modules.
  banner: {
    js: `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);`,
  },
  legalComments: "none",
  logLevel: "warning",
});
