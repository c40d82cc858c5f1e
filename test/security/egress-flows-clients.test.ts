import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttp } from "node:http";
import { createServer as createHttps } from "node:https";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { listening } from "../../packages/bridge/test/egress-proxy-lab.ts";
import { digest, farSide, patterned } from "./egress-flows-far.ts";
import { startFlowsLab, type FlowsLab } from "./egress-flows-lab.ts";

const run = promisify(execFile);

let flows: FlowsLab;
before(async () => {
  flows = await startFlowsLab();
});
after(async () => {
  await flows[Symbol.asyncDispose]();
});

const has = (program: string): boolean => {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

function clientEnvironment(): Record<string, string> {
  const bundle = join(flows.folder, "ca.pem");
  writeFileSync(bundle, flows.lab.ca.certificate + flows.lab.farCa.certificate);
  const proxy = `http://127.0.0.1:${flows.lab.port}`;
  return {
    PATH: process.env["PATH"] ?? "",
    HOME: flows.folder,
    http_proxy: proxy,
    https_proxy: proxy,
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    CURL_CA_BUNDLE: bundle,
    GIT_SSL_CAINFO: bundle,
    SSL_CERT_FILE: bundle,
    NODE_EXTRA_CA_CERTS: bundle,
    PIP_CERT: bundle,
  };
}

for (const [what, args] of [
  ["plain HTTP", ["http://plain.test/big"]],
  ["HTTPS", ["https://blind.test/big"]],
  ["opened HTTPS", ["https://opened.test/big"]],
  ["HTTP through SOCKS5", ["--socks5-hostname", "PROXY", "http://plain.test/big"]],
  ["HTTPS through SOCKS5", ["--socks5-hostname", "PROXY", "https://blind.test/big"]],
] as const) {
  test(`curl: ${what}`, { skip: has("curl") ? false : "curl is not installed" }, async () => {
    const out = join(flows.folder, "out");
    const words = args.map((word) => (word === "PROXY" ? `127.0.0.1:${flows.lab.port}` : word));
    await run("curl", ["-sS", "-f", "-m", "300", "-o", out, ...words], { env: clientEnvironment() });
    assert.equal(digest(readFileSync(out)), digest(patterned(20_000_000)));
  });
}

test(
  "curl says what was refused and why",
  { skip: has("curl") ? false : "curl is not installed" },
  async () => {
    const { stdout } = await run("curl", ["-sS", "-i", "http://nowhere.test/"], { env: clientEnvironment() });
    assert.match(stdout, /403 Forbidden[\s\S]*doorward egress allow crate nowhere\.test/);
    await assert.rejects(run("curl", ["-sS", "https://nowhere.test/"], { env: clientEnvironment() }), /403/);
  },
);

test(
  "git clones over HTTPS, blind and opened",
  { skip: has("git") ? false : "git is not installed" },
  async () => {
    const env = { ...clientEnvironment(), GIT_CONFIG_NOSYSTEM: "1" };
    const source = join(flows.folder, "source");
    const git = (...args: string[]): Promise<unknown> =>
      run("git", ["-c", "user.name=a", "-c", "user.email=a@b", ...args], { env, timeout: 300_000 });
    await git("init", "-q", source);
    writeFileSync(join(source, "file"), patterned(200_000));
    await git("-C", source, "add", "file");
    await git("-C", source, "commit", "-q", "-m", "one");
    await git("-C", source, "update-server-info");
    const server = createHttps(
      { SNICallback: (name, done) => done(null, flows.lab.farCa.contextFor(name)) },
      (request, response) => {
        try {
          response.end(
            readFileSync(
              join(source, ".git", new URL(request.url ?? "", "http://x").pathname.replace("/r.git", "")),
            ),
          );
        } catch {
          response.writeHead(404).end();
        }
      },
    );
    const port = await listening(server);
    flows.lab.allow({ host: "git.test" }, port);
    flows.lab.allow({ host: "gitopen.test", tls: "open" }, port);
    for (const host of ["git.test", "gitopen.test"]) {
      const target = join(flows.folder, host);
      await git("clone", "-q", `https://${host}/r.git`, target);
      assert.deepEqual(readFileSync(join(target, "file")), patterned(200_000));
    }
    server.closeAllConnections();
    server.close();
  },
);

test(
  "npm installs a package from a private registry, whose token the proxy puts in",
  { skip: has("npm") ? false : "npm is not installed" },
  async () => {
    const made = join(flows.folder, "made");
    mkdirSync(made);
    mkdirSync(join(flows.folder, "app"));
    writeFileSync(join(made, "package.json"), JSON.stringify({ name: "tiny", version: "1.0.0" }));
    execFileSync("npm", ["pack", "--silent", "--pack-destination", flows.folder], { cwd: made });
    const tarball = readFileSync(join(flows.folder, "tiny-1.0.0.tgz"));
    const server = createHttps(
      { SNICallback: (name, done) => done(null, flows.lab.farCa.contextFor(name)) },
      (request, response) => {
        if (request.headers.authorization !== "Bearer token-of-the-registry") response.writeHead(401).end();
        else if (request.url?.endsWith(".tgz") === true) response.end(tarball);
        else {
          const dist = { tarball: "https://npm.test/tiny/-/tiny-1.0.0.tgz" };
          const versions = { "1.0.0": { name: "tiny", version: "1.0.0", dist } };
          response.end(JSON.stringify({ name: "tiny", "dist-tags": { latest: "1.0.0" }, versions }));
        }
      },
    );
    flows.lab.allow({ host: "npm.test" }, await listening(server));
    flows.lab.bind("npm.test", {
      name: "NPM_TOKEN",
      header: "authorization",
      placeholder: "npm_placeholder",
      value: () => Promise.resolve("token-of-the-registry"),
    });
    writeFileSync(join(flows.folder, "app", ".npmrc"), "//npm.test/:_authToken=npm_placeholder\n");
    await run("npm", ["install", "--registry", "https://npm.test/", "--no-audit", "--no-fund", "tiny"], {
      cwd: join(flows.folder, "app"),
      // An npm whose own settings name a cafile trusts nothing else, whatever NODE_EXTRA_CA_CERTS says.
      env: { ...clientEnvironment(), npm_config_cafile: join(flows.folder, "ca.pem") },
      timeout: 300_000,
    });
    assert.match(readFileSync(join(flows.folder, "app/node_modules/tiny/package.json"), "utf8"), /tiny/);
    server.closeAllConnections();
    server.close();
  },
);

test("far sides with an IPv6 address alone are reached where a rule names its range", async () => {
  const web = createHttp(farSide);
  const tls = createHttps(
    { SNICallback: (name, done) => done(null, flows.lab.farCa.contextFor(name)) },
    farSide,
  );
  flows.lab.allow({ host: "six.test", ports: [80] }, await listening(web, "::1"), ["::1"]);
  flows.lab.allow({ host: "sixtls.test" }, await listening(tls, "::1"), ["::1"]);
  const env = clientEnvironment();
  for (const url of ["http://six.test/text", "https://sixtls.test/text"]) {
    assert.equal((await run("curl", ["-sS", "-f", "-m", "300", url], { env })).stdout, "text", url);
  }
  assert.equal(flows.lab.booked.at(-1)?.address, "::1");
  for (const server of [web, tls]) {
    server.closeAllConnections();
    server.close();
  }
});

test("the far side is reached at its IPv4 address when nobody listens at its IPv6 one", async () => {
  const web = createHttp(farSide);
  flows.lab.allow({ host: "both.test", ports: [80] }, await listening(web), ["::1", "127.0.0.1"]);
  const { stdout } = await run("curl", ["-sS", "-f", "-m", "300", "http://both.test/text"], {
    env: clientEnvironment(),
  });
  assert.equal(stdout, "text");
  assert.equal(flows.lab.booked.at(-1)?.address, "127.0.0.1");
  web.closeAllConnections();
  web.close();
});
