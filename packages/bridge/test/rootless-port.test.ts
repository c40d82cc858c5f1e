import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { guestBundle } from "./guest-harness.ts";

const NOBODY = 65_534;
const child = fileURLToPath(new URL("rootless-port-child.ts", import.meta.url));
const skip = whyNot();

/** Why a bridge of another user can't be run here, or `false`. */
function whyNot(): string | false {
  if (process.getuid?.() !== 0) return "needs root to run a bridge as another user";
  const asNobody = (program: string, ...args: string[]): boolean =>
    spawnSync(program, args, { uid: NOBODY, gid: NOBODY }).status === 0;
  if (!asNobody("unshare", "--user", "--map-root-user", "--net", "true"))
    return "users may not make namespaces of their own here";
  return asNobody("test", "-r", child) ? false : "another user can't read the sources";
}

interface Told {
  readonly uid: number;
  readonly servedBy: "bridge" | "guest";
  readonly heard: string;
  readonly warnings: readonly string[];
}

/** Runs the bridge's part as nobody, after a line of root's in a mount namespace of its own. */
async function rootless(before: string): Promise<Told> {
  const home = mkdtempSync(join(tmpdir(), "dw-rootless-"));
  const drop = ["setpriv", `--reuid=${String(NOBODY)}`, `--regid=${String(NOBODY)}`, "--clear-groups"];
  const node = [process.execPath, "--conditions=source", "--import", "tsx", child, guestBundle()];
  const line = `${before} && exec "$@"`;
  try {
    const { stdout } = await promisify(execFile)(
      "unshare",
      ["--mount", "--propagation=private", "sh", "-c", line, "sh", ...drop, ...node],
      { env: { PATH: process.env["PATH"], HOME: "/nonexistent", SCRATCH: home }, timeout: 300_000 },
    );
    return JSON.parse(stdout) as Told;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** Takes nsenter away from this mount namespace alone. */
const WITHOUT_NSENTER = [
  'mount -t tmpfs none "$SCRATCH"',
  'mkdir "$SCRATCH/upper" "$SCRATCH/work"',
  'mount -t overlay -o "lowerdir=/usr/bin,upperdir=$SCRATCH/upper,workdir=$SCRATCH/work" overlay /usr/bin',
  "rm /usr/bin/nsenter",
].join(" && ");

test(
  "a bridge that is not root serves the port of a machine in a user namespace itself",
  { skip },
  async () => {
    const { uid, servedBy, heard, warnings } = await rootless("true");
    assert.equal(uid, NOBODY);
    assert.deepEqual(warnings, []);
    assert.equal(servedBy, "bridge");
    assert.equal(heard, "from outside");
  },
);

test(
  "a bridge that is not root leaves the port to the guest where nsenter is missing",
  { skip },
  async () => {
    const { uid, servedBy, heard, warnings } = await rootless(WITHOUT_NSENTER);
    assert.equal(uid, NOBODY);
    assert.equal(servedBy, "guest");
    assert.equal(heard, "from outside");
    const [warning = "", ...more] = warnings;
    assert.deepEqual(more, []);
    assert.match(
      warning,
      /the guest serves the machine's egress port.*nsenter ENOENT|nsenter ENOENT.*the guest serves/,
    );
  },
);
