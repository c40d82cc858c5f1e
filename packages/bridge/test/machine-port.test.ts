import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import type { Server, Socket } from "node:net";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { closeAbruptly } from "../src/machines/guest/abrupt-close.ts";
import { openMachinePort } from "../src/machines/guest/machine-port.ts";
import { prepareSocketOptions } from "../src/machines/guest/socket-option.ts";

const PORT = 3128;
const { signal } = new AbortController();
const asRoot = process.getuid?.() === 0 ? false : "needs root to make a network namespace";

/** A process in a network of its own with only loopback, as a machine has it. */
async function network(run: (pid: number) => Promise<void>): Promise<void> {
  const script = "ip link set lo up && echo up && exec sleep 60";
  const holder = spawn("unshare", ["--net", "sh", "-c", script], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await once(holder.stdout, "data");
    await run(holder.pid ?? 0);
  } finally {
    holder.kill("SIGKILL");
  }
}

/** A program in that network. */
function inside(pid: number, code: string): ChildProcess & { output: Promise<string> } {
  const args = [`--net=/proc/${String(pid)}/ns/net`, "--", process.execPath, "-e", code];
  const child = spawn("nsenter", args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return Object.assign(child, { output: once(child, "close").then(() => text) });
}

const CLIENT = `
const socket = require("node:net").connect({ port: ${String(PORT)}, host: "127.0.0.1", allowHalfOpen: true });
let got = 0, how = "end";
socket.on("data", (chunk) => (got += chunk.length));
socket.on("error", (error) => (how = error.code));
socket.on("close", () => console.log(how + " " + got));
socket.on("end", () => socket.end());
socket.write("hello");
`;

for (const throughChild of [false, true]) describeWay(throughChild);

function describeWay(throughChild: boolean): void {
  const way = throughChild ? "through a process of its own" : "by itself";
  const opened = async (
    pid: number,
    accept: (socket: Socket) => void,
    release = () => undefined,
  ): Promise<Server> => {
    prepareSocketOptions();
    return await openMachinePort({ pid, port: PORT, release, accept, signal, throughChild });
  };
  void describe(`a port of a machine that this process serves ${way}`, { skip: asRoot }, () => {
    factsOf(opened);
  });
}

type Open = (pid: number, accept: (socket: Socket) => void, release?: () => undefined) => Promise<Server>;

function factsOf(opened: Open): void {
  it("is reached from the machine alone, also when it is opened again", async () => {
    await network(async (pid) => {
      for (let round = 0; round < 2; round += 1) {
        const server = await opened(pid, (socket) => void socket.end("from outside"));
        assert.equal(await inside(pid, CLIENT).output, "end 12\n");
        const { connect } = await import("node:net");
        const beside = connect(PORT, "127.0.0.1");
        const [error] = (await once(beside, "error")) as [NodeJS.ErrnoException];
        assert.equal(error.code, "ECONNREFUSED");
        server.close();
      }
    });
  });

  it("is not opened where the machine has no network of its own, or is gone", async () => {
    await assert.rejects(
      opened(process.pid, () => undefined),
      { code: "GUEST_UNREACHABLE" },
    );
    await assert.rejects(opened(2 ** 30, () => undefined));
  });

  it("and no other thing of this process is in the machine's network, also while it opens ports again and again", async () => {
    await network(async (pid) => {
      const [home, files] = [readlinkSync("/proc/thread-self/ns/net"), readdirSync("/proc/self/fd").length];
      for (let round = 0; round < 50; round += 1) {
        const server = await opened(pid, (socket) => void socket.destroy());
        assert.equal(readlinkSync("/proc/thread-self/ns/net"), home);
        server.close();
        await once(server, "close");
      }
      for (const task of readdirSync("/proc/self/task")) {
        assert.equal(readlinkSync(`/proc/self/task/${task}/ns/net`), home);
      }
      assert.ok(readdirSync("/proc/self/fd").length <= files + 3);
    });
  });

  it("is not opened while a program of the machine keeps it", async () => {
    await network(async (pid) => {
      const squatter = inside(
        pid,
        `require("node:net").createServer().listen(${String(PORT)}, "127.0.0.1", () => console.log("up"))`,
      );
      await once(squatter.stdout ?? assert.fail(), "data");
      let released = false;
      const release = (): undefined => void (released = true);
      await assert.rejects(
        opened(pid, () => undefined, release),
        { code: "GUEST_UNREACHABLE" },
      );
      assert.equal(released, true);
      squatter.kill();
    });
  });

  it("resets a connection that is closed before its end, and delivers all of one that ended", async () => {
    await network(async (pid) => {
      const cut = await opened(pid, (socket) => {
        assert.ok(closeAbruptly(socket));
        let heard = "";
        socket.on("data", (chunk: Buffer) => {
          heard += chunk.toString();
          if (heard.includes("got it")) socket.destroy();
        });
        socket.resume();
        socket.write("half of it");
      });
      const telling = CLIENT.replace("got += chunk.length", 'socket.write("got it"), got += chunk.length');
      assert.equal(await inside(pid, telling).output, "ECONNRESET 10\n");
      cut.close();
      const bytes = 8_000_000;
      const whole = await opened(pid, (socket) => {
        assert.ok(closeAbruptly(socket));
        socket.resume();
        socket.end(Buffer.alloc(bytes));
      });
      const slow = CLIENT.replace(
        "let got",
        "socket.pause(); setTimeout(() => socket.resume(), 300); let got",
      );
      assert.equal(await inside(pid, slow).output, `end ${String(bytes)}\n`);
      whole.close();
      await delay(0);
    });
  });
}
