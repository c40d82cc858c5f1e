import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { READ_BYTES, READ_LINES, READ_LINE_CHARS, WHOLE_BYTES } from "../src/agent-tool/tools/read-file.ts";
import { IMAGE_BYTES } from "../src/agent-tool/tools/image.ts";
import { WatchedFiles, callTool, digestOf, failing, sessionAt, tempFolder } from "./agent-tool-lab.ts";

async function read(content: Buffer | string, args: Record<string, unknown> = {}, name = "f.txt") {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, name), content);
  const files = new WatchedFiles([{ path: folder.path, access: "rw" }], folder.path);
  const answer = await callTool(sessionAt(folder.path, { files }), "read_file", { path: name, ...args });
  return { ...answer, reads: files.reads, at: join(folder.path, name) };
}

test("a text file is read with line numbers, its digest and its absolute path", async () => {
  const { structured, text, at, target } = await read("one\ntwo\n");
  assert.deepEqual(structured, {
    machine: "shop",
    path: at,
    kind: "text",
    content: "one\ntwo\n",
    start_line: 1,
    end_line: 2,
    total_lines: 2,
    size: 8,
    digest: digestOf("one\ntwo\n"),
    encoding: "utf-8",
    cut_lines: [],
    truncated: false,
    next_offset: null,
  });
  assert.equal(target, at);
  assert.equal(
    text,
    `Read ${at}: lines 1-2 of 2 (8 bytes, utf-8, ${digestOf("one\ntwo\n")})\n     1\tone\n     2\ttwo`,
  );
});

test("a missing newline at the end stays missing, an empty file is said to be empty", async () => {
  assert.equal((await read("a\nb")).structured.content, "a\nb");
  const empty = await read("");
  assert.equal(empty.structured.content, "");
  assert.match(empty.text, /it is empty/);
});

test("carriage returns stay in the content and are named in the text", async () => {
  const { structured, text } = await read("a\r\nb\r\n");
  assert.equal(structured.content, "a\r\nb\r\n");
  assert.match(text, /CRLF line ends/);
  assert.doesNotMatch(text, /\r/);
});

test("pages go on where the former one ended, without a gap or a repeat", async () => {
  const lines = Array.from({ length: READ_LINES * 2 + 3 }, (_, index) => `line ${String(index)}`);
  const whole = `${lines.join("\n")}\n`;
  let got = "";
  for (let offset: number | null = 1; offset !== null;) {
    const { structured, text } = await read(whole, { offset_line: offset });
    got += structured.content;
    if (structured.truncated) assert.match(text, new RegExp(`offset_line ${String(structured.next_offset)}`));
    offset = structured.next_offset;
  }
  assert.equal(got, whole);
});

test("an answer is bounded in bytes, and one long line is cut with its length", async () => {
  const long = await read(`${"x".repeat(1000)}\n`.repeat(1500));
  assert.ok(Buffer.byteLength(long.structured.content) <= READ_BYTES);
  assert.equal(long.structured.truncated, true);
  const line = await read(`short\n${"y".repeat(50_000)}\nshort\n`);
  assert.deepEqual(line.structured.cut_lines, [2]);
  assert.match(line.structured.content, /\[cut: the line has 50000 characters\]/);
  assert.ok(line.structured.content.length < READ_LINE_CHARS + 100);
});

test("a large file is read in parts, no further than the wanted lines", async () => {
  const size = WHOLE_BYTES * 4;
  const content = "0123456789abcde\n".repeat(size / 16);
  const early = await read(content, { offset_line: 10, limit_lines: 2 });
  assert.equal(early.reads, 1);
  assert.equal(early.structured.total_lines, null);
  assert.equal(early.structured.digest, null);
  assert.equal(early.structured.next_offset, 12);
  const late = await read(content, { offset_line: size / 16 - 1 });
  assert.equal(late.structured.total_lines, size / 16);
  assert.equal(late.structured.content, "0123456789abcde\n".repeat(2));
});

test("UTF-16 and a UTF-8 mark are said and left out of the content", async () => {
  const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("hä\n", "utf16le")]);
  assert.equal((await read(utf16)).structured.content, "hä\n");
  assert.equal((await read(utf16)).structured.encoding, "utf-16le");
  const big = Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from("hä\n", "utf16le").swap16()]);
  assert.equal((await read(big)).structured.content, "hä\n");
  const marked = await read(Buffer.from("\uFEFFhä\n"));
  assert.deepEqual([marked.structured.encoding, marked.structured.content], ["utf-8-bom", "hä\n"]);
});

test("a character that two parts of a large file share is read whole", async () => {
  const content = `${"x".repeat(WHOLE_BYTES - 1)}ä\nend\n`;
  const { structured } = await read(content, { offset_line: 2 });
  assert.equal(structured.content, "end\n");
});

test("bytes that are no text are replaced, and that is said", async () => {
  const { text } = await read(Buffer.from([0x61, 0xe4, 0x0a]));
  assert.match(text, /not valid text/);
});

test("a binary file is described, not dumped", async () => {
  const { structured, text } = await read(Buffer.from([0, 1, 2, 3]));
  assert.deepEqual([structured.kind, structured.content, structured.size], ["binary", "", 4]);
  assert.match(text, /is a binary file of 4 bytes/);
});

test("pictures are handed over as pictures, too large ones are not", async () => {
  const png = Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    Buffer.alloc(100),
  ]);
  const answer = await read(png, {}, "p.png");
  assert.equal(answer.structured.kind, "image");
  assert.deepEqual(answer.images, [{ mimeType: "image/png", base64: png.toString("base64") }]);
  const heads = {
    "image/jpeg": "ffd8ffe0",
    "image/gif": "474946383961",
    "image/webp": "524946460000000057454250",
  };
  for (const [type, head] of Object.entries(heads))
    assert.equal((await read(Buffer.from(head, "hex"))).images?.[0]?.mimeType, type);
  const large = await read(Buffer.concat([png, Buffer.alloc(IMAGE_BYTES)]));
  assert.equal(large.images, undefined);
  assert.match(large.text, /too large to show/);
});

test("a folder is refused with the tool to call instead", async () => {
  await using folder = await tempFolder();
  await mkdir(join(folder.path, "d"));
  const asked = callTool(sessionAt(folder.path), "read_file", { path: "d" });
  await assert.rejects(asked, failing("PATH_INVALID", /"d": it is a folder/, /list_directory/));
});

test("a missing file, a path outside and lines beyond the end are refused with what to do", async () => {
  await using folder = await tempFolder();
  const session = sessionAt(folder.path);
  await writeFile(join(folder.path, "f"), "a\n");
  const asked = (args: unknown) => callTool(session, "read_file", args);
  await assert.rejects(asked({ path: "g" }), failing("PATH_NOT_FOUND", /"g"/, /find_files/));
  await assert.rejects(asked({ path: "../x" }), failing("PATH_NOT_ALLOWED", /outside/));
  await assert.rejects(asked({ path: "f\0" }), failing("PATH_INVALID", /NUL/));
  await assert.rejects(
    asked({ path: "f", offset_line: 3 }),
    failing("INPUT_INVALID", /from line 3: it has 1 lines/),
  );
  for (const bad of [
    {},
    { path: "" },
    { path: "f", offset_line: 0 },
    { path: "f", limit_lines: -1 },
    { path: 1 },
  ])
    await assert.rejects(asked(bad));
});
