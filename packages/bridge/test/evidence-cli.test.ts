import assert from "node:assert/strict";
import { chmodSync, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLab, type Lab } from "../../../test/support/lab.ts";

interface Key {
  readonly vkey: string;
  readonly keyId: string;
  readonly path: string;
  readonly mode: string;
  readonly rotations: readonly { readonly previous: string; readonly reason: string | null }[];
}

describe("keys and witnesses on the command line, against a running bridge", { timeout: 600_000 }, () => {
  let lab: Lab;
  before(async () => (lab = await openLab()));
  after(async () => await lab[Symbol.asyncDispose]());

  const key = () => lab.json<Key>(["evidence", "key"]);
  /** A command below `evidence`, which takes its options behind its own name. */
  const run = (...args: string[]) => lab.run(["evidence", ...args]);

  it("the key is shown as a line that verifies this log, and its file is private", async () => {
    const shown = await key();
    assert.match(shown.vkey, /^doorward\.local\/[^+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$/);
    assert.deepEqual([shown.mode, shown.rotations.length], ["600", 0]);
    assert.equal(statSync(shown.path).mode & 0o777, 0o600);
    const plain = await run("key");
    assert.ok(plain.stdout.includes(shown.vkey) && plain.stdout.includes(shown.keyId));
    assert.equal((await run("verify", "--key", shown.vkey)).code, 0);
  });

  it("a key file that others can read is said, with exit code 1", async () => {
    const { path } = await key();
    chmodSync(path, 0o644);
    const shown = await run("key");
    chmodSync(path, 0o600);
    assert.deepEqual([shown.code, /chmod 600/.test(shown.stdout)], [1, true]);
  });

  it("a rotation asks first, is on record with its reason, and both keys verify the log", async () => {
    const before = await key();
    const unasked = await run("key", "rotate");
    assert.equal(unasked.code, 1);
    assert.match(unasked.stderr, /Not rotated/);
    assert.equal((await key()).keyId, before.keyId);
    assert.equal((await run("key", "rotate", "--yes", "--reason", "a backup was lost")).code, 0);
    const now = await key();
    assert.notEqual(now.keyId, before.keyId);
    assert.deepEqual(
      now.rotations.map(({ previous, reason }) => [previous, reason]),
      [[before.keyId, "a backup was lost"]],
    );
    assert.match((await run("ls", "--type", "key-rotation")).stdout, /exchanged the signing key/);
    assert.equal((await run("verify", "--key", now.vkey)).code, 0);
    const old = await run("verify", "--key", before.vkey);
    assert.equal(old.code, 0);
    assert.match(old.stdout, /not checked +whether the 1 newer key/);
    assert.equal((await run("key", "burn")).code, 2);
  });

  it("a witness is made, trusts the log, cosigns it, and finds what was cut off", async () => {
    const dir = join(lab.root, "witness");
    const made = await run("witness", "init", dir, "--name", "office.example/usb");
    assert.equal(made.code, 0, made.stderr);
    const vkey = /^key +(\S+)/m.exec(made.stdout)?.[1] ?? "";
    assert.notEqual((await run("witness", "init", dir, "--name", "office.example/usb")).code, 0);
    assert.equal((await run("witness", "add", vkey)).code, 2);
    assert.equal((await run("witness", "add", vkey, "--folder", dir)).code, 0);
    const stranger = await run("witness", "ls");
    assert.equal(stranger.code, 1);
    assert.match(stranger.stdout, /does not know this log/);
    assert.equal((await run("witness", "trust", dir, (await key()).vkey)).code, 0);
    const before = join(lab.root, "before");
    assert.equal((await run("export", before)).code, 0);
    await run("key", "rotate", "--yes");
    assert.match((await run("witness", "ls")).stdout, /does not trust the key that signs this log now/);
    await run("witness", "trust", dir, (await key()).vkey);
    const listed = await run("witness", "ls");
    assert.deepEqual([listed.code, / ok$/m.test(listed.stdout.trimEnd())], [0, true], listed.stdout);
    assert.match((await run("witness", "show", dir)).stdout, /[0-9]+ records seen/);
    assert.equal((await run("verify", "--witness", dir)).code, 0);
    const cut = await run("verify", before, "--key", (await key()).vkey, "--witness", dir);
    assert.equal(cut.code, 1);
    assert.match(cut.stdout, /Rollback or truncation/);
    assert.notEqual((await run("witness", "cosign", dir, "--log", before)).code, 0);
    assert.equal((await run("witness", "remove", "office.example/usb")).code, 0);
    assert.equal((await run("witness", "remove", "office.example/usb")).code, 4);
    assert.ok(existsSync(join(dir, "witness.vkey")));
  });
});
