import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fillEvidence, smallEvidenceDisk } from "../support/full-evidence.ts";
import { needsRoot, openLab, type Lab } from "../support/lab.ts";
import { beforeRuntime } from "../support/oci-runtime.ts";

const problemOf = (stderr: string): { code: string; detail: string } =>
  JSON.parse(stderr.trim().split("\n").at(-1) ?? "{}") as { code: string; detail: string };

describe("a launch whose evidence can't be written does not launch", { skip: needsRoot }, () => {
  let lab: Lab;
  let repo: string;

  before(async () => {
    lab = await openLab();
    repo = lab.repo("shop");
    smallEvidenceDisk(lab);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  /** Nothing of the machines but those that are known. */
  async function nothingElse(): Promise<void> {
    const known = (await lab.machines()).map(({ id }) => id);
    assert.equal((await lab.containers()).length, known.length);
    if (known.length === 0) await lab.until("no process is left", () => lab.inside().length === 0);
    const folder = (name: string): string[] =>
      existsSync(join(lab.home, name)) ? readdirSync(join(lab.home, name)) : [];
    assert.deepEqual([...folder("run/machines"), ...folder("state/homes")], [...known, ...known]);
  }

  async function nobodyAttaches(machine: string): Promise<void> {
    await using client = lab.client();
    let bytes = 0;
    const data = (chunk: Uint8Array): void => void (bytes += chunk.length);
    const attached = client.attachTerminal(machine, { data, reconnectMs: 0 });
    await assert.rejects(attached, (error: { code?: string }) => error.code === "EVIDENCE_UNWRITABLE");
    assert.equal(bytes, 0);
  }

  it("on a full disk, and no door opens", { timeout: 600_000 }, async (t) => {
    const kept = await lab.up(repo, "--name", "kept");
    const began = performance.now();
    assert.equal(await fillEvidence(lab, kept), "EVIDENCE_UNWRITABLE");
    t.diagnostic(`log full after ${Math.round(performance.now() - began)} ms`);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const ran = await lab.run(["up", repo, "--new", "--json"]);
      assert.equal(problemOf(ran.stderr).code, "EVIDENCE_UNWRITABLE", ran.stderr);
      assert.equal(ran.code, 5);
      await nothingElse();
    }
    await nobodyAttaches(kept);
    const door = await lab.run(["exec", kept, "--", "echo", "ran"]);
    assert.equal(door.stdout, "", door.stderr);
    assert.notEqual(door.code, 0);
    assert.equal((await lab.run(["rm", kept])).code, 0, "an end has space in reserve");
    await nothingElse();
  });

  it("and when there is room again, it launches, and the evidence verifies", async () => {
    execFileSync("rm", [join(lab.evidence, "filler")]);
    const ran = await lab.run(["up", repo, "--json"]);
    assert.equal(ran.code, 0, ran.stderr);
    assert.equal((await lab.run(["rm", "shop"])).code, 0);
    const verified = await lab.run(["evidence", "verify"]);
    assert.equal(verified.code, 0, verified.stdout);
  });

  it("on a read-only disk", async (t) => {
    await lab.stopBridge();
    execFileSync("mount", ["-o", "remount,ro", lab.evidence]);
    const ran = await lab.run(["up", repo, "--new", "--json"]);
    assert.equal(ran.code, 5, ran.stderr);
    assert.equal(problemOf(ran.stderr).code, "EVIDENCE_UNWRITABLE", ran.stderr);
    t.diagnostic(problemOf(ran.stderr).detail);
    execFileSync("mount", ["-o", "remount,rw", lab.evidence]);
    const again = await lab.run(["up", repo, "--json"]);
    assert.equal(again.code, 0, again.stderr);
    assert.equal((await lab.run(["rm", "shop"])).code, 0);
    await nothingElse();
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
  });
});

describe(
  "a container that differs from what was intended is killed and recorded",
  { skip: needsRoot },
  () => {
    let lab: Lab;
    let repo: string;

    before(async () => {
      lab = await openLab();
      repo = lab.repo("shop");
      await lab.up(repo);
      await lab.run(["rm", "shop"]);
    });
    after(async () => await lab[Symbol.asyncDispose]());

    /** Launches with a runtime that changes the container's configuration before it creates it. */
    async function launchWith(
      change: string,
    ): Promise<{ code: number | null; problem: { code: string; detail: string } }> {
      const script = (real: string): string =>
        [
          'bundle=; want=; for a in "$@"; do [ -z "$want" ] || { bundle=$a; want=; }; case $a in --bundle|-b) want=1;; --bundle=*) bundle=${a#--bundle=};; esac; done',
          `case " $* " in *" create "*) [ -z "$bundle" ] || ${process.execPath} -e '`,
          'const fs=require("fs"),f=process.argv[1]+"/config.json",c=JSON.parse(fs.readFileSync(f));',
          change,
          `fs.writeFileSync(f,JSON.stringify(c))' "$bundle";; esac`,
          `exec ${real} "$@"`,
        ].join("\n");
      using _changed = beforeRuntime(lab, script);
      const ran = await lab.run(["up", repo, "--json"]);
      return {
        code: ran.code,
        problem: ran.code === 0 ? { code: "LAUNCHED", detail: "" } : problemOf(ran.stderr),
      };
    }

    const changes: readonly (readonly [what: string, change: string])[] = [
      [
        "a capability more",
        'for (const k of Object.keys(c.process.capabilities??(c.process.capabilities={bounding:[]}))) 0; c.process.capabilities.bounding=["CAP_SYS_ADMIN"];',
      ],
      ["no seccomp filter", "delete c.linux.seccomp;"],
      ["new privileges allowed", "c.process.noNewPrivileges=false;"],
      ["a writable root", "c.root.readonly=false;"],
      [
        "a mount more",
        'c.mounts.push({destination:"/mnt",type:"bind",source:"/usr",options:["bind","ro"]});',
      ],
      ["a protection missing", 'c.mounts=c.mounts.filter(m=>!m.destination.endsWith("/.git/hooks"));'],
      [
        "a protection writable",
        'for(const m of c.mounts) if(m.destination.endsWith("/.git/config")) m.options=m.options.map(o=>o==="ro"?"rw":o);',
      ],
      [
        "another source under the repo's name",
        'for(const m of c.mounts) if(m.destination==="/workspace/shop") m.source="/usr/share";',
      ],
      [
        "the host's network",
        'c.linux.namespaces=c.linux.namespaces.filter(n=>n.type!=="network");c.mounts=c.mounts.map(m=>m.destination==="/sys"?{...m,type:"bind",source:"/sys",options:["rbind","ro"]}:m);',
      ],
      ["the host's processes", 'c.linux.namespaces=c.linux.namespaces.filter(n=>n.type!=="pid");'],
      ["more memory", "c.linux.resources.memory.limit=8589934592;c.linux.resources.memory.swap=8589934592;"],
      ["another user", "c.process.user={uid:0,gid:0};"],
    ];
    for (const [what, change] of changes) {
      it(what, async (t) => {
        const before = (await lab.records("denial")).length;
        const { code, problem } = await launchWith(change.replaceAll("'", '"'));
        assert.notEqual(code, 0, "it launched");
        assert.ok(
          ["MACHINE_DRIFT", "PATH_CHANGED", "LAUNCH_FAILED", "PODMAN_FAILED"].includes(problem.code),
          `${problem.code}: ${problem.detail}`,
        );
        const recorded = (await lab.records("denial")).length > before;
        if (problem.code === "MACHINE_DRIFT") assert.ok(recorded, "a denial record");
        t.diagnostic(`${problem.code}${recorded ? ", recorded" : ""}: ${problem.detail.slice(0, 160)}`);
        assert.deepEqual(await lab.machines(), []);
        assert.deepEqual(await lab.containers(), []);
        await lab.until("no process is left", () => lab.inside().length === 0);
      });
    }

    it("with the true runtime it launches again, and the evidence verifies", async () => {
      await lab.up(repo);
      assert.equal((await lab.run(["evidence", "verify"])).code, 0);
    });
  },
);
