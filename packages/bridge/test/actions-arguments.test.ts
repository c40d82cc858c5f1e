import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { JudgeLab, violation } from "./actions-lab.ts";

describe("arguments", () => {
  const allowed: readonly string[][] = [
    ["list"],
    ["-v", "list"],
    ["--name", "a", "list", "-a"],
    ["--name=a", "list", "-f", "x=y", "--filter=z", "--limit=3"],
    ["list", "--when=now"],
    ["list", "deep"],
    ["show", "a"],
    ["show", "--", "a"],
    ["stop", "a/b:1@c"],
  ];
  for (const args of allowed) {
    it(`${args.join(" ")} passes`, async () => {
      using lab = new JudgeLab();
      const plan = await lab.judge().judge("tool", lab.request({ args }));
      assert.deepEqual(plan.args, args);
    });
  }

  const refused: readonly (readonly [string, readonly string[], string])[] = [
    ["a flag of another command", ["show", "-a", "x"], "-a"],
    ["an abbreviated flag", ["list", "--al"], "--al"],
    ["joined short flags", ["list", "-av"], "-av"],
    ["a value joined to a short flag", ["list", "-fx"], "-fx"],
    ["a value joined to a short flag with =", ["list", "-f=x"], "-f=x"],
    ["a value for a flag that has none", ["list", "--all=true"], "--all=true"],
    ["a value as the next argument where it must be joined", ["list", "--when", "now"], "--when"],
    ["a value that is not of the list", ["list", "--when=never"], "--when=never"],
    ["a value that could be a flag", ["list", "-f", "--output=x"], "--output=x"],
    ["a joined value that could be a flag", ["list", "--filter=-x"], "--filter=-x"],
    ["a missing value", ["list", "--limit"], "--limit"],
    ["an empty value", ["list", "--filter="], "--filter="],
    ["a value that is too long", ["list", "-f", "x".repeat(41)], "x".repeat(41)],
    ["a number with a sign, another base or leading zeros", ["list", "--limit", "0x10"], "0x10"],
    ["a number over its limit", ["list", "--limit", "101"], "101"],
    ["a flag twice", ["list", "-a", "--all"], "--all"],
    ["a global flag twice", ["-v", "-v", "list"], "-v"],
    ["a global flag after the command", ["list", "-v"], "-v"],
    ["a flag of the command before it", ["-a", "list"], "-a"],
    ["an operand where none is", ["list", "x"], "x"],
    ["an operand too many", ["stop", "a", "b"], "b"],
    ["an operand that looks like a flag", ["stop", "-x"], "-x"],
    ["a single hyphen", ["stop", "-"], "-"],
    ["-- where no rule lets it stand", ["stop", "--", "a"], "--"],
    ["-- twice", ["show", "--", "--", "a"], "--"],
    ["a flag after --", ["show", "--", "--from=/x"], "--from=/x"],
    ["a flag after an operand", ["show", "a", "--from", "/x"], "--from"],
    ["an unknown command", ["remove"], "remove"],
    ["a command in another case", ["List"], "List"],
    ["a command with a space", ["list "], "list "],
    ["an empty word", [""], ""],
    ["a NUL", ["stop", "a\u0000b"], "a\u0000b"],
    ["a newline", ["list", "-f", "a\nb"], "a\nb"],
    ["half a character", ["list", "-f", "\ud800"], "\ud800"],
  ];
  for (const [what, args, argument] of refused) {
    it(`${what} is refused with ARGUMENT_NOT_ALLOWED, and named`, async () => {
      using lab = new JudgeLab();
      const found = await violation(lab.judge().judge("tool", lab.request({ args })));
      assert.equal(found.reason, "ARGUMENT_NOT_ALLOWED", found.message);
      assert.equal(found.argument, argument);
    });
  }
  it("what has no single argument to blame is ARGUMENT_POLICY_VIOLATION", async () => {
    using lab = new JudgeLab();
    for (const args of [[], ["stop"], ["-v"], Array.from({ length: 257 }, () => "a")]) {
      const found = await violation(lab.judge().judge("tool", lab.request({ args })));
      assert.equal(found.reason, "ARGUMENT_POLICY_VIOLATION", found.message);
    }
  });
  it("an empty list passes only where a rule has no words", async () => {
    using lab = new JudgeLab({ commands: [{ words: [], effect: "read" }] });
    assert.deepEqual((await lab.judge().judge("tool", lab.request({ args: [] }))).args, []);
    const found = await violation(lab.judge().judge("tool", lab.request({ args: ["x"] })));
    assert.equal(found.reason, "ARGUMENT_NOT_ALLOWED");
  });
  it("a command of another program of the scope is refused", async () => {
    using lab = new JudgeLab({ commands: [{ words: ["list"], effect: "read", programs: ["other"] }] });
    assert.equal((await violation(lab.judge().judge("tool", lab.request()))).reason, "ARGUMENT_NOT_ALLOWED");
  });
});

describe("paths among arguments", () => {
  it("pass within the path roots, also where nothing is yet", async () => {
    using lab = new JudgeLab();
    for (const path of [lab.data, join(lab.data, "new"), join(lab.data, "a", "b")]) {
      await lab.judge().judge("tool", lab.request({ args: ["show", "--from", path, "a"] }));
      await lab.judge().judge("tool", lab.request({ args: ["show", "a", path] }));
    }
  });
  it("that are not absolute are refused", async () => {
    using lab = new JudgeLab();
    for (const path of ["a", "./a", "~/a", "..", "file:///a"]) {
      const found = await violation(lab.judge().judge("tool", lab.request({ args: ["show", "a", path] })));
      assert.equal(found.reason, "ARGUMENT_PATH_REQUIRES_ABSOLUTE");
      assert.deepEqual([found.argumentPath, found.pathSource], [path, "argument"]);
    }
  });
  it("that lead outside are refused: elsewhere, by dots, by links, by dangling links, by a neighbour's name", async () => {
    using lab = new JudgeLab();
    symlinkSync("/etc", join(lab.data, "link"));
    symlinkSync("/nowhere/at/all", join(lab.data, "dangling"));
    mkdirSync(`${lab.data}2`);
    const paths = [
      "/etc/passwd",
      join(lab.data, "link", "passwd"),
      join(lab.data, "link", "new"),
      join(lab.data, "dangling"),
      `${lab.data}/../work`,
      `${lab.data}2/x`,
      "/",
      `${lab.data}/link/../x`,
    ];
    for (const path of paths) {
      const found = await violation(
        lab.judge().judge("tool", lab.request({ args: ["show", `--from=${path}`, "a"] })),
      );
      assert.equal(found.reason, "ARGUMENT_PATH_OUTSIDE_ALLOWED_ROOTS", path);
      assert.deepEqual([found.argument, found.argumentPath], [`--from=${path}`, path]);
    }
  });
  it("that lie where a running machine can write, or in a denied place, are refused", async () => {
    using lab = new JudgeLab();
    mkdirSync(join(lab.data, "repo"));
    writeFileSync(join(lab.data, "secret"), "");
    lab.writable.push(join(lab.data, "repo"));
    lab.policy = { ...lab.policy, deny: [join(lab.data, "secret")] };
    for (const path of [join(lab.data, "repo", "x"), join(lab.data, "secret")]) {
      const found = await violation(lab.judge().judge("tool", lab.request({ args: ["show", "a", path] })));
      assert.equal(found.reason, "ARGUMENT_PATH_OUTSIDE_ALLOWED_ROOTS");
    }
  });
});
