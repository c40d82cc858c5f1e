import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLab, type Lab } from "../support/lab.ts";
import { ended, needsPrograms, noneSleeps, OpenSsh, sleeping, wrote } from "../support/openssh.ts";

const skip = needsPrograms("ssh");
const HOST = "shop.doorward";

describe("who gets a connection by SSH, and what is left of it", { timeout: 600_000, skip }, () => {
  let lab: Lab;
  let open: OpenSsh;

  before(async () => {
    lab = await openLab();
    await lab.up(lab.repo("shop"));
    open = await OpenSsh.of(lab);
  });
  after(() => lab[Symbol.asyncDispose]());

  it("nothing is left in the machine after ssh is killed: not in the background, not in other sessions", async () => {
    const orphans =
      "(setsid nohup sleep 7300 >/dev/null 2>&1 &); (env -i setsid setsid -f sleep 7300 </dev/null >/dev/null 2>&1)";
    const stubborn = "trap '' HUP TERM; sleep 7300 &";
    const child = open.start("ssh", ["-F", open.config, HOST, `${orphans}; ${stubborn} echo up; wait`]);
    await wrote(child, "up");
    await lab.until("all three run", async () => (await sleeping(lab, "7300")) === 3);
    child.kill("SIGKILL");
    await noneSleeps(lab, "7300");
    await lab.until(
      "no sshd and no folder of it is left",
      async () => (await lab.sh("shop", "pgrep -c sshd; ls /dev/shm")).stdout.trim() === "0",
    );
  });

  it("a grant's holder connects, is recorded as the agent that it is, and is cut when the grant is revoked", async (t) => {
    const grant = await mint(lab);
    const env = await asAgent(lab, grant.token);
    const child = open.start("ssh", ["-F", open.config, HOST, "echo up; sleep 7400"], env);
    const over = ended(child);
    await wrote(child, "up");
    await using operator = lab.client();
    const began = performance.now();
    await operator.call("grants.revoke", { params: { grant: grant.id }, body: {} });
    const ran = await over;
    t.diagnostic(`from revoking to the end of ssh: ${String(Math.round(performance.now() - began))} ms`);
    assert.equal(ran.code, 255);
    assert.match(ran.stderr, /revoked/);
    await noneSleeps(lab, "7400");
    await lab.until("its record", async () => {
      const [record] = (await lab.records("command")).filter(({ summary }) => summary.includes("sshd"));
      return JSON.stringify(record ?? "").includes("agent:test:ssh");
    });
    const again = await open.ssh([HOST, "true"], "", env);
    assert.equal(again.code, 255);
    assert.match(again.stderr, /revoked/);
  });

  it("a grant without exec, one for another machine, and one that is none are refused with the reason", async () => {
    const watcher = await mint(lab, ["--op", "terminal.observe"]);
    const narrow = await open.ssh([HOST, "true"], "", await asAgent(lab, watcher.token));
    assert.equal(narrow.code, 255);
    assert.match(narrow.stderr, /terminal\.(agent-)?exec/);
    const env = await asAgent(lab, (await mint(lab)).token);
    const other = await open.ssh(["other.doorward", "true"], "", env);
    assert.equal(other.code, 255);
    assert.match(other.stderr, /doorward: .*other/);
    const none = await open.ssh([HOST, "true"], "", { ...env, DOORWARD_TOKEN: "nonsense" });
    assert.equal(none.code, 255);
    assert.match(none.stderr, /doorward: /);
    const short = await mint(lab, ["--op", "terminal.exec", "--op", "terminal.agent-exec"], "1s");
    const late = await asAgent(lab, short.token);
    await lab.until("the grant is over", async () =>
      (await open.ssh([HOST, "true"], "", late)).stderr.includes("expired"),
    );
  });

  it("another key than the installation's is not let in, and another host key is not believed", async () => {
    const key = join(lab.root, "stranger");
    await open.run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key]);
    const own = readFileSync(open.config, "utf8");
    writeFileSync(join(lab.root, "stranger-config"), own.replace(/IdentityFile .*/, `IdentityFile ${key}`));
    const stranger = await open.run("ssh", ["-F", join(lab.root, "stranger-config"), HOST, "true"]);
    assert.equal(stranger.code, 255);
    assert.match(stranger.stderr, /Permission denied/);
    const known = join(lab.root, "wrong-known");
    writeFileSync(known, `${HOST} ${readFileSync(`${key}.pub`, "utf8")}`);
    writeFileSync(
      join(lab.root, "wrong-config"),
      own.replace(/UserKnownHostsFile .*/, `UserKnownHostsFile ${known}`),
    );
    const wrong = await open.run("ssh", ["-F", join(lab.root, "wrong-config"), HOST, "true"]);
    assert.equal(wrong.code, 255);
    assert.match(wrong.stderr, /HOST IDENTIFICATION HAS CHANGED|verification failed/);
  });

  it("keys are closed to others, and no host key is in the image", async () => {
    const folder = join(lab.home, "state", "ssh");
    for (const name of ["id_ed25519", "host-keys/shop", "known_hosts"]) {
      assert.equal(statSync(join(folder, name)).mode & 0o077, 0, name);
    }
    assert.equal((await lab.sh("shop", "ls /etc/ssh/ssh_host_* 2>/dev/null | wc -l")).stdout.trim(), "0");
    assert.equal(
      (await lab.sh("shop", "find / -xdev -perm /6000 -type f 2>/dev/null | wc -l")).stdout.trim(),
      "0",
    );
  });

  it("what comes beside the connection reaches the terminal harmless and short, and the connection goes on", async () => {
    const beside = "/proc/$(pgrep -of lib/doorward/sshd)/fd/2";
    const ran = await open.ssh([
      HOST,
      String.raw`printf '\033]0;owned\007' > ${beside}; yes | head -c 3000000 > ${beside}; echo on`,
    ]);
    assert.equal(ran.stdout.toString(), "on\n", ran.stderr.slice(0, 500));
    assert.match(ran.stderr, /\\x1b\]0;owned\\x07/);
    assert.ok(!ran.stderr.includes("\x1b") && ran.stderr.length < 20_000, String(ran.stderr.length));
  });

  it("what is not SSH is answered with an end, not with a wait", async () => {
    assert.notEqual((await lab.run(["ssh-proxy", HOST], { input: "this is not SSH\n" })).code, null);
  });

  it("a bridge that is killed cuts the connection with an error, and nothing stays", async () => {
    const child = open.start("ssh", ["-F", open.config, HOST, "echo up; sleep 7500"]);
    const over = ended(child);
    await wrote(child, "up");
    await lab.killBridge();
    const ran = await over;
    assert.equal(ran.code, 255);
    assert.match(ran.stderr, /doorward: /);
    await lab.run(["ls"]);
    await noneSleeps(lab, "7500");
  });
});

async function mint(
  lab: Lab,
  operations = ["--op", "terminal.exec", "--op", "terminal.agent-exec"],
  time = "1h",
): Promise<{ id: string; token: string }> {
  const minted = await lab.json<{ token: string; grant: { grantId: string } }>([
    "grant",
    "create",
    "shop",
    "--to",
    "agent:test:ssh",
    ...operations,
    "--for",
    time,
  ]);
  return { id: minted.grant.grantId, token: minted.token };
}

async function asAgent(lab: Lab, token: string): Promise<Record<string, string>> {
  return { DOORWARD_TOKEN: token, DOORWARD_URL: `http://127.0.0.1:${String(await lab.tcpPort())}` };
}
