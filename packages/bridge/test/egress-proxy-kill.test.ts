import assert from "node:assert/strict";
import { createServer as createHttp, type Server as HttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { DoorwardError } from "@doorward/contracts";
import { connect as connectTls } from "node:tls";
import { askTunnel, collect, listening, startProxyLab, type ProxyLab } from "./egress-proxy-lab.ts";

let lab: ProxyLab;
let echo: Server;
let web: HttpServer;
const far = new Set<Socket>();

before(async () => {
  lab = await startProxyLab({ limits: { bodyMs: 1000 } });
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    far.add(socket);
    socket.once("close", () => far.delete(socket)).on("error", () => undefined);
    socket.pipe(socket);
  });
  web = createHttp((_request, response) => {
    response.write("begun");
  });
  web.on("connection", (socket) => {
    far.add(socket);
    socket.once("close", () => far.delete(socket));
  });
  lab.allow({ host: "echo.test", ports: [7000] }, await listening(echo));
  lab.allow({ host: "web.test", ports: [80] }, await listening(web));
});

after(async () => {
  await lab[Symbol.asyncDispose]();
  for (const socket of far) socket.destroy();
  echo.close();
  web.closeAllConnections();
  web.close();
});

async function tunnel(): Promise<Socket> {
  const socket = await lab.dialProxy();
  assert.match(await askTunnel(socket, "echo.test:7000"), / 200 /);
  socket.write("ping\n");
  await collect(socket, (bytes) => bytes.includes("ping"));
  return socket;
}

async function begun(): Promise<Socket> {
  const socket = await lab.dialProxy();
  socket.write("GET http://web.test/ HTTP/1.1\r\nHost: web.test\r\n\r\n");
  await collect(socket, (bytes) => bytes.includes("begun"));
  return socket;
}

/** Waits until nothing of a killed connection is left on either side. */
async function gone(): Promise<void> {
  for (let left = 12_000; left > 0; left -= 1) {
    if (far.size === 0 && lab.streams.size === 0 && lab.booked.every(({ open }) => !open)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`left: ${far.size} far, ${lab.streams.size} near`);
}

const STATES = new Map<string, () => Promise<Socket>>([
  ["a tunnel", tunnel],
  ["an answer that is under way", begun],
]);
const KILLS = new Map<string, (near: Socket) => void>([
  ["the program goes away", (near) => near.destroy()],
  ["the program's side is reset", (near) => near.resetAndDestroy()],
  ["the guest's stream is destroyed", () => lab.streams.forEach((stream) => stream.destroy())],
  ["the far side is reset", () => far.forEach((socket) => socket.resetAndDestroy())],
  ["the far side is destroyed", () => far.forEach((socket) => socket.destroy())],
  [
    "the gate cuts",
    () => lab.booked.at(-1)?.cut(new DoorwardError({ code: "EGRESS_DENIED", message: "narrowed" })),
  ],
]);
for (const [state, reach] of STATES) {
  for (const [what, kill] of KILLS) {
    test(`${state}: when ${what}, both sides end and nothing is left`, async () => {
      const near = await reach();
      kill(near);
      if (!near.destroyed) await collect(near);
      near.destroy();
      await gone();
    });
  }
}

test("a tunnel that breaks in the middle is an error to the program, not an end", async () => {
  const near = await tunnel();
  const failed = new Promise((resolve) =>
    near.once("error", (error) => resolve("code" in error ? error.code : "")),
  );
  near.resume();
  far.forEach((socket) => socket.resetAndDestroy());
  assert.equal(await failed, "ECONNRESET");
  await gone();
});

test("programs that go away at any step leave nothing open", async () => {
  const script = "CONNECT echo.test:7000 HTTP/1.1\r\nHost: echo.test:7000\r\n\r\nping\\nand more";
  for (let cut = 1; cut < script.length; cut += 5) {
    const near = await lab.dialProxy();
    near.write(script.slice(0, cut));
    await new Promise((resolve) => setTimeout(resolve, cut % 3));
    near.resetAndDestroy();
  }
  await gone();
});

test("200 tunnels at once carry their bytes and leave nothing open", async () => {
  const all = await Promise.all(Array.from({ length: 200 }, tunnel));
  assert.equal(far.size, 200);
  for (const socket of all) socket.end();
  await Promise.all(all.map((socket) => collect(socket)));
  for (const socket of all) socket.destroy();
  await gone();
});

test("a rule that is taken away cuts the next request of an open connection", async () => {
  lab.allow({ host: "brief.test", ports: [80] }, (web.address() as { port: number }).port);
  const near = await lab.dialProxy();
  near.write("HEAD http://brief.test/ HTTP/1.1\r\nHost: brief.test\r\n\r\n");
  lab.forbid("brief.test");
  near.write("GET http://brief.test/ HTTP/1.1\r\nHost: brief.test\r\nConnection: close\r\n\r\n");
  assert.match((await collect(near)).toString(), /HTTP\/1\.1 403 /);
  near.destroy();
});

test("a secret goes out in its header to its host only, and an answer that echoes it is masked", async () => {
  const seen: string[] = [];
  const { createServer: createHttps } = await import("node:https");
  const server = createHttps(
    { SNICallback: (name, done) => done(null, lab.farCa.contextFor(name)) },
    (request, response) => {
      seen.push(request.headers.authorization ?? "", request.headers["x-other"]?.toString() ?? "");
      response.end(`you said ${request.headers.authorization ?? ""}`);
    },
  );
  lab.allow({ host: "model.test" }, await listening(server));
  const value = "sk-real-value-0123456789";
  const placeholder = "dwp_placeholder_0123456789";
  lab.bind("model.test", {
    name: "KEY",
    header: "authorization",
    placeholder,
    value: () => Promise.resolve(value),
  });
  const socket = await lab.dialProxy();
  await askTunnel(socket, "model.test:443");
  const secured = connectTls({ socket, servername: "model.test", ca: lab.ca.certificate });
  await new Promise((resolve, reject) => secured.once("secureConnect", resolve).once("error", reject));
  secured.write(
    `GET / HTTP/1.1\r\nHost: model.test\r\nAuthorization: Bearer ${placeholder}\r\nX-Other: ${placeholder}\r\nConnection: close\r\n\r\n`,
  );
  const answer = (await collect(secured)).toString();
  assert.deepEqual(seen, [`Bearer ${value}`, placeholder]);
  assert.match(answer, /you said/);
  assert.ok(!answer.includes(value), answer);
  assert.deepEqual(lab.booked.at(-1)?.secrets, ["KEY"]);
  secured.destroy();
  server.closeAllConnections();
  server.close();
});
