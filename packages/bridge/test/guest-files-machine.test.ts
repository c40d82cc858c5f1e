import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { openGuestFiles, type GuestFiles, type GuestLink } from "@doorward/guest";
import { pino } from "pino";
import { ensureGuestRuntime, listenForGuest } from "../src/machines/guest/index.ts";
import { PROTECTED_IN_REPO, protectedForFiles } from "../src/policy/index.ts";
import { code, put, sha, whole } from "./guest-files-lab.ts";
import { guestBundle, soon } from "./guest-harness.ts";
import { mountOf, never, openLab, skipped, type Lab } from "./podman-lab.ts";
import { plan, PolicyLab, releaseAll } from "./policy-lab.ts";

const log = pino({ level: "silent" });

describe("files of a real machine", { skip: skipped, concurrency: false, timeout: 600_000 }, () => {
  let lab: Lab;
  before(async () => {
    guestBundle();
    lab = await openLab();
  });
  after(async () => {
    await lab[Symbol.asyncDispose]();
  });
  afterEach(releaseAll);

  /** A machine whose first process is the guest from its own runtime folder. */
  async function inMachine(
    files: PolicyLab,
    repo: string,
    hide: readonly string[],
    work: (link: GuestLink) => Promise<void>,
  ): Promise<void> {
    const policy = await files.policy();
    await using planned = await plan(files, policy, [repo], { hide: [...hide] });
    const runtime = await ensureGuestRuntime({ stateDir: join(lab.root, "state"), log });
    const sockets = join(lab.root, "run", "g");
    mkdirSync(sockets, { recursive: true, mode: 0o700 });
    await using link = await listenForGuest({ socketPath: join(sockets, "m", "guest.sock"), log });
    const own = { access: "ro", mapOwner: false } as const;
    const spec = lab.spec("files", runtime.command, {
      mounts: [
        mountOf(runtime.path, "/opt/dw", { ...own, role: "guest-runtime" }),
        mountOf(join(sockets, "m"), "/run/doorward", { ...own, role: "guest-socket" }),
        ...planned.mounts,
      ],
    });
    const machine = await lab.engine.launch(spec, never);
    try {
      await link.ready(soon(30_000));
      await work(link);
    } finally {
      await lab.engine.remove(machine.containerId, 0);
    }
  }

  function appRepo(files: PolicyLab): string {
    const repo = files.repo("app", {
      ".vscode/tasks.json": "{}",
      ".env": "SECRET=1",
      "keys/id_rsa": "KEY",
      "src/a": "one needle\n",
    });
    execFileSync("chown", ["-R", "4321:4321", repo]);
    return repo;
  }

  const open = async (link: GuestLink, path: string, names: readonly string[] = []): Promise<GuestFiles> =>
    await openGuestFiles(
      link,
      { roots: [{ path, access: "rw", protected: names }], workdir: "/workspace/app" },
      soon(),
    );

  test("files of the repo are read, searched and written, and they keep the owner that they have on the host", async () => {
    using lab_ = new PolicyLab();
    const repo = appRepo(lab_);
    await inMachine(lab_, repo, [".env", "keys"], async (link) => {
      const files = await open(link, "/workspace/app");
      const { digest } = await files.read("src/a", whole, soon());
      assert.equal(digest, sha("one needle\n"));
      await files.change(
        [
          put("src/a", "two needle\n", { expect: { digest: sha("one needle\n") } }),
          put("new/er/b", "b", { parents: true }),
        ],
        soon(),
      );
      assert.equal(readFileSync(join(repo, "src/a"), "utf8"), "two needle\n");
      for (const path of ["src/a", "new/er/b"]) assert.equal(statSync(join(repo, path)).uid, 4321, path);
      const more = { literal: true, caseSensitive: true, globs: [], ignored: true, context: 0, limit: 9 };
      const found = await files.search({ path: ".", pattern: "needle", ...more }, soon());
      assert.deepEqual(
        found.items.map(({ path }) => path),
        ["/workspace/app/src/a"],
      );
      // ripgrep comes with the guest: the machine's image has none of its own here, or another one
      assert.ok(
        (await files.find({ path: ".", glob: "*", ignored: false, limit: 9 }, soon())).items.length > 0,
      );
      await files.change(
        [{ kind: "move", path: "new/er/b", to: "moved", expect: "any", parents: false }],
        soon(),
      );
      assert.equal(existsSync(join(repo, "moved")), true);
    });
  });

  test("read-only mounts refuse with the reason, and what is hidden stays hidden", async () => {
    using lab_ = new PolicyLab();
    const repo = appRepo(lab_);
    await inMachine(lab_, repo, [".env", "keys"], async (link) => {
      // without a list of names: what the mounts alone refuse
      const files = await open(link, "/");
      const refused = code("PATH_NOT_ALLOWED", /read-only|no permission|mount/);
      for (const path of [
        ".vscode/tasks.json",
        ".git/config",
        ".git/hooks/pre-commit",
        "/opt/dw/guest.mjs",
        "/usr/bin/x",
        "/run/doorward/x",
      ])
        await assert.rejects(files.change([put(path, "evil")], soon()), refused, path);
      for (const path of [".vscode", ".git"])
        await assert.rejects(
          files.change([{ kind: "move", path, to: "away", expect: "any", parents: false }], soon()),
          refused,
          path,
        );
      await assert.rejects(
        files.change([{ kind: "remove", path: ".git/config", expect: "any" }], soon()),
        refused,
      );
      assert.equal((await files.read(".env", whole, soon())).bytes.length, 0);
      assert.deepEqual((await files.list({ path: "keys", depth: 5, limit: 9 }, soon())).items, []);
      await assert.rejects(files.read("keys/id_rsa", whole, soon()), code("PATH_NOT_FOUND"));
    });
    assert.equal(readFileSync(join(repo, ".vscode/tasks.json"), "utf8"), "{}");
    assert.equal(readFileSync(join(repo, ".env"), "utf8"), "SECRET=1");
  });

  test("new protected names are refused, and a narrower stream reaches no more than its folder", async () => {
    using lab_ = new PolicyLab();
    const repo = appRepo(lab_);
    await inMachine(lab_, repo, [], async (link) => {
      const files = await open(link, "/workspace/app", protectedForFiles([], []));
      for (const name of [...PROTECTED_IN_REPO, "src/.git/config", ".git/config.worktree"])
        await assert.rejects(
          files.change([put(name, "evil", { parents: true })], soon()),
          code("PATH_NOT_ALLOWED", /is protected/),
          name,
        );
      const narrow = await open(link, "/workspace/app/src");
      assert.equal((await narrow.read("src/a", whole, soon())).size, 11);
      for (const path of [
        ".env",
        "/etc/hostname",
        "src/../keys/id_rsa",
        "/proc/self/environ",
        "/opt/dw/guest.mjs",
      ])
        await assert.rejects(narrow.read(path, whole, soon()), code("PATH_NOT_ALLOWED"), path);
    });
    assert.equal(existsSync(join(repo, ".envrc")), false);
  });

  test("the guest stays small when it is idle, and bounded when it is busy", async (t) => {
    using lab_ = new PolicyLab();
    const repo = appRepo(lab_);
    execFileSync("bash", [
      "-c",
      `for i in $(seq 2000); do head -c 3000 /dev/zero > "$1/f$i"; done; head -c 100000000 /dev/zero > "$1/large"; chown -R 4321:4321 "$1"`,
      "-",
      repo,
    ]);
    await inMachine(lab_, repo, [], async (link) => {
      const rss = async (): Promise<number> => Math.round((await link.health(soon())).rssBytes / 1_048_576);
      const files = await open(link, "/workspace/app");
      const idle = await rss();
      for (let round = 0; round < 2; round += 1) {
        await Promise.all(
          Array.from({ length: 2000 }, (_, at) => files.read(`f${String(at + 1)}`, whole, soon(60_000))),
        );
        await files.read("large", whole, soon(60_000));
        await files.change([put("copy", "", { bytes: Buffer.alloc(50_000_000) })], soon(60_000));
      }
      const busy = await rss();
      t.diagnostic(`guest: ${String(idle)} MiB idle, ${String(busy)} MiB after work`);
      assert.ok(idle <= 70 && busy <= 160, `${String(idle)} and ${String(busy)} MiB`);
    });
  });
});
