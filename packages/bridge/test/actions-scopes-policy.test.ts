import assert from "node:assert/strict";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Policy } from "@doorward/contracts";
import { isInterpreter, neverRequested } from "../src/actions/scopes/index.ts";
import { actionPlaceProblems } from "../src/policy/action-places.ts";
import { actionProblems } from "../src/policy/action-problems.ts";
import { JudgeLab } from "./actions-lab.ts";
import { PolicyLab, refused } from "./policy-lab.ts";

const SCOPE = `    - id: tool
      executables: [{ path: /usr/bin/true }]
      cwdRoots: []
      commands: [{ words: [list], effect: read }]
      timeoutSeconds: 5
`;

describe("a policy with actions", () => {
  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ["two scopes of one id", `actions:\n  processes:\n${SCOPE}${SCOPE}`, /already/],
    [
      "a preset and a scope of one id",
      `actions:\n  presets: [{ preset: git }]\n  processes:\n${SCOPE.replace("id: tool", "id: git")}`,
      /already/,
    ],
    ["a reserved id", `actions:\n  processes:\n${SCOPE.replace("id: tool", "id: etc-hosts")}`, /reserved/],
    [
      "a shell",
      `actions:\n  processes:\n${SCOPE.replace("true }", "bash }").replace("effect: read", "effect: read, operands: { min: 0, max: 1, value: { kind: word } }")}`,
      /runs what its arguments say/,
    ],
    [
      "a shell without confirmation",
      `actions:\n  processes:\n${SCOPE.replace("true }", "bash }")}      confirm: never\n`,
      /confirmation/,
    ],
    [
      "a link to an interpreter",
      `actions:\n  processes:\n${SCOPE.replace("/usr/bin/true", "~/link")}      confirm: never\n`,
      /runs what its arguments say/,
    ],
    [
      "a variable that requests may never set",
      `actions:\n  processes:\n${SCOPE}      environment: { request: [GIT_SSH_COMMAND] }\n`,
      /GIT_SSH_COMMAND/,
    ],
    [
      "a loader's variable set by the policy",
      `actions:\n  processes:\n${SCOPE}      environment: { set: { LD_PRELOAD: /x.so } }\n`,
      /LD_PRELOAD/,
    ],
    [
      "a flag of two meanings",
      `actions:\n  processes:\n${SCOPE}      globalFlags: [{ names: [-a] }, { names: [-b, -a] }]\n`,
      /stands twice/,
    ],
    [
      "a working folder that machines may write to",
      `actions:\n  processes:\n${SCOPE.replace("cwdRoots: []", "cwdRoots: [~/src/infra]")}`,
      /overlap/,
    ],
    [
      "a working folder that contains one",
      `actions:\n  presets: [{ preset: git, cwdRoots: ["~"] }]\n`,
      /overlap/,
    ],
    [
      "a link to a working folder that machines may write to",
      `actions:\n  presets: [{ preset: terraform, cwdRoots: [~/infra] }]\n`,
      /overlap/,
    ],
    [
      "path arguments that machines may write to",
      `actions:\n  presets: [{ preset: git, pathRoots: [~/src] }]\n`,
      /overlap/,
    ],
    [
      "a program that machines may write to",
      `actions:\n  presets: [{ preset: git, executables: [~/src/git] }]\n`,
      /overlap/,
    ],
    [
      "another program under a preset's name",
      `actions:\n  presets: [{ preset: git, executables: [/bin/sh] }]\n`,
      /none of the preset's programs/,
    ],
    [
      "files of Doorward",
      `actions:\n  files: [{ id: a, roots: [~/.config/doorward], operations: [writeFile] }]\n`,
      /Doorward/,
    ],
    [
      "files that contain keys",
      `actions:\n  files: [{ id: a, roots: ["~"], operations: [writeFile] }]\n`,
      /home folder|overlap/,
    ],
    ["keys", `actions:\n  files: [{ id: a, roots: [~/.ssh], operations: [writeFile] }]\n`, /SSH/],
    [
      "the whole of /etc",
      `actions:\n  files: [{ id: a, roots: [/etc], operations: [writeFile] }]\n`,
      /too wide/,
    ],
    [
      "the whole file system",
      `actions:\n  files: [{ id: a, roots: [/], operations: [writeFile] }]\n`,
      /overlap|whole/,
    ],
    [
      "sudoers",
      `actions:\n  files: [{ id: a, roots: [/etc/sudoers.d/x], operations: [writeFile] }]\n`,
      /decides who may/,
    ],
    [
      "files that machines may write to",
      `actions:\n  files: [{ id: a, roots: [~/src/shop], operations: [writeFile] }]\n`,
      /overlap/,
    ],
    [
      "unconfirmed files in the configuration of a preset's tool",
      `actions:\n  files: [{ id: a, roots: [~/.ansible/plugins], operations: [writeFile], confirm: never }]\n  presets: [{ preset: ansible }]\n`,
      /without a confirmation/,
    ],
    [
      "unconfirmed files at a usual place of a preset's tool",
      `actions:\n  files: [{ id: a, roots: [/opt/homebrew/bin], operations: [writeFile], confirm: never }]\n  presets: [{ preset: gh }]\n`,
      /without a confirmation/,
    ],
    ...["/usr/local/bin", "/usr/bin/tool", "/etc/cron.daily", "/var/spool/cron/x", "/usr/lib/systemd"].map(
      (root) =>
        [
          `files in ${root}`,
          `actions:\n  files: [{ id: a, roots: [${root}], operations: [writeFile] }]\n`,
          /decides who may do what/,
        ] as const,
    ),
    [
      "unconfirmed files where a command runs",
      `actions:\n  files: [{ id: a, roots: [/srv/infra], operations: [writeFile], confirm: never }]\n  presets: [{ preset: terraform, cwdRoots: [/srv/infra/prod] }]\n`,
      /without a confirmation/,
    ],
    [
      "two dots",
      `actions:\n  files: [{ id: a, roots: [/srv/../etc/x], operations: [writeFile] }]\n`,
      /"\.\."/,
    ],
    ["an unknown field", `actions:\n  shell: true\n`, /shell/],
  ];
  for (const [what, text, message] of wrong) {
    it(`is refused for ${what}`, async () => {
      using lab = new PolicyLab();
      symlinkSync(lab.folder("infra"), join(lab.home, "infra"));
      symlinkSync("/bin/sh", join(lab.home, "link"));
      mkdirSync(join(lab.home, ".ssh"));
      const error = await refused(
        lab.policy(`version: 1\nroots:\n  - path: ~/src\n    access: rw\n${text}`),
        "POLICY_INVALID",
      );
      assert.match(error.message, message);
    });
  }
  it("is loaded where a machine may only read, and where nothing overlaps", async () => {
    using lab = new PolicyLab();
    const infra = join(lab.home, "infra");
    mkdirSync(infra);
    const text = `version: 1\nroots:\n  - { path: ~/src, access: rw }\n  - { path: ~/infra, access: ro }\nactions:\n  presets: [{ preset: git, cwdRoots: [~/infra], pathRoots: [~/infra] }]\n  files: [{ id: units, roots: [/etc/nginx/conf.d], operations: [writeFile] }]\n  processes:\n${SCOPE}`;
    assert.equal((await lab.policy(text)).policy.actions?.presets?.length, 1);
  });
  it("is refused later when a writable root is put over a working folder, and the old one stays", async () => {
    using lab = new PolicyLab();
    mkdirSync(join(lab.home, "infra"));
    const policy = await lab.policy(
      `version: 1\nroots: []\nactions:\n  presets: [{ preset: git, cwdRoots: [~/infra] }]\n`,
    );
    await refused(policy.allow(join(lab.home, "infra"), "rw"), "POLICY_INVALID");
    assert.deepEqual(policy.policy.roots, []);
    await policy.allow(join(lab.home, "infra"), "ro");
  });
  it("has another digest than one without", async () => {
    using lab = new PolicyLab();
    const policy = await lab.policy("version: 1\nroots: []\n");
    const before = policy.hash;
    await policy.enablePreset({ preset: "git" });
    assert.notEqual(policy.hash, before);
  });
  it("may be empty: nothing is allowed, nothing is wrong", () => {
    const policy: Policy = { version: 1, roots: [] };
    assert.deepEqual(actionProblems(policy), []);
    using lab = new JudgeLab();
    assert.deepEqual(actionPlaceProblems(policy, lab.host()), []);
  });
});

describe("names that decide", () => {
  for (const name of [
    "sh",
    "bash",
    "python3.11",
    "node",
    "perl",
    "env",
    "sudo",
    "ssh",
    "xargs",
    "find",
    "mawk",
    "make",
    "npm",
    "npx",
    "busybox",
    "PowerShell.exe",
    "ld-linux-x86-64.so.2",
    "vim",
    "java",
    "ruby2.7",
    "sqlite3",
    "bash-static",
  ]) {
    it(`${name} is an interpreter`, () => assert.equal(isInterpreter(`/usr/bin/${name}`), true));
  }
  for (const name of ["git", "podman", "docker", "kubectl", "ansible-playbook", "true", "ls"]) {
    it(`${name} is none`, () => assert.equal(isInterpreter(`/usr/bin/${name}`), false));
  }
  for (const key of [
    "PATH",
    "LD_PRELOAD",
    "ld_preload",
    "DYLD_INSERT_LIBRARIES",
    "NODE_OPTIONS",
    "GIT_SSH_COMMAND",
    "GIT_ASKPASS",
    "SSH_ASKPASS",
    "BASH_ENV",
    "PYTHONPATH",
    "PERL5LIB",
    "DOCKER_HOST",
    "KUBECONFIG",
    "EDITOR",
    "PAGER",
    "AWS_PROFILE",
    "VAULT_ADDR",
    "HOME",
    "X_TOKEN",
    "A=B",
    "",
  ]) {
    it(`${key || "no name"} can't be opened to requests`, () => assert.notEqual(neverRequested(key), null));
  }
});
