import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DoorwardError } from "@doorward/contracts";
import type { ImageRecipe } from "../engine.ts";
import { findToolchain, type Toolchain } from "./toolchain.ts";

/** Everything that a build of the machine image needs, and the digest over all of it. */
export interface ResolvedRecipe {
  readonly folder: string;
  readonly suite: string;
  readonly packages: readonly string[];
  readonly toolchain: Toolchain;
  /** A registry's image to build from; `null` builds from Debian's packages. */
  readonly base: string | null;
  /** `sha256:...` over files, packages, versions, architecture and base. */
  readonly digest: string;
  readonly tag: string;
}

/** Files that the image is made from; a change of any is a new image. */
const recipeFiles = [
  "apt-proxy.conf",
  "Containerfile",
  "debian.sources",
  "gitconfig",
  "packages.txt",
  "packages-build.txt",
  "setup.sh",
  "sshd",
  "suite",
];
/** Repository of our own images. */
export const imageRepository = "localhost/doorward/machine";
// Raised when the way of building changes what comes out.
const buildVersion = 2;

/** Reads the recipe's files and works out digest and tag. */
export function resolveRecipe(recipe: ImageRecipe, base: string | null): ResolvedRecipe {
  const folder = recipeFolder();
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  const listed = (name: string): string[] =>
    read(name)
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "" && !line.startsWith("#"));
  const packages = [
    ...listed("packages.txt"),
    ...(recipe.buildTools ? listed("packages-build.txt") : []),
  ].sort();
  const toolchain = findToolchain();
  const inputs = {
    buildVersion,
    architecture: process.arch,
    base: base ?? "debian-packages",
    packages,
    node: toolchain.nodeVersion,
    npm: toolchain.npmVersion,
    files: recipeFiles.filter((name) => !name.startsWith("packages")).map((name) => [name, read(name)]),
  };
  const hex = createHash("sha256").update(JSON.stringify(inputs)).digest("hex");
  return {
    folder,
    suite: read("suite").trim(),
    packages,
    toolchain,
    base,
    digest: `sha256:${hex}`,
    tag: `${imageRepository}:${hex.slice(0, 16)}`,
  };
}

/** The folder is found upwards from this file, so that sources, builds and packed installations all work. */
function recipeFolder(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    const folder = join(at, "containers", "machine");
    if (existsSync(join(folder, "setup.sh"))) return folder;
    if (at === dirname(at)) break;
  }
  throw new DoorwardError({
    code: "IMAGE_BUILD_FAILED",
    message: `Cannot build the machine image: its recipe "containers/machine" is not installed`,
  });
}
