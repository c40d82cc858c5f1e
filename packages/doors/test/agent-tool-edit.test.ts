import assert from "node:assert/strict";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { applyEdits, type Edit } from "../src/agent-tool/tools/apply-edits.ts";
import { CHANGED_FILE_BYTES } from "../src/agent-tool/tools/change-files.ts";
import { occurrences } from "../src/agent-tool/tools/find-text.ts";
import { WatchedFiles, callTool, digestOf, failing, sessionAt, tempFolder } from "./agent-tool-lab.ts";

function edited(text: string, ...edits: Edit[]): string {
  return applyEdits("f", text, edits).text;
}

function swap(old_text: string, new_text: string, replace_all?: boolean): Edit {
  return { old_text, new_text, replace_all };
}

test("a text that stands once is replaced, nothing else", () => {
  assert.equal(edited("a b c", swap("b", "x")), "a x c");
  assert.equal(edited("a b c", swap("b ", "")), "a c");
  assert.equal(edited("a $1 c", swap("$1", "$&$$")), "a $&$$ c");
});

test("edits are made in order, each on what the former left", () => {
  assert.equal(edited("one", swap("one", "two"), swap("two", "three")), "three");
  assert.throws(
    () => edited("one two", swap("one", "two"), swap("two", "x")),
    failing("TEXT_MISMATCH", /edit 2 of 2 of "f": old_text is found 2 times, at lines 1, 1/),
  );
});

test("every occurrence is replaced only where that is asked", () => {
  assert.equal(edited("aaa", swap("a", "bb", true)), "bbbbbb");
  assert.equal(edited("aaaa", swap("aa", "b", true)), "bb");
  assert.throws(
    () => edited("x\ny\nx\n", swap("x", "z")),
    failing("TEXT_MISMATCH", /found 2 times, at lines 1, 3/, /replace_all/),
  );
  assert.throws(() => edited("aaa", swap("aa", "b")), failing("TEXT_MISMATCH", /found 2 times/));
  assert.throws(() => edited("x".repeat(99), swap("x", "z")), failing("TEXT_MISMATCH", /more than 10 times/));
});

test("an edit that says nothing is refused", () => {
  assert.throws(
    () => edited("a", swap("", "b")),
    failing("INPUT_INVALID", /old_text is empty/, /write_file/),
  );
  assert.throws(() => edited("a", swap("a", "a")), failing("INPUT_INVALID", /are the same/));
});

test("a text that is not there is refused with the nearest lines of the file", () => {
  const file = "import a\n\nfunction one() {\n    return 1;\n}\n";
  assert.throws(
    () => edited(file, swap("function one() {\n  return 1;\n}", "x")),
    failing(
      "TEXT_MISMATCH",
      /the edit of "f": old_text is not found/,
      /other white space stand at line 3[^]*return 1/,
    ),
  );
  assert.throws(
    () => edited(file, swap("function on() {", "x")),
    failing(
      "TEXT_MISMATCH",
      /not found/,
      /nearest lines stand at line 3[^]*function one[^]*\nNothing was changed/,
    ),
  );
  assert.throws(
    () => edited(file, swap("zzzzzz", "x")),
    failing("TEXT_MISMATCH", /not found/, /Read the file again/),
  );
  assert.throws(
    () => edited(file, swap("     3\tfunction one() {\n     4\t    return 1;", "x")),
    failing("TEXT_MISMATCH", /not found/, /Leave out the line numbers/),
  );
});

test("line feeds of an edit match CRLF, and what is put in takes the line ends of its place", () => {
  assert.equal(edited("a\r\nb\r\nc\r\n", swap("a\nb", "x\ny\nz")), "x\r\ny\r\nz\r\nc\r\n");
  assert.equal(edited("a\r\nb\r\n", swap("b", "b\nc")), "a\r\nb\r\nc\r\n");
  assert.equal(edited("a\r\nb\r\n", swap("\nb", "")), "a\r\n");
  assert.equal(edited("a\nb\n", swap("a\r\nb", "c")), "c\n");
  assert.equal(edited("a\r\nb\nc\n", swap("b\nc", "x\ny")), "a\r\nx\ny\n");
  assert.equal(edited("a\r\nb", swap("b", "x\r\ny")), "a\r\nx\r\ny");
  assert.throws(() => edited("a\nb\r\na\r\nb", swap("a\nb", "x")), failing("TEXT_MISMATCH", /found 2 times/));
});

const word = fc.string({ unit: fc.constantFrom("a", "b", "\n", "\r\n", "é", "$"), maxLength: 12 });

test("property: without CRLF, edits equal a plain reference, in results and in refusals", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "\n", "é"), maxLength: 60 });
  const part = fc.string({ unit: fc.constantFrom("a", "b", "c", "\n", "é"), maxLength: 4 });
  const edit = fc.record({ old_text: part, new_text: part, replace_all: fc.boolean() });
  fc.assert(
    fc.property(text, fc.array(edit, { minLength: 1, maxLength: 4 }), (file, edits) => {
      let got: string | null;
      try {
        got = applyEdits("f", file, edits).text;
      } catch {
        got = null;
      }
      assert.equal(got, reference(file, edits));
    }),
    { numRuns: 3000 },
  );
});

function reference(file: string, edits: readonly Edit[]): string | null {
  let text = file;
  for (const { old_text, new_text, replace_all } of edits) {
    if (old_text === "" || old_text === new_text) return null;
    const places = countOf(text, old_text);
    if (places === 0 || (places > 1 && replace_all !== true)) return null;
    text = text.split(old_text).join(new_text);
  }
  return text;
}

function countOf(text: string, wanted: string): number {
  let count = 0;
  for (let at = 0; at + wanted.length <= text.length; at += 1) if (text.startsWith(wanted, at)) count += 1;
  return count;
}

test("property: with CRLF, the text read with plain line feeds is what the reference makes of it", () => {
  fc.assert(
    fc.property(word, word, word, word, (before, old_text, after, new_text) => {
      const file = `${before}${old_text}${after}`;
      const plain = (text: string) => text.replaceAll("\r\n", "\n");
      fc.pre(!/\r(?!\n)/.test(file));
      let got: string;
      try {
        got = edited(file, swap(old_text, new_text));
      } catch {
        return;
      }
      assert.equal(
        plain(got),
        plain(file).replace(plain(old_text), () => plain(new_text)),
      );
    }),
    { numRuns: 3000 },
  );
});

test("property: long texts are found where indexOf finds them", () => {
  const ab = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 300 });
  const long = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 65, maxLength: 80 });
  fc.assert(
    fc.property(ab, long, ab, fc.integer({ min: 1, max: 90 }), (before, wanted, after, step) => {
      const text = `${before}${wanted}${after}${wanted.slice(1)}${wanted}`;
      const expected: number[] = [];
      for (let at = text.indexOf(wanted); at !== -1; at = text.indexOf(wanted, at + step)) expected.push(at);
      assert.deepEqual([...occurrences(text, wanted, step)], expected);
    }),
    { numRuns: 1000 },
  );
});

test("texts that make searching slow are answered all the same", () => {
  const file = "a".repeat(4_000_000);
  const half = "a".repeat(100_000);
  assert.throws(() => edited(file, swap(`${half}b${half}`, "x")), failing("TEXT_MISMATCH", /not found/));
});

async function withFile(content: Buffer | string) {
  const folder = await tempFolder();
  await writeFile(join(folder.path, "f"), content);
  const files = new WatchedFiles([{ path: folder.path, access: "rw" }], folder.path);
  const session = sessionAt(folder.path, { files });
  const edit = (...edits: unknown[]) => callTool(session, "edit_file", { path: "f", edits });
  const now = () => readFile(join(folder.path, "f"));
  return { folder, files, session, edit, now, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test("the answer has the digest and a diff of what changed", async () => {
  await using lab = await withFile("one\ntwo\nthree\n");
  const { structured, text, target } = await lab.edit({ old_text: "two", new_text: "2" });
  assert.equal(structured.digest, digestOf("one\n2\nthree\n"));
  assert.equal(structured.size, 12);
  assert.match(text, /^Changed f: 1 place replaced \(now 12 bytes, sha256:/);
  assert.match(text, /@@ -1,3 \+1,3 @@\n one\n-two\n\+2\n three/);
  assert.equal(target, join(lab.folder.path, "f"));
});

test("when one edit fails none is made", async () => {
  await using lab = await withFile("one two");
  const asked = lab.edit({ old_text: "one", new_text: "1" }, { old_text: "three", new_text: "3" });
  await assert.rejects(asked, failing("TEXT_MISMATCH", /edit 2 of 2/));
  assert.equal(String(await lab.now()), "one two");
});

test("marks and encodings stay", async () => {
  const utf16 = (text: string) => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);
  await using wide = await withFile(utf16("hä\r\nb\r\n"));
  await wide.edit({ old_text: "hä\nb", new_text: "ö\nc" });
  assert.deepEqual(await wide.now(), utf16("ö\r\nc\r\n"));
  await using marked = await withFile("\uFEFFone\n");
  await marked.edit({ old_text: "one", new_text: "two" });
  assert.equal(String(await marked.now()), "\uFEFFtwo\n");
});

test("files that can't be written back byte for byte are refused and stay", async () => {
  for (const content of [
    Buffer.from([0x61, 0xe4, 0x0a]),
    Buffer.from([0x61, 0, 0x62]),
    Buffer.from([0xff, 0xfe, 0x61]),
  ]) {
    await using lab = await withFile(content);
    await assert.rejects(
      lab.edit({ old_text: "a", new_text: "b" }),
      failing("INPUT_INVALID", /as text/, /run_command/),
    );
    assert.deepEqual(await lab.now(), content);
  }
});

test("a file that is too large, half a character, a missing file and a folder are refused", async () => {
  await using lab = await withFile("a".repeat(CHANGED_FILE_BYTES + 1));
  await assert.rejects(lab.edit({ old_text: "a", new_text: "b" }), failing("INPUT_TOO_LARGE", /at most/));
  await assert.rejects(
    lab.edit({ old_text: "a", new_text: "\ud800" }),
    failing("INPUT_INVALID", /surrogate/),
  );
  await mkdir(join(lab.folder.path, "d"));
  const asked = (path: string) =>
    callTool(lab.session, "edit_file", { path, edits: [{ old_text: "a", new_text: "b" }] });
  await assert.rejects(asked("d"), failing("PATH_INVALID", /folder/));
  await assert.rejects(asked("none"), failing("PATH_NOT_FOUND", /none/));
  await assert.rejects(asked("../f"), failing("PATH_NOT_ALLOWED", /outside/));
  await assert.rejects(lab.edit());
  await assert.rejects(lab.edit({ old_text: "a" }));
  await assert.rejects(lab.edit({ old_text: "a", new_text: "b", extra: 1 }));
  await assert.rejects(lab.edit({ old_text: "a", new_text: "b" }, { old_text: "b", new_text: "a" }));
});

test("a file that changes between reading and writing is read anew, and its other change stays", async () => {
  await using lab = await withFile("one two\n");
  lab.files.meanwhile = async () => {
    lab.files.meanwhile = undefined;
    await writeFile(join(lab.folder.path, "f"), "zero one two\n");
  };
  await lab.edit({ old_text: "two", new_text: "2" });
  assert.equal(String(await lab.now()), "zero one 2\n");
});

test("a file that always changes is left alone with PATH_CHANGED", async () => {
  await using lab = await withFile("one\n");
  let count = 0;
  lab.files.meanwhile = () => writeFile(join(lab.folder.path, "f"), `one ${String((count += 1))}\n`);
  await assert.rejects(
    lab.edit({ old_text: "one", new_text: "1" }),
    failing("PATH_CHANGED", /no longer what was read/, /Read it again/),
  );
  assert.equal(String(await lab.now()), "one 3\n");
});

test("write_file makes folders, says what it did, and overwrites nothing unseen where it was asked not to", async () => {
  await using folder = await tempFolder();
  const session = sessionAt(folder.path);
  const write = (args: Record<string, unknown>) =>
    callTool(session, "write_file", { path: "a/b/c.txt", ...args });
  const made = await write({ content: "hä\n", create_only: true });
  assert.deepEqual(made.structured, {
    machine: "shop",
    path: join(folder.path, "a/b/c.txt"),
    created: true,
    size: 4,
    digest: digestOf("hä\n"),
  });
  assert.match(made.text, /^Created a\/b\/c\.txt \(4 bytes/);
  await assert.rejects(
    write({ content: "x", create_only: true }),
    failing("PATH_CHANGED", /exists already/, /edit_file/),
  );
  await assert.rejects(
    write({ content: "x", if_digest: digestOf("y") }),
    failing("PATH_CHANGED", /no longer/, /Read/),
  );
  await assert.rejects(
    write({ content: "x", if_digest: digestOf("y"), create_only: true }),
    failing("INPUT_INVALID", /exclude each other/),
  );
  await assert.rejects(write({ content: "\udc00" }), failing("INPUT_INVALID", /surrogate/));
  await assert.rejects(write({ content: "x", if_digest: "md5:1" }));
  await assert.rejects(write({}));
  const again = await write({ content: "x\r\n", if_digest: digestOf("hä\n") });
  assert.match(again.text, /^Overwrote/);
  assert.equal(String(await readFile(join(folder.path, "a/b/c.txt"))), "x\r\n");
  assert.deepEqual(await readdir(join(folder.path, "a/b")), ["c.txt"]);
});
