import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { toDoorwardError, type MachineIsolation } from "@doorward/contracts";
import { findDrift } from "../src/machines/drift.ts";
import { mountOf, mountsBelow, never, openLab, REPO_OWNER, skipped, type Lab } from "./podman-lab.ts";

const sleep = ["sleep", "1000"];

const END = "the script ended";

describe("a launch through Podman", { skip: skipped, concurrency: false, timeout: 600_000 }, () => {
  let lab: Lab;
  before(async () => {
    lab = await openLab();
  });
  after(async () => {
    await lab[Symbol.asyncDispose]();
  });

  /** Runs a shell script in a machine and gives back what it wrote; the machine itself lives on until it is removed. */
  async function inside(name: string, script: string, repo?: string): Promise<string> {
    const mounts = repo === undefined ? [] : [mountOf(repo, "/workspace/repo")];
    const program = `( ${script}\n); echo "${END}"; exec sleep infinity`;
    const machine = await lab.engine.launch(lab.spec(name, ["sh", "-c", program], { mounts }), never);
    let output = "";
    while (!output.includes(END)) {
      await delay(20);
      output = await lab.engine.logs(machine.containerId, 500);
    }
    await lab.engine.remove(machine.containerId, 0);
    return output.replace(END, "").trimEnd();
  }

  async function assertNothingLeft(): Promise<void> {
    assert.deepEqual(await lab.engine.list(), []);
    assert.deepEqual(mountsBelow(join(lab.folders.graphRoot, "overlay-containers")), []);
  }

  test("a running machine is isolated as its spec says", async () => {
    const repo = lab.repo("measured");
    const spec = lab.spec("measured", sleep, { mounts: [mountOf(repo, "/workspace/repo")] });
    const { containerId, pid } = await lab.engine.launch(spec, never);
    const found = await lab.engine.measure(containerId, never);
    assert.equal(found.imageId, lab.imageId);
    assert.equal(found.user, "1000:1000");
    assert.equal(found.uidMap, `0 ${spec.idRangeStart} 65536`);
    assert.equal(found.hostUid, spec.idRangeStart + 1000);
    assert.equal(BigInt(`0x${found.capEff}`) | BigInt(`0x${found.capBnd}`), 0n);
    assert.equal(found.noNewPrivs, true);
    assert.equal(found.seccompMode, 2);
    assert.match(found.seccompProfile, /^sha256:[a-f0-9]{64}$/);
    assert.equal(found.rootReadOnly, true);
    const { cgroup: _cgroup, ...own } = found.namespaces;
    assert.deepEqual(own, { user: true, mnt: true, pid: true, net: true, ipc: true, uts: true });
    assert.deepEqual(found.interfaces, ["lo"]);
    assert.equal(found.routes, 0);
    assert.deepEqual(
      found.devices,
      ["full", "null", "random", "tty", "urandom", "zero"].map((name) => `/dev/${name}`),
    );
    assert.deepEqual(found.environment, ["HOME", "HOSTNAME", "PATH"]);
    assert.deepEqual(found.limits, {
      memoryBytes: spec.limits.memoryBytes,
      swapBytes: spec.limits.memoryBytes,
      pids: 64,
      cpus: 0.5,
      nofile: 2048,
      nproc: 64,
    });
    const repoMount = found.mounts.find(({ target }) => target === "/workspace/repo");
    assert.equal(repoMount?.ino, String(statSync(repo).ino));
    assert.equal(readFileSync(`/proc/${String(pid)}/comm`, "utf8").trim(), "podman-init");
    await lab.engine.remove(containerId, 0);
  });

  test("anything that runs otherwise than intended is drift", async () => {
    const spec = lab.spec("drift", sleep);
    const machine = await lab.engine.launch(spec, never);
    const found = await lab.engine.measure(machine.containerId, never);
    const { facts } = lab.engine;
    const drift = (change: Partial<MachineIsolation>): string[] =>
      findDrift(spec, lab.imageId, machine, { ...found, ...change }, facts).map(({ what }) => what);
    assert.deepEqual(drift({}), []);
    const { namespaces, limits, mounts } = found;
    const wrong: readonly (readonly [what: string, change: Partial<MachineIsolation>])[] = [
      ["image", { imageId: `sha256:${"0".repeat(64)}` }],
      ["user", { user: "0:0" }],
      ["host uid", { hostUid: 0 }],
      ["uid_map", { uidMap: `${found.uidMap},65536 0 1` }],
      ["gid_map", { gidMap: "0 0 4294967295" }],
      ["CapEff", { capEff: "0000000000200000" }],
      ["CapBnd", { capBnd: "000001ffffffffff" }],
      ["NoNewPrivs", { noNewPrivs: false }],
      ["Seccomp mode", { seccompMode: 0 }],
      ["read-only root", { rootReadOnly: false }],
      ["user namespace", { namespaces: { ...namespaces, user: false } }],
      ["net namespace", { namespaces: { ...namespaces, net: false } }],
      ["interfaces", { interfaces: ["eth0", "lo"] }],
      ["routes", { routes: 1 }],
      ["other devices", { devices: [...found.devices, "/dev/kmsg"] }],
      ["other variables", { environment: [...found.environment, "SSH_AUTH_SOCK"] }],
      ["memory", { limits: { ...limits, memoryBytes: null } }],
      ["pids", { limits: { ...limits, pids: null } }],
      [
        "mount /host",
        { mounts: [...mounts, { target: "/host", fstype: "ext4", options: ["rw"], dev: "1", ino: "2" }] },
      ],
    ];
    for (const [what, change] of wrong) assert.deepEqual(drift(change), [what]);
    await lab.engine.remove(machine.containerId, 0);
  });

  test("what a machine puts into its own /dev/shm does not keep it from being measured", async () => {
    const spec = lab.spec("whiteout", [
      "sh",
      "-c",
      `mknod "/dev/shm/$(printf %0250d 0)" c 0 0 && mkdir /dev/shm/made && sleep 1000`,
    ]);
    const { containerId, pid } = await lab.engine.launch(spec, never);
    const made = `/proc/${String(pid)}/root/dev/shm/made`;
    for (let round = 0; round < 4800 && !existsSync(made); round++) await delay(25);
    assert.ok(existsSync(made), "the machine made its device node");
    const { devices } = await lab.engine.measure(containerId, never);
    assert.ok(!devices.some((path) => path.startsWith("/dev/shm")));
    await lab.engine.remove(containerId, 0);
  });

  test("a machine has no tmpfs without a size", async () => {
    const { containerId } = await lab.engine.launch(lab.spec("sized", sleep), never);
    const { mounts } = await lab.engine.measure(containerId, never);
    const unsized = mounts.filter(
      ({ fstype, options }) => fstype === "tmpfs" && !options.some((o) => o.startsWith("size=")),
    );
    assert.deepEqual(unsized, []);
    assert.ok(!mounts.some(({ target }) => target === "/etc/hosts" || target === "/etc/resolv.conf"));
    await lab.engine.remove(containerId, 0);
  });

  test("files made in a repo belong to its owner on the host", async () => {
    const repo = lab.repo("owned");
    const output = await inside(
      "owned",
      "id -u; stat -c %u /workspace/repo; echo hi > /workspace/repo/new",
      repo,
    );
    assert.deepEqual(output.trim().split("\n"), ["1000", "1000"]);
    const { uid, gid } = statSync(join(repo, "new"));
    assert.deepEqual({ uid, gid }, { uid: REPO_OWNER, gid: REPO_OWNER });
  });

  const refusals: readonly (readonly [name: string, attempt: string])[] = [
    ["a user namespace", "unshare -Ur true"],
    ["a network namespace", "unshare -n true"],
    ["a mount", "mount -t tmpfs none /tmp"],
    ["a vsock socket", "perl -e 'socket(S,40,1,0) or exit 1'"],
    ["a vsock socket behind high bits", "perl -e 'syscall(41,0x100000028,1,0) >= 0 or exit 1'"],
    ["a packet socket", "perl -e 'socket(S,17,3,0) or exit 1'"],
    ["an audit socket", "perl -e 'socket(S,16,3,9) or exit 1'"],
    ["a setuid bit", "touch /workspace/repo/a; chmod 4755 /workspace/repo/a"],
    ["a setgid bit", "touch /workspace/repo/b; chmod 2755 /workspace/repo/b"],
    ["both bits", "touch /workspace/repo/c; chmod 6755 /workspace/repo/c"],
    [
      "a setuid file from open",
      "perl -MFcntl -e 'sysopen(F,\"/workspace/repo/d\",O_CREAT|O_WRONLY,04755) or exit 1'",
    ],
    ["a setgid folder", "perl -e 'mkdir(\"/workspace/repo/e\",02755) or exit 1'"],
    ["a write to the root", "touch /new"],
    ["a write to a read-only mount", "touch /usr/new"],
    [
      "a connection out",
      "perl -MSocket -e 'socket(S,2,1,0);connect(S,sockaddr_in(53,inet_aton(\"192.0.2.2\"))) or exit 1'",
    ],
    ["a device node", "perl -e 'syscall(133,\"/tmp/sda\",0060600,0x800) >= 0 or exit 1'"],
  ];
  test("what a machine must not do is refused, each by the kernel", async () => {
    const repo = lab.repo("refusals");
    const script = refusals
      .map(([, attempt], at) => `( ${attempt} ) >/dev/null 2>&1 && echo did ${String(at)}`)
      .join("\n");
    const output = await inside("refusals", `${script}\necho end`, repo);
    const done = [...output.matchAll(/^did (\d+)$/gm)].map(([, at]) => refusals[Number(at)]?.[0]);
    assert.deepEqual(done, []);
    assert.match(output, /^end$/m);
  });

  test("the same attempts at set-id bits succeed outside a machine, so it is the filter that refuses them", () => {
    const folder = lab.repo("control");
    const attempts = refusals.filter(([, attempt]) => /[246]755/.test(attempt)).map(([, attempt]) => attempt);
    assert.equal(attempts.length, 5);
    for (const attempt of attempts) {
      execFileSync("sh", ["-c", attempt.replaceAll("/workspace/repo", folder)]);
    }
  });

  test("ordinary work goes on under the filter", async () => {
    const repo = lab.repo("work");
    const script = `set -e; cd /workspace/repo; mkdir a; echo x > a/b; chmod 755 a/b; ln -s b a/c; mv a d
      perl -MSocket -e 'socketpair(A,B,AF_UNIX,1,0) or die; socket(S,2,1,0) or die; socket(N,16,3,0) or die'
      sh -c 'exit 0' & wait; echo worked`;
    assert.match(await inside("work", script, repo), /worked/);
  });

  test("a program that does not exist fails the launch, or the end of its machine is told at once", async () => {
    // The init of the machine is what starts the program, so its failure may come after a successful start.
    const launched = await lab.engine
      .launch(lab.spec("absent", ["/no/such/program"]), never)
      .catch((error: unknown) => {
        assert.equal(toDoorwardError(error).code, "LAUNCH_FAILED");
        return null;
      });
    if (launched !== null) {
      assert.notEqual((await lab.ended(launched.containerId)).exitCode, 0);
      await lab.engine.remove(launched.containerId, 0);
    }
    await assertNothingLeft();
  });

  test("an image that does not exist fails the launch and leaves nothing", async () => {
    const spec = lab.spec("noimage", sleep, { imageId: `sha256:${"0".repeat(64)}` });
    await assert.rejects(lab.engine.launch(spec, never), { code: "LAUNCH_FAILED" });
    await assertNothingLeft();
  });

  test("a launch that is aborted at any moment leaves nothing", async () => {
    for (const pause of [0, 5, 20, 40, 60, 80]) {
      const abort = new AbortController();
      const launch = lab.engine.launch(lab.spec("aborted", sleep), abort.signal);
      setTimeout(() => {
        abort.abort();
      }, pause);
      await launch.then(
        ({ containerId }) => lab.engine.remove(containerId, 0),
        (error: unknown) => {
          assert.equal(toDoorwardError(error).code, "ABORTED");
        },
      );
      await assertNothingLeft();
    }
  });

  test("a name that is taken fails the launch, and its holder goes on running", async () => {
    const holder = await lab.engine.launch(lab.spec("taken", sleep), never);
    const second = { ...lab.spec("taken", sleep), machineId: "m_another00000" };
    await assert.rejects(lab.engine.launch(second, never), { code: "LAUNCH_FAILED" });
    const [found] = await lab.engine.list();
    assert.equal(found?.containerId, holder.containerId);
    assert.equal(found.state, "running");
    await lab.engine.remove(holder.containerId, 0);
  });

  test("a source that became a symlink after the decision is refused", async () => {
    const repo = lab.repo("swapped");
    const spec = lab.spec("swapped", sleep, { mounts: [mountOf(repo, "/workspace/repo")] });
    renameSync(repo, `${repo}-moved`);
    symlinkSync("/etc", repo);
    await assert.rejects(lab.engine.launch(spec, never), { code: "PATH_CHANGED" });
    await assertNothingLeft();
  });

  test("a source that is another folder now is refused", async () => {
    const repo = lab.repo("replaced");
    const spec = lab.spec("replaced", sleep, { mounts: [mountOf(repo, "/workspace/repo")] });
    renameSync(repo, `${repo}-moved`);
    mkdirSync(repo);
    await assert.rejects(lab.engine.launch(spec, never), { code: "PATH_CHANGED" });
    await assertNothingLeft();
  });

  test("a source that is gone is refused, and nothing is made in its place", async () => {
    const repo = lab.repo("gone");
    const spec = lab.spec("gone", sleep, { mounts: [mountOf(repo, "/workspace/repo")] });
    renameSync(repo, `${repo}-moved`);
    await assert.rejects(lab.engine.launch(spec, never), { code: "PATH_CHANGED" });
    assert.equal(existsSync(repo), false);
    await assertNothingLeft();
  });

  test("a missing target of a mount fails the launch where the root can't hold it", async () => {
    const repo = lab.repo("deep");
    writeFileSync(join(repo, "file"), "");
    const spec = lab.spec("deep", sleep, {
      mounts: [
        mountOf(repo, "/workspace/repo"),
        mountOf(repo, "/workspace/repo/file/below", { role: "protected" }),
      ],
    });
    await assert.rejects(lab.engine.launch(spec, never), { code: "LAUNCH_FAILED" });
    await assertNothingLeft();
  });

  test("removing what does not exist is success", async () => {
    await lab.engine.remove("0".repeat(64), 0);
    await lab.engine.remove("0".repeat(64), 1);
  });

  test("measuring what has ended is refused", async () => {
    const { containerId } = await lab.engine.launch(lab.spec("short", ["sh", "-c", "sleep 0.2"]), never);
    await lab.ended(containerId);
    await assert.rejects(lab.engine.measure(containerId, never), { code: "MACHINE_NOT_RUNNING" });
    await lab.engine.remove(containerId, 0);
  });
});
