import assert from "node:assert/strict";
import { once } from "node:events";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "@doorward/client";
import type { AgentMachineFingerprint } from "@doorward/contracts";
import { AgentClient } from "../support/agent-client.ts";
import { spawnDoorward } from "../support/command.ts";
import { fillEvidence, smallEvidenceDisk } from "../support/full-evidence.ts";
import { needsRoot, openLab, type Lab } from "../support/lab.ts";
import { procFile } from "../support/leftovers.ts";

/** The home folder is an allowed root here, so that what refuses is not that no root covers it. */
const POLICY = `  - { path: "~", access: rw }
  - { path: /tmp, access: rw }
grants:
  - to: "agent:test:*"
    doors: [terminal]
    operations: [terminal.attach, terminal.observe, terminal.input, terminal.exec, terminal.agent-exec]
    for: 8h
  - to: "agent:codex:*"
    doors: [agent-tool]
    operations: [agent-tool.list, agent-tool.read, agent-tool.write, agent-tool.exec, agent-tool.host-action]
    for: 8h
profiles:
  let-in: { doors: { terminal: { attach: { allowed: true, agents: control, maxTerminals: 8, maxViewers: 8, observers: true, scrollbackBytes: 65536 } } } }
  people-only: { doors: { terminal: { execution: { operator: true, agent: false, maxConcurrent: 8 } } } }
`;

const CANARY = "canary-7f3a9c";
/** Files below a home folder whose content must never be seen in a machine. */
const SECRETS = [
  ".ssh/id_ed25519",
  ".gnupg/private-keys-v1.d/key",
  ".aws/credentials",
  ".azure/accessTokens.json",
  ".config/gcloud/credentials.db",
  ".kube/config",
  ".docker/config.json",
  ".local/share/keyrings/login.keyring",
  ".password-store/bank.gpg",
  ".config/gh/hosts.yml",
  ".terraform.d/credentials.tfrc.json",
  ".claude/.credentials.json",
  ".codex/auth.json",
  ".netrc",
  ".npmrc",
  ".pypirc",
  ".git-credentials",
];
const BROWSERS = [
  ".mozilla/firefox/p.default/cookies.sqlite",
  ".config/google-chrome/Default/Cookies",
  ".config/chromium/Default/Cookies",
  ".config/BraveSoftware/Brave-Browser/Default/Cookies",
  ".config/microsoft-edge/Default/Cookies",
  "snap/firefox/common/.mozilla/firefox/p/cookies.sqlite",
  ".var/app/org.mozilla.firefox/.mozilla/firefox/p/cookies.sqlite",
];
const VARIABLES = {
  SSH_AUTH_SOCK: `/tmp/${CANARY}.sock`,
  AWS_SECRET_ACCESS_KEY: `${CANARY}-aws`,
  GITHUB_TOKEN: `${CANARY}-github`,
  ANTHROPIC_API_KEY: `${CANARY}-api`,
};

interface Statement {
  readonly predicateType: string;
  readonly predicate: Readonly<Record<string, unknown>>;
}

describe("the security invariants of the host interface", { skip: needsRoot }, () => {
  let lab: Lab;
  let home: string;
  let repo: string;

  before(async () => {
    lab = await openLab({ policy: POLICY });
    home = join(lab.root, "user");
    for (const path of [...SECRETS, ...BROWSERS]) {
      mkdirSync(dirname(join(home, path)), { recursive: true });
      writeFileSync(join(home, path), `${CANARY} ${path}\n`, { mode: 0o600 });
    }
    repo = lab.repo("shop", {
      "app.js": "1\n",
      "lib/a.js": "1\n",
      ".env": `KEY=${CANARY}\n`,
      ".vscode/tasks.json": "{}\n",
    });
    // The bridge that starts now has the operator's tokens in its environment.
    const up = await lab.run(["up", repo, "--hide", ".env"], { env: VARIABLES });
    assert.equal(up.code, 0, up.stderr);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  /** Asks for a machine in every way that mounts a path; each must be refused by policy. */
  async function refused(path: string, about = path): Promise<void> {
    await using client = lab.client();
    for (const repos of [[{ path }], [{ path: repo }, { path, access: "ro" as const }]]) {
      const launched = client.call("machines.up", { body: { repos, fresh: true } });
      await assert.rejects(
        launched,
        (error: { code?: string }) =>
          /^PATH_|^HARDLINK_OUTSIDE$|^REPO_|^INPUT_INVALID$/.test(error.code ?? ""),
        about,
      );
    }
  }

  const names = async (): Promise<string[]> => (await lab.machines()).map(({ name }) => name);

  /** What the newest records of a type say, newest first. */
  async function statements(type: string, limit = 20): Promise<Statement["predicate"][]> {
    await using client = lab.client();
    const { records } = await client.call("evidence.list", { query: { type, limit } });
    const shown = records.map(({ index }) => client.call("evidence.show", { params: { index } }));
    return (await Promise.all(shown)).map(({ statement }) => (statement as unknown as Statement).predicate);
  }

  /** The code that a document in the folder of interfaces is refused with; the bridge does not start with it. */
  async function refusedDocument(example: string): Promise<string> {
    const folder = join(lab.home, "config", "interfaces");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, "given.json");
    cpSync(new URL(`../../packages/contracts/examples/${example}.json`, import.meta.url), path);
    chmodSync(path, 0o600);
    try {
      await lab.stopBridge();
      const ran = await lab.run(["ls", "--json"]);
      assert.notEqual(ran.code, 0, example);
      return (JSON.parse(ran.stderr.trim().split("\n").at(-1) ?? "{}") as { code: string }).code;
    } finally {
      rmSync(folder, { recursive: true });
      assert.equal((await lab.run(["ls"], { env: VARIABLES })).code, 0);
    }
  }

  /** The code that minting is refused with, by the API and whatever the client library would say. */
  async function refusedGrant(body: Readonly<Record<string, unknown>>): Promise<string> {
    await using client = lab.client();
    const ask = { machine: "shop", subject: "agent:test:1", for: "1h", ...body };
    const minted = client.call("grants.create", { body: ask as never });
    return await minted.then(
      () => "minted",
      (error: unknown) => {
        const { code } = error as { code: string };
        assert.match(code, /^(?:GRANT|OPERATION|DOOR|PATH|INPUT|POLICY)_/);
        return code;
      },
    );
  }

  /** An agent at the agent-tool door, with a grant of its own, and how it takes its leave. */
  async function agentTools(body: object): Promise<AsyncDisposable & { agent: AgentClient; grant: string }> {
    await using operator = lab.client();
    const ask = { machine: "shop", subject: "agent:codex:1", for: "1h", ...body };
    const { grant, token } = await operator.call("grants.create", { body: ask as never });
    const client = connect({ url: `http://127.0.0.1:${await lab.tcpPort()}`, token });
    const agent = await AgentClient.open(client, "shop");
    const leave = async (): Promise<void> => {
      await agent[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    };
    return { agent, grant: grant.grantId, [Symbol.asyncDispose]: leave };
  }

  it("1: no machine ever has the home folder as a whole", { timeout: 600_000 }, async () => {
    const before = await names();
    symlinkSync(home, join(lab.sources, "to-home"));
    symlinkSync(lab.root, join(lab.sources, "above-home"));
    mkdirSync(join(lab.sources, "bound"));
    mkdirSync(join(lab.sources, "outer", "inner"), { recursive: true });
    execFileSync("mount", ["--bind", home, join(lab.sources, "bound")]);
    execFileSync("mount", ["--bind", home, join(lab.sources, "outer", "inner")]);
    execFileSync("git", ["init", "--quiet", home]);
    try {
      const spellings = [
        home,
        `${home}/`,
        `${home}/.`,
        `${home}//`,
        "~",
        `/proc/self/root${home}`,
        `${home}/.config/..`,
        lab.root,
        "/tmp",
        "/",
        join(lab.sources, "to-home"),
        `${join(lab.sources, "to-home")}/.`,
        join(lab.sources, "above-home"),
        join(lab.sources, "above-home", "user"),
        join(lab.sources, "bound"),
        join(lab.sources, "outer"),
      ];
      for (const path of spellings) await refused(path);
      const inside = await lab.run(["up", "--json"], { cwd: home });
      assert.notEqual(inside.code, 0, "a home that is a repo, as the current folder");
      assert.equal((await lab.run(["run", home, "--", "true"])).code, 3);
      assert.equal((await lab.run(["up", "--review", home])).code, 3);
    } finally {
      for (const name of ["bound", "outer/inner"]) execFileSync("umount", [join(lab.sources, name)]);
      rmSync(join(home, ".git"), { recursive: true });
    }
    assert.deepEqual(await names(), before);
    const [launched] = await statements("launch", 1);
    const { inputs } = launched?.["fingerprint"] as AgentMachineFingerprint;
    const sources = inputs.mounts.map(({ source }) => source);
    for (const source of sources) assert.ok(!`${home}/`.startsWith(`${source}/`), source);
  });

  it(
    "2: no machine sees keys, profiles, keychains, tokens, credentials or password stores by default",
    { timeout: 600_000 },
    async () => {
      const before = await names();
      for (const path of SECRETS) {
        const place = path.includes("/") ? join(home, path, "..") : join(home, path);
        await refused(place, path);
      }
      for (const path of [".ssh", ".aws", ".password-store"]) {
        symlinkSync(join(home, path), join(lab.sources, `to${path}`));
        await refused(join(lab.sources, `to${path}`));
      }
      assert.deepEqual(await names(), before);
      const search = `grep -rslF ${CANARY} / --exclude-dir=proc --exclude-dir=sys; cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -F ${CANARY}; true`;
      writeFileSync(join(repo, "planted.txt"), `${CANARY}\n`);
      assert.equal(
        (await lab.sh("shop", search)).stdout,
        "/workspace/shop/planted.txt\n",
        "the search finds",
      );
      rmSync(join(repo, "planted.txt"));
      assert.equal((await lab.sh("shop", search)).stdout, "", "nothing else is there");
      for (const path of [...SECRETS, ...BROWSERS]) {
        const tried = await lab.sh("shop", `cat '${join(home, path)}' ~/'${path}'`);
        assert.equal(tried.stdout, "", path);
      }
      // A link that the machine makes leads nowhere, in the machine as on the host's side of the mount.
      await lab.sh("shop", `ln -s ${home}/.ssh keys; ln -s /proc/1/root${home} root`);
      assert.equal((await lab.sh("shop", "cat keys/* root/.netrc")).stdout, "");
      await lab.sh("shop", "rm keys root");
      for (const { pid } of lab.inside())
        for (const value of Object.values(VARIABLES)) assert.ok(!procFile(pid, "environ").includes(value));
    },
  );

  it("3: no browser profile is shared, by mount, by document or by grant", { timeout: 600_000 }, async () => {
    const before = await names();
    for (const path of BROWSERS) await refused(join(home, path, ".."), path);
    symlinkSync(join(home, ".mozilla"), join(lab.sources, "profile"));
    await refused(join(lab.sources, "profile"));
    assert.deepEqual(await names(), before);
    const document = await refusedDocument("BrowserDoor/valid/macos-host-extension-with-grant");
    assert.equal(document, "DOOR_NOT_BUILT");
    for (const operation of ["browser.attach", "browser.read_page", "browser.managed_identity_delegate"]) {
      assert.notEqual(await refusedGrant({ operations: [operation] }), "minted", operation);
      const wide = { doors: ["terminal", "browser"], operations: ["terminal.exec", operation] };
      assert.notEqual(await refusedGrant(wide), "minted", operation);
    }
    const { token } = await lab.grant("shop", ["terminal.observe"]);
    await using client = connect({ url: `http://127.0.0.1:${await lab.tcpPort()}`, token });
    const { grants } = await client.call("grants.list", {});
    const [own] = grants;
    assert.ok(own);
    const wider = client.call("grants.narrow", {
      params: { grant: own.grant.grantId },
      body: { operations: ["browser.attach"] } as never,
    });
    await assert.rejects(wider);
  });

  it("4: only allowlisted repo paths can be edited", { timeout: 600_000 }, async () => {
    const outside = join(lab.root, "outside.txt");
    writeFileSync(outside, "as it was\n", { mode: 0o666 });
    symlinkSync(outside, join(repo, "way-out"));
    symlinkSync("../../outside.txt", join(repo, "way-up"));
    const hook = join(repo, ".git", "config");
    const [config, tasks] = [hook, join(repo, ".vscode", "tasks.json")].map((path) =>
      readFileSync(path, "utf8"),
    );
    const attacks = [
      "echo evil > way-out",
      "echo evil > way-up",
      "ln way-up twin && echo evil > twin",
      "echo evil > ../../outside.txt",
      "mkdir -p up && mount --bind / up && echo evil > up/outside.txt",
      `echo evil > /proc/1/root${outside}`,
      `echo evil > ${outside}`,
      "echo evil >> .git/config",
      "echo evil >> .vscode/tasks.json",
      "mv .vscode .vscode2",
      "echo evil > .git/hooks/post-checkout",
      "echo evil > ../other/file",
      "echo evil > .env",
    ];
    for (const attack of attacks) await lab.sh("shop", attack);
    assert.equal(readFileSync(outside, "utf8"), "as it was\n");
    assert.equal(readFileSync(hook, "utf8"), config);
    assert.equal(readFileSync(join(repo, ".vscode", "tasks.json"), "utf8"), tasks);
    assert.match(readFileSync(join(repo, ".env"), "utf8"), new RegExp(CANARY));
    assert.throws(() => readFileSync(join(repo, ".git", "hooks", "post-checkout")));
    assert.equal((await lab.sh("shop", "echo fine > app.js")).code, 0, "ordinary work goes on");
    // Tools that edit are held to the paths of their grant, by every one of them and by every spelling.
    symlinkSync("../app.js", join(repo, "lib", "beside"));
    symlinkSync(outside, join(repo, "lib", "way-out"));
    const operations = ["agent-tool.list", "agent-tool.read", "agent-tool.write"];
    await using editor = await agentTools({ operations, paths: [join(repo, "lib")] });
    const kept = readFileSync(join(repo, "app.js"), "utf8");
    const places = [
      "app.js",
      "lib/../app.js",
      "lib/beside",
      "lib/way-out",
      ".vscode/tasks.json",
      ".git/config",
    ]
      .map((path) => `/workspace/shop/${path}`)
      .concat(
        "/proc/self/root/workspace/shop/app.js",
        outside,
        join(repo, "app.js"),
        "../../../../etc/passwd",
      );
    for (const path of places) {
      const patch = ["*** Begin Patch", `*** Update File: ${path}`, "@@", "-fine", "+evil", "*** End Patch"];
      const edits = [
        ["write_file", { path, content: "evil\n" }],
        ["edit_file", { path, edits: [{ old_text: "fine", new_text: "evil" }] }],
        ["apply_patch", { patch: patch.join("\n") }],
      ] as const;
      for (const [tool, given] of edits)
        assert.notEqual(await editor.agent.refusal(tool, given), "allowed", `${tool} ${path}`);
    }
    const moved = [
      "*** Begin Patch",
      "*** Update File: /workspace/shop/lib/a.js",
      "*** Move to: /workspace/shop/b.js",
    ];
    assert.notEqual(
      await editor.agent.refusal("apply_patch", { patch: [...moved, "*** End Patch"].join("\n") }),
      "allowed",
    );
    assert.equal(readFileSync(join(repo, "app.js"), "utf8"), kept);
    assert.equal(readFileSync(outside, "utf8"), "as it was\n");
    assert.equal(readFileSync(hook, "utf8"), config);
    assert.equal(readFileSync(join(repo, ".vscode", "tasks.json"), "utf8"), tasks);
    await editor.agent.answer("write_file", { path: "/workspace/shop/lib/a.js", content: "2\n" });
    assert.equal(readFileSync(join(repo, "lib", "a.js"), "utf8"), "2\n", "ordinary edits go on");
    // A file with a second name outside would be edited there too.
    const twin = lab.repo("twin");
    linkSync(outside, join(twin, "twin.txt"));
    assert.equal((await lab.run(["up", twin])).code, 3);
    // Where nothing could hold a grant to its paths, it is not minted.
    const paths = [join(repo, ".vscode")];
    for (const operation of ["terminal.attach", "terminal.input", "terminal.exec", "terminal.agent-exec"])
      assert.notEqual(await refusedGrant({ operations: [operation], paths }), "minted", operation);
    const tools = await refusedGrant({ operations: ["agent-tool.read", "agent-tool.exec"], paths });
    assert.equal(tools, "GRANT_UNENFORCEABLE");
    for (const path of [home, "/", lab.sources, join(lab.sources, "other"), join(repo, "way-out")])
      assert.notEqual(
        await refusedGrant({ operations: ["terminal.observe"], paths: [path] }),
        "minted",
        path,
      );
    for (const operation of ["editor.read", "editor.edit", "editor.write"])
      assert.notEqual(await refusedGrant({ operations: [operation], paths: [repo] }), "minted", operation);
    assert.equal(await refusedDocument("EditorDoor/valid/linux-vscode"), "DOOR_NOT_BUILT");
  });

  it(
    "5: a terminal is attached by whom the operator let, each attach is recorded before its first byte, and agents are told from people",
    { timeout: 600_000 },
    async () => {
      const opened = async (): Promise<number> => (await lab.records("session-open")).length;
      const count = await opened();
      await using client = lab.client();
      let recorded: Promise<number> | undefined;
      const session = await client.attachTerminal("shop", {
        data: () => void (recorded ??= opened()),
        reconnectMs: 0,
      });
      await lab.until("a first byte", () => recorded !== undefined);
      assert.ok(((await recorded) ?? 0) > count, "the record was there when the first byte came");
      session.detach();
      const [open] = await statements("session-open", 1);
      assert.match(String(open?.["subject"]), /^operator:/);
      assert.equal(open?.["execution"], "operator");
      await lab.until(
        "the terminal's own record",
        async () => (await statements("terminal", 1)).length === 1,
      );
      assert.equal((await statements("terminal", 1))[0]?.["execution"], "operator");

      const url = `http://127.0.0.1:${await lab.tcpPort()}`;
      assert.equal(await refusedGrant({ operations: ["terminal.attach"] }), "GRANT_TOO_WIDE");
      const letIn = await lab.up("--new", repo, "--profile", "let-in");
      const { id, token } = await lab.grant(letIn, ["terminal.attach", "terminal.input"]);
      await using agent = connect({ url, token });
      let heard = false;
      const theirs = await agent.attachTerminal(letIn, { data: () => void (heard = true), reconnectMs: 0 });
      await lab.until("it hears", () => heard);
      theirs.detach();
      const [second] = await statements("session-open", 1);
      assert.deepEqual(
        [second?.["subject"], second?.["execution"], second?.["grant"]],
        ["agent:test:1", "agent", id],
      );
      // An agent can neither call itself an operator nor reach the operator's own way in.
      const asOperator = agent.call("grants.narrow", {
        params: { grant: id },
        body: { operations: ["terminal.attach"], subject: "operator:root" },
      });
      await assert.rejects(asOperator, (error: { code?: string }) => error.code === "GRANT_TOO_WIDE");
      await assert.rejects(
        agent.call("grants.create", {
          body: {
            machine: "shop",
            subject: "operator:root",
            operations: ["terminal.attach"],
            for: "1h",
          } as never,
        }),
      );
      assert.equal((await lab.sh("shop", `test -S ${lab.socket}`)).code, 1);
      const only = await lab.grant("shop", ["terminal.exec", "terminal.agent-exec"]);
      await using runner = connect({ url, token: only.token });
      await assert.rejects(runner.attachTerminal("shop", { data: () => undefined, reconnectMs: 0 }));
      await lab.run(["rm", letIn, "--force"]);
    },
  );

  it(
    "6: an agent's execution is governed: granted as such, offered by the profile, and on record with its grant and policy",
    { timeout: 600_000 },
    async () => {
      const url = `http://127.0.0.1:${await lab.tcpPort()}`;
      const full = await lab.grant("shop", ["terminal.exec", "terminal.agent-exec"]);
      await using agent = connect({ url, token: full.token });
      assert.equal((await agent.exec("shop", ["sh", "-c", "exit 7"])).code, 7);
      await assert.rejects(agent.exec("shop", ["no-such-program"]));
      const cut = await agent.startExec("shop", ["sleep", "4343"]);
      await lab.run(["grant", "revoke", full.id]);
      await assert.rejects(cut.done);
      await lab.until("three command records", async () => {
        const mine = (await statements("command")).filter(({ grant }) => grant === full.id);
        return mine.length === 3;
      });
      const mine = (await statements("command")).filter(({ grant }) => grant === full.id);
      const hash = (await lab.json<{ hash: string }>(["policy", "show"])).hash;
      for (const record of mine) {
        assert.equal(record["subject"], "agent:test:1");
        assert.equal(record["execution"], "agent");
        assert.equal(record["policyHash"], hash);
      }
      assert.deepEqual(mine.map(({ outcome }) => outcome).sort(), ["cut", "exited", "not-started"]);
      // Tools that run and that act are granted as such too, and each call is on record with the same.
      const operations = ["agent-tool.list", "agent-tool.read", "agent-tool.exec", "agent-tool.host-action"];
      await using tools = await agentTools({ operations });
      assert.equal((await tools.agent.answer("run_command", { command: "exit 7" }))["exit_code"], 7);
      assert.notEqual(await tools.agent.refusal("write_file", { path: "x", content: "x" }), "allowed");
      const acts = {
        scope: "any",
        command: "touch",
        args: [join(lab.root, "acted")],
        cwd: "/",
        reason: "test",
      };
      assert.match(await tools.agent.refusal("host_run_command", acts), /TOOL_NOT_FOUND|CAPABILITY_DENIED/);
      assert.throws(() => readFileSync(join(lab.root, "acted")));
      const calls = (await statements("tool-call")).filter(({ grant }) => grant === tools.grant);
      assert.deepEqual(calls.map(({ tool, outcome }) => `${String(tool)} ${String(outcome)}`).sort(), [
        "host_run_command failed",
        "run_command completed",
        "write_file refused",
      ]);
      for (const record of calls)
        assert.deepEqual(
          [record["subject"], record["execution"], record["policyHash"]],
          ["agent:codex:1", "agent", hash],
        );
      assert.notEqual(
        await refusedGrant({ operations: ["agent-tool.exec"] }),
        "minted",
        "no kind that the door knows",
      );
      // What a person may do is not what an agent may do.
      const person = await lab.grant("shop", ["terminal.exec"]);
      await using pretender = connect({ url, token: person.token });
      await assert.rejects(
        pretender.exec("shop", ["true"]),
        (error: { code?: string }) => error.code === "OPERATION_NOT_GRANTED",
      );
      const closed = await lab.up("--new", repo, "--profile", "people-only");
      assert.notEqual(await refusedGrant({ machine: closed, operations: ["terminal.agent-exec"] }), "minted");
      assert.equal((await lab.run(["exec", closed, "--", "true"])).code, 0, "people may");
      await lab.run(["rm", closed, "--force"]);
      for (const subject of ["agent:other:1", "ci:build"])
        assert.equal(await refusedGrant({ subject, operations: ["terminal.agent-exec"] }), "GRANT_TOO_WIDE");
    },
  );

  it(
    "7: every launch has a fingerprint and a record that verifies, and a killed one leaves no machine without",
    { timeout: 600_000 },
    async () => {
      interface Up {
        readonly name: string;
        readonly fingerprint: string;
        readonly evidence: number;
      }
      const up = await lab.json<Up>(["up", "--new", repo]);
      await lab.run(["stop", up.name]);
      await lab.run(["start", up.name]);
      assert.equal((await lab.run(["run", repo, "--", "true"])).code, 0);
      const [run, start, first] = await statements("launch", 3);
      assert.deepEqual(
        [run, start, first].map((each) => each?.["trigger"]),
        ["run", "start", "up"],
      );
      assert.equal((first?.["fingerprint"] as { digest: string }).digest, up.fingerprint);
      assert.equal(
        (start?.["fingerprint"] as { digest: string }).digest,
        up.fingerprint,
        "it is what it was",
      );
      assert.equal((await lab.machine(up.name)).fingerprint, up.fingerprint);
      const key = join(lab.root, "trusted.vkey");
      writeFileSync(key, readFileSync(join(lab.evidence, "log", "key.vkey")));
      const verified = await lab.run(["evidence", "verify", "--key", key]);
      assert.equal(verified.code, 0, verified.stdout);

      for (const ms of [150, 450, 750]) {
        const child = spawnDoorward(["up", "--new", repo], lab.env);
        const ended = once(child, "close");
        await delay(ms);
        process.kill(await lab.bridgePid(), "SIGKILL");
        await ended;
        await lab.run(["ls"]);
        await using adopting = lab.client();
        await adopting.call("bridge.ready", {});
        const launches = (await statements("launch", 50)).map(
          ({ machine }) => (machine as { id: string }).id,
        );
        for (const machine of await lab.machines()) assert.ok(launches.includes(machine.id), machine.name);
        const running = (await lab.machines()).filter(({ state }) => state === "running");
        assert.equal((await lab.containers()).length, running.length);
      }
      assert.equal((await lab.run(["evidence", "verify", "--key", key])).code, 0);
    },
  );
});

describe("without evidence", { skip: needsRoot }, () => {
  let lab: Lab;

  before(async () => {
    lab = await openLab();
    smallEvidenceDisk(lab);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  it("5 and 7: nobody attaches and no machine starts", { timeout: 600_000 }, async () => {
    const repo = lab.repo("shop");
    const kept = await lab.up(repo, "--name", "kept");
    assert.equal(await fillEvidence(lab, kept), "EVIDENCE_UNWRITABLE");
    await using client = lab.client();
    let bytes = 0;
    const attached = client.attachTerminal(kept, {
      data: (chunk) => void (bytes += chunk.length),
      reconnectMs: 0,
    });
    await assert.rejects(attached, (error: { code?: string }) => error.code === "EVIDENCE_UNWRITABLE");
    const up = await lab.run(["up", repo, "--new", "--json"]);
    assert.equal(up.code, 5, up.stderr);
    assert.equal(bytes, 0);
    assert.equal((await lab.containers()).length, 1);
  });
});
