import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { policyWarnings } from "../src/policy/index.ts";
import { agentToolInForce } from "../src/daemon/door-in-force.ts";
import { PolicyLab } from "./policy-lab.ts";

const main = fileURLToPath(new URL("../src/cli/main.ts", import.meta.url));
const ROOTS = "version: 1\nroots:\n  - path: ~/src\n    access: rw\n";
const CLOSED = "profiles: { default: { doors: { agent-tool: { allowed: false } } } }\n";
const rule = (to: string, more = "") =>
  `grants:\n  - { to: "${to}", doors: [agent-tool], operations: [agent-tool.list, agent-tool.read], for: 8h${more} }\n`;

async function warned(lab: PolicyLab, text?: string): Promise<string[]> {
  return (await policyWarnings(await lab.policy(text))).map(({ field, what }) => `${field}: ${what}`);
}

test("a policy that says what it does has no warnings", async () => {
  using lab = new PolicyLab();
  assert.deepEqual(await warned(lab), []);
  assert.deepEqual(await warned(lab, ROOTS + rule("agent:codex:*")), []);
  assert.deepEqual(await warned(lab, ROOTS + rule("agent:*")), []);
  assert.deepEqual(await warned(lab, ROOTS + rule("ci:nightly")), []);
});

test("roots that are not there, or that are always denied, are named", async () => {
  using lab = new PolicyLab();
  const text = ROOTS + "  - path: ~/gone\n    access: ro\n  - path: ~/.ssh\n    access: ro\n";
  const found = await warned(lab, text);
  assert.equal(found.length, 2);
  assert.match(found[0] ?? "", /^roots\[1\]\.path: ~\/gone: /);
  assert.match(found[1] ?? "", /^roots\[2\]\.path: ~\/\.ssh: /);
  assert.match((await warned(lab, "version: 1\nroots: []\n")).join(), /^roots: it is empty/);
});

test("authorities of egress that can't be read are named, with the reason", async () => {
  using lab = new PolicyLab();
  const pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
  lab.write(lab.home, { "good.pem": pem, "none.pem": "hello\n", "large.pem": pem.padEnd(1_048_577) });
  const rules = ["good.pem", "none.pem", "large.pem", "gone.pem", "src"].map(
    (name) => `{ host: "${name.replace(".pem", "")}.example.com", ca: ~/${name} }`,
  );
  const text = `${ROOTS}egress: { allow: [${rules.join(", ")}] }\nprofiles: { agent: { egress: { allow: [${rules[3] ?? ""}] } } }\n`;
  assert.deepEqual(await warned(lab, text), [
    'egress.allow[1].ca: Cannot use the authorities in "~/none.pem": it has no PEM certificate',
    'egress.allow[2].ca: Cannot use the authorities in "~/large.pem": it is larger than 1048576 bytes',
    'egress.allow[3].ca: Cannot use the authorities in "~/gone.pem": it does not exist',
    'egress.allow[4].ca: Cannot use the authorities in "~/src": it is not a regular file',
    'profiles.agent.egress.allow[0].ca: Cannot use the authorities in "~/gone.pem": it does not exist',
  ]);
});

test("a rule for a door that no profile has grants nothing, and the warning says so", async () => {
  using lab = new PolicyLab();
  const found = await warned(lab, ROOTS + CLOSED + rule("agent:codex:*"));
  assert.deepEqual(found, [
    "grants[0]: nobody is granted agent-tool.list: profile default does not offer it",
    "grants[0]: nobody is granted agent-tool.read: profile default does not offer it",
  ]);
});

test("a rule for a client that no door knows or lists is named", async () => {
  using lab = new PolicyLab();
  assert.match(
    (await warned(lab, ROOTS + rule("agent:nobody:*"))).join(),
    /grants\[0\]\.to: .*no kind of client/,
  );
  const listed = "profiles: { default: { doors: { agent-tool: { toolIds: [codex] } } } }\n";
  assert.match((await warned(lab, ROOTS + listed + rule("ci:*"))).join(), /have no "ci-bot"/);
});

test("a door that the policy takes away is offered to nobody, in machines that run too", async () => {
  using lab = new PolicyLab();
  const open = await lab.policy(ROOTS + rule("agent:codex:*"));
  const profile = open.profile("default");
  const closed = await lab.policy(ROOTS + CLOSED + rule("agent:codex:*"));
  assert.notEqual(open.hash, closed.hash);
  assert.deepEqual(closed.operations("default", "agent-tool"), []);
  assert.equal(closed.profile("default").doors["agent-tool"], undefined);
  assert.equal(agentToolInForce(closed, { profile } as never), null);
  assert.notEqual(agentToolInForce(open, { profile } as never), null);
});

test("doorward policy check needs no bridge: 0 with its warnings, 5 with line and field of what is invalid", (t) => {
  const lab = new PolicyLab();
  t.after(() => lab[Symbol.dispose]());
  const check = (...more: string[]) => {
    const args = [
      "--conditions=source",
      "--import",
      import.meta.resolve("tsx"),
      main,
      "policy",
      "check",
      ...more,
    ];
    const env = { PATH: process.env["PATH"], HOME: lab.home, DOORWARD_HOME: join(lab.base, "own") };
    return spawnSync(process.execPath, args, { env, cwd: lab.src, encoding: "utf8" });
  };
  const none = check();
  assert.equal(none.status, 0, none.stderr);
  assert.match(none.stdout, /valid.*policy\.yaml\nsha256:[0-9a-f]{64}\nwarning: there is no such file/);
  const { path } = JSON.parse(check("--json").stdout) as { path: string };
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, `version: 1\nroots: []\n${CLOSED}`, { mode: 0o600 });
  assert.match(check().stdout, /warning: roots: it is empty/);
  writeFileSync(path, "version: 1\nroots: []\nprofils: {}\n", { mode: 0o600 });
  const invalid = check();
  assert.equal(invalid.status, 5);
  assert.match(invalid.stderr, /policy\.yaml": 3:1: .*"profils"/);
});
