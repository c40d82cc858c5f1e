import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { ProcessScope } from "@doorward/contracts";
import {
  ACTION_CODES,
  HostActionResponse as Response,
  ScopeViolationReason as Reasons,
} from "@doorward/contracts";
import { actionPlaceProblems } from "../../packages/bridge/src/policy/action-places.ts";
import { FlowLab } from "../../packages/bridge/test/actions-flow-lab.ts";
import { CODES, REASONS } from "./action-differential-codes.ts";
import { HOLES } from "./action-differential-holes.ts";
import { exec, type Failure, type Row } from "./action-differential-requests.ts";

/** A binary of the system that may not be executed: a library of this process. */
function library(): string {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  return sharedObjects.find((path) => path.startsWith("/") && (statSync(path).mode & 0o111) === 0) ?? "/none";
}

/** Scopes with one program each, whose starting fails in one way each. */
function oddScopes(lab: FlowLab): ProcessScope[] {
  const programs = {
    gone: null,
    locked: `#!${library()}\n`,
    lost: "#!/usr/bin/env doorward-no-such-interpreter\n",
    noise: "not a program\n",
  };
  return Object.entries(programs).map(([id, text]) => {
    const path = join(lab.base, "bin", id);
    if (text !== null) writeFileSync(path, text, { mode: 0o755 });
    const commands = [{ words: [], effect: "write" as const }];
    return {
      id,
      executables: [{ path, owner: "user" }],
      cwdRoots: [lab.work],
      commands,
      timeoutSeconds: 120,
    };
  });
}

/** The tool of the lab with more commands, and with keys in its list that no policy can open. */
function toolScope(lab: FlowLab): ProcessScope[] {
  const see = {
    words: ["see"],
    effect: "read" as const,
    operands: { min: 1, max: 1, value: { kind: "path" as const } },
  };
  const words = ["flood", "daemon"].map((word) => ({ words: [word], effect: "write" as const }));
  const keys = ["PATH", "LD_PRELOAD", "GIT_SSH_COMMAND", "GIT_ASKPASS", "DOCKER_HOST", "BASH_ENV"];
  return (lab.policy.actions?.processes ?? []).map((scope) => ({
    ...scope,
    commands: [...scope.commands, see, ...words],
    pathRoots: [lab.work],
    environment: { request: keys },
    maxOutputBytes: 4096,
  }));
}

const TOOL = `#!/bin/sh
case "$1" in
  say) echo "said $2"; exit 0 ;;
  fail) echo "failed $2" >&2; exit 3 ;;
  touch) : > "$PWD/$2"; exit 0 ;;
  sleep) sleep 600; exit 0 ;;
  flood) head -c 20000000 /dev/zero; exit 0 ;;
  daemon) (setsid sh -c 'echo $$ > "$0/daemon.pid"; sleep 600; : > "$0/outlived"' "$PWD" >/dev/null 2>&1 &)
    until [ -s "$PWD/daemon.pid" ]; do sleep 0.05; done; exit 0 ;;
esac
`;

function alive(pid: string): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
}

// The reference host's codes and reasons, each reproduced by the whole flow, and what it let through, each refused.
describe("beside the reference host", { timeout: 600_000 }, () => {
  let lab: FlowLab;

  before(async () => {
    lab = await FlowLab.open(undefined, { clipboardTools: ["/usr/bin"] });
    writeFileSync(lab.program, TOOL, { mode: 0o755 });
    mkdirSync(join(lab.base, "home"), { recursive: true });
    for (const folder of [lab.files, lab.work]) symlinkSync("/etc", join(folder, "link"));
    const actions = {
      ...lab.policy.actions,
      processes: [...toolScope(lab), ...oddScopes(lab)],
      presets: [{ preset: "podman" }, { preset: "git" }] as const,
      clipboard: { read: true, write: true },
    };
    lab.policy = { ...lab.policy, actions: { ...actions, presets: [...actions.presets] } };
  });
  after(async () => await lab[Symbol.asyncDispose]());

  const ask = async ({ request, answer, capabilities, code }: Row): Promise<Failure> => {
    const asker = capabilities === undefined ? lab.operator() : lab.asker(...capabilities);
    const asked: string[] = [];
    const response = await lab.perform(request(lab), answer ?? "approve", asker, ({ kind }) =>
      asked.push(kind),
    );
    assert.ok(Response.safeParse(JSON.parse(JSON.stringify(response))).success);
    assert.ok(!response.ok, JSON.stringify(response));
    if (["VALIDATION_FAILED", "CAPABILITY_DENIED", "SCOPE_DENIED", "SCOPE_VIOLATION"].includes(code))
      assert.deepEqual(asked, [], "what is refused is never put to a person");
    return response;
  };

  for (const [title, rows] of [
    ["codes", CODES],
    ["reasons", REASONS],
    ["holes that are closed", HOLES],
  ] as const) {
    describe(title, () => {
      for (const row of rows) {
        it(
          `${row.name}: ${row.code}${row.reason === undefined ? "" : ` (${row.reason})`}`,
          { skip: row.skip ?? false },
          async () => {
            const failure = await ask(row);
            assert.equal(failure.code, row.code, failure.error);
            const violation = failure.details?.["scopeViolation"] as { reason: string } | undefined;
            if (row.reason !== undefined) assert.equal(violation?.reason, row.reason, failure.error);
            if (row.code === "SCOPE_VIOLATION") assert.ok(Reasons.safeParse(violation?.reason).success);
            row.check?.(failure, lab);
          },
        );
      }
    });
  }

  describe("and", () => {
    it("CLIPBOARD_UNSUPPORTED is what a host without a session answers", async () => {
      await using bare = await FlowLab.open();
      const response = await bare.perform({ action: "system.clipboard.read", payload: {} });
      assert.equal(!response.ok && response.code, "CLIPBOARD_UNSUPPORTED");
    });

    it("HOST_ACTION_FAILED is the 21st action of one asker at once", async () => {
      const waiting = new AbortController();
      const request = exec(lab, { args: ["say"] });
      const begun = Array.from({ length: 20 }, () =>
        lab.actions.perform(lab.operator(), request, waiting.signal),
      );
      await until(() => lab.approvals.list().length === 20);
      const response = await lab.perform(request);
      waiting.abort();
      await Promise.all(begun);
      assert.equal(!response.ok && response.code, "HOST_ACTION_FAILED");
    });

    it("a time of half a millisecond ends the program", async () => {
      const response = await lab.perform(exec(lab, { args: ["sleep"], timeoutMs: 0.5 }));
      assert.equal(!response.ok && response.code, "TIMEOUT");
    });

    it("a grandchild in a session of its own is dead when the action ends (weak spot 5)", async () => {
      const response = await lab.perform(exec(lab, { args: ["daemon"] }));
      assert.ok(response.ok, JSON.stringify(response));
      assert.match(readFileSync(join(lab.work, "daemon.pid"), "utf8"), /^\d+\n$/);
      await until(() => processesWith(lab.work) === 0);
      assert.equal(existsSync(join(lab.work, "outlived")), false);
    });

    it("20 MB of output are cut at the scope's limit, and says so (weak spot 5)", async () => {
      const response = await lab.perform(exec(lab, { args: ["flood"] }));
      assert.ok(response.ok, JSON.stringify(response).slice(0, 300));
      const { stdout, truncated } = response.result as { stdout: string; truncated: boolean };
      assert.deepEqual([stdout.length, truncated], [4096, true]);
    });

    it("a file scope of all of /etc is refused when the policy is loaded (weak spot 6)", () => {
      const scope = { id: "etc-hosts", roots: ["/etc"], operations: ["writeFile" as const] };
      const host = {
        ...{ platform: "linux" as const, home: join(lab.base, "home"), otherHomes: [], ownFolders: [] },
        ...{ engineSockets: [], caseInsensitive: false },
      };
      const problems = actionPlaceProblems({ version: 1, roots: [], actions: { files: [scope] } }, host);
      assert.equal(problems.length, 1, JSON.stringify(problems));
    });

    it("every code of the contract has a row, but those that only a running step or another host can give", () => {
      const elsewhere = [
        ...["CLIPBOARD_UNSUPPORTED", "HOST_ACTION_FAILED"],
        // A cancelled workflow, see actions-confirmation; a host without a part.
        ...["STEP_CANCELLED", "ACTION_NOT_SUPPORTED"],
      ];
      const seen = new Set<string>([...CODES, ...REASONS, ...HOLES].map(({ code }) => code));
      assert.deepEqual(ACTION_CODES.filter((code) => !seen.has(code)).sort(), elsewhere.sort());
      const reasons = new Set([...CODES, ...REASONS, ...HOLES].map(({ reason }) => reason));
      assert.deepEqual(
        Reasons.options.filter((reason) => !reasons.has(reason)),
        [],
      );
    });

    it("nothing of all this was left on the host", () => {
      assert.deepEqual(readdirSync(lab.files), ["link"]);
      assert.deepEqual(lab.approvals.list(), []);
      assert.equal(lab.read(lab.hostsPath), "127.0.0.1 localhost\n");
    });
  });
});

function processesWith(text: string): number {
  const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return ids.filter((id) => {
    try {
      return alive(id) && readFileSync(`/proc/${id}/cmdline`, "utf8").includes(text);
    } catch {
      return false;
    }
  }).length;
}

async function until(holds: () => boolean): Promise<void> {
  for (let round = 0; round < 4800; round += 1) {
    if (holds()) return;
    await delay(25);
  }
  assert.fail("never");
}
