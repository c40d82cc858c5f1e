import assert from "node:assert/strict";
import { chmodSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { connect } from "@doorward/client";
import { AgentClient } from "../support/agent-client.ts";
import { openLab, type Lab } from "../support/lab.ts";

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

/** What is in every secret, and must be in no machine. */
export const CANARY = "canary-7f3a9c";
/** Files below a home folder whose content must never be seen in a machine. */
export const SECRETS = [
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
/** Files of browser profiles below it. */
export const BROWSERS = [
  ".mozilla/firefox/p.default/cookies.sqlite",
  ".config/google-chrome/Default/Cookies",
  ".config/chromium/Default/Cookies",
  ".config/BraveSoftware/Brave-Browser/Default/Cookies",
  ".config/microsoft-edge/Default/Cookies",
  "snap/firefox/common/.mozilla/firefox/p/cookies.sqlite",
  ".var/app/org.mozilla.firefox/.mozilla/firefox/p/cookies.sqlite",
];
/** What the environment of the bridge holds besides. */
export const VARIABLES = {
  SSH_AUTH_SOCK: `/tmp/${CANARY}.sock`,
  AWS_SECRET_ACCESS_KEY: `${CANARY}-aws`,
  GITHUB_TOKEN: `${CANARY}-github`,
  ANTHROPIC_API_KEY: `${CANARY}-api`,
};

interface Statement {
  readonly predicateType: string;
  readonly predicate: Readonly<Record<string, unknown>>;
}

/** A bridge of an operator with secrets at home and in the environment, and a machine `shop` on a repo of his. */
export class InvariantsLab implements AsyncDisposable {
  readonly lab: Lab;
  readonly home: string;
  readonly repo: string;

  constructor(lab: Lab, repo: string) {
    this.lab = lab;
    this.home = join(lab.root, "user");
    this.repo = repo;
  }

  /** Asks for a machine in every way that mounts a path; each must be refused by policy. */
  async refused(path: string, about = path): Promise<void> {
    await using client = this.lab.client();
    for (const repos of [[{ path }], [{ path: this.repo }, { path, access: "ro" as const }]]) {
      const launched = client.call("machines.up", { body: { repos, fresh: true } });
      await assert.rejects(
        launched,
        (error: { code?: string }) =>
          /^PATH_|^HARDLINK_OUTSIDE$|^REPO_|^INPUT_INVALID$/.test(error.code ?? ""),
        about,
      );
    }
  }

  /** Names of all machines. */
  async names(): Promise<string[]> {
    return (await this.lab.machines()).map(({ name }) => name);
  }

  /** What the newest records of a type say, newest first. */
  async statements(type: string, limit = 20): Promise<Statement["predicate"][]> {
    await using client = this.lab.client();
    const { records } = await client.call("evidence.list", { query: { type, limit } });
    const shown = records.map(({ index }) => client.call("evidence.show", { params: { index } }));
    return (await Promise.all(shown)).map(({ statement }) => (statement as unknown as Statement).predicate);
  }

  /** The code that a document in the folder of interfaces is refused with; the bridge does not start with it. */
  async refusedDocument(example: string): Promise<string> {
    const folder = join(this.lab.home, "config", "interfaces");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, "given.json");
    cpSync(new URL(`../../packages/contracts/examples/${example}.json`, import.meta.url), path);
    chmodSync(path, 0o600);
    try {
      await this.lab.stopBridge();
      const ran = await this.lab.run(["ls", "--json"]);
      assert.notEqual(ran.code, 0, example);
      return (JSON.parse(ran.stderr.trim().split("\n").at(-1) ?? "{}") as { code: string }).code;
    } finally {
      rmSync(folder, { recursive: true });
      assert.equal((await this.lab.run(["ls"], { env: VARIABLES })).code, 0);
    }
  }

  /** The code that minting is refused with, by the API and whatever the client library would say. */
  async refusedGrant(body: Readonly<Record<string, unknown>>): Promise<string> {
    await using client = this.lab.client();
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
  async agentTools(body: object): Promise<AsyncDisposable & { agent: AgentClient; grant: string }> {
    await using operator = this.lab.client();
    const ask = { machine: "shop", subject: "agent:codex:1", for: "1h", ...body };
    const { grant, token } = await operator.call("grants.create", { body: ask as never });
    const client = connect({ url: `http://127.0.0.1:${await this.lab.tcpPort()}`, token });
    const agent = await AgentClient.open(client, "shop");
    const leave = async (): Promise<void> => {
      await agent[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
    };
    return { agent, grant: grant.grantId, [Symbol.asyncDispose]: leave };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

/** Opens it, with the machine running. */
export async function openInvariantsLab(): Promise<InvariantsLab> {
  const lab = await openLab({ policy: POLICY });
  for (const path of [...SECRETS, ...BROWSERS].map((each) => join(lab.root, "user", each))) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${CANARY} ${path}\n`, { mode: 0o600 });
  }
  const repo = lab.repo("shop", {
    "app.js": "1\n",
    "lib/a.js": "1\n",
    ".env": `KEY=${CANARY}\n`,
    ".vscode/tasks.json": "{}\n",
  });
  // The bridge that starts now has the operator's tokens in its environment.
  const up = await lab.run(["up", repo, "--hide", ".env"], { env: VARIABLES });
  assert.equal(up.code, 0, up.stderr);
  return new InvariantsLab(lab, repo);
}
