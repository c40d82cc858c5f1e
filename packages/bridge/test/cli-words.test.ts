import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DoorwardError } from "@doorward/contracts";
import { asCalled, calledAs } from "../src/cli/called-as.ts";
import { missingPackages } from "../src/cli/commands/doctor.ts";
import { gitRoot } from "../src/cli/commands/up.ts";
import { escapeLine, escapeText } from "@doorward/client/operator";
import { jsonText } from "../src/cli/output.ts";
import { parseProgram } from "../src/cli/program-options.ts";
import { splitArguments } from "../src/cli/program.ts";
import { shellWord } from "../src/cli/shell-word.ts";
import { table } from "../src/cli/table.ts";
import { DetachKeys, parseDetachKeys } from "../src/cli/terminal/detach-keys.ts";
import { terminalEnvironment } from "../src/cli/terminal/terminal-environment.ts";
import { elapsed, size, span } from "../src/cli/times.ts";

describe("detach keys", () => {
  it("are bytes of keys with commas between", () => {
    assert.deepEqual([...parseDetachKeys("ctrl-],d")], [0x1d, 0x64]);
    assert.deepEqual([...parseDetachKeys("ctrl-p,ctrl-q")], [0x10, 0x11]);
  });
  for (const wrong of ["", "ctrl-", "ctrl-1", "ab", "ctrl-],", "a,,b", "ä", "a,b,c,d,e,f,g,h,i"]) {
    it(`"${wrong}" is refused as usage`, () =>
      assert.throws(
        () => parseDetachKeys(wrong),
        (error: unknown) => error instanceof DoorwardError && error.code === "USAGE",
      ));
  }
  it("keys that only begin alike are forwarded, late but whole", () => {
    const keys = new DetachKeys(parseDetachKeys("ctrl-],d"));
    assert.deepEqual([...keys.push(Uint8Array.of(0x61, 0x1d)).forward], [0x61]);
    assert.deepEqual([...keys.push(Uint8Array.of(0x1d, 0x62)).forward], [0x1d, 0x1d, 0x62]);
    assert.equal(keys.push(Uint8Array.of(0x1d, 0x64)).detached, true);
  });
  it("forward everything before the keys and nothing of them, however input is cut", () => {
    const input = fc.array(fc.constantFrom(0x1d, 0x64, 0x61), { maxLength: 40 });
    fc.assert(
      fc.property(input, fc.nat(40), (bytes, cut) => {
        const text = String.fromCharCode(...bytes);
        const at = text.indexOf("\u001dd");
        const keys = new DetachKeys(parseDetachKeys("ctrl-],d"));
        const first = keys.push(Uint8Array.from(bytes.slice(0, cut)));
        const second = first.detached
          ? { forward: [], detached: false }
          : keys.push(Uint8Array.from(bytes.slice(cut)));
        const seen = String.fromCharCode(...first.forward, ...second.forward);
        assert.equal(first.detached || second.detached, at >= 0);
        if (at >= 0) assert.equal(seen, text.slice(0, at));
        else assert.ok(text.startsWith(seen) && text.length - seen.length <= 1);
      }),
    );
  });
});

describe("command lines", () => {
  it("words after -- belong to the program of exec, run and attach", () => {
    assert.deepEqual(splitArguments(["exec", "shop", "--", "ls", "--", "-l"]), {
      own: ["exec", "shop"],
      passthrough: ["ls", "--", "-l"],
    });
  });
  it("-- stays where it was for other commands", () => {
    assert.deepEqual(splitArguments(["up", "--", "-odd-name"]).own, ["up", "--", "-odd-name"]);
  });
  for (const wrong of ["", "=x", "1A=x", "A B=x", "A"]) {
    it(`variable "${wrong}" is refused`, () => assert.throws(() => parseProgram({ env: [wrong] }), /--env/));
  }
  it("a variable's value may hold anything but NUL", () => {
    assert.deepEqual(parseProgram({ env: ["A=b=c\nd"] }).env, { A: "b=c\nd" });
    assert.throws(() => parseProgram({ env: ["A=\u0000"] }), /--env/);
  });
  it("a relative working folder is refused", () =>
    assert.throws(() => parseProgram({ cwd: "src" }), /--cwd/));
  it("a folder in no repository is its own root", () => assert.equal(gitRoot("/proc"), "/proc"));
});

describe("what is printed", () => {
  it("control characters and direction marks are escaped", () => {
    assert.equal(escapeLine("a\u001b[31m\n\u202eb"), String.raw`a\x1b[31m\n\u202eb`);
    assert.equal(escapeText("a\n\tb\u001b"), "a\n\tb\\x1b");
  });
  it("a table's cells can't break its lines", () => assert.equal(table(["A"], [["x\ny"]]), "A\nx\\ny"));
  it("times and sizes are short", () => {
    assert.equal(span(8 * 3_600_000 + 59_000), "8h");
    assert.equal(span(90_000), "1m30s");
    assert.equal(elapsed(1234), "1.2s");
    assert.equal(size(1_572_864), "1.5 MiB");
    assert.equal(size(512), "512 B");
  });
  it("a terminal type that a machine does not know becomes xterm-256color", () => {
    assert.equal(terminalEnvironment({ TERM: "xterm-ghostty" })["TERM"], "xterm-256color");
    assert.equal(terminalEnvironment({ TERM: "screen" })["TERM"], "screen");
    assert.equal(terminalEnvironment({})["TERM"], "dumb");
    assert.equal(terminalEnvironment({ TERM: "xterm", COLORTERM: "$(id)" })["COLORTERM"], undefined);
  });
});

describe("doctor --fix", () => {
  const finding = (fix: string | null, state: "ok" | "missing" = "missing") => ({
    id: "x",
    state,
    found: "",
    costs: null,
    fix,
  });
  it("installs packages that findings name in an apt command", () => {
    assert.deepEqual(
      missingPackages([
        finding("sudo apt-get install -y podman crun"),
        finding("sudo apt-get install -y crun"),
      ]),
      ["crun", "podman"],
    );
  });
  for (const fix of [
    "sudo rm -rf /",
    "sudo apt-get install -y podman; reboot",
    "sudo apt-get install -y -o=x",
    "sudo dnf install -y podman",
    null,
  ]) {
    it(`does nothing about ${JSON.stringify(fix)}`, () =>
      assert.deepEqual(missingPackages([finding(fix)]), []));
  }
  it("does nothing about what is fine", () =>
    assert.deepEqual(missingPackages([finding("sudo apt-get install -y podman", "ok")]), []));
});

describe("what a hint says to type", () => {
  const bin = "/opt/a b/node_modules/.bin/doorward";
  it("is doorward where the user's PATH has it, and npm's own folders don't count", (t) => {
    const folder = mkdtempSync(join(tmpdir(), "dw-called-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    mkdirSync(join(folder, "node_modules", ".bin"), { recursive: true });
    const inBin = join(folder, "node_modules", ".bin", "doorward");
    writeFileSync(inBin, "", { mode: 0o755 });
    const path = join(folder, "node_modules", ".bin");
    assert.equal(calledAs({ env: { PATH: path }, cwd: "/" }, bin), `'${bin}'`);
    assert.equal(calledAs({ env: { PATH: path }, cwd: folder }, bin), "npx doorward");
    writeFileSync(join(folder, "doorward"), "", { mode: 0o755 });
    assert.equal(calledAs({ env: { PATH: folder }, cwd: "/" }, bin), "doorward");
  });
  it("is doorward when something else than the command's file runs", () =>
    assert.equal(calledAs({ env: {}, cwd: "/" }, "/x/main.ts"), "doorward"));
  it("changes commands and leaves names and paths alone", () =>
    assert.equal(
      asCalled("doorward policy allow ~/doorward && (doorward up /srv/doorward x)", "npx doorward"),
      "npx doorward policy allow ~/doorward && (npx doorward up /srv/doorward x)",
    ));
  it("quotes what a shell would read otherwise", () => {
    assert.equal(shellWord("/srv/shop"), "/srv/shop");
    assert.equal(shellWord("/srv/it's $HOME"), String.raw`'/srv/it'\''s $HOME'`);
  });
});

describe("documents as JSON", () => {
  it("have no control character or direction mark in them, and mean the same", () => {
    const text = fc.string({ unit: "binary" });
    const value = fc.oneof(text, fc.dictionary(text, text), fc.constant("a\u009b31mb\u007f\u202ec\u2066"));
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 2), (document, indent) => {
        const shown = jsonText(document, indent);
        assert.doesNotMatch(shown, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/);
        assert.deepEqual(JSON.parse(shown), JSON.parse(JSON.stringify(document)));
      }),
    );
  });
});
