import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { openLab, type Lab } from "../support/lab.ts";

const BOUND_MS = 15_000;
const MACHINE = "shop";

/** Opens a tunnel, says `go`, reads until the connection ends, and prints how it ended and how much came. */
const CLIENT = `
const socket = require("node:net").connect(3128, "127.0.0.1");
const target = "localhost:" + process.argv.at(-1);
let got = 0, how = "end";
socket.write("CONNECT " + target + " HTTP/1.1\\r\\nHost: " + target + "\\r\\n\\r\\n");
socket.once("data", () => socket.write("go\\n"));
socket.on("data", (chunk) => { got += chunk.length; });
socket.on("error", (error) => { how = error.code; });
socket.once("close", () => process.stdout.write(JSON.stringify({ how, got }) + "\\n"));
`;

describe(
  "a kill ends the connections out of a machine, with an error, and opens no way beside",
  {
    timeout: 600_000,
  },
  () => {
    let lab: Lab;
    let far: Server;
    let port: number;
    const sockets = new Set<Socket>();

    before(async () => {
      far = createServer((socket) => {
        sockets.add(socket);
        socket.once("close", () => sockets.delete(socket)).on("error", () => undefined);
        socket.once("data", (first) => {
          const http = first.toString("latin1").startsWith("GET ");
          if (http) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n");
          const piece = Buffer.alloc(16_384, 0x61);
          const timer = setInterval(() => {
            if (socket.writableLength < 1e6) socket.write(piece);
          }, 2);
          socket.once("close", () => clearInterval(timer));
        });
      }).listen(0, "127.0.0.1");
      await once(far, "listening");
      ({ port } = far.address() as AddressInfo);
      const rule = `{ host: localhost, ports: [${String(port)}], addresses: [127.0.0.0/8, "::1/128"] }`;
      lab = await openLab({ policy: `egress:\n  allow:\n    - ${rule}\n` });
      await lab.up(lab.repo(MACHINE));
    });
    after(async () => {
      await lab[Symbol.asyncDispose]();
      for (const socket of sockets) socket.destroy();
      far.close();
    });

    const curl = (): string =>
      `curl -sS --noproxy '' -x http://127.0.0.1:3128 http://localhost:${String(port)}/ >/tmp/got`;

    /** Starts a program in the machine that writes its outcome into a file, whatever becomes of who started it. */
    const start = async (line: string): Promise<void> => {
      const reached = sockets.size;
      await lab.sh(MACHINE, `rm -f /tmp/out; (${line}; echo code $? >> /tmp/out) > /dev/null 2>> /tmp/err &`);
      await lab.until(
        "the far side sends",
        () => sockets.size > reached && [...sockets].at(-1)!.bytesWritten > 200_000,
      );
    };
    const tunnel = (): string => `node -e '${CLIENT}' ${String(port)} > /tmp/out`;
    /** Any command starts a bridge that adopts the machine. */
    const back = async (): Promise<void> => {
      assert.equal((await lab.run(["ls"])).code, 0);
      await using client = lab.client();
      await client.call("bridge.ready", {});
    };
    const outcome = async (): Promise<string> => {
      let text = "";
      await back();
      await lab.until(
        "the program's connection ended",
        async () => (text = (await lab.sh(MACHINE, "cat /tmp/out")).stdout).includes("code "),
        BOUND_MS,
      );
      return text;
    };
    const farIsQuiet = async (): Promise<void> => {
      await lab.until("the far side's connection ended", () => sockets.size === 0, BOUND_MS);
    };
    const guestPid = (): number => {
      const guest = lab
        .inside()
        .find(({ pid }) => readFileSync(`/proc/${String(pid)}/cmdline`, "utf8").includes("guest.mjs"));
      assert.ok(guest !== undefined);
      return guest.pid;
    };

    it("the bridge killed under a tunnel: the program gets a reset, not an end", async () => {
      await start(tunnel());
      await lab.killBridge();
      await farIsQuiet();
      const text = await outcome();
      assert.match(text, /"how":"(?:ECONNRESET|EPIPE)"/);
    });

    it("the bridge killed under a download: curl fails", async () => {
      await start(curl());
      await lab.killBridge();
      await farIsQuiet();
      assert.doesNotMatch(await outcome(), /code 0/);
    });

    it("without a bridge nothing is reached, and after it is back the proxy serves again", async () => {
      await lab.sh(
        MACHINE,
        `rm -f /tmp/out; (sleep 2; ${curl()}; echo code $? > /tmp/out) > /dev/null 2>&1 &`,
      );
      const written = join("/proc", String(guestPid()), "root/tmp/out");
      await lab.killBridge();
      await lab.until(
        "the program came back",
        () => existsSync(written) && /code/.test(readFileSync(written, "utf8")),
      );
      assert.equal(sockets.size, 0);
      assert.match(await outcome(), /code (?!0)\d+/);
      await start(curl());
      await lab.sh(MACHINE, "pkill curl");
      await farIsQuiet();
    });

    it("the far side killed: curl fails", async () => {
      await start(curl());
      for (const socket of sockets) socket.resetAndDestroy();
      assert.doesNotMatch(await outcome(), /code 0/);
    });

    it("the guest killed: the far side's connections end, and the machine with them", async () => {
      await start(curl());
      process.kill(guestPid(), "SIGKILL");
      await farIsQuiet();
      await lab.until("the machine is over", async () =>
        (await lab.machines()).every(({ name, state }) => name !== MACHINE || state !== "running"),
      );
    });
  },
);
