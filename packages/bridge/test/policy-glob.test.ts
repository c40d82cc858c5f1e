import assert from "node:assert/strict";
import { test } from "node:test";
import { compileGlob, looksSecret } from "../src/policy/index.ts";

const fits: [string, string][] = [
  [".env", ".env"],
  [".env", "a/b/.env"],
  [".env*", "x/.env.local"],
  ["/.env", ".env"],
  ["config/*.pem", "config/a.pem"],
  ["config/**", "config/a/b"],
  ["**/secret/*", "a/b/secret/c"],
  ["a/**/b", "a/b"],
  ["a/**/b", "a/x/y/b"],
  ["[a-c].txt", "b.txt"],
  ["[!a].txt", "b.txt"],
  ["?.txt", "é.txt"],
  [String.raw`\*.txt`, "*.txt"],
  ["secrets/", "a/secrets"],
];
const misfits: [string, string][] = [
  [".env", ".envrc"],
  ["/.env", "a/.env"],
  ["config/*.pem", "config/a/b.pem"],
  ["config/*.pem", "x/config/a.pem"],
  ["a/**/b", "ab"],
  ["[a-c].txt", "d.txt"],
  ["*.txt", "a.txt/b"],
  [".env", ".ENV"],
];

test("globs fit as gitignore's do", () => {
  for (const [glob, path] of fits) assert.equal(compileGlob(glob).matches(path), true, `${glob} ${path}`);
  for (const [glob, path] of misfits) assert.equal(compileGlob(glob).matches(path), false, `${glob} ${path}`);
});

test("globs that fit everything, negate, or leave the repo are problems", () => {
  for (const glob of ["*", "**", "**/*", "/", "!a", "../a", "a/../b", "./a", " ", "a\nb"]) {
    assert.notEqual(compileGlob(glob).problem, null, glob);
  }
});

test("a hostile glob takes no time on a hostile path", () => {
  const glob = compileGlob(`${"a*".repeat(90)}b`);
  // Time that was computed: on a busy host others take their share of what passes.
  const before = process.cpuUsage();
  assert.equal(glob.matches("a".repeat(4000)), false);
  assert.ok(process.cpuUsage(before).user / 1000 < 500);
});

test("names that hold secrets are known, and samples of them are not", () => {
  const secret = [
    ".env",
    ".env.production",
    "prod.env",
    "id_ed25519",
    "server.key",
    "a.pem",
    ".npmrc",
    "x.kdbx",
  ];
  for (const name of secret) assert.equal(looksSecret(name), true, name);
  const harmless = [".env.example", "environment.ts", "keys.ts", "README.md", "id_rsa.pub", ".envrc.sample"];
  for (const name of harmless) assert.equal(looksSecret(name), false, name);
});
