import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { DenialError, DoorwardError, type EvidenceInput } from "@doorward/contracts";
import { pino } from "pino";
import { InFlight, recordLost, type InFlightLimits, type LostRecord } from "../src/in-flight/index.ts";
import { decodeNotes, encodeLine } from "../src/in-flight/notes.ts";
import { common, openLog, silent, temporary } from "../../../test/evidence/support.ts";

const sha = `sha256:${"a".repeat(64)}`;

/** A command that is told from others by its program. */
function lost(program: string): Extract<LostRecord, { readonly type: "command" }> {
  return {
    type: "command",
    ...common,
    session: "s_aaaaaaaaaa",
    execution: "agent",
    program,
    argvDigest: sha,
    argumentCount: 2,
    cwd: null,
    outcome: "bridge-lost",
    exitCode: null,
    signal: null,
    durationMs: 0,
    stdoutBytes: 0,
    stderrBytes: 0,
    detail: null,
    beganAt: "2026-11-21T10:00:00.000Z",
  };
}

interface Place extends AsyncDisposable {
  readonly dir: string;
  readonly path: string;
  open(limits?: InFlightLimits): InFlight;
  /** What a bridge that starts here finds under way. */
  left(): string[];
}

async function place(): Promise<Place> {
  const folder = await temporary();
  const path = join(folder.path, "in-flight");
  return {
    dir: folder.path,
    path,
    open: (limits) => new InFlight(path, silent, limits),
    left: () => {
      using next = new InFlight(path, silent);
      return programs(next);
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

function programs(inFlight: InFlight): string[] {
  return inFlight.left.map(({ record }) => (record.type === "command" ? record.program : record.type));
}

test("what was begun and not ended is left, in a file that only the operator reads", async () => {
  await using at = await place();
  const killed = at.open();
  killed.begin(lost("one"));
  killed.forget(killed.begin(lost("two")));
  killed.begin(lost("three"));
  assert.deepEqual(at.left(), ["one", "three"]);
  assert.equal(statSync(at.path).mode & 0o777, 0o600);
});

test("a file that others could read is closed to them", async () => {
  await using at = await place();
  writeFileSync(at.path, "");
  chmodSync(at.path, 0o644);
  at.open()[Symbol.dispose]();
  assert.equal(statSync(at.path).mode & 0o777, 0o600);
});

test("one that was approved says so afterwards", async () => {
  await using at = await place();
  const killed = at.open();
  const note = killed.begin(lost("one"));
  killed.change(note, { ...lost("one"), detail: "approved" });
  using next = at.open();
  assert.deepEqual(
    next.left.map(({ record }) => record.type === "command" && record.detail),
    ["approved"],
  );
});

test("a line that was being written takes no other with it, wherever it was cut", async () => {
  await using at = await place();
  const whole = encodeLine({ begun: 0, record: lost("whole") });
  const torn = encodeLine({ begun: 1, record: lost("torn") });
  for (let length = 0; length < torn.length; length += 1) {
    writeFileSync(at.path, whole + torn.slice(0, length));
    const next = at.open();
    assert.deepEqual(programs(next), ["whole"], `cut at ${String(length)}`);
    next.begin(lost("later"));
    assert.deepEqual(at.left(), ["whole", "later"], `cut at ${String(length)}`);
    next[Symbol.dispose]();
  }
});

test("whatever lies in the file, it is opened, and nothing that is no note becomes one", async () => {
  await using at = await place();
  const good = encodeLine({ begun: 7, record: lost("good") });
  const bad = [
    { begun: 1, record: { ...lost("x"), outcome: "exited" } },
    { begun: 1, record: { ...lost("x"), stdout: "contents" } },
    { begun: 1, record: { type: "grant-minted", ...common } },
    { begun: -1, record: lost("x") },
    { begun: 1e300, record: lost("x") },
    { begun: 1, record: { ...lost("x"), program: "x".repeat(70_000) } },
    { placed: "all" },
    { forgotten: "7" },
    ["begun"],
    null,
  ];
  const noise = fc.oneof(
    fc.string(),
    fc.json(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes).toString("latin1")),
    fc.constantFrom(...bad.map((line) => JSON.stringify(line))),
  );
  fc.assert(
    fc.property(fc.array(noise), fc.array(noise), (before, after) => {
      writeFileSync(at.path, `${before.join("\n")}${good}\n${after.join("\n")}`);
      assert.deepEqual(at.left(), ["good"]);
    }),
    { numRuns: 300 },
  );
});

test("a file of any size is read in part, and gives no more notes than there may be", async () => {
  await using at = await place();
  const limits = { notes: 50, bytes: 100_000, spareBytes: 10_000 };
  for (let at_ = 0; at_ < 1000; at_ += 1)
    appendFileSync(at.path, encodeLine({ begun: at_, record: lost(`p${String(at_)}`) }));
  using next = at.open(limits);
  assert.equal(next.left.length, 50);
  assert.throws(() => next.begin(lost("more")), { code: "RATE_LIMITED" });
});

test("numbers go on above those that the file names", async () => {
  await using at = await place();
  writeFileSync(
    at.path,
    encodeLine({ begun: 2 ** 40, record: lost("old") }) + encodeLine({ forgotten: 2 ** 41 }),
  );
  using next = at.open();
  assert.equal(next.begin(lost("new")), 2 ** 41 + 1);
  assert.deepEqual(decodeNotes("", 10), { notes: [], next: 0, unreadable: 0 });
});

test("pipes, links and folders in its place are refused, and nothing waits for them", async () => {
  await using at = await place();
  execFileSync("mkfifo", [at.path]);
  assert.throws(() => at.open(), { code: "STATE_INVALID" });
  execFileSync("rm", [at.path]);
  symlinkSync(join(at.dir, "elsewhere"), at.path);
  assert.throws(() => at.open(), { code: "STATE_INVALID" });
  execFileSync("rm", [at.path]);
  execFileSync("mkdir", [at.path]);
  assert.throws(() => at.open(), { code: "STATE_INVALID" });
});

test("a full disk refuses what would begin, and what is noted stays", { skip: noMounts() }, async () => {
  await using at = await place();
  const disk = join(at.dir, "disk");
  execFileSync("mkdir", [disk]);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k,mode=700", "dw-notes", disk]);
  try {
    const path = join(disk, "in-flight");
    using noted = new InFlight(path, silent);
    noted.begin(lost("one"));
    execFileSync("sh", ["-c", `cat /dev/zero > ${disk}/filler 2>/dev/null || true`]);
    assert.throws(
      () => {
        for (let n = 0; n < 200; n += 1) noted.begin(lost("more"));
      },
      (error) => error instanceof DoorwardError && error.code === "EVIDENCE_UNWRITABLE",
    );
    execFileSync("rm", [join(disk, "filler")]);
    noted.begin(lost("last"));
    using next = new InFlight(path, silent);
    assert.deepEqual([programs(next)[0], programs(next).at(-1)], ["one", "last"]);
    assert.equal(next.left.length, noted.left.length);
  } finally {
    execFileSync("umount", ["--lazy", disk]);
  }
});

test("more than there may be at once is refused, and goes on when some have ended", async () => {
  await using at = await place();
  using inFlight = at.open({ notes: 3, bytes: 1_000_000, spareBytes: 10_000 });
  const notes = ["a", "b", "c"].map((program) => inFlight.begin(lost(program)));
  assert.throws(() => inFlight.begin(lost("d")), DenialError);
  inFlight.ended(notes[1] ?? 0);
  inFlight.begin(lost("d"));
  assert.deepEqual(programs(inFlight), ["a", "c", "d"]);
});

test("the file stays short over 20,000 calls, alone and while others go on, and loses none of those", async () => {
  await using at = await place();
  const limits = { notes: 1000, bytes: 1_000_000, spareBytes: 20_000 };
  const inFlight = at.open(limits);
  let longest = 0;
  const call = (n: number): void => {
    const note = inFlight.begin(lost(`p${String(n)}`));
    inFlight.placing([{ note, recordId: `e_${String(n)}_aaaaaaaa` }]);
    inFlight.ended(note);
    longest = Math.max(longest, statSync(at.path).size);
  };
  for (let n = 0; n < 10_000; n += 1) call(n);
  assert.ok(longest < 30_000, String(longest));
  const long = ["x", "y", "z"].map((program) => inFlight.begin(lost(program)));
  inFlight.placing([{ note: long[1] ?? 0, recordId: "e_5_bbbbbbbb" }]);
  for (let n = 0; n < 10_000; n += 1) call(n);
  assert.ok(longest < 30_000, String(longest));
  assert.equal(statSync(at.path).mode & 0o777, 0o600);
  using next = at.open(limits);
  const left = next.left.filter(({ recordIds }) => !recordIds.some((id) => id.endsWith("_aaaaaaaa")));
  assert.deepEqual(
    left.map(({ record, recordIds }) => [record.type === "command" && record.program, recordIds]),
    [
      ["x", []],
      ["y", ["e_5_bbbbbbbb"]],
      ["z", []],
    ],
  );
});

test("a bridge that ends in good order leaves an empty file", async () => {
  await using at = await place();
  const inFlight = at.open();
  inFlight.ended(inFlight.begin(lost("one")));
  inFlight[Symbol.dispose]();
  inFlight[Symbol.dispose]();
  assert.equal(readFileSync(at.path, "utf8"), "");
});

test("what a lost bridge left is recorded once, however often the next one starts", async () => {
  await using at = await place();
  const killed = at.open();
  killed.begin(lost("one"));
  killed.begin(lost("two"));
  await using log = await openLog(at.dir);
  for (const expected of [2, 0, 0]) {
    using next = at.open();
    assert.equal(await recordLost({ inFlight: next, evidence: log, log: silent }), expected);
  }
  assert.equal(log.size, 2);
  const { statement } = await log.read(0);
  assert.ok("beganAt" in statement.predicate && "program" in statement.predicate);
  assert.deepEqual(
    [statement.predicate.program, statement.predicate.outcome, statement.predicate.beganAt],
    ["one", "bridge-lost", "2026-11-21T10:00:00.000Z"],
  );
});

test("one whose record was written before the bridge was lost gets no other", async () => {
  await using at = await place();
  const killed = at.open();
  const notes = ["written", "not written", "torn"].map((program) => killed.begin(lost(program)));
  await using log = await openLog(at.dir);
  const { recordId } = await log.append(lost("written"));
  killed.placing([{ note: notes[0] ?? 0, recordId }]);
  killed.placing([{ note: notes[2] ?? 0, recordId: "e_1_aaaaaaaa" }]);
  using next = at.open();
  assert.equal(await recordLost({ inFlight: next, evidence: log, log: silent }), 2);
  assert.equal(log.size, 3);
  assert.deepEqual(next.left, []);
});

test("while the log takes nothing, notes wait for the next start; what the log never takes is dropped", async () => {
  await using at = await place();
  const killed = at.open();
  killed.begin(lost("one"));
  const failing = (code: "EVIDENCE_UNWRITABLE" | "INPUT_INVALID") => ({
    append: () => Promise.reject(new DoorwardError({ code, message: "no" })),
    read: () => Promise.reject(new DoorwardError({ code: "EVIDENCE_NOT_FOUND", message: "no" })),
  });
  const log = pino({ level: "silent" });
  for (const [code, left] of [
    ["EVIDENCE_UNWRITABLE", ["one"]],
    ["INPUT_INVALID", []],
  ] as const) {
    const next = at.open();
    assert.equal(await recordLost({ inFlight: next, evidence: failing(code), log }), 0);
    next[Symbol.dispose]();
    assert.deepEqual(at.left(), left);
  }
});

function noMounts(): string | false {
  return process.getuid?.() === 0 ? false : "needs root";
}

test("a session ends once, and only if its opening was written", async () => {
  await using at = await place();
  const killed = at.open();
  await using log = await openLog(at.dir);
  const ends = ["s_aaaaaaaaaa", "s_bbbbbbbbbb", "s_cccccccccc", "s_dddddddddd", "s_eeeeeeeeee"].map(end);
  const notes = ends.map((record) => killed.begin(record));
  const place_ = (n: number, recordId: string): void => killed.placing([{ note: notes[n] ?? 0, recordId }]);
  // The first was not even tried, of the second the opening was torn, the others were opened,
  place_(1, "e_99_aaaaaaaa");
  for (const n of [2, 3, 4]) place_(n, (await log.append(opening(ends[n]?.session ?? ""))).recordId);
  // and of these one goes on, of one the end was torn, and of one it was written.
  place_(3, "e_98_aaaaaaaa");
  place_(4, (await log.append(ends[4] ?? assert.fail())).recordId);
  const { size } = log;
  for (const expected of [2, 0]) {
    using next = at.open();
    assert.equal(await recordLost({ inFlight: next, evidence: log, log: silent }), expected);
  }
  const written = await Promise.all([size, size + 1].map((index) => log.read(index)));
  assert.deepEqual(
    written.map(({ statement: { predicate } }) => "session" in predicate && predicate.session),
    ["s_cccccccccc", "s_dddddddddd"],
  );
});

test("what somebody else records is left to them", async () => {
  await using at = await place();
  const killed = at.open();
  await using log = await openLog(at.dir);
  const note = killed.begin(end("s_aaaaaaaaaa"));
  killed.placing([{ note, recordId: (await log.append(opening("s_aaaaaaaaaa"))).recordId }]);
  using next = at.open();
  const except = (): boolean => true;
  assert.equal(await recordLost({ inFlight: next, evidence: log, except, log: silent }), 0);
  assert.equal(next.session("s_aaaaaaaaaa")?.note, note);
  assert.equal(next.session("s_bbbbbbbbbb"), undefined);
});

function end(session: string): Extract<LostRecord, { readonly type: "session-close" }> {
  const counts = { durationMs: 0, bytesIn: 0, bytesOut: 0, exitCode: null };
  return {
    type: "session-close",
    ...common,
    session,
    door: "terminal",
    reason: "BRIDGE_LOST",
    ...counts,
    transcript: null,
  };
}

function opening(session: string): EvidenceInput {
  return {
    type: "session-open",
    ...common,
    session,
    door: "terminal",
    operations: ["terminal.exec"],
    execution: "operator",
    via: "socket",
    origin: null,
    resumes: null,
  };
}
