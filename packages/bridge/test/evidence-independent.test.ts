import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { EvidenceStatement, type EvidenceInput } from "@doorward/contracts";
import {
  exportEvidence,
  LogFiles,
  openCheckpoint,
  proveConsistency,
  proveInclusion,
  verifyEvidence,
} from "../src/evidence/index.ts";
import { Witness, addWitness, readWitnessVkey } from "../src/evidence/index.ts";
import { createEvidenceKey } from "../src/evidence/key.ts";
import { readEntries, rebuild } from "../../../test/evidence/rebuild.ts";
import { appendMany, common, openLog, temporary } from "../../../test/evidence/support.ts";

// Debian: apt-get install golang-go golang-golang-x-mod-dev python3-securesystemslib
const run = promisify(execFile);
const folderOf = fileURLToPath(new URL("../../../test/evidence/independent/", import.meta.url));
const gopath = "/usr/share/gocode";
const python = "/usr/bin/python3";

/** In CI nothing may be skipped: there a missing tool is a failure. */
function skipWithout(there: boolean, what: string): string | false {
  return there || process.env["CI"] === "true" ? false : `needs ${what}`;
}

const noGo = skipWithout(
  answers("go", ["version"]) && existsSync(`${gopath}/src/golang.org/x/mod/sumdb/tlog`),
  "golang-go and golang-golang-x-mod-dev",
);
const noPython = skipWithout(
  answers(python, ["-c", "import securesystemslib.signer"]),
  "python3-securesystemslib",
);

function answers(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** A log of several sizes, exported, with proofs. */
async function exported(dir: string, sizes: readonly number[]) {
  const log = await openLog(dir);
  const roots: { from: number; root: string }[] = [];
  let done = 0;
  for (const size of sizes) {
    await appendMany(log, done, size);
    done = size;
    const { root } = openCheckpoint(await log.checkpoint());
    roots.push({ from: size, root: root.toString("base64") });
  }
  await log[Symbol.asyncDispose]();
  const { out, vkey } = await exportEvidence({ dir: join(dir, "log"), out: join(dir, "export") });
  const files = new LogFiles(out);
  const inclusion = await Promise.all(
    [0, 1, 77, 255, 256, done - 1].map((index) => proveInclusion(files, index)),
  );
  const consistency = await Promise.all(
    roots.map(async ({ from, root }) => ({ root, ...(await proveConsistency(files, from)) })),
  );
  const proofs = join(dir, "proofs.json");
  await writeFile(proofs, JSON.stringify({ inclusion, consistency }));
  return { out, vkey, proofs };
}

/** A Go verifier, built once. */
async function goVerifier(
  dir: string,
  program = "verify_tlog",
): Promise<(...args: string[]) => Promise<string>> {
  const binary = join(dir, program);
  const env = {
    ...process.env,
    GO111MODULE: "off",
    GOPATH: gopath,
    GOFLAGS: "",
    GOCACHE: join(dir, "gocache"),
  };
  await run("go", ["build", "-o", binary, join(folderOf, `${program}.go`)], { env });
  return async (...args) => (await run(binary, args)).stdout;
}

void test(
  "Go's sumdb packages verify checkpoint, tiles and proofs, and refuse a changed tile, entry or key",
  { skip: noGo, timeout: 600_000 },
  async () => {
    await using folder = await temporary();
    const { out, vkey, proofs } = await exported(folder.path, [1, 2, 100, 256, 300, 513, 700]);
    const verify = await goVerifier(folder.path);
    assert.match(await verify(out, vkey, proofs), /^700 records verified, /);
    const other = await openLog(join(folder.path, "log"));
    const { vkey: otherVkey } = other;
    await other[Symbol.asyncDispose]();
    await assert.rejects(verify(out, otherVkey, proofs));
    for (const path of ["tile/0/000", "tile/1/000.p/2", "tile/entries/001", "checkpoint"]) {
      const whole = await readFile(join(out, path));
      const changed = Buffer.from(whole);
      changed[20] = (changed[20] ?? 0) ^ 1;
      await writeFile(join(out, path), changed);
      await assert.rejects(verify(out, vkey, proofs), path);
      await writeFile(join(out, path), whole);
    }
    await rm(join(out, "tile/1/000.p/2"));
    await assert.rejects(verify(out, vkey, proofs));
  },
);

void test(
  "Python's securesystemslib verifies the envelopes, and refuses a changed one",
  { skip: noPython, timeout: 600_000 },
  async () => {
    await using folder = await temporary();
    const { out, vkey } = await exported(folder.path, [270]);
    const verify = async () => (await run(python, [join(folderOf, "verify_dsse.py"), out, vkey])).stdout;
    assert.equal(await verify(), "270 records verified\n");
    const path = join(out, "tile/entries/000");
    const changed = (await readFile(path, "latin1")).replace(
      /"sig":"(.)/,
      (_, first: string) => `"sig":"${first === "A" ? "B" : "A"}`,
    );
    await writeFile(path, changed, "latin1");
    await assert.rejects(verify());
  },
);

void test(
  "Python's securesystemslib verifies a log whose key was exchanged twice, and refuses it with one signature less or an older key",
  { skip: noPython, timeout: 600_000 },
  async () => {
    await using folder = await temporary();
    const log = await openLog(folder.path);
    const older = log.vkey;
    await appendMany(log, 0, 3);
    for (const name of ["second", "third"]) {
      await log.rotate(await createEvidenceKey(join(folder.path, `${name}.pem`)), common, null);
      await appendMany(log, 0, 3);
    }
    await log[Symbol.asyncDispose]();
    const { out, vkey } = await exportEvidence({
      dir: join(folder.path, "log"),
      out: join(folder.path, "export"),
    });
    const verify = async (key: string) =>
      (await run(python, [join(folderOf, "verify_dsse.py"), out, key])).stdout;
    assert.equal(await verify(vkey), "11 records verified\n");
    assert.deepEqual((await verifyEvidence({ dir: out, vkey })).problems, []);
    await assert.rejects(verify(older), /the given key is not the log's newest/);
    const entries = await readEntries(out);
    const single = (entries[3]?.toString() ?? "").replace(/,\{"keyid":"[^}]*\}\]/, "]");
    await rebuild(out, entries.with(3, Buffer.from(single)), null);
    await assert.rejects(verify(vkey), /record 3: signed by other keys/);
  },
);

void test(
  "a verifier written from the specification alone accepts a cosignature, and refuses a changed checkpoint, time, line or key",
  { skip: skipWithout(answers("go", ["version"]), "golang-go"), timeout: 600_000 },
  async () => {
    await using folder = await temporary();
    const log = await openLog(folder.path);
    await appendMany(log, 0, 300);
    const witness = await Witness.init(join(folder.path, "witness"), "witness.example/w1");
    await witness.trust(log.vkey);
    await addWitness(folder.path, { vkey: witness.vkey, folder: witness.dir });
    await log.witness();
    await log[Symbol.asyncDispose]();
    const { out, vkey } = await exportEvidence({
      dir: join(folder.path, "log"),
      out: join(folder.path, "export"),
    });
    const verify = await goVerifier(folder.path, "verify_cosignature");
    const key = await readWitnessVkey(witness.dir);
    const path = join(out, "checkpoint");
    assert.match(
      await verify(path, key),
      /^witness\.example\/w1 cosigned 300 records of doorward\.local\/test at /,
    );
    const whole = await readFile(path, "utf8");
    const line = whole.trimEnd().split("\n").at(-1) ?? "";
    const bytes = Buffer.from(line.split(" ")[2] ?? "", "base64");
    const later = Buffer.from(bytes);
    later[11] = (later[11] ?? 0) ^ 1;
    for (const wrong of [
      whole.replace("\n300\n", "\n301\n"),
      whole.replace(bytes.toString("base64"), later.toString("base64")),
      whole.replace(`${line}\n`, ""),
    ]) {
      await writeFile(path, wrong);
      await assert.rejects(verify(path, key), wrong);
    }
    await writeFile(path, whole);
    await assert.rejects(verify(path, vkey), "the log's own key is no witness's");
    const stranger = await Witness.init(join(folder.path, "stranger"), "witness.example/w1");
    await assert.rejects(verify(path, stranger.vkey));
    if (noGo !== false) return;
    // extra signature lines do not keep Go's own code from opening the checkpoint
    const tlog = await goVerifier(folder.path);
    assert.match(await tlog(out, vkey), /^300 records verified, /);
  },
);

/** The launch record among the examples, to be appended anew. */
async function launchRecord(): Promise<EvidenceInput> {
  const example = new URL("../../contracts/examples/EvidenceStatement/valid/launch.json", import.meta.url);
  const { predicate } = EvidenceStatement.parse(JSON.parse(await readFile(example, "utf8")));
  const entries = Object.entries(predicate).filter(([name]) => name !== "recordId" && name !== "at");
  return { type: "launch", ...Object.fromEntries(entries) } as EvidenceInput;
}

void test(
  "the commands in an export's README verify it and its proofs, and refuse it with a proof of something else",
  { skip: noGo !== false ? noGo : noPython, timeout: 600_000 },
  async () => {
    await using folder = await temporary();
    const log = await openLog(folder.path);
    await appendMany(log, 0, 5);
    const kept = await log.checkpoint();
    await log.append(await launchRecord());
    await log.append(await launchRecord());
    const witness = await Witness.init(join(folder.path, "witness"), "witness.example/w1");
    await witness.trust(log.vkey);
    await addWitness(folder.path, { vkey: witness.vkey, folder: witness.dir });
    await log.witness();
    await log[Symbol.asyncDispose]();
    const out = join(folder.path, "an export");
    await exportEvidence({ dir: join(folder.path, "log"), out, older: [kept] });
    const [cosigned = ""] = await readdir(join(out, "witness"));
    const commands = [...(await readFile(join(out, "README.md"), "utf8")).matchAll(/^ {4}(.*verify_.*)$/gm)];
    const env = { ...process.env, GOFLAGS: "", GOCACHE: join(folder.path, "gocache"), DIR: out };
    const printed = (): Promise<string[]> =>
      Promise.all(
        commands.map(async ([, command = ""]) => {
          const line = command
            .replaceAll("HASH", cosigned.split(".")[0] ?? "")
            .replaceAll(/\bDIR(\/\S*?)?(?=[ )])/g, '"$DIR$1"');
          return (await run("bash", ["-c", line], { cwd: folderOf, env })).stdout;
        }),
      );
    const [tlog = "", dsse = "", witnessed = "", ...more] = await printed();
    // the checkpoint that the witness cosigned has a proof too
    assert.equal(tlog, "7 records verified, 2 inclusion and 2 consistency proofs\n");
    assert.equal(dsse, "7 records verified\n");
    assert.match(witnessed, /^witness\.example\/w1 cosigned 7 records/);
    assert.deepEqual(more, []);
    const proof = join(out, "proofs", "record-5.tlog-proof");
    await writeFile(proof, await readFile(join(out, "proofs", "record-6.tlog-proof")));
    await assert.rejects(printed(), /record-5.tlog-proof is of record 6/);
  },
);
