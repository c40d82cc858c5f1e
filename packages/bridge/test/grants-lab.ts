import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { DenialError, DoorwardError, type ErrorCode } from "@doorward/contracts";
import { pino } from "pino";
import {
  GrantAuthority,
  type Clock,
  type GrantEvidence,
  type GrantMachine,
  type GrantPolicy,
} from "../src/grants/index.ts";
import { Store } from "../src/store/index.ts";

export const OPERATOR = "operator:ada";
export const AGENT = "agent:codex:s1";
export const SILENT = pino({ level: "silent" });

export const MACHINE: GrantMachine = {
  id: "m_0123456789ab",
  name: "demo",
  repoHostPaths: ["/srv/repos/app", "/srv/repos/lib"],
  doors: ["terminal"],
  profile: "default",
};

/** Clocks that a test moves by hand. */
export class HandClock implements Clock {
  wallMs = Date.parse("2026-11-21T10:00:00Z");
  monotonicMs = 1_000_000;
  epoch = "boot-1";
  wall(): number {
    return this.wallMs;
  }
  monotonic(): number {
    return this.monotonicMs;
  }
  pass(ms: number): void {
    this.wallMs += ms;
    this.monotonicMs += ms;
  }
}

/** An in-memory record of what was appended; can be told to fail or to wait. */
export class Ledgered implements GrantEvidence {
  readonly records: [string, Record<string, unknown>][] = [];
  failing = false;
  gate: Promise<void> | undefined;

  minted = (event: object): Promise<void> => this.#append("minted", event);
  narrowed = (event: object): Promise<void> => this.#append("narrowed", event);
  renewed = (event: object): Promise<void> => this.#append("renewed", event);
  revoked = (event: object): Promise<void> => this.#append("revoked", event);
  expired = (event: object): Promise<void> => this.#append("expired", event);

  of(kind: string): Record<string, unknown>[] {
    return this.records.filter(([name]) => name === kind).map(([, event]) => event);
  }

  async #append(kind: string, event: object): Promise<void> {
    await this.gate;
    if (this.failing) throw new Error("disk full");
    this.records.push([kind, structuredClone(event) as Record<string, unknown>]);
  }
}

export function allowing(
  hash = "a",
  refuse: (ask: { subject: string; seconds: number }) => boolean = () => false,
): GrantPolicy {
  return {
    hash: `sha256:${hash.repeat(64)}`,
    decideGrant(ask) {
      if (!refuse(ask)) return { rule: "policy.grants[0]" };
      const message = `Cannot grant to "${ask.subject}": no rule of the policy covers it`;
      throw new DenialError({
        code: "POLICY_DENIED",
        rule: "policy.grants",
        message,
        hint: "doorward policy show",
      });
    },
  };
}

/** A grant authority on a real store in a temp folder. */
export class Lab {
  readonly dir = mkdtempSync(join(tmpdir(), "doorward-grants-"));
  readonly clock = new HandClock();
  readonly evidence = new Ledgered();
  store = Store.open({ dir: this.dir, log: SILENT });
  grants = this.#open(allowing());

  constructor(test: TestContext) {
    test.after(() => this.close());
  }

  #open(policy: GrantPolicy): GrantAuthority {
    const { store, clock, evidence } = this;
    return GrantAuthority.open({ store, clock, evidence, policy, machineName: () => "demo", log: SILENT });
  }

  async mint(seconds = 3600, subject = AGENT): Promise<{ id: string; token: string }> {
    const operations = ["terminal.attach", "terminal.observe", "terminal.exec"] as const;
    const minted = await this.grants.mint({ machine: MACHINE, subject, operations, seconds }, OPERATOR);
    return { id: minted.grant.grantId, token: minted.token };
  }

  /** Ends the bridge in good order and starts it again. */
  async restart(policy = allowing()): Promise<void> {
    await this.grants[Symbol.asyncDispose]();
    this.store.close();
    this.store = Store.open({ dir: this.dir, log: SILENT });
    this.grants = this.#open(policy);
  }

  async close(): Promise<void> {
    try {
      await this.grants[Symbol.asyncDispose]();
    } finally {
      this.store.close();
      rmSync(this.dir, { recursive: true, force: true });
    }
  }
}

/** A matcher for `assert.throws` and `assert.rejects`. */
export function withCode(code: ErrorCode, text?: RegExp): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof DoorwardError)) throw error;
    if (error.code !== code) throw new Error(`expected ${code}, got ${error.code}: ${error.message}`);
    if (text !== undefined && !text.test(error.message))
      throw new Error(`"${error.message}" does not match ${text}`);
    return true;
  };
}
