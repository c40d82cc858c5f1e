import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { isHeaderSecret, secretsProblem, SecretValue, type MachineSecret } from "@doorward/contracts";
import { parseSecretBinding } from "../src/cli/secret-input.ts";
import { MachineSecrets, SecretStore } from "../src/secrets/index.ts";

const VALUE = "sk-ant-api03-real-value";

let state: string;
let store: SecretStore;

beforeEach(async () => {
  state = mkdtempSync(join(tmpdir(), "dw-secrets-"));
  store = await SecretStore.open(state);
});
afterEach(() => {
  store[Symbol.dispose]();
  rmSync(state, { recursive: true, force: true });
});

const files = (): string[] => readdirSync(join(state, "secrets")).sort();
const file = (name: string): string => join(state, "secrets", name);

describe("a secret on the host", () => {
  it("is encrypted, closed to others, and read back by a store that is opened later", async () => {
    await store.set("API_KEY", VALUE);
    assert.deepEqual(files(), ["API_KEY.age", "identity.key"]);
    for (const name of files()) assert.equal(statSync(file(name)).mode & 0o777, 0o600, name);
    assert.equal(statSync(join(state, "secrets")).mode & 0o777, 0o700);
    for (const name of files()) assert.ok(!readFileSync(file(name), "latin1").includes("real-value"), name);
    assert.match(readFileSync(file("API_KEY.age"), "utf8"), /^-----BEGIN AGE ENCRYPTED FILE-----\n/);
    using again = await SecretStore.open(state);
    assert.equal(await again.value("API_KEY"), VALUE);
  });

  it("that is replaced or deleted while a request reads it is not used from then on", async () => {
    await store.set("API_KEY", VALUE);
    const reading = store.value("API_KEY");
    const replaced = store.set("API_KEY", "sk-ant-api03-next-value");
    await Promise.allSettled([reading, replaced]);
    assert.equal(await store.value("API_KEY"), "sk-ant-api03-next-value");
    for (let turns = 0; turns < 6; turns += 1) {
      await store.set("API_KEY", VALUE);
      const late = store.value("API_KEY").catch(() => undefined);
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
      store.remove("API_KEY");
      await late;
      await assert.rejects(store.value("API_KEY"), { code: "SECRET_NOT_FOUND" }, String(turns));
    }
  });

  it("is listed by name and time, never with its value", async () => {
    await store.set("NPM_TOKEN", VALUE);
    await store.set("API_KEY", VALUE);
    const listed = await store.list();
    assert.deepEqual(
      listed.map(({ name }) => name),
      ["API_KEY", "NPM_TOKEN"],
    );
    assert.ok(!JSON.stringify(listed).includes("real-value"));
  });

  it("set again is replaced at once", async () => {
    await store.set("API_KEY", VALUE);
    assert.equal(await store.value("API_KEY"), VALUE);
    await store.set("API_KEY", "another-value");
    assert.equal(await store.value("API_KEY"), "another-value");
  });

  it("deleted is gone from the disk and from memory", async () => {
    await store.set("API_KEY", VALUE);
    await store.value("API_KEY");
    store.remove("API_KEY");
    assert.deepEqual(files(), ["identity.key"]);
    await assert.rejects(store.value("API_KEY"), {
      code: "SECRET_NOT_FOUND",
      hint: "doorward secret set API_KEY",
    });
    assert.throws(
      () => {
        store.remove("API_KEY");
      },
      { code: "SECRET_NOT_FOUND" },
    );
  });

  it("exchanged with another one's file is refused", async () => {
    await store.set("API_KEY", VALUE);
    await store.set("OTHER", "the-other-value");
    copyFileSync(file("OTHER.age"), file("API_KEY.age"));
    using again = await SecretStore.open(state);
    await assert.rejects(again.value("API_KEY"), { code: "STATE_INVALID" });
  });

  it("damaged is refused by name, and nothing of it is in the error", async () => {
    await store.set("API_KEY", VALUE);
    const text = readFileSync(file("API_KEY.age"), "utf8");
    for (const damaged of ["", text.slice(0, -60), `${text.slice(0, 60)}!${text.slice(61)}`, VALUE]) {
      writeFileSync(file("API_KEY.age"), damaged);
      using again = await SecretStore.open(state);
      await assert.rejects(again.value("API_KEY"), (error: Error & { code: string }) => {
        assert.equal(error.code, "STATE_INVALID");
        assert.equal(error.cause, undefined);
        return !error.message.includes("real-value");
      });
    }
  });

  it("is not read with a key that others can read, or that is none", async () => {
    chmodSync(file("identity.key"), 0o640);
    await assert.rejects(SecretStore.open(state), { code: "KEY_INVALID" });
    chmodSync(file("identity.key"), 0o600);
    writeFileSync(file("identity.key"), "AGE-SECRET-KEY-1\n");
    await assert.rejects(SecretStore.open(state), { code: "KEY_INVALID" });
  });

  it("has a name that is no path", async () => {
    for (const name of ["../x", "a/b", "api_key", "", "A".repeat(65), "A.B"]) {
      await assert.rejects(store.set(name, VALUE), name);
      await assert.rejects(store.value(name), name);
    }
    assert.deepEqual(files(), ["identity.key"]);
  });

  it("has a value that a header can carry", () => {
    for (const value of [
      "short",
      "",
      " leading-space",
      "trailing-space ",
      "line\nbreak--",
      "carriage\rreturn",
      "nul\0-------",
      "umlaut-äöü",
      "tab\tinside",
      "x".repeat(4097),
    ])
      assert.equal(SecretValue.safeParse(value).success, false, JSON.stringify(value));
    for (const value of [VALUE, "with inner space", "x".repeat(4096)])
      assert.equal(SecretValue.safeParse(value).success, true, value.slice(0, 30));
  });

  it("is the old or the new one after a kill at any moment", { timeout: 600_000 }, async () => {
    await store.set("API_KEY", "value-000000");
    const program = `import { SecretStore } from ${JSON.stringify(new URL("../src/secrets/index.ts", import.meta.url).href)};
      const store = await SecretStore.open(process.argv[2]);
      process.stdout.write("go");
      for (let n = 1; ; n += 1) await store.set("API_KEY", "value-" + String(n).padStart(6, "0"));`;
    writeFileSync(join(state, "writer.mts"), program);
    for (let round = 0; round < 4; round += 1) {
      const writer = spawn(
        process.execPath,
        ["--conditions=source", "--import", "tsx", join(state, "writer.mts"), state],
        {
          cwd: new URL("..", import.meta.url),
          stdio: ["ignore", "pipe", "inherit"],
        },
      );
      await once(writer.stdout, "data");
      await delay(30 + 20 * round);
      writer.kill("SIGKILL");
      await once(writer, "exit");
      using after = await SecretStore.open(state);
      assert.match(await after.value("API_KEY"), /^value-\d{6}$/);
      assert.deepEqual(
        (await after.list()).map(({ name }) => name),
        ["API_KEY"],
      );
    }
  });
});

describe("the secrets of a machine", () => {
  const one = { id: "m_aaaaaaaaaaaa", name: "one" };
  const two = { id: "m_bbbbbbbbbbbb", name: "two" };
  const key: MachineSecret = { name: "API_KEY", host: "api.test", header: "x-api-key", prefix: "sk-ant-" };
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  let secrets: MachineSecrets;

  beforeEach(async () => {
    await store.set("API_KEY", VALUE);
    secrets = new MachineSecrets({
      store,
      secretsOf: (id) => (id === one.id || id === two.id ? [key] : []),
      runtimeDir: join(state, "run"),
    });
  });

  it("are placeholders in its environment: long, with the prefix, and its own", async () => {
    const first = await secrets.place(one.id, [key], owner);
    const second = await secrets.place(two.id, [key], owner);
    assert.match(first.env["API_KEY"] ?? "", /^sk-ant-dw[0-9a-f]{48}$/);
    assert.notEqual(first.env["API_KEY"], second.env["API_KEY"]);
    assert.deepEqual(first.mounts, []);
    assert.ok(!JSON.stringify(first).includes("real-value"));
  });

  it("stay the same when the machine or the bridge is started again", async () => {
    const first = await secrets.place(one.id, [key], owner);
    using reopened = await SecretStore.open(state);
    const later = new MachineSecrets({
      store: reopened,
      secretsOf: () => [key],
      runtimeDir: join(state, "run"),
    });
    assert.deepEqual(await later.place(one.id, [key], owner), first);
    assert.equal(later.boundTo(one, "api.test", 443)[0]?.placeholder, first.env["API_KEY"]);
  });

  it("are bound to exactly the host and port", async () => {
    assert.equal(secrets.boundTo(one, "api.test", 443).length, 1);
    for (const [host, port] of [
      ["api.test", 80],
      ["api.test", 8443],
      ["sub.api.test", 443],
      ["test", 443],
      ["api.test.evil.test", 443],
      ["xapi.test", 443],
    ] as const)
      assert.deepEqual(secrets.boundTo(one, host, port), [], `${host}:${String(port)}`);
    assert.equal(await secrets.boundTo(one, "api.test", 443)[0]?.value(), VALUE);
  });

  it("are bound to no machine that has none", () => {
    assert.deepEqual(secrets.boundTo({ id: "m_cccccccccccc", name: "three" }, "api.test", 443), []);
  });

  it("that nobody set are refused with the command", async () => {
    const unknown: MachineSecret = { ...key, name: "UNKNOWN" };
    assert.throws(
      () => {
        secrets.check([unknown]);
      },
      { code: "SECRET_NOT_FOUND", hint: "doorward secret set UNKNOWN" },
    );
    await assert.rejects(secrets.place(one.id, [unknown], owner), { code: "SECRET_NOT_FOUND" });
  });

  it("as a file are a read-only mount of a closed file, gone when the machine ends", async () => {
    const placed = await secrets.place(one.id, [{ name: "API_KEY", as: "file" }], owner);
    const [mount] = placed.mounts;
    assert.deepEqual(placed.env, { API_KEY_FILE: "/run/secrets/API_KEY" });
    assert.deepEqual(
      [mount?.target, mount?.access, mount?.role],
      ["/run/secrets/API_KEY", "ro", "secret-file"],
    );
    assert.equal(readFileSync(mount?.source ?? "", "utf8"), VALUE);
    assert.equal(statSync(mount?.source ?? "").mode & 0o777, 0o400);
    await secrets.clear(one.id);
    assert.throws(() => statSync(mount?.source ?? ""), { code: "ENOENT" });
  });

  for (const [what, list] of [
    ["one variable for two secrets", [key, { ...key, name: "OTHER", env: "API_KEY" }]],
    ["the same place twice", [key, key]],
    ["a header that frames the message", [{ ...key, header: "content-length" }]],
    ["a header that routes it", [{ ...key, header: "host" }]],
    ["a variable that programs run by", [{ ...key, env: "LD_PRELOAD" }]],
    ["a variable of the proxy", [{ ...key, env: "HTTPS_PROXY" }]],
  ] as const) {
    it(`${what} is refused`, () => {
      assert.notEqual(secretsProblem(list), undefined);
      assert.throws(
        () => {
          secrets.check(list);
        },
        { code: "INPUT_INVALID" },
      );
    });
  }

  it("one secret may be bound to two hosts", () => {
    assert.equal(secretsProblem([key, { ...key, host: "other.test" }]), undefined);
  });
});

describe("up --secret", () => {
  it("reads host, header and options", () => {
    assert.deepEqual(parseSecretBinding("KEY=API.test,X-Api-Key,env=MY_KEY,port=8443,prefix=sk-"), {
      name: "KEY",
      host: "api.test",
      header: "x-api-key",
      env: "MY_KEY",
      port: 8443,
      prefix: "sk-",
    });
    assert.ok(!isHeaderSecret(parseSecretBinding("KEY=file")));
  });

  for (const text of [
    "KEY",
    "KEY=",
    "=a,b",
    "KEY=host",
    "KEY=*.test,x",
    "KEY=a b,x",
    "KEY=host,x y",
    "KEY=host,x,foo=1",
    "KEY=host,x,env=a",
    "KEY=host,x,env=A,env=B",
    "KEY=host,x,port=0",
    "KEY=host,x,port=x",
    "key=host,x",
    "KEY=file,x=1",
  ])
    it(`refuses "${text}"`, () => {
      assert.throws(() => parseSecretBinding(text), { code: "USAGE" });
    });
});
