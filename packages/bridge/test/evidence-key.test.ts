import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { chmod, link, mkdir, readFile, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openEvidenceKey, readEvidenceKey } from "../src/evidence/index.ts";
import { temporary } from "../../../test/evidence/support.ts";

const refused = { code: "KEY_INVALID" };

void test("a key is made once, private to its owner, and stays the same", async () => {
  await using folder = await temporary();
  const path = join(folder.path, "key.pem");
  const key = await openEvidenceKey(path);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.match(await readFile(path, "utf8"), /^-----BEGIN PRIVATE KEY-----\n/);
  const again = await openEvidenceKey(path);
  assert.equal(again.keyId, key.keyId);
  assert.deepEqual(again.digestKey, key.digestKey);
  assert.deepEqual(await again.sign(Buffer.from("x")), await key.sign(Buffer.from("x")));
});

void test("two first starts at once end with one key", async () => {
  await using folder = await temporary();
  const path = join(folder.path, "key.pem");
  const made = await Promise.allSettled([openEvidenceKey(path), openEvidenceKey(path)]);
  const { keyId } = await readEvidenceKey(path);
  for (const result of made) if (result.status === "fulfilled") assert.equal(result.value.keyId, keyId);
});

void test("a key whose maker was killed before it took the first name away is that key, with one name", async () => {
  await using folder = await temporary();
  const path = join(folder.path, "key.pem");
  const { keyId } = await openEvidenceKey(path);
  await link(path, `${path}.tmp`);
  assert.equal((await openEvidenceKey(path)).keyId, keyId);
  assert.equal((await stat(path)).nlink, 1);
  await assert.rejects(stat(`${path}.tmp`), { code: "ENOENT" });
  await link(path, `${path}.other`);
  await assert.rejects(readEvidenceKey(path), refused);
});

void test("a missing key is refused with KEY_INVALID where none may be made", async () => {
  await using folder = await temporary();
  await assert.rejects(readEvidenceKey(join(folder.path, "key.pem")), refused);
});

for (const mode of [0o640, 0o604, 0o660, 0o644, 0o700 | 0o010]) {
  void test(`a key with mode ${mode.toString(8)} is refused, with the command that mends it`, async () => {
    await using folder = await temporary();
    const path = join(folder.path, "key.pem");
    await openEvidenceKey(path);
    await chmod(path, mode);
    await assert.rejects(openEvidenceKey(path), { ...refused, hint: `chmod 600 ${path}` });
  });
}

void test("a key behind a symlink is refused", async () => {
  await using folder = await temporary();
  await openEvidenceKey(join(folder.path, "real.pem"));
  await symlink("real.pem", join(folder.path, "key.pem"));
  await assert.rejects(openEvidenceKey(join(folder.path, "key.pem")), refused);
});

void test("a dangling symlink in the key's place is refused, and nothing is made behind it", async () => {
  await using folder = await temporary();
  await symlink("elsewhere.pem", join(folder.path, "key.pem"));
  await assert.rejects(openEvidenceKey(join(folder.path, "key.pem")), refused);
  await assert.rejects(stat(join(folder.path, "elsewhere.pem")), { code: "ENOENT" });
});

void test("a key with a second name is refused", async () => {
  await using folder = await temporary();
  const path = join(folder.path, "key.pem");
  await openEvidenceKey(path);
  await link(path, join(folder.path, "copy.pem"));
  await assert.rejects(openEvidenceKey(path), refused);
});

void test("a folder in the key's place is refused", async () => {
  await using folder = await temporary();
  await mkdir(join(folder.path, "key.pem"));
  await assert.rejects(openEvidenceKey(join(folder.path, "key.pem")), refused);
});

void test(
  "a key of another user is refused",
  { skip: process.getuid?.() === 0 ? false : "needs root to give a file away" },
  async () => {
    await using folder = await temporary();
    const path = join(folder.path, "key.pem");
    await openEvidenceKey(path);
    const { chown } = await import("node:fs/promises");
    await chown(path, 12_345, 12_345);
    await assert.rejects(openEvidenceKey(path), refused);
  },
);

void test("a key that is cut short, empty, or of another kind is refused and not replaced", async () => {
  await using folder = await temporary();
  const path = join(folder.path, "key.pem");
  await openEvidenceKey(path);
  await truncate(path, 60);
  await assert.rejects(openEvidenceKey(path), refused);
  await truncate(path, 0);
  await assert.rejects(openEvidenceKey(path), refused);
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await writeFile(path, privateKey.export({ format: "pem", type: "pkcs8" }));
  await assert.rejects(openEvidenceKey(path), refused);
});
