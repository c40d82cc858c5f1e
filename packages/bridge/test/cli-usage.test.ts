import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { DenialError, DoorwardError, Problem } from "@doorward/contracts";
import { COMMANDS } from "../src/cli/commands.ts";
import { machineView, runHere, startCliLab, type CliLab } from "./cli-lab.ts";

let lab: CliLab;
before(async () => (lab = await startCliLab()));
after(() => lab[Symbol.asyncDispose]());

function problem(text: string): Problem {
  return Problem.parse(JSON.parse(text));
}

describe("a wrong command line", { timeout: 600_000 }, () => {
  const wrong: readonly [readonly string[], string][] = [
    [["up", "--ttl", "8x"], "--ttl"],
    [["up", "--ttl", "0h"], "--ttl"],
    [["up", "--name", "Not A Name"], "--name"],
    [["up", ""], "repo"],
    [["stop", "../x"], "machine"],
    [["rm", "UPPER"], "machine"],
    [["extend", "shop"], "time"],
    [["extend", "shop", "soon"], "time"],
    [["logs", "shop", "-n", "0"], "--lines"],
    [["grant", "create", "shop", "--to", "me", "--op", "terminal.exec", "--for", "1h"], "--to"],
    [["grant", "create", "shop", "--to", "ci:x", "--op", "root", "--for", "1h"], "--op"],
    [["grant", "create", "shop", "--to", "ci:x", "--op", "terminal.exec"], "--for"],
    [["grant", "show", "g_../../x"], "grant"],
    [["grant", "narrow", "g_0123456789"], "--op"],
    [["evidence", "show", "-1"], ""],
    [["evidence", "show", "1e9"], "index"],
    [["evidence", "ls", "--limit", "100000"], "--limit"],
    [["policy", "check", "a\u001bb"], "path"],
    [["review", "shop", "--branch", "a", "--patch", "b"], "--branch"],
    [["completion", "tcsh"], "shell"],
    [["exec", "shop"], "CMD"],
    [["forward", "shop", "web"], "port"],
    [["forward", "shop", "70000"], "port"],
    [["forward", "70000"], "port"],
    [["forward", "shop"], "port"],
    [["action", "run", "/no/such/request.json"], "file"],
    [["action", "show", "nope"], "action"],
  ];
  for (const [args, field] of wrong) {
    it(`${JSON.stringify(args)} is refused with exit code 2 before the bridge is asked`, async () => {
      lab.calls.length = 0;
      const ran = await runHere(lab, [...args, "--json"]);
      assert.equal(ran.code, 2, ran.stderr);
      assert.equal(ran.stdout.length, 0);
      const said = problem(ran.stderr);
      assert.equal(said.code, "USAGE");
      if (field !== "") assert.equal(said.details?.["field"], field);
      assert.deepEqual(lab.calls, []);
    });
  }

  it("an unknown command and an unknown option are refused with a pointer to the help", async () => {
    const ran = await runHere(lab, ["ups"]);
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, /doorward: .*ups/);
    assert.equal((await runHere(lab, ["ls", "--nope"])).code, 2);
    assert.match((await runHere(lab, ["action", "run"])).stderr, /hint: .*doorward help action run$/m);
    assert.match((await runHere(lab, ["action", "bogus"])).stderr, /hint: .*doorward help action$/m);
    assert.match((await runHere(lab, ["help", "action", "bogus"])).stderr, /hint: .*doorward help action$/m);
    assert.equal((await runHere(lab, ["help", "bogus"])).code, 2);
  });

  it("a program without its dashes is refused with the command line that was meant", async () => {
    const plain = await runHere(lab, ["exec", "shop", "ls", "-l", "a b"]);
    assert.equal(plain.code, 2);
    assert.match(plain.stderr, /hint: .*doorward exec shop -- ls -l 'a b'$/m);
    const unclear = await runHere(lab, ["exec", "--cwd", "/x", "shop", "ls", "-l"]);
    assert.match(unclear.stderr, /hint: .*doorward exec \[machine\] -- CMD$/m);
    assert.match((await runHere(lab, ["extend", "5"])).stderr, /hint: .*doorward extend 5h$/m);
  });

  it("policy allow refuses a folder that is not there, and a file, before the bridge is asked", async () => {
    await writeFile(join(lab.home, "note"), "");
    lab.calls.length = 0;
    const absent = await runHere(lab, ["policy", "allow", join(lab.home, "shp")]);
    assert.equal(absent.code, 4);
    assert.match(absent.stderr, /there is no such folder\n {2}hint: mkdir -p /);
    assert.match((await runHere(lab, ["policy", "allow", join(lab.home, "note")])).stderr, /it is no folder/);
    assert.deepEqual(lab.calls, []);
  });
});

describe("errors", { timeout: 600_000 }, () => {
  it("a denial prints message, rule and hint and exits 3", async () => {
    lab.answers.set("machines.up", () => {
      throw new DenialError({
        code: "PATH_DENIED",
        message: 'Cannot mount "/x": it is denied',
        rule: "policy.paths.deny[ssh]",
        hint: "doorward policy explain /x",
      });
    });
    const ran = await runHere(lab, ["up"]);
    lab.answers.delete("machines.up");
    assert.equal(ran.code, 3);
    assert.match(
      ran.stderr,
      /Cannot mount "\/x": it is denied\n {2}rule: policy\.paths\.deny\[ssh\]\n {2}hint: doorward policy explain \/x\n/,
    );
  });

  it("a grant that no rule covers is refused with the command that adds one; with --allow exactly that is added", async () => {
    const denied = { code: "GRANT_TOO_WIDE", message: "Cannot grant", hint: "Add to grants" } as const;
    lab.answers.set("grants.create", () => {
      throw new DenialError({ ...denied, rule: "policy.grants" });
    });
    const asked = ["grant", "create", "shop", "--to", "ci:x", "--op", "terminal.exec", "--for", "1h"];
    const rules = (): unknown[] =>
      lab.calls
        .filter(({ id }) => id === "grants.create")
        .map(({ body }) => (body as { rule?: unknown }).rule);
    lab.calls.length = 0;
    const refused = await runHere(lab, asked);
    assert.equal(refused.code, 3);
    assert.match(
      refused.stderr,
      /hint: .*doorward grant create shop --to ci:x --op terminal\.exec --for 1h --allow$/m,
    );
    assert.deepEqual(rules(), [undefined]);
    lab.calls.length = 0;
    await runHere(lab, [...asked, "--allow"]);
    const rule = { to: "ci:x", doors: ["terminal"], operations: ["terminal.exec"], for: "1h" };
    assert.deepEqual(rules(), [undefined, { ...rule, profiles: ["default"] }]);
    lab.calls.length = 0;
    lab.answers.set("grants.create", () => {
      throw new DenialError({ ...denied, rule: "grant.tools" });
    });
    assert.equal((await runHere(lab, [...asked, "--allow"])).code, 3);
    assert.deepEqual(rules(), [undefined]);
    lab.answers.delete("grants.create");
  });

  it("with --json the problem document is on stderr and stdout is empty", async () => {
    lab.answers.set("machines.list", () => {
      throw new DoorwardError({ code: "MACHINE_NOT_FOUND", message: "Cannot find it" });
    });
    const ran = await runHere(lab, ["ls", "--json"]);
    lab.answers.delete("machines.list");
    assert.equal(ran.code, 4);
    assert.equal(ran.stdout.length, 0);
    assert.equal(problem(ran.stderr).code, "MACHINE_NOT_FOUND");
  });

  it("what a machine is called can't write to the terminal", async () => {
    lab.machines = [{ ...machineView("shop", lab.repo), stateReason: "\u001b]52;c;eA==\u0007" }];
    const ran = await runHere(lab, ["ls"]);
    lab.machines = [machineView("shop", lab.repo)];
    assert.equal(ran.code, 0);
    assert.doesNotMatch(ran.stdout.toString(), /\u001b|\u0007/);
  });

  it("an answer of another shape is a PROTOCOL_ERROR, not a crash", async () => {
    lab.answers.set("machines.logs", () => ({ text: "x" }));
    lab.answers.set("machines.list", () => ({ machines: [] }));
    assert.equal((await runHere(lab, ["ls"])).code, 0);
    lab.answers.delete("machines.list");
    lab.answers.delete("machines.logs");
  });
});

describe("which machine is meant", { timeout: 600_000 }, () => {
  it("the only one that has the current folder, also from below it and through a symlink", async () => {
    await mkdir(join(lab.repo, "src"), { recursive: true });
    await symlink(join(lab.repo, "src"), join(lab.home, "link"));
    lab.answers.set("machines.stop", () => lab.machines[0]);
    for (const cwd of [lab.repo, join(lab.repo, "src"), join(lab.home, "link")]) {
      const ran = await runHere(lab, ["stop"], cwd);
      assert.equal(ran.code, 0, ran.stderr);
    }
  });
  it("up says whether a machine runs already, or again", async () => {
    const said = async (startedAt: string): Promise<string> => {
      const machine = { ...machineView("shop", lab.repo), startedAt };
      lab.answers.set("machines.up", () => ({ machine, reused: true, listed: [] }));
      return (await runHere(lab, ["up"])).stdout.toString();
    };
    assert.match(await said("2026-01-01T00:00:00.000Z"), /^shop is running already /);
    assert.match(await said(new Date(Date.now() + 60_000).toISOString()), /^shop is running again /);
    lab.answers.delete("machines.up");
  });
  it("a folder beside it with the same beginning is not in it", async () => {
    await mkdir(`${lab.repo}-2`, { recursive: true });
    assert.equal((await runHere(lab, ["stop"], `${lab.repo}-2`)).code, 4);
  });
  it("of two it does not choose, and names them", async () => {
    lab.machines = [machineView("shop", lab.repo), machineView("other", lab.repo)];
    const ran = await runHere(lab, ["stop"]);
    lab.machines = [machineView("shop", lab.repo)];
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, /"shop" and "other"/);
  });
});

describe("help, colours and completion", { timeout: 600_000 }, () => {
  it("every command has --help with an example", async () => {
    for (const { name } of COMMANDS) {
      const ran = await runHere(lab, [name, "--help"]);
      assert.equal(ran.code, 0, name);
      assert.match(ran.stdout.toString(), /Examples:\n {2}/, name);
    }
  });
  it("help of a command of a group is that command's, and fits 80 columns", async () => {
    const asked = await runHere(lab, ["help", "grant", "create"]);
    assert.equal(asked.code, 0);
    assert.match(asked.stdout.toString(), /^Usage: doorward grant create /);
    assert.deepEqual(asked.stdout, (await runHere(lab, ["grant", "create", "--help"])).stdout);
    for (const words of [[], ...COMMANDS.map(({ name }) => [name]), ["grant", "create"]]) {
      const lines = (await runHere(lab, ["help", ...words])).stdout.toString().split("\n");
      const long = lines.filter((line) => line.length > 80);
      assert.deepEqual(long, [], words.join(" "));
    }
  });
  it("help asks for no program to be run", async () => {
    lab.calls.length = 0;
    assert.match((await runHere(lab, ["help", "exec", "shop", "--", "ls"])).stdout.toString(), /^Usage/);
    assert.deepEqual(lab.calls, []);
  });
  it("there are no colours but on a terminal, and none with NO_COLOR or --no-color", async () => {
    assert.doesNotMatch((await runHere(lab, ["up"])).stdout.toString(), /\u001b/);
    const colored = lab.pty(["up"]);
    await colored.ended;
    assert.match(colored.text, /\u001b\[1m/);
    for (const plain of [lab.pty(["up"], { env: { NO_COLOR: "1" } }), lab.pty(["up", "--no-color"])]) {
      await plain.ended;
      assert.doesNotMatch(plain.text, /\u001b\[[0-9;]*m/);
    }
  });
  it("completes commands, options, machines and files", async () => {
    const complete = async (...words: string[]): Promise<string> =>
      (await runHere(lab, ["complete", "--", ...words])).stdout.toString();
    assert.match(await complete("gr"), /^grant\t/);
    assert.match(await complete("grant", ""), /^create\t[^]*^revoke\t/m);
    assert.match(await complete("stop", ""), /^shop\trunning\n:none\n$/);
    assert.match(await complete("up", "--pro"), /^--profile\t/);
    assert.equal(await complete("up", ""), ":files\n");
    assert.equal(await complete("action", "run", ""), ":files\n");
    assert.equal(await complete("ssh-config", "--token-file", ""), ":files\n");
    assert.match(await complete("completion", ""), /^bash\t\nzsh\t\nfish\t\n/);
    assert.match(await complete("contracts", "show", "Term"), /^TerminalDoor\t/);
    assert.match(await complete("forward", ""), /^shop\trunning\n/);
    assert.equal(await complete("start", ""), ":none\n");
    assert.match(await complete("action", "preset", "enable", "gi"), /^git\t\n:none/);
    assert.equal(await complete("exec", "shop", "--", "l"), ":files\n");
    assert.match(await complete("grant", "create", "shop", "--op", "terminal.e"), /^terminal\.exec\t\n:none/);
  });
  it("completes hosts that a machine was refused, but nothing that is no host's name", async () => {
    const at = "2026-01-01T00:00:00.000Z";
    const refusal = { port: 443, code: "EGRESS_DENIED", count: 1, firstAt: at, lastAt: at };
    const command = "doorward egress allow shop x";
    const view = { machine: "m_shop000000", name: "shop", presets: [], rules: [], deny: [], allowances: [] };
    lab.answers.set("egress.show", () => ({
      ...{ ...view, askSeconds: 0, connections: 0 },
      refused: ["registry.npmjs.org", "$(id)", "a b"].map((host) => ({ ...refusal, host, command })),
    }));
    for (const words of [
      ["shop", ""],
      ["shop", "reg"],
    ]) {
      const ran = await runHere(lab, ["complete", "--", "egress", "allow", ...words]);
      assert.match(ran.stdout.toString(), /^registry\.npmjs\.org\trefused [0-9dhms]+ ago\n:none\n$/);
    }
    lab.answers.delete("egress.show");
  });
  it("completes terminals, each on one line whatever a machine calls its programs", async () => {
    const terminal = {
      id: "t_0123456789",
      createdBy: null,
      kind: null,
      running: true,
      viewers: 0,
      command: "x\nt_;id;#\t\u001b[2J\n:files",
    };
    lab.answers.set("machines.terminals", () => ({ terminals: [terminal] }));
    const ran = await runHere(lab, ["complete", "--", "attach", "shop", "--terminal", ""]);
    lab.answers.delete("machines.terminals");
    assert.equal(
      ran.stdout.toString(),
      String.raw`t_0123456789${"\t"}x\nt_;id;#\t\x1b[2J\n:files, 0 viewers${"\n"}:none${"\n"}`,
    );
  });
  it("bash completes with it, and evaluates no word of the line", () => {
    const marker = join(lab.home, "evaluated");
    const script = `
      doorward() { "$DOORWARD" "$@"; }
      source <(doorward completion bash)
      COMP_WORDS=(doorward stop sh); COMP_CWORD=2; _doorward; echo "[\${COMPREPLY[*]}]"
      COMP_WORDS=(doorward stop '$(touch ${marker})' '\`touch ${marker}\`' sh); COMP_CWORD=4; _doorward; echo "[\${COMPREPLY[*]}]"`;
    return lab.shell(script).then((out) => {
      assert.equal(out, "[shop]\n[]\n");
      assert.equal(existsSync(marker), false);
    });
  });
});

describe("without a bridge", { timeout: 600_000 }, () => {
  it("a grant's holder never starts one, and never touches the socket", async () => {
    const home = await mkdtemp(join(tmpdir(), "dw-none-"));
    const { token } = await lab.grant(["terminal.exec"]);
    const env = { DOORWARD_HOME: home, DOORWARD_TOKEN: token, DOORWARD_URL: "http://127.0.0.1:9" };
    const ran = await lab.run(["ls"], { env });
    assert.equal(ran.code, 5);
    assert.equal(existsSync(join(home, "state")), false);
    await rm(home, { recursive: true });
  });
  for (const [token, url, code] of [
    ["nonsense", "http://127.0.0.1:9", 3],
    ["dwg_0123456789_x_y", "ftp://x", 2],
    ["dwg_0123456789_x_y", "not a url", 2],
  ] as const) {
    it(`token "${token}" at "${url}" is refused with ${code}`, async () => {
      const ran = await lab.run(["ls"], { env: { DOORWARD_TOKEN: token, DOORWARD_URL: url } });
      assert.equal(ran.code, code, ran.stderr);
    });
  }
  it("bridge status says so and exits 5, bridge stop finds nothing to do", async () => {
    const home = await mkdtemp(join(tmpdir(), "dw-none-"));
    assert.equal((await lab.run(["bridge", "status"], { env: { DOORWARD_HOME: home } })).code, 5);
    assert.equal((await lab.run(["bridge", "stop"], { env: { DOORWARD_HOME: home } })).code, 0);
    await rm(home, { recursive: true });
  });
  it("evidence verify of a folder without evidence says that, and exits 4", async () => {
    const home = await mkdtemp(join(tmpdir(), "dw-none-"));
    const ran = await lab.run(["evidence", "verify"], { env: { DOORWARD_HOME: home } });
    assert.equal(ran.code, 4);
    assert.match(ran.stderr, /it holds no evidence, there is no key\.vkey/);
    await rm(home, { recursive: true });
  });
  it("evidence verify of a folder that can't be read does not call it empty", async () => {
    const home = await mkdtemp(join(tmpdir(), "dw-none-"));
    const asOther = async (args: readonly string[]) => {
      if (root) process.seteuid?.(65_534);
      try {
        return await runHere(lab, args);
      } finally {
        if (root) process.seteuid?.(0);
      }
    };
    await chmod(home, 0o000);
    const closed = await asOther(["evidence", "verify", home]);
    await chmod(home, 0o700);
    assert.equal(closed.code, 1);
    assert.match(closed.stderr, /its key\.vkey can't be read: it may not be read by this user\n/);
    assert.match(closed.stderr, new RegExp(`hint: ls -ld ${home}\n`));
    const file = join(home, "file");
    await writeFile(file, "");
    const noFolder = await runHere(lab, ["evidence", "verify", file]);
    assert.equal(noFolder.code, 1);
    assert.match(noFolder.stderr, /can't be read: a part of its path is not a folder\n/);
    await symlink(file, join(home, "key.vkey"));
    const linked = await runHere(lab, ["evidence", "verify", home]);
    assert.equal(linked.code, 1);
    assert.match(linked.stderr, /can't be read: it is a symlink\n/);
    await rm(home, { recursive: true });
  });
  const root = process.getuid?.() === 0;
  it(
    "a full disk is said, also where the bridge had no room to say so itself",
    { skip: root ? false : "needs root to mount a small tmpfs" },
    async () => {
      const home = await mkdtemp(join(tmpdir(), "dw-full-"));
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k,mode=0700", "doorward-test", home]);
      try {
        await assert.rejects(writeFile(join(home, "fill"), Buffer.alloc(1_000_000)), { code: "ENOSPC" });
        const ran = await lab.run(["ls"], { env: { DOORWARD_HOME: home } });
        assert.equal(ran.code, 5, ran.stderr);
        assert.match(ran.stderr, /no space (?:is )?left/);
        assert.match(ran.stderr, /hint: .*df /);
      } finally {
        execFileSync("umount", ["-l", home]);
        await rm(home, { recursive: true });
      }
    },
  );
  it("a state folder that can't be made is said with its path", async () => {
    const home = await mkdtemp(join(tmpdir(), "dw-none-"));
    await writeFile(join(home, "state"), "in the way");
    const ran = await lab.run(["ls"], { env: { DOORWARD_HOME: home } });
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, new RegExp(home));
    await rm(home, { recursive: true });
  });
});
