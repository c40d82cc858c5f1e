import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { installCommand } from "../../hosts/linux/install-command.ts";
import type { LinuxHost } from "../../hosts/linux/linux-host.ts";
import type { Progress } from "../engine.ts";
import type { EngineFolders } from "../podman/engine-folders.ts";
import { podmanInvocation } from "../podman/podman-config.ts";
import { findProgram } from "../podman/runtime-choice.ts";
import { runBuildStep } from "./build-process.ts";
import { openBuildProxy } from "./build-proxy.ts";
import { debianSources } from "./debian-mirror.ts";
import type { ResolvedRecipe } from "./image-recipe.ts";

/** Label with the digest of the recipe that an image was built from. */
export const recipeLabel = "dev.doorward.recipe";

/** What a build of the image needs of the engine. */
export interface BuildContext {
  readonly folders: EngineFolders;
  readonly host: LinuxHost;
}

/** Configuration of OpenSSL for this architecture; the others are ninety percent of Node's headers. */
const opensslTarget = process.arch === "arm64" ? "linux-aarch64" : "linux-x86_64";
const workPrefix = "doorward-image-";
const roomyBytes = 3 * 1024 ** 3;
const settings = ["ENV LANG=C.UTF-8", "USER 1000:1000", "WORKDIR /workspace", 'CMD ["bash"]'];
const excluded = ["doc", "man", "locale", "info"].map((name) => `path-exclude=/usr/share/${name}/*`);

/** Builds the image of a recipe and tags it; on failure and on abort nothing but Podman's own cache is left. */
export async function buildImage(
  recipe: ResolvedRecipe,
  { folders, host }: BuildContext,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const scratch = scratchFolder();
  removeAbandoned(scratch);
  const work = mkdtempSync(join(scratch, `${workPrefix}${String(process.pid)}-`));
  chmodSync(work, 0o755);
  try {
    const context = join(work, "context");
    stageContext(recipe, context);
    if (recipe.base === null) await fromPackages(recipe, { folders, host }, work, progress, signal);
    else await fromBase(recipe, recipe.base, folders, context, progress, signal);
  } finally {
    rmSync(work, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** Memory is several times faster than the disk for unpacking packages, when there is room. */
function scratchFolder(): string {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    if (bavail * bsize > roomyBytes) return "/dev/shm";
  } catch {
    // No /dev/shm here.
  }
  return tmpdir();
}

/** A bridge that was killed during a build could not clean up. */
function removeAbandoned(scratch: string): void {
  for (const name of readdirSync(scratch)) {
    const pid = name.startsWith(workPrefix) ? /^\d+/.exec(name.slice(workPrefix.length))?.[0] : undefined;
    const path = join(scratch, name);
    if (pid === undefined || existsSync(`/proc/${pid}`) || lstatSync(path).uid !== process.getuid?.())
      continue;
    try {
      rmSync(path, { recursive: true, force: true });
    } catch {
      // Something in it is still held, e.g. mounted; what another build left must not keep this one from running.
    }
  }
}

function stageContext(recipe: ResolvedRecipe, context: string): void {
  mkdirSync(join(context, "toolchain"), { recursive: true, mode: 0o755 });
  for (const name of ["apt-proxy.conf", "gitconfig", "debian.sources", "setup.sh", "sshd"])
    copyFileSync(join(recipe.folder, name), join(context, name));
  copyFileSync(recipe.toolchain.nodeBinary, join(context, "toolchain", "node"));
  const foreign = new RegExp(`/openssl/archs/(?!${opensslTarget})[^/]+`);
  cpSync(recipe.toolchain.nodeHeaders, join(context, "toolchain", "include"), {
    recursive: true,
    filter: (source) => !foreign.test(source),
  });
  const skipped = /^\/(?:docs|man|tap-snapshots|test)(?:\/|$)/;
  cpSync(recipe.toolchain.npmFolder, join(context, "toolchain", "npm"), {
    recursive: true,
    filter: (source) => !skipped.test(source.slice(recipe.toolchain.npmFolder.length)),
  });
}

async function fromPackages(
  recipe: ResolvedRecipe,
  { folders, host }: BuildContext,
  work: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const mmdebstrap = findProgram("mmdebstrap");
  if (mmdebstrap === null) throw missingBuilder(host);
  const archive = join(work, "root.tar");
  const temporary = join(work, "tmp");
  mkdirSync(temporary, { mode: 0o755 });
  chmodSync(temporary, 0o777);
  progress({
    step: "Fetching and unpacking Debian packages",
    detail: `${recipe.suite}, ${String(recipe.packages.length)} packages and what they need`,
  });
  const sources = debianSources(recipe.suite);
  // apt goes out through a guarded proxy; a host that has a proxy of its own keeps using that one.
  await using proxy = hasProxy() ? null : await openBuildProxy(sources, join(work, "apt-proxy"), signal);
  const builder = inOwnMounts(mmdebstrap, host);
  await runBuildStep({
    file: builder.file,
    args: [
      ...builder.args,
      ...(proxy === null ? [] : [`--aptopt=${proxy.aptFile}`]),
      ...mmdebstrapOptions(recipe, host, join(work, "context")),
      recipe.suite,
      archive,
      ...sources,
    ],
    env: { ...process.env, TMPDIR: temporary, LC_ALL: "C.UTF-8" },
    cwd: "/",
    onLine: (line) => {
      reportLine(line, progress);
    },
    signal,
  });
  for (const { host: from, requests, bytes } of proxy?.fetched() ?? []) {
    const detail = `${from}: ${String(requests)} requests, ${String(Math.ceil(bytes / 1_048_576))} MiB`;
    progress({ step: "Fetched through the build's own proxy", detail });
  }
  progress({ step: "Importing the image into Podman" });
  const { args, env } = podmanInvocation(folders);
  const changes = [...settings, `LABEL ${recipeLabel}=${recipe.digest}`].flatMap((change) => [
    "--change",
    change,
  ]);
  await runBuildStep({
    file: findProgram("podman") ?? "podman",
    args: [...args, "import", "--quiet", ...changes, archive, recipe.tag],
    env: { ...env, TMPDIR: work },
    cwd: "/",
    onLine: (line) => {
      progress({ step: "Importing the image into Podman", detail: line });
    },
    signal,
  });
}

/**
 * As root mmdebstrap mounts /proc and /dev/pts where it builds, and a build that is killed leaves them behind. In a mount
 * namespace of its own they go with its last process. Without root it makes such a namespace itself.
 */
function inOwnMounts(
  mmdebstrap: string,
  { rootless }: LinuxHost,
): { readonly file: string; readonly args: readonly string[] } {
  const unshare = rootless ? null : findProgram("unshare");
  if (unshare === null) return { file: mmdebstrap, args: [] };
  return { file: unshare, args: ["--mount", "--propagation", "private", "--", mmdebstrap] };
}

/** Whether this host reaches its mirror through a proxy, by its environment or by apt's own settings. */
function hasProxy(): boolean {
  const variables = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"];
  if (variables.some((name) => (process.env[name] ?? "") !== "")) return true;
  try {
    return /^Acquire::https?::proxy\b.* ".+";$/im.test(
      execFileSync("apt-config", ["dump"], { encoding: "utf8" }),
    );
  } catch {
    return false;
  }
}

function mmdebstrapOptions(recipe: ResolvedRecipe, host: LinuxHost, context: string): string[] {
  return [
    "--variant=minbase",
    `--mode=${host.rootless ? "unshare" : "root"}`,
    "--dpkgopt=force-unsafe-io",
    // Our own setup clears apt's files; mmdebstrap would run apt once more, on the host's lists if its configuration is gone.
    "--skip=cleanup/apt",
    // As an option of mmdebstrap this would send the base system through a slow filter; dpkg itself skips quickly.
    `--essential-hook=printf '%s\\n' ${excluded.map(shellQuote).join(" ")} > "$1/etc/dpkg/dpkg.cfg.d/doorward"`,
    `--include=${recipe.packages.join(",")}`,
    `--customize-hook=copy-in ${shellQuote(context)} /`,
    `--customize-hook=chroot "$1" mv /context /doorward`,
    `--customize-hook=chroot "$1" sh /doorward/setup.sh ${recipe.suite}`,
    '--customize-hook=rm -rf "$1/doorward"',
  ];
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

const steps: readonly (readonly [RegExp, string])[] = [
  [/running apt-get update/, "Reading Debian's package lists"],
  [/downloading packages/, "Downloading packages"],
  [/extracting archives/, "Unpacking the base system"],
  [/installing essential/, "Setting up the base system"],
  [/installing remaining/, "Installing the tools"],
  [/running --customize-hook/, "Adding Node, npm and the agent user"],
  [/creating tarball/, "Packing the image"],
];

function reportLine(line: string, progress: Progress): void {
  const step = steps.find(([pattern]) => pattern.test(line))?.[1];
  if (step !== undefined) progress({ step });
}

async function fromBase(
  recipe: ResolvedRecipe,
  base: string,
  folders: EngineFolders,
  context: string,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { args, env } = podmanInvocation(folders);
  progress({ step: "Building the image", detail: `from ${base}` });
  const values = [`BASE=${base}`, `SUITE=${recipe.suite}`, `PACKAGES=${recipe.packages.join(" ")}`];
  await runBuildStep({
    file: findProgram("podman") ?? "podman",
    args: [
      ...args,
      "build",
      "--force-rm",
      "--layers=false",
      "--file",
      join(recipe.folder, "Containerfile"),
      "--tag",
      recipe.tag,
      "--label",
      `${recipeLabel}=${recipe.digest}`,
      ...values.flatMap((value) => ["--build-arg", value]),
      context,
    ],
    env,
    cwd: "/",
    onLine: (line) => {
      progress({ step: "Building the image", detail: line });
    },
    signal,
  });
}

function missingBuilder(host: LinuxHost): DoorwardError {
  return new DoorwardError({
    code: "IMAGE_BUILD_FAILED",
    message: `Cannot build the machine image: "mmdebstrap" is not installed`,
    hint: `${installCommand(host.distribution, ["mmdebstrap"])}; or DOORWARD_IMAGE_BASE=docker.io/library/debian:bookworm-slim`,
  });
}
