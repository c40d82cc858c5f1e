import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalJson, duplicateKey, parseCanonicalJson } from "../src/evidence/canonical.ts";
import { openCheckpoint } from "../src/evidence/checkpoint.ts";
import { openEnvelope, preAuthEncoding } from "../src/evidence/dsse.ts";
import { decodeJournal, encodeGroup, encodeHead } from "../src/evidence/journal-format.ts";
import { EMPTY_ROOT, leafHash, nodeHash, rootOf, TreeEdge } from "../src/evidence/merkle.ts";
import { isSignedBy, openNote, parseVkey, vkeyLine } from "../src/evidence/signed-note.ts";
import { decodeEntries, encodeEntries, tilePath } from "../src/evidence/tiles.ts";

const invalid = { code: "EVIDENCE_INVALID" };

// the test tree of the Certificate Transparency projects: eight leaves, and the root after each
const leaves = [
  "",
  "00",
  "10",
  "2021",
  "3031",
  "40414243",
  "5051525354555657",
  "606162636465666768696a6b6c6d6e6f",
];
const roots = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

void test("the tree has the known roots of the Certificate Transparency test vectors", () => {
  const edge = new TreeEdge();
  assert.equal(
    edge.root().toString("hex"),
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
  for (const [index, leaf] of leaves.entries()) {
    edge.add(leafHash(Buffer.from(leaf, "hex")));
    assert.equal(edge.root().toString("hex"), roots[index]);
  }
});

void test("an edge that grows leaf by leaf, one that grows by bundles, and the definition agree on every root", () => {
  const edge = new TreeEdge();
  const bundles = new TreeEdge();
  const hashes: Buffer[] = [];
  for (let n = 0; n < 1200; n++) {
    const hash = leafHash(Buffer.from(String(n)));
    hashes.push(hash);
    edge.add(hash);
    if (hashes.length % 256 === 0) bundles.addBundle(rootOf(Buffer.concat(hashes.slice(-256))));
    if (n % 37 === 0) assert.deepEqual(edge.root(), byDefinition(hashes));
    if (hashes.length % 256 === 0) assert.deepEqual(bundles.root(), edge.root());
  }
  const restored = new TreeEdge(edge.size, edge.levels());
  assert.deepEqual(restored.root(), edge.root());
  assert.throws(() => new TreeEdge(edge.size + 1, edge.levels()), RangeError);
  bundles.add(leafHash(Buffer.of(1)));
  assert.throws(() => bundles.addBundle(EMPTY_ROOT), RangeError);
});

function byDefinition(hashes: readonly Buffer[]): Buffer {
  const [only] = hashes;
  if (only === undefined) return EMPTY_ROOT;
  if (hashes.length === 1) return only;
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return nodeHash(byDefinition(hashes.slice(0, split)), byDefinition(hashes.slice(split)));
}

void test("tiles have the paths of C2SP tlog-tiles", () => {
  assert.equal(tilePath(0, 1_234_067), "tile/0/x001/x234/067");
  assert.equal(tilePath(1, 0, 5), "tile/1/000.p/5");
  assert.equal(tilePath("entries", 273, 112), "tile/entries/273.p/112");
  assert.equal(tilePath(2, 1000), "tile/2/x001/000");
});

void test("a bundle that is cut, padded or short of an entry is refused", () => {
  const entries = [Buffer.from("a"), Buffer.alloc(0), Buffer.alloc(65_535, 7)];
  const bundle = encodeEntries(entries);
  assert.deepEqual(decodeEntries(bundle, 3), entries);
  assert.throws(() => decodeEntries(bundle.subarray(0, -1), 3), invalid);
  assert.throws(() => decodeEntries(Buffer.concat([bundle, Buffer.of(0)]), 3), invalid);
  assert.throws(() => decodeEntries(bundle, 2), invalid);
  assert.throws(() => decodeEntries(bundle, 4), invalid);
});

void test("the pre-authentication encoding is that of the DSSE specification", () => {
  const encoded = preAuthEncoding("http://example.com/HelloWorld", Buffer.from("hello world"));
  assert.equal(encoded.toString(), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
});

void test("canonical JSON sorts by UTF-16 units and writes numbers as RFC 8785 does", () => {
  const value = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
  assert.equal(
    canonicalJson(value),
    '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}',
  );
  const numbers = "[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001]";
  assert.equal(canonicalJson(JSON.parse(numbers)), "[333333333.3333333,1e+30,4.5,0.002,1e-27]");
});

void test("every JSON value survives canonical form, and only canonical text is accepted", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value);
      assert.equal(canonicalJson(parseCanonicalJson(text, "test")), text);
      if (typeof value === "object" && value !== null)
        assert.throws(() => parseCanonicalJson(` ${text}`, "test"), invalid);
    }),
  );
});

for (const [why, text] of [
  ["a key twice", '{"a":1,"a":1}'],
  ["a key twice, once escaped", '{"a":1,"\\u0061":1}'],
  ["a key twice in an inner object", '{"a":[{"b":{"c":1,"d":2,"c":3}}]}'],
  ["keys out of order", '{"b":1,"a":2}'],
  ["a space", '{"a": 1}'],
  ["a number in another form", '{"a":1.0}'],
  ["minus zero", '{"a":-0}'],
  ["a needless escape", '{"a":"\\u0062"}'],
  ["an escaped slash", '{"a":"\\/"}'],
  ["a lone surrogate", '{"a":"\\ud800"}'],
  ["text behind the value", '{"a":1}x'],
  ["array-like keys in numeric order", '{"9":1,"10":2}'],
] as const) {
  void test(`JSON with ${why} is refused`, () => {
    assert.throws(
      () => parseCanonicalJson(text, "test"),
      (error: unknown) => error instanceof Error,
    );
  });
}

void test("array-like keys in canonical order are accepted", () => {
  assert.deepEqual(parseCanonicalJson('{"10":2,"9":1}', "test"), { 9: 1, 10: 2 });
});

void test("a key that occurs twice is named, and equal keys of different objects are not confused", () => {
  assert.equal(duplicateKey('{"a":{"x":1},"b":{"x":1},"c":["x","x"]}'), null);
  assert.equal(duplicateKey('{"a":"x\\"a\\":","b":{"q\\"":1,"q\\"":2}}'), 'q"');
});

void test("the verifier key of the signed-note documentation is read and written", () => {
  const line = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
  const verifier = parseVkey(line);
  assert.equal(vkeyLine(verifier), line);
  const note = openNote(
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n" +
      "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
  );
  assert.equal(isSignedBy(note, verifier), true);
  assert.throws(() => isSignedBy({ ...note, text: `${note.text}x` }, verifier), invalid);
});

for (const [why, line] of [
  ["a hash that is not its own", "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"],
  ["another algorithm", "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"],
  ["a short key", "PeterNeumann+c74f20a3+ARpc2QcUPDhM"],
  ["a space in its name", "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"],
  ["nothing in it", ""],
] as const) {
  void test(`a verifier key with ${why} is refused with KEY_INVALID`, () => {
    assert.throws(() => parseVkey(line), { code: "KEY_INVALID" });
  });
}

const root = Buffer.alloc(32, 1).toString("base64");
const signature = `\u2014 example.com/log ${Buffer.alloc(68, 2).toString("base64")}\n`;
for (const [why, text] of [
  ["no signature", `example.com/log\n1\n${root}\n`],
  ["no last newline", `example.com/log\n1\n${root}\n\n${signature.trim()}`],
  ["a size with a leading zero", `example.com/log\n01\n${root}\n\n${signature}`],
  ["a negative size", `example.com/log\n-1\n${root}\n\n${signature}`],
  ["a short root", `example.com/log\n1\n${root.slice(4)}\n\n${signature}`],
  ["no origin", `\n1\n${root}\n\n${signature}`],
  ["extension lines", `example.com/log\n1\n${root}\nmore\n\n${signature}`],
  ["a carriage return", `example.com/log\r\n1\n${root}\n\n${signature}`],
  ["a malformed signature line", `example.com/log\n1\n${root}\n\n- example.com/log AAAA\n`],
] as const) {
  void test(`a checkpoint with ${why} is refused`, () => {
    assert.throws(() => openCheckpoint(text), invalid);
  });
}

const sig = Buffer.alloc(64).toString("base64");
const envelope = (payload: string, more = "") =>
  `{"payload":"${payload}","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"${"a".repeat(64)}","sig":"${sig}"}${more}]}`;
for (const [why, text] of [
  ["a key twice", envelope("e30=").replace('"payload":', '"payload":"e30=","payload":')],
  ["a space", envelope("e30=").replace(":", ": ")],
  ["base64 with bits behind the last byte", envelope("e31=")],
  ["unpadded base64", envelope("e30")],
  ["another payload type", envelope("e30=").replace("in-toto+json", "in-toto.json")],
  ["no signature", envelope("e30=").replace(/\[.*\]/, "[]")],
  ["three signatures", envelope("e30=", `,{"keyid":"${"a".repeat(64)}","sig":"${sig}"}`.repeat(2))],
  ["an unknown field", envelope("e30=").replace("{", '{"a":1,')],
  ["a newline at its end", `${envelope("e30=")}\n`],
  ["something else", "null"],
] as const) {
  void test(`an envelope with ${why} is refused`, () => {
    assert.equal(openEnvelope(Buffer.from(envelope("e30="))).payload.toString(), "{}");
    assert.throws(() => openEnvelope(Buffer.from(text)), invalid);
  });
}

void test("a journal that is cut anywhere in its last group gives the groups before it", () => {
  const head = encodeHead({ origin: "x", base: 0, edge: [] });
  const first = encodeGroup(0, [Buffer.from("one"), Buffer.from("two")]);
  const second = encodeGroup(2, [Buffer.from("three")]);
  const whole = Buffer.concat([head, first, second]);
  for (let length = head.length + first.length; length < whole.length; length++) {
    const bytes = Buffer.alloc(whole.length + 100); // the rest is space written in advance
    whole.copy(bytes, 0, 0, length);
    const { entries, end } = decodeJournal(bytes);
    assert.deepEqual(entries.map(String), ["one", "two"]);
    assert.equal(end, head.length + first.length);
  }
  assert.equal(decodeJournal(whole).entries.length, 3);
});

void test("a journal with a damaged byte in front of whole groups is refused, not cut", () => {
  const head = encodeHead({ origin: "x", base: 0, edge: [] });
  const first = encodeGroup(0, [Buffer.from("one"), Buffer.from("two")]);
  const whole = Buffer.concat([head, first, encodeGroup(2, [Buffer.from("three")])]);
  for (let at = 0; at < head.length + first.length; at++) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    assert.throws(() => decodeJournal(bytes), invalid, `byte ${String(at)}`);
  }
});
