import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
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
    assert.match((await runHere(lab, ["action", "run"])).stderr, /hint: .*doorward action run --help$/m);
    assert.match((await runHere(lab, ["action", "bogus"])).stderr, /hint: .*doorward help action$/m);
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
      const groups = [
        ...["grant", "policy", "secret", "contracts", "egress", "action"],
        ...["evidence", "transcript", "image", "bridge"],
      ];
      if (!groups.includes(name)) assert.match(ran.stdout.toString(), /Examples:\n {2}/, name);
    }
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
    assert.match(await complete("action", "preset", "enable", "gi"), /^git\t\n:none/);
    assert.equal(await complete("exec", "shop", "--", "l"), ":files\n");
    assert.match(await complete("grant", "create", "shop", "--op", "terminal.e"), /^terminal\.exec\t\n:none/);
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
  it("a state folder that can't be made is said with its path", async () => {
    const home = await mkdtemp(join(tmpdir(), "dw-none-"));
    await writeFile(join(home, "state"), "in the way");
    const ran = await lab.run(["ls"], { env: { DOORWARD_HOME: home } });
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, new RegExp(home));
    await rm(home, { recursive: true });
  });
});
