import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "@doorward/client";
import { AgentClient } from "../support/agent-client.ts";
import { openLab, type Lab } from "../support/lab.ts";

const READING = ["agent-tool.list", "agent-tool.read"];
const WRITING = [...READING, "agent-tool.write"];
const ALL = [...WRITING, "agent-tool.exec"];

const POLICY = `grants:
  - to: "agent:codex:*"
    operations: [${ALL.join(", ")}]
    doors: [agent-tool]
    for: 8h
`;

/** What is in `src/sum.js` of the repo. */
const SOURCE = "export function sum(a, b) {\n  return a - b;\n}\n";

describe("file tools of an agent in a machine", () => {
  let lab: Lab;
  let repo: string;
  let machine: string;
  const open: AgentClient[] = [];

  /** An agent with a grant for these operations. */
  async function agent(operations: readonly string[]): Promise<AgentClient> {
    const { token } = await lab.grant(machine, operations, "1h", "agent:codex:1");
    const opened = await AgentClient.open(
      connect({ url: `http://127.0.0.1:${String(await lab.tcpPort())}`, token }),
      machine,
    );
    open.push(opened);
    return opened;
  }

  before(async () => {
    lab = await openLab({ policy: POLICY });
    repo = lab.repo("shop", {
      "README.md": "hello\n",
      "src/sum.js": SOURCE,
      ".gitignore": "dist/\n",
      "dist/x.js": "sum\n",
    });
    machine = await lab.up(repo);
  });
  after(async () => {
    for (const one of open) await one[Symbol.asyncDispose]();
    await lab[Symbol.asyncDispose]();
  });

  it("an agent without commands finds, reads, edits, patches and compares", async () => {
    const codex = await agent(WRITING);
    const found = await codex.answer("search_files", { pattern: "a - b" });
    assert.deepEqual(found["lines"], [
      { path: "/workspace/shop/src/sum.js", line: 2, match: true, text: "  return a - b;" },
    ]);
    assert.deepEqual((await codex.answer("find_files", { glob: "*.js" }))["files"], [
      "/workspace/shop/src/sum.js",
    ]);
    assert.equal((await codex.answer("read_file", { path: "src/sum.js" }))["content"], SOURCE);
    await codex.answer("edit_file", {
      path: "src/sum.js",
      edits: [{ old_text: "a - b", new_text: "a + b" }],
    });
    const patch = [
      "*** Begin Patch",
      "*** Add File: src/new.js",
      "+1",
      "*** Update File: README.md",
      "@@",
      "-hello",
      "+hi",
      "*** End Patch",
    ];
    await codex.answer("apply_patch", { patch: patch.join("\n") });
    await codex.answer("write_file", { path: "notes/a.txt", content: "x\n", create_only: true });
    const status = await codex.answer("git_status", {});
    assert.equal(status["branch"], "main");
    assert.deepEqual(
      (status["files"] as { path: string; unstaged: string }[]).map(
        ({ path, unstaged }) => `${unstaged} ${path}`,
      ),
      ["modified README.md", "modified src/sum.js", "untracked notes/a.txt", "untracked src/new.js"],
    );
    assert.match(
      String((await codex.answer("git_diff", { path: "src" }))["diff"]),
      /- {2}return a - b;\n\+ {2}return a \+ b;/,
    );
    assert.equal(readFileSync(join(repo, "src/sum.js"), "utf8"), SOURCE.replace("-", "+"));
    const diff = execFileSync("git", [
      "-c",
      "safe.directory=*",
      "-C",
      repo,
      "diff",
      "--name-only",
    ]).toString();
    assert.equal(diff, "README.md\nsrc/sum.js\n");
  });

  it("git's settings and hooks, and what lies outside of the repo, are refused to it", async () => {
    const codex = await agent(WRITING);
    symlinkSync("/etc", join(repo, "etc"));
    for (const path of [".git/config", ".git/hooks/pre-commit"])
      assert.match(await codex.refusal("write_file", { path, content: "x" }), /^PATH_/, path);
    for (const path of [
      "/etc/passwd",
      "../../etc/passwd",
      "etc/passwd",
      "/proc/self/environ",
      "/workspace",
    ]) {
      assert.match(await codex.refusal("read_file", { path }), /^PATH_/, path);
      assert.match(await codex.refusal("list_directory", { path }), /^PATH_/, path);
      assert.match(await codex.refusal("git_status", { path }), /^PATH_/, path);
    }
    assert.doesNotMatch(readFileSync(join(repo, ".git/config"), "utf8"), /^x$/m);
  });

  for (const [kind, operations] of [
    ["without", WRITING],
    ["with", ALL],
  ] as const)
    it(`names that are protected and not there yet can't be made by tools, ${kind} commands`, async () => {
      const codex = await agent(operations);
      const names = [".envrc", ".vscode/tasks.json", ".VSCode/x", "src/../.idea/x", ".git/hooks/pre-push"];
      for (const name of names) {
        const path = kind === "with" ? `/workspace/shop/${name}` : name;
        const refused = /^PATH_NOT_ALLOWED: .*protected/;
        assert.match(await codex.refusal("write_file", { path, content: "x" }), refused, path);
        const add = ["*** Begin Patch", `*** Add File: ${path}`, "+x", "*** End Patch"].join("\n");
        assert.match(await codex.refusal("apply_patch", { patch: add }), refused, path);
        const move = ["*** Update File: README.md", `*** Move to: ${path}`];
        const moving = ["*** Begin Patch", ...move, "*** End Patch"].join("\n");
        assert.match(await codex.refusal("apply_patch", { patch: moving }), refused, path);
      }
      for (const name of [".envrc", ".vscode", ".VSCode", ".idea", ".git/hooks/pre-push"])
        assert.ok(!existsSync(join(repo, name)), name);
      assert.ok(existsSync(join(repo, "README.md")));
    });

  it("a grant to read changes nothing, and is not offered the tools for it", async () => {
    const reader = await agent(READING);
    assert.deepEqual(
      (await reader.tools()).filter((name) => /write|edit|patch|run|send|stop/.test(name)),
      [],
    );
    assert.match(
      await reader.refusal("write_file", { path: "x", content: "x" }),
      /OPERATION_NOT_GRANTED|TOOL_NOT/,
    );
    assert.equal((await reader.answer("read_file", { path: "README.md" }))["kind"], "text");
  });

  it("a grant with commands reaches the machine's own files, and no file of the host", async () => {
    const runner = await agent(ALL);
    writeFileSync(join(lab.root, "secret"), "SECRET\n");
    assert.match(
      String((await runner.answer("read_file", { path: "/etc/os-release" }))["content"]),
      /Debian/,
    );
    await runner.answer("write_file", { path: "/tmp/of-machine", content: "x\n" });
    for (const path of [join(lab.root, "secret"), repo])
      assert.match(await runner.refusal("read_file", { path }), /^PATH_NOT_FOUND/, path);
    assert.match(await runner.refusal("write_file", { path: "/usr/bin/x", content: "x" }), /^[A-Z_]+: /);
    assert.match(await runner.refusal("write_file", { path: ".git/config", content: "x" }), /^[A-Z_]+: /);
  });
});
