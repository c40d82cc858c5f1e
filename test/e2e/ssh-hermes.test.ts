import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLab, type Lab } from "../support/lab.ts";
import { ended, needsPrograms, OpenSsh, wrote, type HostRan } from "../support/openssh.ts";

const skip = needsPrograms("ssh", "scp", "tar");
const TARGET = "agent@shop.doorward";
const BASE = "/home/agent/.hermes";
const SNAPSHOT = "/tmp/hermes-snap-0a1b2c3d4e5f.sh";
const MARK = "__HERMES_CWD_0a1b2c3d4e5f__";

/**
 * What Hermes puts on the wire with `terminal.backend: ssh`, argument by argument and in its order, as its source has it
 * at 0089d30; Hermes itself is not to be had from a package registry. `-F` is ours: OpenSSH looks for
 * `~/.ssh/config` in the home folder of the password file, which is not this test's.
 */
describe("Hermes' ssh backend, as it talks to a machine", { timeout: 600_000, skip }, () => {
  let lab: Lab;
  let open: OpenSsh;
  let control: string;
  let options: readonly string[];

  before(async () => {
    lab = await openLab();
    await lab.up(lab.repo("shop"));
    open = await OpenSsh.of(lab);
    mkdirSync(join(lab.root, "hermes-ssh"));
    control = `ControlPath=${join(lab.root, "hermes-ssh", "0123456789abcdef.sock")}`;
    const settings = [
      control,
      "ControlMaster=auto",
      "ControlPersist=300",
      "BatchMode=yes",
      "StrictHostKeyChecking=accept-new",
      "ConnectTimeout=10",
    ];
    // The first of two counts: a test's host may stand still for longer.
    options = ["ConnectTimeout=300", ...settings].flatMap((setting) => ["-o", setting]);
  });
  after(async () => {
    await open.ssh(["-o", control, "-O", "exit", TARGET]);
    await lab[Symbol.asyncDispose]();
  });

  const remote = (command: string, input?: Buffer | string): Promise<HostRan> =>
    open.ssh([...options, TARGET, command], input);
  const bash = (script: string, input?: string): Promise<HostRan> =>
    open.ssh([...options, TARGET, "bash", "-c", quoted(script)], input);
  const done = async (ran: Promise<HostRan>): Promise<string> => {
    const { code, stdout, stderr } = await ran;
    assert.equal(code, 0, stderr);
    return stdout.toString();
  };
  const sleeping = async (seconds: number): Promise<string> =>
    (await bash(`pgrep -fc '^sleep ${String(seconds)}'`)).stdout.toString().trim();

  it("it connects, finds its home and makes its folders", async () => {
    const ran = await remote("echo 'SSH connection established'");
    assert.deepEqual([ran.code, ran.stdout.toString(), ran.stderr], [0, "SSH connection established\n", ""]);
    assert.equal(await done(remote("echo $HOME")), "/home/agent\n");
    await done(
      remote(`mkdir -p ${[BASE, `${BASE}/skills`, `${BASE}/credentials`, `${BASE}/cache`].join(" ")}`),
    );
  });

  it("skills go there as one tar of links to them, and modes of folders stay", async () => {
    const staging = join(lab.root, "staging");
    for (let n = 0; n < 60; n += 1) {
      const folder = join(staging, "skills", `s${String(n)}`);
      mkdirSync(folder, { recursive: true });
      const file = join(lab.root, `skill-${String(n)}`);
      writeFileSync(file, `skill ${String(n)}\n`);
      symlinkSync(file, join(folder, "SKILL.md"));
    }
    const mode = await done(remote(`stat -c %a ${BASE}`));
    const packed = await open.run("tar", ["-chf", "-", "-C", staging, "."]);
    assert.equal(packed.code, 0, packed.stderr);
    await done(remote(`tar xf - --no-overwrite-dir -C ${BASE}`, packed.stdout));
    assert.equal(await done(remote(`cat ${BASE}/skills/s*/SKILL.md | sort -u | wc -l`)), "60\n");
    assert.equal(await done(remote(`stat -c %a ${BASE}`)), mode);
  });

  it("one file goes there by scp over the same connection, and is deleted again", async () => {
    const here = join(lab.root, "credential.json");
    writeFileSync(here, '{"key":"value"}');
    await done(remote(`mkdir -p ${BASE}/credentials`));
    const there = `${BASE}/credentials/credential.json`;
    await done(open.run("scp", ["-F", open.config, "-o", control, here, `${TARGET}:${there}`]));
    assert.equal(await done(remote(`cat ${there}`)), '{"key":"value"}');
    await done(remote(`rm -f ${there}`));
    assert.equal((await remote(`cat ${there}`)).code, 1);
  });

  it("its session has a snapshot of the login shell, and each command the folder and variables of the one before", async () => {
    const bootstrap = ["umask 077", `export -p > ${SNAPSHOT}`, "builtin cd -- /workspace/shop", tellFolder()];
    const begun = await done(
      open.ssh([...options, TARGET, "bash", "-l", "-c", quoted(bootstrap.join("\n"))]),
    );
    assert.equal(folderOf(begun), "/workspace/shop");
    const first = await bash(wrapped("cd /tmp && export MINE='it'\\''s mine'; (exit 3)", "/workspace/shop"));
    assert.deepEqual([first.code, folderOf(first.stdout.toString())], [3, "/tmp"]);
    const second = await bash(wrapped("pwd; echo $MINE; cat", "/tmp"), "from stdin\n");
    assert.equal(second.code, 0, second.stderr);
    assert.match(second.stdout.toString(), /^\/tmp\nit's mine\nfrom stdin\n/);
    assert.equal((await bash(wrapped("true", "/no/such/folder"))).code, 126);
  });

  it("a login shell's exit code arrives", async () => {
    assert.equal((await open.ssh([...options, TARGET, "bash", "-l", "-c", "'exit 3'"])).code, 3);
  });

  it("20 commands at once are answered, and 20 MB come back whole", async () => {
    const all = Array.from({ length: 20 }, (_, n) => bash(`sleep 0.2; echo ${String(n)}`));
    assert.deepEqual(
      (await Promise.all(all)).map(({ stdout }) => stdout.toString()),
      Array.from({ length: 20 }, (_, n) => `${String(n)}\n`),
    );
    const bytes = randomBytes(20_000_000);
    await done(remote("cat > /tmp/large", bytes));
    assert.ok((await remote("cat /tmp/large")).stdout.equals(bytes));
  });

  it("a command that is interrupted by killing its client is dead in the machine, with its group", async () => {
    const child = open.start("ssh", [...sshArgs(), "bash", "-c", quoted("sleep 7300 & echo up; sleep 7300")]);
    await wrote(child, "up");
    assert.equal(await sleeping(7300), "2");
    child.kill("SIGKILL");
    await ended(child);
    await lab.until("nothing sleeps", async () => (await sleeping(7300)) === "0");
    assert.equal(await done(bash("echo goes on")), "goes on\n");
  });

  it("at its end it takes back what changed, and closes the connection, of which nothing is left", async () => {
    await done(bash(`echo better > ${BASE}/skills/s1/SKILL.md`));
    const packed = await remote("tar cf - -C / home/agent/.hermes");
    assert.equal(packed.code, 0, packed.stderr);
    const back = join(lab.root, "back");
    mkdirSync(back);
    await done(open.run("tar", ["xf", "-", "-C", back], packed.stdout));
    assert.equal(readFileSync(join(back, "home/agent/.hermes/skills/s1/SKILL.md"), "utf8"), "better\n");
    assert.ok(statSync(join(back, "home/agent/.hermes/skills/s59/SKILL.md")).isFile());
    await bash("setsid nohup sleep 7400 >/dev/null 2>&1 & exit 0");
    assert.equal(await sleeping(7400), "1");
    assert.equal((await open.ssh(["-o", control, "-O", "exit", TARGET])).code, 0);
    await lab.until(
      "nothing of it runs",
      () => !lab.inside().some(({ command }) => command === "sleep 7400"),
    );
  });

  it("all of it was one connection, which is what evidence has of it", async () => {
    const connections = async (): Promise<number> =>
      (await lab.records("command")).filter(({ summary }) => / ran sshd in shop/.test(summary)).length;
    await lab.until("its end is recorded", async () => (await connections()) > 0);
    assert.equal(await connections(), 1);
  });

  function sshArgs(): readonly string[] {
    return ["-F", open.config, ...options, TARGET];
  }
});

/** A word of a shell, as Python's `shlex.quote` makes it. */
function quoted(script: string): string {
  return `'${script.replaceAll("'", `'"'"'`)}'`;
}

function tellFolder(): string {
  return `printf '\\n${MARK}%s${MARK}\\n' "$(pwd -P)"`;
}

function folderOf(output: string): string | undefined {
  return output.split(MARK)[1];
}

/** A command between the snapshot of before and the one for the next, as Hermes wraps it. */
function wrapped(command: string, folder: string): string {
  return [
    `source ${SNAPSHOT} >/dev/null 2>&1 || true`,
    `builtin cd -- ${folder} || exit 126`,
    `eval '${command.replaceAll("'", "'\\''")}'`,
    "__hermes_ec=$?",
    "umask 077",
    `export -p > ${SNAPSHOT}`,
    tellFolder(),
    "exit $__hermes_ec",
  ].join("\n");
}
