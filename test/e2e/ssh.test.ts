import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect as dial } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { freePort } from "../support/free-port.ts";
import { openLab, type Lab } from "../support/lab.ts";
import { ended, needsPrograms, noneSleeps, OpenSsh, sleeping, wrote } from "../support/openssh.ts";

const skip = needsPrograms("ssh", "scp", "sftp", "rsync");
const HOST = "shop.doorward";

describe("OpenSSH's own programs on a machine", { timeout: 600_000, skip }, () => {
  let lab: Lab;
  let open: OpenSsh;

  before(async () => {
    lab = await openLab();
    await lab.up(lab.repo("shop"));
    open = await OpenSsh.of(lab);
  });
  after(() => lab[Symbol.asyncDispose]());

  it("a command's output, error output and exit code arrive", async () => {
    const ran = await open.ssh([HOST, "echo out; echo err >&2; exit 7"]);
    assert.equal(ran.code, 7, ran.stderr);
    assert.equal(ran.stdout.toString(), "out\n");
    assert.equal(ran.stderr, "err\n");
  });

  it("a program that a signal ends is told apart, and one that does not exist has 127", async () => {
    assert.equal((await open.ssh([HOST, "kill -9 $$"])).code, 255);
    assert.equal((await open.ssh([HOST, "no-such-program"])).code, 127);
  });

  it("the environment is the one of exec, with what the client sends", async () => {
    const script = 'printf "%s\\n" "$https_proxy" "$PATH" "$HOME" "$DOORWARD_MACHINE" "$MINE"';
    const ran = await open.ssh(["-o", "SendEnv=MINE", HOST, script], "", { MINE: "my own" });
    const exec = await lab.sh("shop", script);
    assert.equal(ran.stdout.toString().replace("my own", ""), exec.stdout, ran.stderr);
    assert.match(ran.stdout.toString(), /my own/);
  });

  it("50 MB pass unchanged in both directions at once", async () => {
    const bytes = randomBytes(50_000_000);
    const ran = await open.ssh([HOST, "cat"], bytes);
    assert.equal(ran.code, 0, ran.stderr);
    assert.equal(sha256(ran.stdout), sha256(bytes));
  });

  it("a session with a terminal has one, of the size and type that the client says", async () => {
    const screen = lab.screen(["ssh", "shop", "-t", "--", "sh", "-c", "tty; stty size; echo $TERM"]);
    await screen.see(/\/dev\/pts\/\d+\s+\d+ \d+\s+xterm/);
  });

  it("a shell without a command starts where the repos are", async () => {
    const ran = await open.ssh([HOST], "pwd\n");
    assert.equal(ran.stdout.toString().trim().split("\n").at(-1), "/workspace/shop", ran.stderr);
  });

  it("scp copies both ways", async () => {
    const [here, back] = [join(lab.root, "scp-here"), join(lab.root, "scp-back")];
    writeFileSync(here, randomBytes(3_000_000));
    const there = await open.run("scp", ["-F", open.config, "-q", here, `${HOST}:/tmp/scp there`]);
    assert.equal(there.code, 0, there.stderr);
    const again = await open.run("scp", ["-F", open.config, "-q", `${HOST}:/tmp/scp there`, back]);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(readFileSync(back), readFileSync(here));
  });

  it("an sftp batch makes, puts, renames, lists and gets", async () => {
    const here = join(lab.root, "sftp-here");
    writeFileSync(here, "by sftp\n");
    const batch = `mkdir /tmp/box\nput ${here} /tmp/box/a\nrename /tmp/box/a /tmp/box/b\nls -1 /tmp/box\nget /tmp/box/b ${here}-back\n`;
    const ran = await open.run("sftp", ["-F", open.config, "-b", "-", HOST], batch);
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout.toString(), /\/tmp\/box\/b/);
    assert.equal(readFileSync(`${here}-back`, "utf8"), "by sftp\n");
  });

  it("rsync brings a tree there, its changes only, and back", async () => {
    const tree = join(lab.root, "tree");
    mkdirSync(join(tree, "deep"), { recursive: true });
    for (let n = 0; n < 50; n += 1) writeFileSync(join(tree, "deep", String(n)), `file ${String(n)}\n`);
    const rsh = `ssh -F ${open.config}`;
    const there = await open.run("rsync", ["-a", "--delete", "-e", rsh, `${tree}/`, `${HOST}:/tmp/tree/`]);
    assert.equal(there.code, 0, there.stderr);
    writeFileSync(join(tree, "deep", "7"), "changed\n");
    const again = await open.run("rsync", ["-ai", "-e", rsh, `${tree}/`, `${HOST}:/tmp/tree/`]);
    assert.equal(again.stdout.toString().match(/^<f/gm)?.length, 1, again.stdout.toString());
    const back = await open.run("rsync", ["-a", "-e", rsh, `${HOST}:/tmp/tree/`, `${tree}-back/`]);
    assert.equal(back.code, 0, back.stderr);
    assert.equal(readFileSync(join(`${tree}-back`, "deep", "7"), "utf8"), "changed\n");
  });

  it("a local port leads to the machine's loopback; remote ports, sockets and other addresses are refused", async () => {
    await lab.sh(
      "shop",
      "cd /tmp && echo from-the-machine > page && (setsid python3 -m http.server 8123 >/dev/null 2>&1 &)",
    );
    const port = await freePort();
    const child = open.start("ssh", [
      "-F",
      open.config,
      "-L",
      `${String(port)}:127.0.0.1:8123`,
      HOST,
      "echo up; cat",
    ]);
    try {
      await wrote(child, "up");
      await lab.until("the port answers", async () =>
        (await get(port, "/page")).includes("from-the-machine"),
      );
    } finally {
      child.stdin?.end();
      await ended(child);
    }
    const fails = ["-o", "ExitOnForwardFailure=yes"];
    const remote = await open.ssh([...fails, "-R", "8124:127.0.0.1:22", HOST, "true"]);
    assert.equal(remote.code, 255);
    assert.match(remote.stderr, /remote port forwarding failed/);
    const elsewhere = await open.ssh(["-W", "192.0.2.1:80", HOST]);
    assert.notEqual(elsewhere.code, 0);
    assert.match(elsewhere.stderr, /administratively prohibited/);
  });

  it("the user's agent is not carried there, even when asked for", async () => {
    const ran = await open.ssh(["-A", HOST, 'echo "agent:$SSH_AUTH_SOCK"'], "", {
      SSH_AUTH_SOCK: "/tmp/none",
    });
    assert.equal(ran.stdout.toString(), "agent:\n");
  });

  it("20 sessions share one connection, and one that is closed ends its program while the others go on", async () => {
    const socket = join(lab.root, "cm");
    const control = ["-o", `ControlPath=${socket}`];
    const master = open.start("ssh", [
      "-F",
      open.config,
      ...control,
      "-o",
      "ControlMaster=yes",
      HOST,
      "echo up; cat",
    ]);
    try {
      await wrote(master, "up");
      const all = Array.from({ length: 20 }, (_, n) =>
        open.ssh([...control, HOST, `cat; echo ${String(n)}`], `in ${String(n)} `),
      );
      for (const [n, ran] of (await Promise.all(all)).entries()) {
        assert.equal(ran.stdout.toString(), `in ${String(n)} ${String(n)}\n`, ran.stderr);
      }
      const together = Array.from({ length: 20 }, () =>
        open.start("ssh", ["-F", open.config, ...control, HOST, "echo up; exec sleep 7100"]),
      );
      await Promise.all(together.map((child) => wrote(child, "up")));
      assert.equal(await sleeping(lab, "7100"), 20);
      for (const child of together) child.kill("SIGKILL");
      await noneSleeps(lab, "7100");
      assert.equal((await open.ssh([...control, HOST, "echo still here"])).stdout.toString(), "still here\n");
      await open.ssh([...control, HOST, "setsid nohup sleep 7200 >/dev/null 2>&1 & exit 0"]);
      assert.equal(
        await sleeping(lab, "7200"),
        1,
        "what a session leaves in the background lives as long as the connection",
      );
    } finally {
      master.stdin?.end();
      await ended(master);
    }
    await noneSleeps(lab, "7200");
  });

  it("OpenClaw's ssh backend works with its own generated configuration and our stand-in for ssh", async () => {
    const generated = join(lab.root, "openclaw-config");
    const standIn = join(lab.root, "openclaw-ssh");
    writeFileSync(standIn, (await lab.run(["ssh-config", "--stand-in"])).stdout, { mode: 0o700 });
    const lines = [
      "Host openclaw-sandbox",
      "  HostName shop.doorward",
      "  Port 22",
      "  BatchMode yes",
      "  ConnectTimeout 30",
    ];
    const more = [
      "  ServerAliveInterval 15",
      "  ServerAliveCountMax 3",
      "  StrictHostKeyChecking yes",
      "  UpdateHostKeys no",
      "  User agent",
    ];
    writeFileSync(generated, `${[...lines, ...more].join("\n")}\n`);
    const run = (command: string, input?: string): ReturnType<OpenSsh["run"]> =>
      open.run(standIn, ["-F", generated, "-T", "-o", "RequestTTY=no", "openclaw-sandbox", command], input);
    const wanted =
      "python3 -c 'import sys; print(sys.version_info[0])'; stat -c %s /etc/passwd >/dev/null; readlink -f /tmp; tar --version | head -1";
    const tools = await run(`'/bin/sh' '-c' '${wanted.replaceAll("'", `'"'"'`)}'`);
    assert.equal(tools.code, 0, tools.stderr);
    assert.match(tools.stdout.toString(), /^3\n\/tmp\ntar/);
    assert.equal((await run("cat > /tmp/oc && cat /tmp/oc", "seeded")).stdout.toString(), "seeded");
  });

  it("a machine that does not run, and one that there is not, are told in one line", async () => {
    const none = await open.ssh(["nope.doorward", "true"]);
    assert.equal(none.code, 255);
    assert.match(none.stderr, /^doorward: Cannot .*"nope"/);
    await lab.up(lab.repo("idle"));
    await lab.run(["stop", "idle"]);
    const stopped = await open.ssh(["idle.doorward", "true"]);
    assert.equal(stopped.code, 255);
    assert.match(stopped.stderr, /^doorward: Cannot .*"idle"/);
  });

  it("the include line goes to the top of ~/.ssh/config, once, and away again", async () => {
    const path = join(lab.env["HOME"] ?? "", ".ssh", "config");
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, "Host mine\n  User me\n", { mode: 0o640 });
    await lab.json(["ssh-config", "--install"]);
    const installed = readFileSync(path, "utf8");
    await lab.json(["ssh-config", "--install"]);
    assert.equal(readFileSync(path, "utf8"), installed);
    assert.match(installed, /^#.*\nInclude ".*\/ssh\/config"\n\nHost mine\n {2}User me\n$/);
    assert.equal(statSync(path).mode & 0o777, 0o640);
    assert.equal(readFileSync(`${path}.before-doorward`, "utf8"), "Host mine\n  User me\n");
    const resolved = await open.run("ssh", ["-F", path, "-G", HOST]);
    assert.match(resolved.stdout.toString(), /proxycommand .*ssh-proxy/);
  });

  it("--remove takes back line, files and keys", async () => {
    await lab.json(["ssh-config", "--remove"]);
    assert.equal(
      readFileSync(join(lab.env["HOME"] ?? "", ".ssh", "config"), "utf8"),
      "Host mine\n  User me\n",
    );
    assert.equal(existsSync(join(lab.home, "state", "ssh")), false);
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function get(port: number, path: string): Promise<string> {
  const socket = dial(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
  socket.on("error", () => undefined);
  socket.end(`GET ${path} HTTP/1.0\r\n\r\n`);
  await once(socket, "close");
  return text;
}
