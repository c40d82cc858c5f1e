import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { ActionError } from "../src/actions/action-error.ts";
import { chooseClipboard } from "../src/actions/clipboard/clipboard-tools.ts";
import { HostClipboard } from "../src/actions/clipboard/index.ts";

const never = new AbortController().signal;
const everything = (name: string) => `/usr/bin/${name}`;

async function failure(work: Promise<unknown>): Promise<ActionError["failure"]> {
  try {
    await work;
  } catch (error) {
    return (error as ActionError).failure;
  }
  throw new Error("it worked");
}

for (const tool of ["xclip", "xsel"]) {
  const absent = ["Xvfb", tool].find((name) => !existsSync(`/usr/bin/${name}`));
  describe(
    `the clipboard through ${tool}`,
    { skip: absent === undefined ? false : `needs ${absent}` },
    () => {
      let server: ChildProcess;
      let folder: string;
      let clipboard: HostClipboard;

      before(async () => {
        folder = mkdtempSync(join(tmpdir(), "doorward-clip-"));
        mkdirSync(join(folder, "bin"));
        symlinkSync(`/usr/bin/${tool}`, join(folder, "bin", tool));
        server = spawn("/usr/bin/Xvfb", ["-displayfd", "1", "-screen", "0", "64x64x8"], {
          stdio: ["ignore", "pipe", "ignore"],
        });
        assert.ok(server.stdout);
        const [number] = (await once(server.stdout, "data")) as [Buffer];
        const env = { DISPLAY: `:${number.toString().trim()}`, HOME: folder };
        clipboard = new HostClipboard({ env, folders: [join(folder, "bin")] });
      });
      after(async () => {
        server.kill();
        await once(server, "exit");
        rmSync(folder, { recursive: true, force: true });
      });

      it("is read as it was written, with every character", async () => {
        const text = "línea 1\n\t$(id) `id` 🚪\n";
        await clipboard.write(text, never);
        // xsel returns before its background process owns the selection.
        for (
          let round = 0;
          tool === "xsel" && round < 100 && (await clipboard.read(never)) !== text;
          round += 1
        );
        assert.equal(await clipboard.read(never), text);
      });

      it("takes text of 1 MiB and no more", async () => {
        await clipboard.write("x".repeat(1_048_576), never);
        assert.equal((await clipboard.read(never)).length, 1_048_576);
        assert.equal(
          (await failure(clipboard.write("x".repeat(1_048_577), never))).code,
          "CLIPBOARD_WRITE_FAILED",
        );
      });

      it("is not touched when the request was cancelled", async () => {
        assert.equal((await failure(clipboard.write("x", AbortSignal.abort()))).code, "CANCELLED");
      });
    },
  );
}

describe("a session", () => {
  it("without a display has no clipboard, and says so", async () => {
    const refused = await failure(new HostClipboard({ env: {}, platform: "linux" }).read(never));
    assert.equal(refused.code, "CLIPBOARD_UNSUPPORTED");
    assert.match(refused.message, /graphical session/);
  });

  it(
    "with a display that is gone fails with the code of reading or writing",
    { skip: existsSync("/usr/bin/xclip") ? false : "needs xclip" },
    async () => {
      const clipboard = new HostClipboard({ env: { DISPLAY: ":65000" }, platform: "linux" });
      assert.equal((await failure(clipboard.read(never))).code, "CLIPBOARD_READ_FAILED");
      assert.equal((await failure(clipboard.write("x", never))).code, "CLIPBOARD_WRITE_FAILED");
    },
  );

  it("with a tool that others can write has none", async () => {
    const folder = mkdtempSync(join(tmpdir(), "doorward-clip-"));
    try {
      writeFileSync(join(folder, "xclip"), "#!/bin/sh\n", { mode: 0o777 });
      const { chmodSync } = await import("node:fs");
      chmodSync(join(folder, "xclip"), 0o777);
      const clipboard = new HostClipboard({ env: { DISPLAY: ":1" }, platform: "linux", folders: [folder] });
      assert.equal((await failure(clipboard.read(never))).code, "CLIPBOARD_UNSUPPORTED");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  const chosen: readonly (readonly [
    NodeJS.Platform,
    Record<string, string>,
    (name: string) => string | null,
    string,
  ])[] = [
    ["linux", { WAYLAND_DISPLAY: "wayland-0", DISPLAY: ":0" }, everything, "wl-clipboard"],
    [
      "linux",
      { WAYLAND_DISPLAY: "wayland-0", DISPLAY: ":0" },
      (name) => (name === "xsel" ? name : null),
      "xsel",
    ],
    ["linux", { DISPLAY: ":0" }, everything, "xclip"],
    ["linux", { DISPLAY: ":0" }, () => null, "install xclip or xsel"],
    ["linux", { WAYLAND_DISPLAY: "w" }, () => null, "install wl-clipboard"],
    ["darwin", {}, everything, "pasteboard"],
    ["win32", {}, everything, "PowerShell"],
    ["win32", {}, () => null, "Windows PowerShell is not there"],
  ];
  for (const [platform, env, find, expected] of chosen)
    it(`of ${platform} with ${Object.keys(env).join(", ") || "nothing"} gets: ${expected}`, () => {
      const choice = chooseClipboard(platform, env, find);
      assert.equal("tool" in choice ? choice.tool.name : choice.missing, expected);
    });
});
