import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFile, mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { DEFAULT_TERMINAL_DOOR, type EvidenceInput } from "@doorward/contracts";
import { verifyEvidence, type EvidenceLog } from "../src/evidence/index.ts";
import type { SessionOpened } from "../src/gateway/index.ts";
import { InFlight } from "../src/in-flight/index.ts";
import { Store } from "../src/store/index.ts";
import { Transcripts } from "../src/transcripts/index.ts";
import { StoredTranscript } from "../src/transcripts/stored-transcript.ts";
import { common, openLog, silent, temporary } from "../../../test/evidence/support.ts";

const spec = { ...DEFAULT_TERMINAL_DOOR.transcript, capture: "output", retention: "1h" } as const;
const about = { terminal: "t_aaaaaaaaaa" };
const HEADER = '{"version":3,"term":{"cols":80,"rows":24},"timestamp":1}\n';

function session(id: string): SessionOpened {
  return {
    ...common,
    session: id,
    door: "terminal",
    protocol: "doorward.terminal.v1",
    operations: ["terminal.attach"],
    listener: "unix",
    origin: null,
    at: new Date().toISOString(),
  };
}

interface Place extends AsyncDisposable {
  readonly dir: string;
  readonly log: EvidenceLog;
  open(inFlight?: InFlight): Promise<Transcripts>;
}

/** Evidence and a store in one folder; `open` is what a bridge does at its start. */
async function place(): Promise<Place> {
  const folder = await temporary();
  const log = await openLog(folder.path);
  const store = Store.open({ dir: folder.path, log: silent });
  return {
    dir: folder.path,
    log,
    open: (inFlight = new InFlight(join(folder.path, "in-flight"), silent)) =>
      Transcripts.open({
        dir: folder.path,
        store,
        evidence: log,
        inFlight,
        policyHash: () => common.policyHash,
        log: silent,
      }),
    [Symbol.asyncDispose]: async () => {
      await log[Symbol.asyncDispose]();
      store[Symbol.dispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

test("a transcript is kept by the digest that the session's record names, and verify checks it", async () => {
  await using at = await place();
  await using transcripts = await at.open();
  const file = await transcripts.begin(session("s_aaaaaaaaaa"), spec, about);
  assert.equal(transcripts.show("s_aaaaaaaaaa").state, "recording");
  file.write(HEADER);
  file.write('[0.1,"o","hello"]\n');
  await file[Symbol.asyncDispose]();
  const transcript = await transcripts.finish("s_aaaaaaaaaa");
  assert.ok(transcript !== null);
  const counts = { durationMs: 1, bytesIn: 0, bytesOut: 5, exitCode: 0 };
  const closed = { type: "session-close", ...common, session: "s_aaaaaaaaaa", door: "terminal" } as const;
  await at.log.append({ ...closed, ...counts, reason: "CLOSED", transcript });
  transcripts.recorded("s_aaaaaaaaaa");
  const view = transcripts.show("s_aaaaaaaaaa");
  assert.deepEqual([view.state, view.reference], ["kept", transcript]);
  assert.equal(await readFile(view.path, "utf8"), `${HEADER}[0.1,"o","hello"]\n`);
  assert.deepEqual(await readdir(join(at.dir, "transcripts")), []);
  await at.log.checkpoint();
  assert.equal((await verifyEvidence({ dir: join(at.dir, "log"), vkey: at.log.vkey })).ok, true);
  await writeFile(view.path, `${HEADER}[0.1,"o","HELLO"]\n`);
  assert.equal((await verifyEvidence({ dir: join(at.dir, "log"), vkey: at.log.vkey })).ok, false);
});

test("a session without a recording has none, and one that never wrote a byte neither", async () => {
  await using at = await place();
  await using transcripts = await at.open();
  assert.equal(await transcripts.finish("s_bbbbbbbbbb"), null);
  const file = await transcripts.begin(session("s_aaaaaaaaaa"), spec, about);
  await file[Symbol.asyncDispose]();
  assert.equal(await transcripts.finish("s_aaaaaaaaaa"), null);
  transcripts.recorded("s_aaaaaaaaaa");
  assert.deepEqual(transcripts.list(), []);
});

test("what is older than its retention is deleted, and nothing else", async () => {
  await using at = await place();
  await using transcripts = await at.open();
  for (const id of ["s_aaaaaaaaaa", "s_bbbbbbbbbb"]) {
    const kept = id === "s_aaaaaaaaaa" ? spec : { ...spec, retention: "2h" };
    const file = await transcripts.begin(session(id), kept, about);
    file.write(HEADER + `[0,"m","${id}"]\n`);
    await file[Symbol.asyncDispose]();
    await transcripts.finish(id);
    transcripts.recorded(id);
  }
  const { path } = transcripts.show("s_aaaaaaaaaa");
  assert.equal(await transcripts.sweep(Date.now() + 3500_000), 0);
  assert.equal(await transcripts.sweep(Date.now() + 3700_000), 1);
  assert.throws(() => transcripts.show("s_aaaaaaaaaa"), { code: "TRANSCRIPT_NOT_FOUND" });
  await assert.rejects(stat(path), { code: "ENOENT" });
  assert.ok((await stat(transcripts.show("s_bbbbbbbbbb").path)).size > 0);
});

test("what a killed bridge left is mended, kept and recorded as lost; half-written files are gone", async () => {
  await using at = await place();
  const killed = await at.open();
  const file = await killed.begin(session("s_aaaaaaaaaa"), spec, about);
  file.write(HEADER);
  const part = killed.show("s_aaaaaaaaaa").path;
  while ((await stat(part)).size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await appendFile(part, '[0.1,"o","whole"]\n[0.2,"o","ha');
  await writeFile(join(at.dir, "transcripts", "s_strangerrr.cast"), "x");
  await mkdir(join(at.dir, "referenced"), { recursive: true });
  await writeFile(join(at.dir, "referenced", ".01234567-89ab-cdef-0123-456789abcdef.tmp"), "x");
  await using transcripts = await at.open();
  const view = transcripts.show("s_aaaaaaaaaa");
  const lines = (await readFile(view.path, "utf8")).trimEnd().split("\n");
  assert.deepEqual(lines.slice(1, 2), ['[0.1,"o","whole"]']);
  assert.match(lines.at(-1) ?? "", /the bridge was lost here/);
  const record = await at.log.read(at.log.size - 1);
  assert.equal(record.type, "session-close");
  const { predicate } = record.statement;
  assert.deepEqual(
    ["reason", "transcript", "session"].map((field) => Reflect.get(predicate, field) as unknown),
    ["BRIDGE_LOST", view.reference, "s_aaaaaaaaaa"],
  );
  assert.deepEqual(await readdir(join(at.dir, "transcripts")), []);
  assert.equal((await readdir(join(at.dir, "referenced"))).length, 1);
  const { size } = at.log;
  await using again = await at.open();
  assert.equal(again.list().length, 1);
  assert.equal(at.log.size, size);
  await file[Symbol.asyncDispose]();
});

test("a lost session with a transcript has one end, whenever its bridge was lost, and it names the transcript", async () => {
  await using at = await place();
  const notes = join(at.dir, "in-flight");
  const end = {
    type: "session-close",
    ...common,
    session: "s_aaaaaaaaaa",
    door: "terminal",
    reason: "BRIDGE_LOST",
    durationMs: 0,
    bytesIn: 0,
    bytesOut: 0,
    exitCode: null,
    transcript: null,
  } as const;
  const killed = await at.open();
  const file = await killed.begin(session(end.session), spec, about);
  file.write(HEADER);
  const part = killed.show(end.session).path;
  while ((await stat(part)).size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const noted = new InFlight(notes, silent);
  const note = noted.begin(end);
  const { recordId } = await at.log.append(opening(end.session));
  noted.placing([{ note, recordId }]);
  await using next = await at.open(new InFlight(notes, silent));
  assert.equal(next.owes(end.session), false);
  const { predicate } = (await at.log.read(at.log.size - 1)).statement;
  assert.ok("transcript" in predicate && predicate.transcript?.digest !== undefined);
  // The next one is lost after it wrote the record, and before it noted that.
  const { size } = at.log;
  noted.placing([{ note, recordId: predicate.recordId }]);
  const store = Store.open({ dir: at.dir, log: silent });
  const stored = store.documents("transcripts", StoredTranscript);
  const before = stored.get(end.session);
  assert.ok(before !== undefined);
  stored.put(end.session, { ...before, recorded: false });
  store[Symbol.dispose]();
  await using again = await at.open(new InFlight(notes, silent));
  assert.equal(again.owes(end.session), false);
  assert.equal(at.log.size, size);
  await file[Symbol.asyncDispose]();
});

test("no recording begins on a disk that is nearly full", async (t) => {
  if (process.getuid?.() !== 0) {
    t.skip("needs root to mount a small tmpfs");
    return;
  }
  await using at = await place();
  await using transcripts = await at.open();
  const dir = join(at.dir, "transcripts");
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m,mode=0700", "doorward-test", dir]);
  try {
    await assert.rejects(transcripts.begin(session("s_aaaaaaaaaa"), spec, about), {
      code: "EVIDENCE_UNWRITABLE",
    });
    assert.deepEqual(transcripts.list(), []);
  } finally {
    execFileSync("umount", ["-l", dir]);
  }
});

function opening(session: string): EvidenceInput {
  const open = {
    door: "terminal",
    execution: "operator",
    via: "socket",
    origin: null,
    resumes: null,
  } as const;
  return { type: "session-open", ...common, ...open, session, operations: ["terminal.attach"] };
}
