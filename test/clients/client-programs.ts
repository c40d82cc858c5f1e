import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const modules = fileURLToPath(new URL("node_modules/", import.meta.url));

/** Node 24, which some of the clients need. */
export const NODE_24 = fileURLToPath(
  new URL(`../../node_modules/node-linux-${process.arch}/bin/node`, import.meta.url),
);

/** Why tests with clients of other projects skip; false when those are installed. */
export const clientsMissing =
  existsSync(`${modules}.package-lock.json`) && existsSync(NODE_24)
    ? false
    : "clients are not installed: npm ci --ignore-scripts --prefix test/clients";

/** How a program ended, and what it wrote. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs an installed client's script by Node 24 until it ends; two minutes at most. */
export async function runClient(
  script: string,
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
    readonly stdin?: string;
  } = {},
): Promise<Ran> {
  return await runNode(`${modules}${script}`, args, options);
}

/** Runs a script of this folder by Node 24, where it finds the installed clients. */
export async function runDriver(name: string, input: object): Promise<Ran> {
  return await runNode(fileURLToPath(new URL(name, import.meta.url)), [JSON.stringify(input)], {});
}

async function runNode(
  script: string,
  args: readonly string[],
  { env = {}, cwd, stdin = "" }: { env?: Readonly<Record<string, string>>; cwd?: string; stdin?: string },
): Promise<Ran> {
  const { PATH = "", HOME = "/tmp" } = process.env;
  const child = spawn(NODE_24, [script, ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    env: { PATH, HOME, NO_COLOR: "1", ...env },
    timeout: 550_000,
    killSignal: "SIGKILL",
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (stderr += bytes.toString()));
  child.stdin.end(stdin);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}
