// Bundles the guest into one file beside node-pty's native module: what the runtime folder of a machine is made from.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { URL, fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

// The guest needs a few modules of contracts and none of its documents; all of them are free of side effects.
const shakeContracts = {
  name: "shake-contracts",
  setup({ onResolve, resolve }) {
    onResolve({ filter: /./ }, async ({ path, importer, kind, resolveDir, pluginData }) => {
      const ours = path.startsWith("@doorward/") || importer.includes("/packages/contracts/");
      if (!ours || pluginData === "resolved") return undefined;
      const found = await resolve(path, { importer, kind, resolveDir, pluginData: "resolved" });
      return found.errors.length > 0 ? { errors: found.errors } : { path: found.path, sideEffects: false };
    });
  },
};

const {
  outputFiles: [bundle],
} = await build({
  entryPoints: [here("../src/inside/main.ts")],
  outfile: here("../dist/guest.mjs"),
  bundle: true,
  platform: "node",
  target: "node24",
  format: "esm",
  conditions: ["source"],
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  plugins: [shakeContracts],
  logLevel: "warning",
  write: false,
});

// In one step and only when it differs: guests may be starting from it, and bridges copying it, right now.
if (!isAlready(bundle.contents)) {
  const temporary = `${bundle.path}.${process.pid}`;
  mkdirSync(dirname(bundle.path), { recursive: true });
  writeFileSync(temporary, bundle.contents);
  renameSync(temporary, bundle.path);
}

function isAlready(contents) {
  try {
    return readFileSync(bundle.path).equals(contents);
  } catch {
    return false;
  }
}
