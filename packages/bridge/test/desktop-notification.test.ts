import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { desktopNotifier } from "../src/hosts/linux/desktop-notification.ts";

/** A folder with a `notify-send` that writes down its words, or fails. */
async function desktop(
  fails = false,
): Promise<
  AsyncDisposable & { readonly env: Readonly<Record<string, string>>; words(): Promise<readonly string[]> }
> {
  const folder = await mkdtemp(join(tmpdir(), "dw-notify-"));
  const script = fails ? "echo no server >&2; exit 1" : `printf '%s\\n' "$@" > ${folder}/words`;
  await writeFile(join(folder, "notify-send"), `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, "notify-send"), 0o755);
  return {
    env: { PATH: `${folder}:/usr/bin:/bin`, DBUS_SESSION_BUS_ADDRESS: "unix:path=/nowhere" },
    words: async () => (await readFile(join(folder, "words"), "utf8")).trimEnd().split("\n"),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

test("without a desktop session there is nobody to notify", () => {
  assert.equal(desktopNotifier({}), null);
  assert.equal(desktopNotifier({ DISPLAY: "", PATH: "/usr/bin" }), null);
});

test("title and text are words of their own, none of which is an option or markup", async () => {
  await using at = await desktop();
  await desktopNotifier(at.env)?.notify("--icon=/etc/passwd", '<a href="x">run</a> & go');
  assert.deepEqual((await at.words()).slice(-3), [
    "--",
    "Doorward: --icon=/etc/passwd",
    '&lt;a href="x"&gt;run&lt;/a&gt; &amp; go',
  ]);
});

test("a desktop that shows nothing is an error, which says why", async () => {
  await using at = await desktop(true);
  await assert.rejects(desktopNotifier(at.env)?.notify("title", "text") ?? Promise.resolve(), /no server/);
});
