import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { debianSources } from "../src/machines/images/debian-mirror.ts";
import { resolveRecipe } from "../src/machines/images/image-recipe.ts";

const onDebian = /^ID=debian$/m.test(readFileSync("/etc/os-release", "utf8"));

function withApt(files: Readonly<Record<string, string>>, check: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "dwapt-"));
  mkdirSync(join(folder, "sources.list.d"));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    check(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test(
  "the host's own mirrors are used, from either form of source list",
  { skip: !onDebian && "not a Debian" },
  () => {
    withApt(
      {
        "sources.list":
          "deb [arch=amd64] http://mirror.example/debian trixie main contrib\ndeb http://sec.example/debian-security trixie-security main\n",
      },
      (folder) => {
        assert.deepEqual(debianSources("bookworm", folder), [
          "deb http://mirror.example/debian bookworm main",
          "deb http://mirror.example/debian bookworm-updates main",
          "deb http://sec.example/debian-security bookworm-security main",
        ]);
      },
    );
    const stanza =
      "Types: deb\n# a comment\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n";
    withApt({ "sources.list.d/debian.sources": stanza }, (folder) => {
      assert.match(
        debianSources("bookworm", folder)[0] ?? "",
        /^deb http:\/\/m\.example\/debian bookworm main$/,
      );
    });
  },
);

test("sources of others, disabled ones and a host without any fall back to Debian's own", () => {
  const others =
    "deb https://other.example/apt cloud-sdk-bookworm main\ndeb cdrom:[Debian]/ bookworm main\n# deb http://x.example/debian bookworm main\n";
  const disabled =
    "Types: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n";
  withApt({ "sources.list.d/other.list": others, "sources.list.d/off.sources": disabled }, (folder) => {
    assert.equal(debianSources("bookworm", folder)[0], "deb http://deb.debian.org/debian bookworm main");
  });
  assert.equal(
    debianSources("bookworm", "/no/such/folder")[2],
    "deb http://deb.debian.org/debian-security bookworm-security main",
  );
});

test("build tools and another base are other recipes, and the same recipe is the same tag", () => {
  const plain = resolveRecipe({ name: "machine", buildTools: false }, null);
  const tools = resolveRecipe({ name: "machine", buildTools: true }, null);
  const based = resolveRecipe(
    { name: "machine", buildTools: false },
    "docker.io/library/debian:bookworm-slim",
  );
  assert.equal(new Set([plain.tag, tools.tag, based.tag]).size, 3);
  assert.equal(resolveRecipe({ name: "machine", buildTools: false }, null).tag, plain.tag);
  assert.match(plain.tag, /^localhost\/doorward\/machine:[a-f0-9]{16}$/);
  assert.ok(tools.packages.includes("gcc") && !plain.packages.includes("gcc"));
});
