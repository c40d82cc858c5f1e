import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { DoorwardError, type EvidenceInput } from "@doorward/contracts";
import { pino } from "pino";
import { DenialCounter } from "../src/daemon/denial-counter.ts";
import { Settings } from "../src/daemon/settings.ts";
import { Slot } from "../src/daemon/slot.ts";
import { freeRange, RANGE_SIZE, rangeStart } from "../src/machines/life/id-ranges.ts";
import { KeyedLock } from "../src/machines/life/keyed-lock.ts";
import { beginLease, extendLease, secondsLeft, type Clocks } from "../src/machines/life/lease.ts";
import { Store } from "../src/store/index.ts";

describe("a slot", () => {
  it("shares one try, tries again after a failure, and says why it failed", async () => {
    let tries = 0;
    const slot = new Slot(async () => {
      tries += 1;
      await delay(1);
      if (tries === 1) throw new DoorwardError({ code: "PODMAN_MISSING", message: "not there" });
      return { [Symbol.asyncDispose]: () => Promise.resolve() };
    });
    const first = await Promise.allSettled([slot.get(), slot.get()]);
    assert.deepEqual([tries, first.map(({ status }) => status)], [1, ["rejected", "rejected"]]);
    assert.equal(slot.problem?.code, "PODMAN_MISSING");
    assert.equal(slot.value, undefined);
    assert.equal(await slot.get(), slot.value);
    assert.equal(slot.problem, undefined);
  });

  it("closes what it opened, once, and closing an empty one is harmless", async () => {
    let closed = 0;
    const slot = new Slot(() =>
      Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve(void (closed += 1)) }),
    );
    await slot[Symbol.asyncDispose]();
    assert.equal(closed, 0);
    await slot.get();
    await slot[Symbol.asyncDispose]();
    assert.equal(closed, 1);
  });
});

describe("refusals without a record of their own", () => {
  function counting() {
    const records: EvidenceInput[] = [];
    const log = { append: (input: EvidenceInput) => Promise.resolve({ index: records.push(input) }) };
    const counter = new DenialCounter(
      log,
      () => `sha256:${"0".repeat(64)}`,
      (error) => assert.fail(String(error)),
    );
    return { counter, records };
  }

  it("are recorded as counts, by code, door and known caller, and only when there were any", async () => {
    const { counter, records } = counting();
    await counter.flush();
    assert.equal(records.length, 0);
    for (let at = 0; at < 1000; at += 1)
      counter.count({ code: "TOKEN_INVALID", door: at % 2 === 0 ? "terminal" : null, subject: null });
    counter.count({ code: "TOKEN_MISSING", door: null, subject: null });
    counter.count({ code: "OPERATION_NOT_GRANTED", door: "terminal", subject: "agent:codex:1" });
    await counter[Symbol.asyncDispose]();
    const [record] = records;
    assert.ok(record?.type === "denials");
    assert.equal(record.total, 1002);
    assert.deepEqual(
      record.counts.map(
        ({ code, door, subject, count }) => `${code} ${door ?? "-"} ${subject ?? "nobody"} ${count}`,
      ),
      [
        "OPERATION_NOT_GRANTED terminal agent:codex:1 1",
        "TOKEN_INVALID terminal nobody 500",
        "TOKEN_INVALID - nobody 500",
        "TOKEN_MISSING - nobody 1",
      ],
    );
  });

  it("keep their callers when a minute has more kinds than a record names, in ten records at most", async () => {
    const { counter, records } = counting();
    const refuse = (subjects: number): void => {
      for (let at = 0; at < subjects; at += 1)
        for (const door of ["terminal", null] as const)
          counter.count({ code: "OPERATION_NOT_GRANTED", door, subject: `agent:codex:${at}` });
      counter.count({ code: "TOKEN_INVALID", door: null, subject: null });
    };
    refuse(120);
    await counter.flush();
    const totals = records.map((record) => (record.type === "denials" ? record.total : 0));
    assert.deepEqual(totals, [100, 100, 41]);
    const named = records.flatMap((record) => (record.type === "denials" ? record.counts : []));
    assert.equal(new Set(named.map(({ subject }) => subject)).size, 121);
    records.length = 0;
    refuse(600);
    await counter[Symbol.asyncDispose]();
    assert.equal(records.length, 10);
    const [first, last] = [records.at(0), records.at(-1)];
    assert.ok(first?.type === "denials" && last?.type === "denials");
    assert.equal(first.total, 100);
    assert.equal(last.counts.length, 100);
    assert.equal(last.total, 301);
  });
});

describe("what the bridge remembers of itself", () => {
  it("is how the last run ended, and the port that it chose first", async () => {
    const dir = mkdtempSync(join(tmpdir(), "dw-settings-"));
    const log = pino({ level: "silent" });
    const ends: string[] = [];
    const ports: number[] = [];
    try {
      for (const clean of [true, false, true]) {
        const store = Store.open({ dir, log });
        const settings = new Settings(store);
        ends.push(settings.began());
        ports.push(await settings.port(undefined));
        if (clean) settings.ended();
        store[Symbol.dispose]();
      }
      const store = Store.open({ dir, log });
      ends.push(new Settings(store).began());
      const squatter = createServer().listen(ports[0], "127.0.0.1");
      await new Promise((resolve) => squatter.once("listening", resolve).once("error", resolve));
      assert.equal(await new Settings(store).port(undefined), ports[0], "kept even while it is taken");
      const { port = 7612 } = (squatter.address() as AddressInfo | null) ?? {};
      assert.equal(await new Settings(store).port(port), port, "the policy's goes first");
      squatter.close();
      store[Symbol.dispose]();
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
    assert.deepEqual(ends, ["none", "clean", "crashed", "clean"]);
    assert.equal(new Set(ports).size, 1);
  });
});

describe("a lock by key", () => {
  it("runs one key in order and other keys beside it, and a failure blocks nobody", async () => {
    const lock = new KeyedLock();
    const order: string[] = [];
    const work = (name: string, until: Promise<void>) => async () => {
      order.push(`${name} begins`);
      await until;
      order.push(`${name} ends`);
      if (name === "a1") throw new Error("failed");
    };
    let bEnded: () => void = () => undefined;
    const untilB = new Promise<void>((resolve) => (bEnded = resolve));
    const all = [
      lock.run("a", work("a1", untilB)),
      lock.run("a", work("a2", delay(1))),
      lock.run("b", work("b", delay(1))).finally(() => bEnded()),
    ];
    assert.ok(lock.isHeld("a"));
    await Promise.allSettled(all);
    assert.deepEqual(order.indexOf("a2 begins") > order.indexOf("a1 ends"), true);
    assert.ok(order.indexOf("b ends") < order.indexOf("a1 ends"));
    assert.ok(!lock.isHeld("a") && !lock.isHeld("b"));
  });
});

describe("a lease", () => {
  const clocks = (wall: number, uptime: number, boot = "b1"): Clocks => ({
    wall: () => wall,
    uptime: () => uptime,
    bootId: () => boot,
  });

  it("ends by whichever clock is ahead, and with its boot", () => {
    const lease = beginLease(100, clocks(1_000_000, 50));
    assert.equal(secondsLeft(lease, clocks(1_000_000, 50)), 100);
    assert.equal(secondsLeft(lease, clocks(0, 120)), 30, "a wall clock that was set back gives no time");
    assert.equal(secondsLeft(lease, clocks(1_090_000, 50)), 10, "one that was set forward takes it");
    assert.ok(secondsLeft(lease, clocks(1_100_000, 150)) <= 0);
    assert.equal(secondsLeft(lease, clocks(1_000_000, 50, "b2")), 0);
    assert.equal(secondsLeft(extendLease(lease, 60), clocks(1_000_000, 50)), 160);
  });
});

describe("ranges of ids", () => {
  it("never overlap, and the lowest free one is taken", () => {
    assert.equal(freeRange([]), 0);
    assert.equal(freeRange([0, 1, 3]), 2);
    assert.ok(rangeStart(1) - rangeStart(0) >= RANGE_SIZE);
    assert.ok(rangeStart(4095) + RANGE_SIZE < 2 ** 32 - 1, "the kernel's highest id is never used");
    assert.throws(
      () => freeRange(Array.from({ length: 4096 }, (_, index) => index)),
      (error: DoorwardError) => error.code === "MACHINE_LIMIT",
    );
  });
});
