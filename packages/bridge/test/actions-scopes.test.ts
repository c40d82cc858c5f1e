import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Policy } from "@doorward/contracts";
import { ActionError } from "../src/actions/action-error.ts";
import { identifyProgram } from "../src/actions/scopes/index.ts";
import { JudgeLab, violation } from "./actions-lab.ts";

describe("a judged command", () => {
  it("has the resolved program with its identity, the first working folder, and nothing else in its environment", async () => {
    using lab = new JudgeLab();
    const link = join(lab.base, "bin", "link");
    symlinkSync("tool", link);
    lab.policy.actions?.processes?.[0]?.executables.push({ path: link, owner: "user" });
    const plan = await lab.judge().judge("tool", lab.request({ command: link, env: { COLOUR: "red" } }));
    assert.equal(plan.program.path, lab.program);
    assert.match(plan.program.digest ?? "", /^sha256:[a-f0-9]{64}$/);
    assert.equal(plan.cwd.path, lab.work);
    const { PATH, LANG, TZ, ...others } = plan.env;
    assert.deepEqual(others, { HOME: lab.home, SEEN: "yes", MODE: "safe", COLOUR: "red" });
    assert.deepEqual([PATH, LANG, TZ], ["/usr/local/bin:/usr/bin:/bin", "C.UTF-8", "UTC"]);
    assert.deepEqual([plan.timeoutMs, plan.effect, plan.confirm], [10_000, "read", "never"]);
  });
  it("is confirmed unless a line of the policy says never", async () => {
    using lab = new JudgeLab();
    assert.equal((await lab.judge().judge("tool", lab.request({ args: ["stop", "a"] }))).confirm, "always");
  });
  it("without working folders runs in an empty folder of ours", async () => {
    using lab = new JudgeLab({ cwdRoots: [] });
    const { cwd } = await lab.judge().judge("tool", lab.request());
    assert.deepEqual(readdirSync(cwd.path), []);
    const found = await violation(lab.judge().judge("tool", lab.request({ cwd: lab.work })));
    assert.equal(found.reason, "CWD_OUTSIDE_ALLOWED_ROOTS");
  });
});

describe("a command judged by the rules of another host", () => {
  it("on macOS is no bundle and nothing that opens other programs, whatever the policy lists", async () => {
    using lab = new JudgeLab();
    for (const path of ["/usr/bin/open", "/usr/bin/osascript", "/Applications/X.app"]) {
      lab.policy.actions?.processes?.[0]?.executables.push({ path });
      const found = await violation(lab.judge("darwin").judge("tool", lab.request({ command: path })));
      assert.equal(found.reason, "COMMAND_NOT_ALLOWLISTED");
      assert.match(found.message, /starts other programs|not a program/);
    }
  });
  it("on Windows is a .exe or .com by an absolute path, never a batch file or script", async () => {
    using lab = new JudgeLab();
    const judge = lab.judge("win32");
    const reason = async (command: string): Promise<string> =>
      (await violation(judge.judge("tool", lab.request({ command })))).reason;
    for (const command of ["tool.exe", "C:tool.exe", ".\\tool.exe"])
      assert.equal(await reason(command), "COMMAND_PATH_NOT_ABSOLUTE", command);
    for (const path of ["C:\\bin\\a.cmd", "C:\\bin\\a.bat", "C:\\bin\\a.ps1", "C:\\bin\\a.exe."]) {
      lab.policy.actions?.processes?.[0]?.executables.push({ path });
      assert.equal(await reason(path), "COMMAND_NOT_ALLOWLISTED", path);
    }
  });
});

describe("a command outside its scope", () => {
  it("of an unknown scope is SCOPE_DENIED with SCOPE_NOT_CONFIGURED", async () => {
    using lab = new JudgeLab();
    const work = lab.judge().judge("other", lab.request());
    await assert.rejects(
      work,
      (error: unknown) => error instanceof ActionError && error.failure.code === "SCOPE_DENIED",
    );
    assert.equal(
      (await violation(lab.judge().judge("__proto__", lab.request()))).reason,
      "SCOPE_NOT_CONFIGURED",
    );
  });
  it("whose path is not absolute, or not the listed one letter by letter, is refused", async () => {
    using lab = new JudgeLab();
    const reason = async (command: string): Promise<string> =>
      (await violation(lab.judge().judge("tool", lab.request({ command })))).reason;
    for (const command of ["tool", "./tool", "", "~/tool", " /bin/sh"])
      assert.equal(await reason(command), "COMMAND_PATH_NOT_ABSOLUTE");
    for (const command of [
      "/bin/sh",
      `${lab.program}\u0000`,
      `${lab.program}/`,
      `${lab.base}/bin/../bin/tool`,
      `${lab.base}//bin/tool`,
    ])
      assert.equal(await reason(command), "COMMAND_NOT_ALLOWLISTED");
  });
  it("whose file others can write to, whose folder others can write to, or that is setuid, is refused", async () => {
    using lab = new JudgeLab();
    const bin = join(lab.base, "bin");
    const refusals: readonly (() => void)[] = [
      () => chmodSync(lab.program, 0o757),
      () => chmodSync(lab.program, 0o775),
      () => {
        chmodSync(lab.program, 0o755);
        chmodSync(bin, 0o777);
      },
      () => {
        chmodSync(bin, 0o755);
        chmodSync(lab.program, 0o4755);
      },
      () => chmodSync(lab.program, 0o644),
      () => {
        unlinkSync(lab.program);
        mkdirSync(lab.program);
      },
    ];
    await lab.judge().judge("tool", lab.request());
    for (const refusal of refusals) {
      refusal();
      assert.equal(
        (await violation(lab.judge().judge("tool", lab.request()))).reason,
        "COMMAND_NOT_ALLOWLISTED",
      );
    }
  });
  it("that has another digest than the policy's, or lies where a machine can write, is refused", async () => {
    using pinned = new JudgeLab();
    const [executable] = pinned.scope().executables;
    assert.ok(executable);
    using lab = new JudgeLab();
    lab.policy = {
      ...lab.policy,
      actions: {
        processes: [
          {
            ...lab.scope(),
            executables: [{ path: lab.program, owner: "user", sha256: `sha256:${"0".repeat(64)}` }],
          },
        ],
      },
    };
    assert.equal(
      (await violation(lab.judge().judge("tool", lab.request()))).reason,
      "COMMAND_NOT_ALLOWLISTED",
    );
    pinned.writable.push(join(pinned.base, "bin"));
    assert.equal(
      (await violation(pinned.judge().judge("tool", pinned.request()))).reason,
      "COMMAND_NOT_ALLOWLISTED",
    );
  });
  it("that is not there is PROCESS_SPAWN_ENOENT, as where it would be spawned", async () => {
    using lab = new JudgeLab();
    unlinkSync(lab.program);
    const work = lab.judge().judge("tool", lab.request());
    await assert.rejects(
      work,
      (error: unknown) => error instanceof ActionError && error.failure.code === "PROCESS_SPAWN_ENOENT",
    );
  });
  it("with a changed program has another identity", async () => {
    using lab = new JudgeLab();
    const before = await lab.judge().judge("tool", lab.request());
    writeFileSync(lab.program, "#!/bin/sh\nexit 1\n");
    const after = await lab.judge().judge("tool", lab.request());
    assert.equal(before.program.ino, after.program.ino);
    assert.notEqual(before.program.digest, after.program.digest);
  });
  it("in another working folder is refused", async () => {
    using lab = new JudgeLab();
    symlinkSync("/etc", join(lab.work, "link"));
    writeFileSync(join(lab.work, "file"), "");
    const reason = async (cwd: string): Promise<string> => {
      const found = await violation(lab.judge().judge("tool", lab.request({ cwd })));
      assert.deepEqual([found.argumentPath, found.pathSource], [cwd, "cwd"]);
      return found.reason;
    };
    for (const cwd of ["work", ".", "", "~"]) assert.equal(await reason(cwd), "CWD_PATH_NOT_ABSOLUTE");
    const outside = [
      "/etc",
      "/",
      join(lab.work, "link"),
      join(lab.work, "file"),
      join(lab.work, "none"),
      `${lab.work}/..`,
      `${lab.work}\u0000`,
      lab.data,
    ];
    for (const cwd of outside) assert.equal(await reason(cwd), "CWD_OUTSIDE_ALLOWED_ROOTS", cwd);
  });
  it("in a working folder that a running machine can write to is refused, also by default", async () => {
    using lab = new JudgeLab();
    lab.writable.push(lab.work);
    for (const cwd of [lab.work, null])
      assert.equal(
        (await violation(lab.judge().judge("tool", lab.request({ cwd })))).reason,
        "CWD_OUTSIDE_ALLOWED_ROOTS",
      );
  });
  it("in a folder that holds what a machine can write to is refused, as is such an argument", async () => {
    using lab = new JudgeLab();
    lab.writable.push(join(lab.work, "sub"), join(lab.data, "sub"));
    for (const folder of [lab.work, lab.data]) mkdirSync(join(folder, "sub"));
    assert.equal(
      (await violation(lab.judge().judge("tool", lab.request()))).reason,
      "CWD_OUTSIDE_ALLOWED_ROOTS",
    );
    lab.writable.shift();
    const args = ["show", "x", lab.data];
    assert.equal(
      (await violation(lab.judge().judge("tool", lab.request({ args })))).reason,
      "ARGUMENT_PATH_OUTSIDE_ALLOWED_ROOTS",
    );
    await lab.judge().judge("tool", lab.request());
  });
  it("of git is refused where a work tree belongs to a repository that machines may write to, also after they ended", async () => {
    using lab = new JudgeLab();
    const git = join(lab.base, "bin", "vcs");
    renameSync(lab.program, join(lab.base, "bin", "git"));
    symlinkSync("git", git);
    const shop = join(lab.base, "shop");
    const tree = join(shop, ".git", "worktrees", "work");
    mkdirSync(tree, { recursive: true });
    const own = join(lab.base, "gitdir");
    mkdirSync(own);
    const judge = (roots: Policy["roots"]) => {
      const processes = [{ ...lab.scope(), executables: [{ path: git, owner: "user" as const }] }];
      lab.policy = { version: 1, roots, actions: { processes } };
      return lab.judge().judge("tool", lab.request({ command: git }));
    };
    const machines: Policy["roots"] = [{ path: shop, access: "rw" }];
    const ways: readonly (() => void)[] = [
      () => writeFileSync(join(lab.work, ".git"), `gitdir: ${tree}\n`),
      () => writeFileSync(join(lab.work, ".git"), "gitdir: ../shop/.git/worktrees/work\n"),
      () => symlinkSync(join(shop, ".git"), join(lab.work, ".git")),
      () => writeFileSync(join(lab.base, ".git"), `gitdir: ${tree}\n`),
      () => {
        writeFileSync(join(own, "commondir"), "../shop/.git\n");
        writeFileSync(join(lab.work, ".git"), `gitdir: ${own}\n`);
      },
    ];
    for (const way of ways) {
      for (const place of [lab.work, lab.base]) rmSync(join(place, ".git"), { force: true });
      way();
      assert.equal((await violation(judge(machines))).reason, "SCOPE_POLICY_VIOLATION");
      await judge([]);
    }
  });
  it("whose program has another name is refused, unless it is root's", async () => {
    using lab = new JudgeLab();
    const uid = userInfo().uid === 0 ? 65_534 : userInfo().uid;
    chownSync(lab.program, uid, uid === userInfo().uid ? userInfo().gid : uid);
    const verdict = () => identifyProgram(lab.program, { owner: "user", uid });
    assert.ok("program" in (await verdict()));
    linkSync(lab.program, join(lab.data, "other"));
    assert.ok("problem" in (await verdict()));
  });
  it("with variables that the scope does not open is refused with their names", async () => {
    using lab = new JudgeLab();
    const env = { LD_PRELOAD: "/x", PATH: "/x", COLOUR: "red", MODE: "loose", colour: "red", SEEN: "no" };
    const found = await violation(lab.judge().judge("tool", lab.request({ env })));
    assert.equal(found.reason, "ENV_KEYS_NOT_ALLOWED");
    assert.deepEqual(found.deniedEnvKeys, ["LD_PRELOAD", "MODE", "PATH", "SEEN", "colour"]);
    const control = await violation(lab.judge().judge("tool", lab.request({ env: { COLOUR: "a\u0000b" } })));
    assert.deepEqual(control.deniedEnvKeys, ["COLOUR"]);
  });
  it("with a longer time limit is refused, not clamped", async () => {
    using lab = new JudgeLab();
    const found = await violation(lab.judge().judge("tool", lab.request({ timeoutMs: 10_001 })));
    assert.equal(found.reason, "TIMEOUT_EXCEEDS_SCOPE_CEILING");
    assert.deepEqual([found.timeoutCeilingMs, found.requestedTimeoutMs], [10_000, 10_001]);
    for (const timeoutMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      assert.equal(
        (await violation(lab.judge().judge("tool", lab.request({ timeoutMs })))).reason,
        found.reason,
      );
    assert.equal((await lab.judge().judge("tool", lab.request({ timeoutMs: 0.5 }))).timeoutMs, 1);
  });
  it("with more input than the scope takes is refused", async () => {
    using lab = new JudgeLab();
    const found = await violation(lab.judge().judge("tool", lab.request({ input: Buffer.alloc(17) })));
    assert.equal(found.reason, "SCOPE_POLICY_VIOLATION");
  });
});
