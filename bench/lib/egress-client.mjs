/** Runs on the host or in a machine: measures one thing on the way to a host. Arguments: { mode, count, rate, host, port, proxy }. */
import { Buffer } from "node:buffer";
import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { connect as secure } from "node:tls";

const { mode, count, rate, host, port, proxy } = JSON.parse(process.argv.at(-1));

function dial() {
  return new Promise((resolve, reject) => {
    const socket = connect(proxy ?? port, proxy === null ? host : "127.0.0.1").once("error", reject);
    socket.setNoDelay(true);
    socket.once("connect", () => {
      if (proxy === null) resolve(socket);
      else socket.write(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
    });
    socket.once("data", (bytes) =>
      /^HTTP\/1.. 200/.test(String(bytes)) ? resolve(socket) : reject(new Error(String(bytes))),
    );
  });
}

const opened = async () => {
  const socket = secure({ socket: await dial(), servername: host, rejectUnauthorized: false });
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  return socket;
};

/** One request on a connection; resolves with the bytes of its body. */
const ask = (socket, bytes) =>
  new Promise((resolve, reject) => {
    let got = -1;
    let head = Buffer.alloc(0);
    const take = (chunk) => {
      if (got < 0) {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        if (!head.toString("latin1").startsWith("HTTP/1.1 200")) reject(new Error(head.toString("latin1")));
        got = head.length - end - 4;
      } else got += chunk.length;
      if (got < bytes) return;
      socket.off("data", take);
      resolve(got);
    };
    socket
      .on("data", take)
      .once("error", reject)
      .once("close", () => reject(new Error("closed")));
    socket.write(
      `GET /${bytes}${rate === undefined ? "" : `/${rate}`} HTTP/1.1\r\nHost: ${host}:${port}\r\nx-api-key: ${process.env.API_KEY ?? "none"}\r\n\r\n`,
    );
  });

async function timed(run) {
  const began = performance.now();
  await run();
  return performance.now() - began;
}

async function measure() {
  const samples = [];
  if (mode === "setup")
    for (let at = 0; at < count; at += 1) samples.push(await timed(async () => (await dial()).destroy()));
  if (mode === "request") {
    const socket = await opened();
    for (let at = 0; at < count; at += 1) samples.push(await timed(() => ask(socket, 100)));
  }
  if (mode === "throughput") {
    const socket = await opened();
    samples.push(count / 1e6 / ((await timed(() => ask(socket, count))) / 1e3));
  }
  if (mode === "many") {
    const runs = Array.from({ length: count }, () =>
      timed(async () => void (await ask(await opened(), 100))),
    );
    for (const each of await Promise.allSettled(runs))
      samples.push(each.status === "fulfilled" ? each.value : null);
  }
  return samples;
}

process.stdout.write(JSON.stringify(await measure()), () => process.exit(0));
