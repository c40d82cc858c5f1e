import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, type Dirent } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { needsRoot, openLab, type Lab } from "../support/lab.ts";
import { startFarSide, type FarSide } from "./secrets-far-side.ts";
import { knownPart } from "./secrets-knowledge.ts";

// The placeholder is "sk-ant-dw...": behind the prefix that both have, the value goes on with another letter.
const API_KEY = `sk-ant-A${randomBytes(45).toString("base64").replace(/=/g, "")}/+a`;
const TOKEN = `ghp_${randomBytes(24).toString("hex")}`;
const FILE = `file-${randomBytes(24).toString("hex")}`;
const HOSTILE = readFileSync(new URL("secrets-hostile.mjs", import.meta.url), "utf8");

/** A name that the host knows by its hosts file and that programs in a machine don't take for their own loopback. */
const [address, host] = loopbackName() ?? ["", ""];
const skip = needsRoot || (host === "" ? "needs a name besides localhost for 127.* in /etc/hosts" : false);

function loopbackName(): [string, string] | undefined {
  for (const line of readFileSync("/etc/hosts", "utf8").split("\n")) {
    const [found = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const name = names.find((each) => /^[a-z0-9][a-z0-9.-]*$/.test(each) && !/localhost|loopback/.test(each));
    if (/^127\.\d+\.\d+\.\d+$/.test(found) && name !== undefined) return [found, name];
  }
  return undefined;
}

describe("what a machine learns of the secrets that it uses", { skip }, () => {
  let folder: string;
  let far: FarSide;
  let lab: Lab;
  let repo: string;
  let placeholders: Record<string, string>;
  let foreign: string;
  const opened: AsyncDisposable[] = [];
  const attempts = new Map<string, string>();

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "dw-far-"));
    far = await startFarSide(folder, address, { apiKey: API_KEY, token: TOKEN });
    opened.push(far);
    const { api, other, plain } = far.ports;
    const rule = (name: string): string =>
      `{ host: ${name}, ports: [${String(api)}, ${String(other)}, ${String(plain)}], addresses: [127.0.0.0/8], ca: ${far.caFile} }`;
    lab = await openLab({
      policy: `egress:\n  allow:\n    - ${rule(host)}\n    - ${rule("localhost")}\ngrants:\n  - { to: "agent:test:*", doors: [terminal], operations: [terminal.agent-exec], for: 8h }\n`,
    });
    opened.push(lab);
    repo = lab.repo("shop");
    for (const [name, value] of [
      ["API_KEY", API_KEY],
      ["GIT_TOKEN", TOKEN],
      ["ON_FILE", FILE],
    ] as const) {
      const set = await lab.run(["secret", "set", name], { input: `${value}\n` });
      assert.equal(set.code, 0, set.stderr);
    }
    await lab.up(repo, ...bindings());
    foreign = (
      await lab.sh(await lab.up(repo, "--new", "--name", "second", ...bindings()), "echo $API_KEY")
    ).stdout.trim();
    const env = await lab.sh("shop", "env");
    placeholders = Object.fromEntries(
      env.stdout.split("\n").map((line) => [line.split("=")[0] ?? "", line.replace(/^[^=]*=/, "")]),
    );
    const args = JSON.stringify({ host, address, foreign, ...far.ports });
    const ran = await lab.exec("shop", ["node", "--input-type=module", "-e", HOSTILE, args]);
    for (const line of ran.stdout.split("\n").filter((each) => each !== "")) {
      const { name, saw } = JSON.parse(line) as { name: string; saw: string };
      attempts.set(name, saw);
    }
    assert.equal(ran.code, 0, ran.stderr);
  });

  after(async () => {
    for (const each of opened.reverse()) await each[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const bindings = (): string[] => [
    ...["--secret", `API_KEY=${host},x-api-key,port=${String(far.ports.api)},prefix=sk-ant-`],
    ...["--secret", `GIT_TOKEN=${host},authorization,port=${String(far.ports.api)},prefix=ghp_`],
  ];
  const sh = async (line: string): Promise<string> => {
    const { stdout, stderr } = await lab.sh("shop", line);
    return stdout + stderr;
  };
  const base = (): string => `https://${host}:${String(far.ports.api)}`;

  it("its environment has placeholders that look like the keys", () => {
    assert.match(placeholders["API_KEY"] ?? "", /^sk-ant-dw[0-9a-f]{48}$/);
    assert.match(placeholders["GIT_TOKEN"] ?? "", /^ghp_dw[0-9a-f]{48}$/);
    assert.match(foreign, /^sk-ant-dw[0-9a-f]{48}$/);
    assert.notEqual(foreign, placeholders["API_KEY"]);
  });

  it("nothing by at least 60 attempts of a hostile program", () => {
    assert.ok(attempts.size >= 60, String(attempts.size));
    for (const [name, saw] of attempts) {
      assert.equal(knownPart(saw, API_KEY), undefined, `${name}: ${saw.slice(0, 2000)}`);
      assert.equal(knownPart(saw, TOKEN), undefined, `${name}: ${saw.slice(0, 2000)}`);
    }
  });

  it("although the echoes came and had the value before they were masked", () => {
    for (const name of [
      "an echo as plain",
      "an echo of Basic as base64",
      "an echo in single bytes",
      "an echo in trailers",
    ])
      assert.ok(attempts.get(name)?.includes("*".repeat(40)), `${name}: ${attempts.get(name) ?? ""}`);
    const echoed = far.seen.filter(({ url, headers }) => url === "/echo/plain" && headers.includes(API_KEY));
    assert.ok(echoed.length > 0, "the API got the value");
  });

  it("the test would see it: a value in any of the codings is recognised", () => {
    for (const echo of [
      API_KEY,
      Buffer.from(`u:${API_KEY}`).toString("base64"),
      encodeURIComponent(API_KEY),
      Buffer.from(API_KEY).toString("hex"),
      JSON.stringify(Buffer.from(API_KEY)),
      Array.from(API_KEY).reverse().join(""),
    ])
      assert.notEqual(knownPart(`before ${echo} after`, API_KEY), undefined, echo);
  });

  it("values went to the bound host and port alone, and into their own header alone", () => {
    for (const { server, url, headers, body, method } of far.seen) {
      assert.equal(
        knownPart(`${url}\n${body}`, API_KEY) ?? knownPart(`${url}\n${body}`, TOKEN),
        undefined,
        url,
      );
      for (let at = 0; at < headers.length; at += 2) {
        const [name = "", value = ""] = [headers[at]?.toLowerCase(), headers[at + 1]];
        const where = `${server} ${method} ${url} ${name}: ${value}`;
        if (knownPart(value, API_KEY) !== undefined)
          assert.equal(`${server} ${name}`, "api x-api-key", where);
        if (knownPart(value, TOKEN) !== undefined)
          assert.equal(`${server} ${name}`, "api authorization", where);
      }
    }
  });

  it("other hosts and ports, and hosts without TLS, got the placeholder as it was", () => {
    const got = far.seen.filter(({ server }) => server !== "api").map(({ headers }) => headers.join("\n"));
    assert.ok(got.some((headers) => headers.includes(placeholders["API_KEY"] ?? "none")));
  });

  it("another machine's placeholder is not replaced", () => {
    assert.ok(far.seen.some(({ headers }) => headers.includes(foreign)));
  });

  it("model APIs work: a header of their own, and Bearer", async () => {
    const headers = [`x-api-key: $API_KEY`, `Authorization: Bearer $GIT_TOKEN`];
    for (const header of headers) {
      const said = await sh(`curl -sS -m 300 -H "${header}" -d '{"n":1}' ${base()}/v1/messages`);
      assert.match(said, /^\{"ok":true,"said":"\{\\"n\\":1\}"\}$/, header);
    }
  });

  it("git over HTTPS works with a token", async () => {
    const helper = `'!f() { echo username=x-access-token; echo "password=$GIT_TOKEN"; }; f'`;
    const said = await sh(
      `cd /tmp && git -c credential.helper=${helper} clone --quiet ${base()}/git/ cloned && cat cloned/hello.txt`,
    );
    assert.match(said, /^private$/m);
  });

  it("npm works with a token", async () => {
    const registry = `${base()}/`;
    const said = await sh(
      `mkdir -p /tmp/app && cd /tmp/app && echo '{"name":"app"}' > package.json && ` +
        `printf '%s\\n' 'registry=${registry}' '//${host}:${String(far.ports.api)}/:_authToken=\${GIT_TOKEN}' > .npmrc && ` +
        `npm install --no-audit --no-fund --no-update-notifier private-thing && node -p 'require("private-thing")'`,
    );
    assert.match(said, /^it works$/m, said);
  });

  it("a wrong key is still a wrong key", async () => {
    assert.match(await sh(`curl -sS -m 300 -H "x-api-key: wrong" ${base()}/v1/messages`), /wrong key/);
  });

  it("a value that is set again is used from the next request on", async () => {
    const ask = (): Promise<string> => sh(`curl -sS -m 300 -H "x-api-key: $API_KEY" ${base()}/v1/x`);
    await lab.run(["secret", "set", "API_KEY"], { input: "another-value-42" });
    assert.match(await ask(), /wrong key/);
    await lab.run(["secret", "set", "API_KEY"], { input: API_KEY });
    assert.match(await ask(), /"ok":true/);
  });

  it("evidence, logs and state hold names, and neither values nor placeholders beside the store's own files", async () => {
    await lab.run(["evidence", "ls"]);
    const look = (): void => {
      for (const path of filesBelow(lab.home)) {
        const text = readFileSync(path, "latin1");
        for (const value of [API_KEY, TOKEN, FILE, placeholders["API_KEY"] ?? "none"])
          if (text.includes(value)) assert.match(path, /\/podman\//, `${path} holds a value`);
        for (const value of [API_KEY, TOKEN]) assert.ok(!text.includes(value), path);
      }
    };
    // The bridge replaces files of the log a moment after its last record.
    await lab.until("no file is replaced while all are looked at", () => {
      try {
        look();
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
        throw error;
      }
    });
  });

  it("commands and routes of the operator show names, never values", async () => {
    const shown = await lab.run(["secret", "ls", "--json"]);
    const listed = JSON.parse(shown.stdout) as { secrets: { name: string; usedBy: string[] }[] };
    assert.deepEqual(
      listed.secrets.map(({ name }) => name),
      ["API_KEY", "GIT_TOKEN", "ON_FILE"],
    );
    assert.ok(listed.secrets[0]?.usedBy.includes("machine shop"));
    const inspected = await lab.run(["inspect", "shop", "--json"]);
    for (const { stdout, stderr } of [shown, inspected, await lab.run(["evidence", "ls", "--json"])])
      for (const value of [API_KEY, TOKEN, FILE]) assert.equal(knownPart(stdout + stderr, value), undefined);
  });

  it("a holder of a grant may neither list nor set nor delete", async () => {
    const { token } = await lab.grant("shop", ["terminal.agent-exec"]);
    const port = await lab.tcpPort();
    for (const [method, path] of [
      ["GET", "/v1/secrets"],
      ["POST", "/v1/secrets/API_KEY"],
      ["DELETE", "/v1/secrets/API_KEY"],
    ] as const) {
      const answer = await call(port, method, path, token);
      assert.equal(answer.status, 403, `${method} ${path}`);
      assert.match(answer.body, /OPERATOR_ONLY/);
    }
  });

  it("no error of a set tells the value", async () => {
    for (const input of [`bad\u0001${TOKEN}`, "short", `${TOKEN}\n${TOKEN}`, `${TOKEN} `]) {
      const { code, stderr } = await lab.run(["secret", "set", "BAD"], { input });
      assert.notEqual(code, 0);
      assert.equal(knownPart(stderr, TOKEN), undefined, stderr);
    }
  });

  it("a launch with a secret that nobody set is refused with the command", async () => {
    const { code, stderr } = await lab.run(["up", repo, "--new", "--secret", `NOBODY_SET=${host},x-api-key`]);
    assert.equal(code, 4);
    assert.match(stderr, /secret set NOBODY_SET/);
  });

  it("a secret that a machine uses is not deleted without --force", async () => {
    const { code, stderr } = await lab.run(["secret", "rm", "API_KEY"]);
    assert.equal(code, 1);
    assert.match(stderr, /machine "(?:shop|second)" uses it/);
  });

  it("placeholders and the fingerprint stay the same when the machine is started again", async () => {
    const first = (await lab.machine("second")).fingerprint;
    await lab.run(["stop", "second"]);
    await lab.run(["start", "second"]);
    assert.equal((await lab.sh("second", "echo $API_KEY")).stdout.trim(), foreign);
    assert.equal((await lab.machine("second")).fingerprint, first);
  });

  it("as a file, when somebody insists, it is read-only in the machine, named in the fingerprint, and gone with it", async () => {
    const name = await lab.up(repo, "--new", "--name", "third", "--secret", "ON_FILE=file");
    assert.equal(
      (await lab.sh(name, 'cat "$ON_FILE_FILE"; echo; echo x > "$ON_FILE_FILE"')).stdout.trim(),
      FILE,
    );
    const inspected = await lab.run(["inspect", name, "--json"]);
    assert.match(inspected.stdout, /"role": "secret-file",\s+"target": "\/run\/secrets\/ON_FILE"/);
    assert.equal(knownPart(inspected.stdout, FILE), undefined);
    await lab.run(["stop", name]);
    assert.deepEqual(
      filesBelow(lab.home).filter((path) => path.includes("secret-files")),
      [],
    );
  });
});

/** Files below a folder; what the bridge takes away meanwhile may be among them, or not. */
function filesBelow(folder: string): string[] {
  return entriesOf(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return /\/podman\/.*storage|\/runtime\//.test(path) ? [] : filesBelow(path);
    const { size = 0 } = statSync(path, { throwIfNoEntry: false }) ?? {};
    return entry.isFile() && size < 50_000_000 ? [path] : [];
  });
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function call(
  port: number,
  method: string,
  path: string,
  token: string,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const body = method === "POST" ? JSON.stringify({ value: "attempted-value" }) : "";
    const headers = {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "content-length": body.length,
    };
    const sent = request({ host: "127.0.0.1", port, method, path, headers }, (answer) => {
      let text = "";
      answer.on("data", (chunk: Buffer) => (text += chunk.toString()));
      answer.once("end", () => {
        resolve({ status: answer.statusCode ?? 0, body: text });
      });
    });
    sent.once("error", reject).end(body);
  });
}
