import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import * as z from "zod";

/** Node and npm as they go into the image: both come from pinned npm packages, so no other download is needed. */
export interface Toolchain {
  readonly nodeBinary: string;
  /** Headers of exactly this Node, for native modules. */
  readonly nodeHeaders: string;
  readonly nodeVersion: string;
  readonly npmFolder: string;
  readonly npmVersion: string;
}

const Manifest = z.object({ version: z.string() });

/** Finds the pinned Node and npm packages among the installed dependencies of the guest. */
export function findToolchain(): Toolchain {
  const node = packageFolder(`node-linux-${process.arch}`);
  const npm = packageFolder("npm");
  return {
    nodeBinary: join(node, "bin", "node"),
    nodeHeaders: join(node, "include", "node"),
    nodeVersion: versionOf(node),
    npmFolder: npm,
    npmVersion: versionOf(npm),
  };
}

function packageFolder(name: string): string {
  const fromHere = createRequire(import.meta.url);
  const searched = [...(fromHere.resolve.paths(name) ?? []), ...guestFolders(fromHere)];
  const found = searched
    .map((folder) => join(folder, name))
    .find((folder) => existsSync(join(folder, "package.json")));
  if (found !== undefined) return found;
  throw new DoorwardError({
    code: "IMAGE_BUILD_FAILED",
    message: `Cannot build the machine image: npm package "${name}" is not installed`,
    hint: "npm ci --include=optional",
  });
}

/** The packages are the guest's dependencies, which npm may put below it. */
function guestFolders(from: NodeJS.Require): string[] {
  return (from.resolve.paths("@doorward/guest") ?? []).map((folder) =>
    join(folder, "@doorward", "guest", "node_modules"),
  );
}

function versionOf(folder: string): string {
  return Manifest.parse(JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))).version;
}
