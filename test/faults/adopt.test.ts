import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createServer, type Server } from "node:net";
import { after, before, describe, it } from "node:test";
import { openLab, type Lab } from "../support/lab.ts";
import { processesOf } from "../support/leftovers.ts";

describe("a bridge that starts finds what is there", () => {
  let lab: Lab;
  let repo: string;

  before(async () => {
    lab = await openLab();
    repo = lab.repo("shop");
    await lab.up(repo);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  /** Starts the bridge by a command that waits until machines can be used. */
  const start = (): Promise<string> => lab.up(repo);

  it("a restart keeps machines and attached terminals, and says how the run before ended", async () => {
    const { id } = await lab.machine("shop");
    const screen = lab.screen(["attach", "shop"]);
    await screen.see("$ ");
    screen.type("kept=yes\r");
    const before = await lab.bridgePid();
    assert.equal((await lab.run(["bridge", "restart"])).code, 0);
    await start();
    assert.notEqual(await lab.bridgePid(), before);
    assert.equal((await lab.machine("shop")).id, id);
    const from = screen.text.length;
    screen.type("echo still-$kept\r");
    await screen.see("still-yes", { from });
    screen.type("exit\r");
    assert.equal(await screen.ended, 0);
    const started = (await lab.records("bridge-start"))[0];
    assert.match(started?.summary ?? "", /1 .*adopted|adopted 1/);
  });

  it("a machine whose .git/config the host's git replaced goes on, and says that it can write it", async () => {
    const { id } = await lab.machine("shop");
    execFileSync("git", ["-C", repo, "-c", "safe.directory=*", "config", "user.nick", "x"]);
    assert.equal((await lab.run(["bridge", "restart"])).code, 0);
    await start();
    assert.equal((await lab.machine("shop")).id, id);
    const noticed = async (): Promise<boolean> =>
      (await lab.machine("shop")).notices.some((notice) => notice.includes(".git/config"));
    await lab.until("the notice", noticed);
    assert.equal((await lab.sh("shop", "echo up")).stdout, "up\n");
  });

  it("what carries its label and is in no record is reaped; nothing else is touched", async () => {
    const image = (await lab.machine("shop")).image?.id ?? "";
    const { stdout } = await lab.run(["bridge", "status", "--json"]);
    const { installationId } = JSON.parse(stdout) as { installationId: string };
    const create = (name: string, ...labels: string[]): Promise<string> =>
      lab.podman(
        "create",
        "--network",
        "none",
        "--name",
        name,
        ...labels.flatMap((label) => ["--label", label]),
        image,
        "sleep",
        "1000",
      );
    const foreign = await create("foreign");
    const other = await create("other", "dev.doorward.installation=i_somebodyelse");
    const ours = await create(
      "ours",
      `dev.doorward.installation=${installationId}`,
      "dev.doorward.machine=m_unknown0000",
    );
    await lab.stopBridge();
    await start();
    await lab.until(
      "ours is gone",
      async () => !(await lab.containers()).some((line) => line.startsWith(ours)),
    );
    const left = (await lab.containers()).map((line) => line.split(" ")[0] ?? "");
    assert.ok(left.includes(foreign) && left.includes(other));
    await lab.podman("rm", foreign, other);
    assert.equal((await lab.sh("shop", "echo up")).stdout, "up\n");
  });

  it("a machine that is killed is stopped with a reason, whether the bridge runs or not", async () => {
    const killed = async (): Promise<void> => {
      const [container = ""] = (await lab.containers()).map((line) => line.split(" ")[0] ?? "");
      await lab.podman("kill", container);
    };
    await killed();
    await lab.until("it is stopped", async () => (await lab.machine("shop")).state === "stopped");
    assert.match((await lab.machine("shop")).stateReason ?? "", /ended|killed/);
    await start();
    assert.equal((await lab.sh("shop", "echo up")).stdout, "up\n");
    await lab.stopBridge();
    await killed();
    assert.equal((await lab.run(["ls"])).code, 0);
    await lab.until("it is stopped", async () => (await lab.machine("shop")).state === "stopped");
    const ends = (await lab.records("machine-end")).filter(({ machine }) => machine === "shop");
    assert.ok(ends.length >= 2);
    await start();
  });

  it("Podman's service is started again when it dies", async () => {
    const service = (): number | undefined =>
      processesOf(lab.root).find(({ command }) => command.includes(" system service "))?.pid;
    const before = service();
    assert.ok(before !== undefined);
    process.kill(before, "SIGKILL");
    const name = await lab.up(repo, "--new");
    assert.equal((await lab.sh(name, "echo up")).stdout, "up\n");
    assert.notEqual(service(), before);
    assert.equal((await lab.run(["rm", name])).code, 0);
  });

  it("a taken port leaves TCP off with an error, and everything else works", async () => {
    const port = await lab.tcpPort();
    await lab.stopBridge();
    const squatter = await listen(port);
    try {
      await start();
      const status = JSON.parse((await lab.run(["bridge", "status", "--json"])).stdout) as {
        tcp: { port: number; state: string };
        problems: string[];
      };
      assert.deepEqual(status.tcp, { port, state: "taken" });
      assert.match(status.problems.join(), new RegExp(`${port}`));
      assert.equal((await lab.sh("shop", "echo up")).stdout, "up\n");
    } finally {
      await new Promise((resolve) => squatter.close(resolve));
    }
    assert.equal((await lab.run(["bridge", "restart"])).code, 0);
    assert.equal(await lab.tcpPort(), port, "it listens there again");
  });

  it("the evidence verifies", async () => {
    assert.equal((await lab.run(["evidence", "verify"])).code, 0);
  });
});

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
