import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isMacosLoaderVariable, macosProgramProblem } from "../src/hosts/macos/process-rules.ts";
import { beneathRoot } from "../src/hosts/path-rules.ts";
import { pathRulesOf } from "../src/hosts/path-rules-of.ts";
import { doubledEnvironmentKey, windowsProgramProblem } from "../src/hosts/windows/process-rules.ts";

function isBeneath(platform: NodeJS.Platform, root: string, path: string): boolean {
  const rules = pathRulesOf(platform);
  const [outer, inner] = [rules.split(root), rules.split(path)];
  return "names" in outer && "names" in inner && beneathRoot(rules, outer.names, inner.names) !== null;
}

describe("paths by the rules of their host", () => {
  const beneath: readonly (readonly [NodeJS.Platform, string, string, boolean])[] = [
    ["linux", "/srv/a", "/srv/a/b", true],
    ["linux", "/srv/a", "/srv/A/b", false],
    ["linux", "/srv/a", "/srv/ab", false],
    ["darwin", "/Users/A", "/users/a/x", true],
    ["darwin", "/Users/caf\u00e9", "/Users/cafe\u0301/x", true],
    ["darwin", "/Users/a", "/Users/ab", false],
    ["win32", "C:\\Work", "c:/work/x", true],
    ["win32", "C:\\Work", "D:\\Work\\x", false],
  ];
  for (const [platform, root, path, expected] of beneath)
    it(`${platform}: ${JSON.stringify(path)} lies ${expected ? "" : "not "}beneath ${JSON.stringify(root)}`, () => {
      assert.equal(isBeneath(platform, root, path), expected);
    });

  const refused: readonly (readonly [NodeJS.Platform, string])[] = [
    ...["C:\\x", "rel", "/a/../b", "/a/./b", "/a//b", "/a\u0000b"].map((path) => ["linux", path] as const),
    ...["/a/../b", "/a:b", "/f/..namedfork/rsrc", "/a\nb", `/${"n".repeat(256)}`].map(
      (path) => ["darwin", path] as const,
    ),
    ...[
      "/etc/hosts",
      "\\\\server\\share\\x",
      "\\\\?\\C:\\x",
      "C:x",
      "C:\\a\\..\\b",
      "C:\\a.",
      "C:\\a ",
      "C:\\a:stream",
    ].map((path) => ["win32", path] as const),
    ...[
      "C:\\NUL",
      "C:\\con.txt",
      "C:\\Com1",
      "C:\\lpt\u00b2.log",
      "C:\\PROGRA~1\\x",
      "C:\\a*b",
      "C:\\aux .x",
    ].map((path) => ["win32", path] as const),
  ];
  for (const [platform, path] of refused)
    it(`${platform}: ${JSON.stringify(path).slice(0, 40)} is no path`, () => {
      assert.ok("problem" in pathRulesOf(platform).split(path));
    });
});

describe("programs by the rules of their host", () => {
  it("Windows runs no batch file, no script and no device", () => {
    for (const path of ["C:\\a.cmd", "C:\\a.BAT", "C:\\a.ps1", "C:\\a", "C:\\a.exe.", "C:\\nul.exe"])
      assert.notEqual(windowsProgramProblem(path), null, path);
    assert.equal(windowsProgramProblem("C:\\Program Files\\Git\\cmd\\git.exe"), null);
  });

  it("Windows takes Path and PATH for one variable", () => {
    assert.equal(doubledEnvironmentKey(["PATH", "HOME", "Path"]), "Path");
    assert.equal(doubledEnvironmentKey(["PATH", "HOME"]), null);
  });

  it("macOS hands no loader variable on and opens no bundle", () => {
    assert.ok(isMacosLoaderVariable("DYLD_INSERT_LIBRARIES"));
    assert.ok(!isMacosLoaderVariable("HOME"));
    for (const path of ["/usr/bin/open", "/usr/bin/osascript", "/Applications/X.app"])
      assert.notEqual(macosProgramProblem(path), null, path);
    assert.equal(macosProgramProblem("/usr/bin/git"), null);
  });
});
