import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { grantEvidence, type Appender } from "../src/daemon/grant-evidence.ts";
import { openEvidence } from "../src/evidence/index.ts";
import { systemClock } from "../src/grants/clock.ts";
import { newEntry } from "../src/grants/issue.ts";
import type { GrantEvent, GrantEvidence } from "../src/grants/index.ts";
import { InFlight, recordLost } from "../src/in-flight/index.ts";
import { ORIGIN, silent, temporary } from "../../../test/evidence/support.ts";

const POLICY = `sha256:${"0".repeat(64)}`;
const OPERATOR = "operator:ada";
const FAILED = { append: () => Promise.reject(new Error("disk full")) };

function connection(): GrantEvent {
  const machine = { id: "m_aaaaaaaaaa", name: "demo" };
  const scope = {
    doors: ["terminal"],
    operations: ["terminal.exec"],
    paths: [],
    capabilities: [],
    tools: null,
  } as const;
  const made = { subject: OPERATOR, by: OPERATOR, scope, seconds: 60, policyHash: POLICY };
  const granted = { ...machine, repoHostPaths: [], doors: scope.doors, profile: "default" };
  const issue = { ...made, machine: granted, implicit: true, parent: undefined };
  return { grant: newEntry(issue, systemClock()).grant, machine, by: OPERATOR };
}

const minted = (event: GrantEvent) => ({ ...event, implicit: true, rule: "grant.implicit" });
const revoked = (event: GrantEvent) => ({
  ...event,
  by: null,
  reason: "its connection was closed",
  cause: "connection-end" as const,
  sessionsCut: 1,
});

/** Bridges one after the other on one folder: each finds what the one before left. */
async function bridges() {
  const folder = await temporary();
  return {
    async run(work: (evidence: Awaited<ReturnType<typeof open>>) => Promise<void>): Promise<void> {
      await using bridge = await open(folder.path);
      await work(bridge);
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function open(dir: string) {
  const inFlight = new InFlight(join(dir, "in-flight"), silent);
  const log = await openEvidence({
    dir,
    origin: ORIGIN,
    log: silent,
    placing: inFlight.placing.bind(inFlight),
  });
  const lost = await recordLost({ inFlight, evidence: log, log: silent });
  return {
    lost,
    log: { append: log.append.bind(log) },
    inFlight,
    grants: (appender: Appender = log): GrantEvidence => grantEvidence(appender, inFlight),
    /** Types and reasons of all records. */
    async story(): Promise<string[]> {
      const told: string[] = [];
      for (let index = 0; index < log.size; index += 1) {
        const { type, statement } = await log.read(index);
        const { predicate } = statement;
        told.push("reason" in predicate ? `${type}: ${predicate.reason}` : type);
      }
      return told;
    },
    // A bridge that is killed ends nothing in order: what is under way stays noted.
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}

test("the grant of a connection whose bridge is lost has its end recorded by the next one, once", async () => {
  await using home = await bridges();
  await home.run((bridge) => bridge.grants().minted(minted(connection())));
  await home.run(async (bridge) => {
    assert.equal(bridge.lost, 1);
    assert.deepEqual(await bridge.story(), [
      "grant-minted",
      "grant-revoked: its connection ended with the bridge",
    ]);
  });
  await home.run((bridge) => {
    assert.equal(bridge.lost, 0);
    return Promise.resolve();
  });
});

test("one that ended with its connection has one end, also where that came before its minting was durable", async () => {
  await using home = await bridges();
  await home.run(async (bridge) => {
    const [grants, event] = [bridge.grants(), connection()];
    await Promise.all([grants.minted(minted(event)), grants.revoked(revoked(event))]);
    assert.equal(bridge.inFlight.left.length, 0);
  });
  await home.run(async (bridge) => {
    assert.equal(bridge.lost, 0);
    assert.deepEqual(await bridge.story(), ["grant-minted", "grant-revoked: its connection was closed"]);
  });
});

test("one whose time was over has no second end", async () => {
  await using home = await bridges();
  await home.run(async (bridge) => {
    const [grants, event] = [bridge.grants(), connection()];
    await grants.minted(minted(event));
    await grants.expired({ ...event, by: null, sessionsCut: 0 });
  });
  await home.run(async (bridge) => {
    assert.equal(bridge.lost, 0);
    assert.deepEqual(await bridge.story(), ["grant-minted", "grant-expired"]);
  });
});

test("one whose minting could not be recorded leaves no note and no record", async () => {
  await using home = await bridges();
  await home.run(async (bridge) => {
    await assert.rejects(bridge.grants(FAILED).minted(minted(connection())), /disk full/);
    assert.equal(bridge.inFlight.left.length, 0);
  });
  await home.run(async (bridge) => {
    assert.equal(bridge.lost, 0);
    assert.deepEqual(await bridge.story(), []);
  });
});

test("one whose minting could not be recorded has no end either, before it failed and after", async () => {
  await using home = await bridges();
  await home.run(async (bridge) => {
    const event = connection();
    let refuse = (): void => undefined;
    const refused = new Promise<never>((_, reject) => (refuse = () => reject(new Error("disk full"))));
    const failing: Appender = {
      append: (input, note) => (input.type === "grant-minted" ? refused : bridge.log.append(input, note)),
    };
    for (const early of [true, false]) {
      const grants = bridge.grants(failing);
      const minting = assert.rejects(grants.minted(minted(event)), /disk full/);
      const ending = early ? grants.revoked(revoked(event)) : undefined;
      refuse();
      await minting;
      await (ending ?? grants.revoked(revoked(event)));
    }
    assert.equal(bridge.inFlight.left.length, 0);
    assert.deepEqual(await bridge.story(), []);
  });
});

test("one whose end could not be noted has no record at all", async () => {
  await using home = await bridges();
  await home.run(async (bridge) => {
    const event = connection();
    const notes = {
      begin: () => assert.fail("no room for a note"),
      ended: () => assert.fail("nothing was noted"),
      forget: () => assert.fail("nothing was noted"),
    };
    const grants = grantEvidence(bridge.log, notes);
    await assert.rejects(grants.minted(minted(event)), /no room for a note/);
    await grants.revoked(revoked(event));
    assert.deepEqual(await bridge.story(), []);
  });
});

test("one whose end could not be recorded has it recorded by the next bridge", async () => {
  await using home = await bridges();
  await home.run(async (bridge) => {
    const event = connection();
    let failing = false;
    const grants = bridge.grants({
      append: (input, note) => (failing ? FAILED.append() : bridge.log.append(input, note)),
    });
    await grants.minted(minted(event));
    failing = true;
    await assert.rejects(grants.revoked(revoked(event)), /disk full/);
  });
  await home.run(async (bridge) => {
    assert.deepEqual(await bridge.story(), [
      "grant-minted",
      "grant-revoked: its connection ended with the bridge",
    ]);
  });
});

test("a grant that the store keeps is not noted", async () => {
  await using home = await bridges();
  await home.run(async (bridge) => {
    await bridge.grants().minted({ ...connection(), implicit: false, rule: "policy.grants[0]" });
    assert.equal(bridge.inFlight.left.length, 0);
  });
});
