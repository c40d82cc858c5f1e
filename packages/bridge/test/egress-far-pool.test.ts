import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { ensureMachineCa } from "../src/egress/tls/machine-ca.ts";
import { askTunnel, collect, listening, startProxyLab, type ProxyLab } from "./egress-proxy-lab.ts";

async function ask(lab: ProxyLab): Promise<string> {
  const socket = await lab.dialProxy();
  const tunnel = await askTunnel(socket, "api.test:443");
  if (!tunnel.includes(" 200 ")) return tunnel.split("\r\n")[0] ?? "";
  const opened = connect({ socket, servername: "api.test", ca: lab.ca.certificate });
  opened.write("GET / HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n");
  const answer = (await collect(opened)).toString("latin1");
  socket.destroy();
  return answer.split("\r\n")[0] ?? "";
}

describe("connections to a far side whose requests are read", () => {
  it("take up the session of the one before", async () => {
    await using lab = await startProxyLab();
    const resumed: boolean[] = [];
    const server = createServer({ SNICallback: (name, done) => done(null, lab.farCa.contextFor(name)) });
    server.on("secureConnection", (socket: TLSSocket) => resumed.push(socket.isSessionReused()));
    server.on("request", (_request, response) => response.setHeader("Connection", "close").end("fine"));
    lab.allow({ host: "api.test", tls: "open" }, await listening(server));
    for (let at = 0; at < 3; at += 1) assert.equal(await ask(lab), "HTTP/1.1 200 OK");
    assert.deepEqual(resumed, [false, true, true]);
    server.close().closeAllConnections();
  });

  it("trust what the file of a rule says now, and never what it said before", async () => {
    const folder = mkdtempSync(join(tmpdir(), "doorward-ca-"));
    await using lab = await startProxyLab();
    const server = createServer({ SNICallback: (name, done) => done(null, lab.farCa.contextFor(name)) });
    server.on("request", (_request, response) => response.setHeader("Connection", "close").end("fine"));
    const ca = join(folder, "ca.pem");
    const write = (text: string): void => {
      writeFileSync(`${ca}.new`, text);
      renameSync(`${ca}.new`, ca);
    };
    write(lab.farCa.certificate);
    lab.allow({ host: "api.test", tls: "open", ca }, await listening(server));
    assert.equal(await ask(lab), "HTTP/1.1 200 OK");
    write(ensureMachineCa(join(folder, "other")).certificate);
    assert.match(await ask(lab), /^HTTP\/1\.1 502 /);
    write(lab.farCa.certificate);
    assert.equal(await ask(lab), "HTTP/1.1 200 OK");
    rmSync(ca);
    assert.match(await ask(lab), /^HTTP\/1\.1 403 /);
    server.close().closeAllConnections();
    rmSync(folder, { recursive: true });
  });
});
