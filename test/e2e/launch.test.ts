import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLab, REPO_OWNER, type Lab } from "../support/lab.ts";

interface Up {
  readonly name: string;
  readonly id: string;
  readonly fingerprint: string;
  readonly evidence: number;
  readonly mounts: readonly { hostPath: string; machinePath: string; access: string }[];
}

describe("from a repo to a machine and back", () => {
  let lab: Lab;
  let shop: string;
  let library: string;

  before(async () => {
    lab = await openLab();
    shop = lab.repo("shop");
    library = lab.repo("library", { "lib.txt": "read me\n" });
  });
  after(async () => await lab[Symbol.asyncDispose]());

  it("up launches a machine named after the repo and prints name, id, fingerprint, evidence and mounts", async (t) => {
    const ran = await lab.run(["up", shop, "--json"]);
    assert.equal(ran.code, 0, ran.stderr);
    const up = JSON.parse(ran.stdout) as Up;
    assert.deepEqual(Object.keys(up), ["name", "id", "fingerprint", "evidence", "mounts"]);
    assert.equal(up.name, "shop");
    assert.match(up.id, /^m_[a-z0-9]{10,32}$/);
    assert.match(up.fingerprint, /^sha256:[a-f0-9]{64}$/);
    assert.deepEqual(
      up.mounts.map(({ hostPath, machinePath, access }) => [hostPath, machinePath, access]),
      [[shop, "/workspace/shop", "rw"]],
    );
    const launch = (await lab.records("launch"))[0];
    assert.equal(launch?.index, up.evidence);
    t.diagnostic(`first up of a new installation: ${Math.round(ran.ms)} ms`);
  });

  it("up again returns the same machine", async (t) => {
    const first = await lab.machine("shop");
    const ran = await lab.run(["up", shop, "--json"]);
    assert.equal((JSON.parse(ran.stdout) as Up).id, first.id);
    assert.equal((await lab.records("launch")).length, 1);
    t.diagnostic(`up of a running machine: ${Math.round(ran.ms)} ms`);
  });

  it("up without a path takes the git root of the current folder", async () => {
    execFileSync("mkdir", ["-p", join(shop, "deep", "er")]);
    const ran = await lab.run(["up", "--json"], { cwd: join(shop, "deep", "er") });
    assert.equal((JSON.parse(ran.stdout) as Up).id, (await lab.machine("shop")).id);
  });

  it("--new makes another machine with the next free name, and --name chooses one", async (t) => {
    const ran = await lab.run(["up", shop, "--new", "--json"]);
    assert.equal((JSON.parse(ran.stdout) as Up).name, "shop-2");
    t.diagnostic(`up --new: ${Math.round(ran.ms)} ms`);
    const named = await lab.json<Up>(["up", shop, "--new", "--name", "till"]);
    assert.equal(named.name, "till");
    for (const name of ["shop-2", "till"]) assert.equal((await lab.run(["rm", name])).code, 0);
  });

  it("a name that another machine has is refused with MACHINE_EXISTS", async () => {
    const ran = await lab.run(["up", library, "--name", "shop", "--json"]);
    assert.equal(ran.code, 1);
    assert.equal(
      (JSON.parse(ran.stderr.trim().split("\n").at(-1) ?? "") as { code: string }).code,
      "MACHINE_EXISTS",
    );
  });

  it("a second repo is mounted beside the first, read-only where asked", async () => {
    const name = await lab.up(shop, "--ro", library, "--new");
    const seen = await lab.sh(
      name,
      "pwd; cat ../library/lib.txt; touch ../library/new 2>&1; touch here && rm here",
    );
    assert.match(seen.stdout, /^\/workspace\/shop\nread me\n.*Read-only file system/);
    assert.equal(seen.code, 0);
    await lab.run(["rm", name]);
  });

  it("two repos of the same name get different folders", async () => {
    const other = lab.repo("elsewhere/shop", { "other.txt": "other\n" });
    const up = await lab.json<Up>(["up", shop, other]);
    assert.deepEqual(
      up.mounts.map((mount) => mount.machinePath),
      ["/workspace/shop", "/workspace/shop-2"],
    );
    assert.equal((await lab.sh(up.name, "cat /workspace/shop-2/other.txt")).stdout, "other\n");
    await lab.run(["rm", up.name]);
  });

  it("ls and inspect show the machine", async () => {
    const listed = await lab.run(["ls"]);
    assert.match(listed.stdout, /^shop\s+running\s+default\s/m);
    const inspected = await lab.json<{
      machine: { name: string };
      fingerprint: { inputs: { isolation: { capEff: string } } };
    }>(["inspect", "shop"]);
    assert.equal(inspected.machine.name, "shop");
    assert.match(inspected.fingerprint.inputs.isolation.capEff, /^0+$/);
    assert.match((await lab.run(["inspect", "shop"])).stdout, /capabilities\s+effective 0+, bounding 0+/);
  });

  it("exec passes stdin, stdout, stderr and the exit code exactly", async (t) => {
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7) % 256));
    const line = "sha256sum; echo to-stderr >&2; exit 37";
    const ran = await lab.run(["exec", "shop", "--", "sh", "-c", line], { input: bytes });
    const digest = execFileSync("sha256sum", { input: bytes }).toString();
    assert.deepEqual([ran.code, ran.stdout, ran.stderr], [37, digest, "to-stderr\n"]);
    t.diagnostic(`exec, whole command: ${Math.round(ran.ms)} ms`);
  });

  it("exec of a program that is not there exits 127, and of a signal 128 + its number", async () => {
    assert.equal((await lab.run(["exec", "shop", "--", "no-such-program"])).code, 127);
    assert.equal((await lab.run(["exec", "shop", "--", "sh", "-c", "kill -9 $$"])).code, 137);
  });

  it("exec finds the machine by the current folder", async () => {
    const ran = await lab.run(["exec", "--", "pwd"], { cwd: shop });
    assert.deepEqual([ran.code, ran.stdout], [0, "/workspace/shop\n"]);
  });

  it("git works inside: commits carry the operator's name and the repo's owner on the host", async () => {
    const line = [
      "set -e",
      "echo change > inside.txt",
      "git add inside.txt",
      "git commit -qm inside",
      "git switch -qc topic",
      "git switch -q main",
      "git status --short",
      "git log --format='%an <%ae> %s' -1",
    ].join("\n");
    const ran = await lab.sh("shop", line);
    assert.deepEqual([ran.code, ran.stdout, ran.stderr], [0, "Ada <ada@example.org> inside\n", ""]);
    for (const path of ["inside.txt", ".git/refs/heads/topic", ".git/index"])
      assert.equal(statSync(join(shop, path)).uid, REPO_OWNER);
  });

  it("attach gives a terminal that echoes, resizes and exits with the shell's code", async () => {
    const screen = lab.screen(["attach", "shop"]);
    await screen.see("$ ");
    screen.type("stty size; tty; echo $((6*7))\r");
    await screen.see(/30 100[\s\S]*\/dev\/pts\/\d+[\s\S]*\n42/);
    screen.pty.resize(120, 40);
    screen.type('until [ "$(stty size)" = "40 120" ]; do sleep 0.05; done; stty size\r');
    await screen.see(/^40 120/m);
    screen.type("exit 5\r");
    assert.equal(await screen.ended, 5);
  });

  it("a detached terminal lives on and is attached to again with its scrollback", async () => {
    const first = lab.screen(["attach", "shop"]);
    await first.see("$ ");
    first.type("marker=$((1000+337)); echo made-$marker\r");
    await first.see("made-1337");
    first.type("\x1dd");
    assert.equal(await first.ended, 0);
    const id = /--terminal (t_[a-z0-9]+)/.exec(first.text)?.[1] ?? "";
    const second = lab.screen(["attach", "shop", "--terminal", id]);
    await second.see("made-1337");
    second.type("echo again-$marker\r");
    await second.see("again-1337");
    second.type("exit\r");
    assert.equal(await second.ended, 0);
  });

  it("stop keeps the machine, and start launches it again with its home", async (t) => {
    await lab.sh("shop", "echo kept > ~/note; echo gone > /tmp/note");
    const stopped = await lab.run(["stop", "shop"]);
    assert.equal(stopped.code, 0, stopped.stderr);
    assert.equal((await lab.machine("shop")).state, "stopped");
    assert.equal((await lab.containers()).length, 0);
    assert.equal((await lab.run(["exec", "shop", "--", "true"])).code, 125);
    const started = await lab.run(["start", "shop"]);
    assert.equal(started.code, 0, started.stderr);
    assert.equal((await lab.sh("shop", "cat ~/note; ls /tmp/note")).stdout, "kept\n");
    t.diagnostic(`stop: ${Math.round(stopped.ms)} ms, start: ${Math.round(started.ms)} ms`);
  });

  it("extend moves the end", async () => {
    const before = Date.parse((await lab.machine("shop")).expiresAt ?? "");
    assert.equal((await lab.run(["extend", "shop", "2h"])).code, 0);
    assert.equal(Date.parse((await lab.machine("shop")).expiresAt ?? "") - before, 7_200_000);
  });

  it("logs prints what the machine's first process wrote", async () => {
    assert.equal((await lab.run(["logs", "shop"])).code, 0);
  });

  it("a machine whose time is over is stopped, and that is recorded", async (t) => {
    const name = await lab.up(library, "--ttl", "3s");
    const took = await lab.until(
      "expired",
      async () => (await lab.machine(name)).state === "stopped",
      12_000,
    );
    assert.match((await lab.machine(name)).stateReason ?? "", /time to live/);
    const ended = async (): Promise<boolean> =>
      (await lab.records("machine-end")).some(
        (row) => row.machine === name && /time to live/.test(row.summary),
      );
    await lab.until("the end is recorded", ended);
    await lab.run(["rm", name]);
    t.diagnostic(`stopped ${Math.round(took - 3000)} ms after its 3 s, counted from the answer of up`);
  });

  it("run launches, runs one command, exits with its code and leaves nothing", async (t) => {
    const before = (await lab.containers()).length;
    const ran = await lab.run(["run", shop, "--", "sh", "-c", "cat README.md; exit 9"]);
    assert.deepEqual([ran.code, ran.stdout], [9, "hello\n"], ran.stderr);
    assert.equal((await lab.containers()).length, before);
    assert.deepEqual(
      (await lab.machines()).map(({ name }) => name),
      ["shop"],
    );
    t.diagnostic(`run, whole command: ${Math.round(ran.ms)} ms`);
  });

  it("exit codes: 2 for usage, 3 for denied, 4 for not found, 125 for a machine that is not there", async () => {
    const codes = async (...args: string[]): Promise<number | null> => (await lab.run(args)).code;
    assert.equal(await codes("up", "--no-such-option"), 2);
    assert.equal(await codes("no-such-command"), 2);
    assert.equal(await codes("up", "/usr/share"), 3);
    assert.equal(await codes("stop", "nobody"), 4);
    assert.equal(await codes("exec", "nobody", "--", "true"), 125);
    assert.equal(await codes("exec", "shop", "--"), 2);
  });

  it("on a terminal a repo that is not listed is asked about, and only that path is added", async () => {
    const [unlisted, sibling] = [join(lab.root, "elsewhere"), join(lab.root, "elsewhere-too")];
    for (const folder of [unlisted, sibling]) mkdirSync(folder);
    const declined = lab.screen(["up", unlisted]);
    await declined.see("[y/N] ");
    declined.type("\r");
    assert.equal(await declined.ended, 3);
    const agreed = lab.screen(["up", unlisted, "--name", "asked"]);
    await agreed.see("[y/N] ");
    agreed.type("y\r");
    assert.equal(await agreed.ended, 0);
    assert.equal((await lab.machine("asked")).repos[0]?.hostPath, unlisted);
    assert.equal((await lab.run(["rm", "asked"])).code, 0);
    assert.equal((await lab.run(["up", sibling])).code, 3);
  });

  it("rm deletes the machine, its home and its grants", async () => {
    const { id } = await lab.machine("shop");
    const grant = await lab.grant("shop", ["terminal.exec"]);
    assert.ok(statSync(join(lab.home, "state", "homes", id)).isDirectory());
    assert.equal((await lab.run(["rm", "shop"])).code, 0);
    assert.deepEqual(await lab.machines(), []);
    assert.deepEqual(await lab.containers(), []);
    await lab.until("its processes are gone", () => lab.inside().length === 0);
    assert.throws(() => statSync(join(lab.home, "state", "homes", id)));
    assert.match((await lab.run(["grant", "show", grant.id])).stdout, /revoked/);
    assert.equal(readFileSync(join(shop, "README.md"), "utf8"), "hello\n");
  });

  it("evidence verifies in the end", async () => {
    const ran = await lab.run(["evidence", "verify"]);
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  });
});
