import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { createServer as createTcp, type AddressInfo } from "node:net";
import { lookup } from "node:dns/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { freePort } from "../support/free-port.ts";
import { openLab, type Lab } from "../support/lab.ts";
import type { Ran } from "../support/command.ts";

/** An address of the host's loopback that no_proxy does not name, so that tools ask the proxy for it. */
const HOST = "127.0.0.2";
const HOST_CA = "/etc/ssl/certs/ca-certificates.crt";
const gitEnv = { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" };
const NPM = "registry.npmjs.org";
const DEBIAN = "deb.debian.org";
const npmInstall =
  "rm -rf /tmp/n && mkdir /tmp/n && cd /tmp/n && npm init -y > /dev/null && npm install --no-audit --no-fund --cache /tmp/n/c --fetch-retries 0 fs-ext@2.1.1";
const pip = (): string =>
  `rm -rf /tmp/w && pip download --no-cache-dir --retries 0 --no-deps --dest /tmp/w --index-url ${origin}/simple hello-egress`;
const clone = (): string => `rm -rf /tmp/g && git clone --quiet ${origin}/repo.git /tmp/g`;
const apt =
  "rm -rf /tmp/a && mkdir -p /tmp/a/lists/partial /tmp/a/cache/archives/partial && apt-get -o Dir::State=/tmp/a -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache=/tmp/a/cache -o APT::Update::Error-Mode=any update";

const addressOf = async (name: string): Promise<string | null> =>
  lookup(name, { family: 4 }).then(
    ({ address }) => address,
    () => null,
  );
const [npmAddress, debianAddress] = await Promise.all([addressOf(NPM), addressOf(DEBIAN)]);
const needsNpm = npmAddress === null ? `${NPM} can't be resolved here` : false;
const needsDebian = debianAddress === null ? `${DEBIAN} can't be resolved here` : false;

let folder: string;
let server: Server;
let origin: string;
let lab: Lab;
let machine: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "dw-egress-e2e-"));
  makeCertificate();
  makeWheel();
  makeRepo();
  server = createServer(
    { key: readFileSync(join(folder, "key.pem")), cert: readFileSync(join(folder, "cert.pem")) },
    (request, response) => serve(request, response),
  ).listen(0, HOST);
  await once(server, "listening");
  origin = `https://${HOST}:${String((server.address() as AddressInfo).port)}`;
  lab = await openLab({ policy: `profiles:\n  build: { image: { buildTools: true } }\n${egress()}` });
  // The first build of the larger image takes minutes on a busy host.
  passed(await lab.run(["image", "build", "--profile", "build"], { timeoutMs: 600_000 }));
  machine = await lab.up(lab.repo("shop"), "--profile", "build");
});
after(async () => {
  await lab[Symbol.asyncDispose]();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

function egress(): string {
  const { port } = server.address() as AddressInfo;
  const rules = [
    `{ host: "${HOST}", ports: [${String(port)}], addresses: ["${HOST}/32"], ca: ${join(folder, "cert.pem")} }`,
    `{ host: ${NPM}, addresses: ["${npmAddress ?? HOST}/32"], ca: ${HOST_CA} }`,
    `{ host: ${DEBIAN}, ports: [80], addresses: ["${debianAddress ?? HOST}/32"] }`,
  ];
  return `egress:\n  presets: []\n  allow:\n${rules.map((rule) => `    - ${rule}\n`).join("")}`;
}

function makeCertificate(): void {
  const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:${HOST} -keyout key.pem -out cert.pem`;
  execFileSync("openssl", args.split(" "), { cwd: folder, stdio: "ignore" });
}

function makeWheel(): void {
  const script = `
import zipfile
with zipfile.ZipFile("hello_egress-1.0-py3-none-any.whl", "w") as w:
    w.writestr("hello_egress.py", "print('hello')\\n")
    w.writestr("hello_egress-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: hello-egress\\nVersion: 1.0\\n")
    w.writestr("hello_egress-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    w.writestr("hello_egress-1.0.dist-info/RECORD", "")
`;
  execFileSync("python3", ["-c", script], { cwd: folder });
}

function makeRepo(): void {
  const git = (...args: string[]): void =>
    void execFileSync("git", args, { cwd: join(folder, "git"), stdio: "ignore", env: gitEnv });
  mkdirSync(join(folder, "git", "work"), { recursive: true });
  git("init", "--quiet", "work");
  writeFileSync(join(folder, "git", "work", "file"), "cloned over the way out\n");
  git("-C", "work", "add", "file");
  git(
    "-C",
    "work",
    "-c",
    "user.name=a",
    "-c",
    "user.email=a@example.org",
    "commit",
    "--quiet",
    "-m",
    "first",
  );
  git("clone", "--quiet", "--bare", "work", "repo.git");
}

/** A package index, and git's own server as a CGI program. */
function serve(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? "/", "https://x");
  const wheel = "hello_egress-1.0-py3-none-any.whl";
  if (pathname.startsWith("/simple/")) {
    response.setHeader("content-type", "text/html").end(`<a href="/${wheel}">${wheel}</a>`);
  } else if (pathname.startsWith("/bytes/")) response.end(Buffer.alloc(Number(pathname.slice(7))));
  else if (pathname === `/${wheel}`) response.end(readFileSync(join(folder, wheel)));
  else gitBackend(request, response, pathname, search.slice(1));
}

function gitBackend(request: IncomingMessage, response: ServerResponse, path: string, query: string): void {
  const child = spawn("git", ["http-backend"], {
    env: {
      ...gitEnv,
      GIT_PROJECT_ROOT: join(folder, "git"),
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: path,
      QUERY_STRING: query,
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  request.pipe(child.stdin);
  const parts: Buffer[] = [];
  child.stdout.on("data", (part: Buffer) => parts.push(part));
  child.once("close", () => {
    const all = Buffer.concat(parts);
    const at = all.indexOf("\r\n\r\n");
    for (const line of all.subarray(0, at).toString().split("\r\n")) {
      const [name = "", value = ""] = line.split(": ");
      if (name === "Status") response.statusCode = Number(value.slice(0, 3));
      else response.setHeader(name, value);
    }
    response.end(all.subarray(at + 4));
  });
}

function passed({ code, stdout, stderr }: Ran): void {
  assert.equal(code, 0, `${stdout}\n${stderr}`.slice(-3000));
}

/** Resident memory of the guest, in MiB. */
async function guestMemory(): Promise<number> {
  const line =
    "for p in /proc/[0-9]*; do grep -qa guest.mjs $p/cmdline 2>/dev/null && grep VmRSS $p/status; done; true";
  const found = [...(await lab.sh(machine, line)).stdout.matchAll(/VmRSS:\s+(\d+) kB/g)];
  assert.ok(found.length > 0);
  return Math.max(...found.map(([, size]) => Number(size))) / 1024;
}

test("the guest takes at most 70 MiB when idle, and traffic does not make it grow beyond what it once took", async () => {
  const idle = await guestMemory();
  assert.ok(idle <= 70, `${String(idle)} MiB idle`);
  const load = `for i in 1 2 3 4 5 6 7 8; do curl -sS -o /dev/null ${origin}/bytes/40000000 & done; wait`;
  const sizes: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    passed(await lab.sh(machine, load));
    sizes.push(await guestMemory());
  }
  assert.ok(Math.max(...sizes) <= 90, `${sizes.join(", ")} MiB under traffic`);
  assert.ok((sizes.at(-1) ?? 0) <= Math.max(...sizes.slice(0, 2)) + 5, `${sizes.join(", ")} MiB: it grows`);
});

test("npm installs a package and compiles it, with nothing set by hand", { skip: needsNpm }, async () => {
  passed(await lab.sh(machine, npmInstall));
  passed(
    await lab.sh(
      machine,
      `cd /tmp/n && node -e 'require("fs-ext")' && ls node_modules/fs-ext/build/Release/fs_ext.node`,
    ),
  );
});

test("pip downloads from an index on the host's loopback that a rule names", async () => {
  passed(await lab.sh(machine, pip()));
  passed(await lab.sh(machine, "ls /tmp/w/hello_egress-1.0-py3-none-any.whl"));
});

test("git clones over HTTPS from a server whose authority the rule names", async () => {
  passed(await lab.sh(machine, clone()));
  assert.equal((await lab.sh(machine, "cat /tmp/g/file")).stdout, "cloned over the way out\n");
});

test("apt-get reads the mirror's lists", { skip: needsDebian }, async () => {
  passed(await lab.sh(machine, apt));
});

test("curl, Node and Python reach what is allowed, and get a page that names the command for what is not", async () => {
  const calls = (url: string): string[] => [
    `curl -sS -o /dev/null -w '%{http_code}' ${url}`,
    `node -e 'fetch("${url}").then((r) => console.log(r.status), (e) => { console.log(e.cause?.message ?? e); })'`,
    `python3 -c 'import urllib.request as u; print(u.urlopen("${url}").status)'`,
  ];
  for (const call of calls(`${origin}/simple/hello-egress/`))
    assert.match((await lab.sh(machine, call)).stdout, /200/, call);
  const refused = await lab.sh(machine, "curl -sS http://not-allowed.example/");
  assert.match(refused.stdout, /doorward egress allow shop not-allowed\.example --port 80/);
  for (const call of calls("https://not-allowed.example/"))
    assert.doesNotMatch((await lab.sh(machine, call)).stdout, /200/, call);
});

test("nothing leaves beside the proxy: no other interface, no route, no packet on the host", async () => {
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const own = addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? HOST;
  let heard = 0;
  const port = await freePort();
  const tcp = createTcp((socket) => {
    heard += 1;
    socket.destroy();
  }).listen(port, "0.0.0.0");
  const udp = createSocket("udp4", () => (heard += 1));
  await once(tcp, "listening");
  await new Promise<void>((resolve) => udp.bind(port, "0.0.0.0", resolve));
  const targets = [own, HOST, "127.0.0.1", "10.0.2.2", "169.254.169.254", "1.1.1.1"];
  for (const target of targets) {
    const direct = await lab.sh(machine, `curl -sS -m 3 --noproxy '*' http://${target}:${String(port)}/`);
    assert.notEqual(direct.code, 0, target);
    await lab.sh(
      machine,
      `python3 -c 'import socket; socket.create_connection(("${target}", ${String(port)}), 2)'`,
    );
    const dns = `python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"x" * 30, ("${target}", ${String(port)}))'`;
    await lab.sh(machine, dns);
  }
  assert.notEqual(
    (await lab.sh(machine, "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'"))
      .code,
    0,
  );
  assert.notEqual((await lab.sh(machine, "getent hosts example.com")).code, 0);
  for (const host of ["dns.google", "cloudflare-dns.com", "1.1.1.1"]) {
    const doh = await lab.sh(machine, `curl -sS -m 5 'https://${host}/dns-query?name=example.com'`);
    assert.notEqual(doh.code, 0, host);
  }
  tcp.close();
  udp.close();
  assert.equal(heard, 0);
  const interfaces = (await lab.sh(machine, "tail -n +3 /proc/net/dev | cut -d: -f1")).stdout;
  assert.deepEqual(interfaces.trim().split(/\s+/), ["lo"]);
  assert.equal((await lab.sh(machine, "tail -n +2 /proc/net/route")).stdout, "");
  const sockets = (await lab.sh(machine, "awk 'NR>1 {print $2, $3}' /proc/net/tcp")).stdout;
  for (const line of sockets.trim().split("\n"))
    assert.match(line, /^0100007F:[0-9A-F]{4} (?:0100007F|00000000):/, line);
});

test("each of them is refused when its rule is gone", async () => {
  const path = join(lab.home, "config", "policy.yaml");
  writeFileSync(path, readFileSync(path, "utf8").replace(/egress:[\s\S]*$/, ""));
  await lab.until(
    "the policy is in force",
    async () =>
      (await lab.sh(machine, `curl -sS -m 300 -w '%{http_connect}' -o /dev/null ${origin}/simple/`))
        .stdout === "403",
  );
  for (const line of [
    pip(),
    clone(),
    ...(needsNpm === false ? [npmInstall] : []),
    ...(needsDebian === false ? [apt] : []),
  ]) {
    assert.notEqual((await lab.sh(machine, line)).code, 0, line);
  }
});
