import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { addressBytes, addressText } from "../src/egress/tls/address-bytes.ts";
import { readClientHello } from "../src/egress/tls/client-hello.ts";
import { ensureMachineCa } from "../src/egress/tls/machine-ca.ts";
import { listening } from "./egress-proxy-lab.ts";
import { clientHello } from "./egress-tls-hello.ts";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "doorward-ca-"));
  t.after(() => {
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

async function shake(t: TestContext, served: string, asked: string): Promise<string> {
  const ca = ensureMachineCa(folder(t));
  const server = createServer({ SNICallback: (_name, done) => done(null, ca.contextFor(served)) });
  const port = await listening(server);
  const client = connect({ port, host: "127.0.0.1", servername: asked, ca: ca.certificate });
  const result = await new Promise<string>((resolve) => {
    client.once("secureConnect", () => resolve("secure"));
    client.once("error", (error: Error) => resolve("code" in error ? String(error.code) : error.message));
  });
  client.destroy();
  server.close();
  return result;
}

test("a hello that is cut into thousands of records is refused before they are put together", () => {
  const body = Buffer.alloc(5000, 1);
  body.writeUIntBE(20_000, 1, 3);
  const bytes = Buffer.concat(Array.from(body, (byte) => Buffer.from([22, 3, 1, 0, 1, byte])));
  assert.throws(() => readClientHello(bytes), { code: "PROTOCOL_ERROR", message: /too many records/ });
});

test("a client that trusts the machine's authority accepts the leaf of the host it asked for", async (t) => {
  assert.equal(await shake(t, "api.example.com", "api.example.com"), "secure");
});

test("a leaf for one host is refused by a client that asked for another", async (t) => {
  assert.equal(await shake(t, "api.example.com", "www.example.com"), "ERR_TLS_CERT_ALTNAME_INVALID");
});

test("the authority's key is readable by its owner only, and a second start keeps it", (t) => {
  const place = folder(t);
  const first = ensureMachineCa(place);
  assert.equal(statSync(join(place, "ca.key")).mode & 0o777, 0o600);
  assert.equal(ensureMachineCa(place).certificate, first.certificate);
});

test("an authority key that others can read is refused", (t) => {
  const place = folder(t);
  ensureMachineCa(place);
  chmodSync(join(place, "ca.key"), 0o644);
  assert.throws(() => ensureMachineCa(place), { code: "KEY_INVALID" });
});

test("a damaged or foreign certificate is replaced together with its key", (t) => {
  const place = folder(t);
  const first = ensureMachineCa(place);
  writeFileSync(join(place, "ca.pem"), ensureMachineCa(folder(t)).certificate);
  const second = ensureMachineCa(place);
  assert.notEqual(second.certificate, first.certificate);
  assert.equal(new X509Certificate(second.certificate).ca, true);
});

test("two machines never share an authority", (t) => {
  assert.notEqual(ensureMachineCa(folder(t)).certificate, ensureMachineCa(folder(t)).certificate);
});

test("OpenSSL's strict rules accept the authority", (t) => {
  const { certificatePath } = ensureMachineCa(folder(t));
  let version: string;
  try {
    version = execFileSync("openssl", ["version"], { encoding: "utf8" });
  } catch {
    t.skip("openssl is not installed");
    return;
  }
  const said = execFileSync(
    "openssl",
    ["verify", "-x509_strict", "-CAfile", certificatePath, certificatePath],
    {
      encoding: "utf8",
    },
  );
  assert.match(said, /: OK/, version);
  const text = execFileSync("openssl", ["x509", "-in", certificatePath, "-noout", "-text"], {
    encoding: "utf8",
  });
  assert.match(text, /CA:TRUE, pathlen:0/);
  assert.match(text, /Certificate Sign/);
});

test("a leaf names exactly its host, for a name and for an address", async (t) => {
  const ca = ensureMachineCa(folder(t));
  for (const host of ["a.example.com", "10.1.2.3", "fd00::1"]) {
    const server = createServer({ SNICallback: (_name, done) => done(null, ca.contextFor(host)) });
    const port = await listening(server);
    const client: TLSSocket = connect({
      port,
      host: "127.0.0.1",
      servername: "x",
      rejectUnauthorized: false,
    });
    await new Promise((resolve) => client.once("secureConnect", resolve));
    const leaf = client.getPeerX509Certificate();
    assert.ok(leaf !== undefined);
    assert.equal(leaf.checkIssued(new X509Certificate(ca.certificate)), true);
    assert.equal(host.includes("example") ? leaf.checkHost(host) : leaf.checkIP(host), host);
    assert.equal(leaf.ca, false);
    client.destroy();
    server.close();
  }
});

test("addresses survive the way to bytes and back", () => {
  for (const address of ["127.0.0.1", "::1", "2001:db8::7:0:1", "fe80::", "1:2:3:4:5:6:7:8"]) {
    assert.equal(addressText(addressBytes(address)), address);
  }
  assert.equal(addressBytes("::ffff:10.0.0.1").toString("hex"), "00000000000000000000ffff0a000001");
});

test("a hello is read whole from every split of its bytes, and in records of any size", () => {
  for (const fragment of [1, 7, 100, 16_000]) {
    const bytes = clientHello({ name: "a.example.com", fragment });
    for (let cut = 0; cut < bytes.length; cut += 1)
      assert.equal(readClientHello(bytes.subarray(0, cut)), null);
    assert.equal(readClientHello(bytes)?.serverName, "a.example.com");
  }
});

test("a hello's name is compared in lower case without a trailing dot", () => {
  assert.equal(readClientHello(clientHello({ name: "API.Example.com." }))?.serverName, "api.example.com");
});

test("a hello without a name names none", () => {
  assert.equal(readClientHello(clientHello({ name: null }))?.serverName, null);
});

const malformed = new Map<string, Buffer>([
  ["two server_name extensions", clientHello({ name: "a.test", twice: true })],
  ["two names in one extension", clientHello({ name: "a.test", names: ["a.test", "b.test"] })],
  ["an empty name", clientHello({ name: "" })],
  ["a name with a NUL", clientHello({ name: "a.test\0.b.test" })],
  ["a name with a space", clientHello({ name: "a test" })],
  ["a name beyond ASCII", clientHello({ name: "ä.test" })],
  ["a name of another kind", clientHello({ name: "a.test", nameType: 1 })],
  ["bytes after the extensions", clientHello({ name: "a.test", tail: Buffer.from([1]) })],
  ["another message in its record", clientHello({ name: "a.test", after: Buffer.from([1, 0, 0, 0]) })],
  ["an application record", Buffer.from("1703030001aa", "hex")],
  ["an alert", Buffer.from("15030300020100", "hex")],
  ["SSL 2", Buffer.from("802e0100020015", "hex")],
  ["an empty record", Buffer.from("1603010000", "hex")],
  ["a server's hello", Buffer.from("160303000402000000", "hex")],
  ["a record over 16 KiB", Buffer.from("160301ffff01", "hex")],
  ["a message of 16 MB", Buffer.from("160301000401ffffff", "hex")],
  ["plain HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
]);
for (const [what, bytes] of malformed) {
  test(`a hello with ${what} is refused`, () => {
    assert.throws(() => readClientHello(bytes), { code: "PROTOCOL_ERROR" });
  });
}
