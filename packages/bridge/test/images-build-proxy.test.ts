import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openBuildProxy, type BuildProxy } from "../src/machines/images/build-proxy.ts";

let folder: string;
let proxy: BuildProxy;
let origin: string;
let seen: IncomingMessage[] = [];
const life = new AbortController();
const mirror = createServer((asked, response) => {
  seen.push(asked);
  response.end("a list of packages");
});

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "dw-build-proxy-"));
  mirror.listen(0, "127.0.0.1");
  await once(mirror, "listening");
  origin = `http://127.0.0.1:${(mirror.address() as AddressInfo).port}`;
  proxy = await openBuildProxy([`deb ${origin}/debian bookworm main`], join(folder, "apt"), life.signal);
});
after(async () => {
  life.abort();
  await proxy[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
  mirror.closeAllConnections();
  mirror.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Asked {
  readonly credentials?: string | null;
  readonly method?: string;
}

function own(): URL {
  return new URL(/Acquire::http::Proxy "([^"]+)"/.exec(readFileSync(proxy.aptFile, "utf8"))?.[1] ?? "");
}

function ask(path: string, { credentials, method = "GET" }: Asked = {}): Promise<[number, string]> {
  const { hostname, port, username, password } = own();
  const given = credentials === undefined ? `${username}:${password}` : credentials;
  const headers = {
    ...(given !== null && { "proxy-authorization": `Basic ${Buffer.from(given).toString("base64")}` }),
  };
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path, method, headers, agent: false });
    asked.once("connect", (answer, socket) => {
      socket.destroy();
      resolve([answer.statusCode ?? 0, ""]);
    });
    asked.once("response", (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      answer.once("end", () => resolve([answer.statusCode ?? 0, body]));
    });
    asked.once("error", reject).end();
  });
}

test("the mirror of the source lines is reached, without the proxy's credentials, and what was fetched is counted", async () => {
  seen = [];
  assert.deepEqual(await ask(`${origin}/debian/dists/bookworm/InRelease`), [200, "a list of packages"]);
  assert.equal(seen[0]?.headers["proxy-authorization"], undefined);
  const [fetched] = proxy.fetched();
  assert.equal(fetched?.host, new URL(origin).host);
  assert.equal(fetched.requests, 1);
  assert.equal(fetched.bytes, "a list of packages".length);
});

test("without credentials, or with others, everything is refused with 407", async () => {
  for (const credentials of [null, "build:guess", "", "build:"]) {
    for (const [path, method] of [
      [`${origin}/debian/`, "GET"],
      [new URL(origin).host, "CONNECT"],
    ] as const) {
      assert.equal(
        (await ask(path, { credentials, method }))[0],
        407,
        `${method} with ${String(credentials)}`,
      );
    }
  }
});

test("other hosts, ports, schemes and methods are refused with 403, and nothing reaches the mirror", async () => {
  seen = [];
  const { port } = new URL(origin);
  for (const [path, method] of [
    ["http://example.com/", "GET"],
    [`http://localhost:${port}/`, "GET"],
    [`http://127.0.0.2:${port}/`, "GET"],
    ["http://127.0.0.1:1/", "GET"],
    ["http://169.254.169.254/latest/meta-data/", "GET"],
    [`https://127.0.0.1:${port}/`, "GET"],
    [`ftp://127.0.0.1:${port}/`, "GET"],
    [`http://127.0.0.1:${port}@example.com/`, "GET"],
    ["/debian/", "GET"],
    [`${origin}/debian/`, "POST"],
    [`${origin}/debian/`, "DELETE"],
    ["example.com:443", "CONNECT"],
    ["127.0.0.1:22", "CONNECT"],
    [`localhost:${port}`, "CONNECT"],
    [`[::1]:${port}`, "CONNECT"],
  ] as const) {
    assert.equal((await ask(path, { method }))[0], 403, `${method} ${path}`);
  }
  assert.equal(seen.length, 0);
});

test("apt's settings with the credentials are readable by their owner alone", () => {
  assert.equal(statSync(proxy.aptFile).mode & 0o777, 0o600);
  assert.match(own().password, /^[\w-]{32}$/);
});
