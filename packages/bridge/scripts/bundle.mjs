// Bundles the built command: zod and our own packages are some 200 small files, and reading them is a quarter of its start.
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import process from "node:process";
import { URL, fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const outdir = here("../dist/command");

// Other people's packages stay files of their own: most are loaded by few commands, and some are native.
const inside = /^(?:\.|\/|zod$|zod\/|@doorward\/)/;
const others = {
  name: "others",
  setup({ onResolve }) {
    onResolve({ filter: /./ }, ({ path, kind }) =>
      kind === "entry-point" || inside.test(path) ? undefined : { path, external: true },
    );
  },
};

// What a module of ours finds beside itself, it finds from the bundle too. And it asks those modules of another package
// for a name that have it, not the package's index: a part of a bundle loads all that the index leads to.
const indexes = new Map(["contracts", "client"].map((name) => [`@doorward/${name}`, exportsOf(name)]));
const ours = {
  name: "ours",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]packages[\\/][a-z-]+[\\/]dist[\\/].*\.js$/ }, ({ path }) => {
      const place = JSON.stringify(relative(outdir, path).split(sep).join("/"));
      const contents = readFileSync(path, "utf8")
        .replaceAll(/\bimport\.meta\.url\b/g, `new URL(${place}, import.meta.url).href`)
        .replaceAll(/^import \{([^}]*)\} from "([^"]+)";$/gm, (whole, names, from) =>
          indexes.has(from) ? directImports(names, indexes.get(from)) : whole,
        );
      return { contents, resolveDir: dirname(path) };
    });
  },
};

/** The file of each name that a package's index exports. */
function exportsOf(name) {
  const index = here(`../../${name}/dist/index.js`);
  const lines = readFileSync(index, "utf8").matchAll(/^export \{([^}]*)\} from "([^"]+)";$/gm);
  return new Map(
    [...lines].flatMap(([, names, from]) => wordsOf(names).map((each) => [each, join(dirname(index), from)])),
  );
}

function directImports(names, files) {
  return wordsOf(names)
    .map((name) => `import { ${name} } from ${JSON.stringify(files.get(name.split(" ")[0]))};`)
    .join(" ");
}

function wordsOf(names) {
  return names
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

const { outputFiles } = await build({
  entryPoints: [here("../dist/cli/main.js")],
  outdir,
  bundle: true,
  splitting: true,
  platform: "node",
  target: "node20",
  format: "esm",
  sourcemap: true,
  legalComments: "none",
  plugins: [others, ours],
  logLevel: "warning",
  write: false,
});

// The entry comes last and in one step: commands may be starting from it right now.
const entry = join(outdir, "main.js");
mkdirSync(outdir, { recursive: true });
for (const { path, contents } of outputFiles) if (path !== entry) writeFileSync(path, contents);
const temporary = `${entry}.${process.pid}`;
writeFileSync(temporary, outputFiles.find(({ path }) => path === entry).contents);
renameSync(temporary, entry);
const kept = new Set(outputFiles.map(({ path }) => basename(path)));
for (const name of readdirSync(outdir)) if (!kept.has(name)) rmSync(join(outdir, name));
