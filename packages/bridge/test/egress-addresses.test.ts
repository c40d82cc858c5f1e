import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DenialError, DoorwardError } from "@doorward/contracts";
import { inRanges, rangeProblem, readHost, specialRange } from "../src/egress/addresses.ts";
import { Guard, HostResolver } from "../src/egress/index.ts";
import { ADDRESS_FORMS, BAD_NAMES, PUBLIC, SPECIAL } from "./egress-address-forms.ts";
import { dnsServer } from "./egress-lab.ts";

describe("a host as it is asked for", () => {
  for (const form of ADDRESS_FORMS) {
    it(`${JSON.stringify(form)} is an address or nothing, and never a name`, () => {
      assert.notEqual(readHost(form).kind, "name");
    });
  }

  for (const name of BAD_NAMES) {
    it(`${JSON.stringify(name.slice(0, 40))} is no name`, () => assert.notEqual(readHost(name).kind, "name"));
  }

  it("has one normal form, whatever its case, trailing dot and alphabet", () => {
    for (const written of ["EXAMPLE.com", "example.com.", "Example.COM."]) {
      assert.deepEqual(readHost(written), { kind: "name", name: "example.com", local: false });
    }
    assert.deepEqual(readHost("B\u00dcCHER.example"), readHost("xn--bcher-kva.example"));
    // A look-alike is another name: no rule for the Latin one covers it.
    assert.notDeepEqual(readHost("\u0430pple.com"), readHost("apple.com"));
  });

  it("is local when it has one label or a suffix for local use", () => {
    for (const name of [
      "localhost",
      "db",
      "printer.local",
      "a.internal",
      "metadata.google.internal",
      "x.localhost",
      "r.lan",
      "a.home.arpa",
      "x.onion",
    ]) {
      assert.deepEqual(readHost(name), { kind: "name", name, local: true });
    }
  });
});

describe("an address", () => {
  for (const address of SPECIAL) {
    it(`${address} is special`, () => assert.equal(typeof specialRange(address), "string"));
  }
  for (const address of PUBLIC) it(`${address} is public`, () => assert.equal(specialRange(address), null));

  it("is special in any other notation, with a zone, and when it is none", () => {
    for (const text of [
      "127.1",
      "0x7f.1",
      "fe80::1%lo",
      "::1%1",
      "",
      "example.com",
      "8.8.8.8 ",
      "08.8.8.8",
    ]) {
      assert.equal(specialRange(text), "not an address");
    }
  });

  it("lies in a range only in its own family, never mapped", () => {
    assert.equal(inRanges("10.1.2.3", ["10.0.0.0/8"]), true);
    assert.equal(inRanges("11.1.2.3", ["10.0.0.0/8"]), false);
    assert.equal(inRanges("::ffff:10.1.2.3", ["10.0.0.0/8"]), false);
    assert.equal(inRanges("::ffff:10.1.2.3", ["::ffff:0:0/96"]), false);
    assert.equal(inRanges("fd12::1", ["fd00::/8", "10.0.0.0/8"]), true);
  });

  it("of a cloud's metadata is in a range only when that names it alone", () => {
    assert.equal(inRanges("169.254.169.254", ["169.254.0.0/16"]), false);
    assert.equal(inRanges("169.254.169.254", ["169.254.169.254/32"]), true);
    assert.equal(inRanges("fd00:ec2::254", ["fd00::/8"]), false);
  });

  it("ranges that cover far too much, or are none, can't be written", () => {
    for (const range of [
      "0.0.0.0/0",
      "0.0.0.0/7",
      "::/0",
      "10.0.0.0/33",
      "fd00::/129",
      "10.0.0/8",
      "x/8",
      "1.2.3.4",
    ]) {
      assert.equal(typeof rangeProblem(range), "string", range);
    }
    for (const range of ["10.0.0.0/8", "fd00::/8", "127.0.0.0/8", "192.168.7.4/32"])
      assert.equal(rangeProblem(range), null);
  });
});

describe("the guard", () => {
  const { signal } = new AbortController();
  const target = { scheme: "https", port: 443, ranges: null } as const;

  async function refusal(work: Promise<unknown>): Promise<string> {
    const error: unknown = await work.then(
      () => assert.fail("it was allowed"),
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof DoorwardError, String(error));
    return error.code;
  }

  for (const host of ADDRESS_FORMS) {
    it(`does not reach ${JSON.stringify(host)}`, async () => {
      const guard = new Guard({ resolve: () => assert.fail("it was resolved") });
      const code = await refusal(guard.addresses({ ...target, host }, signal));
      assert.match(code, /^EGRESS_(?:ADDRESS_)?DENIED$/);
    });
  }

  it("resolves once, and refuses a name when any of its addresses is special", async () => {
    for (const [a, aaaa] of [
      [["93.184.216.34", "10.0.0.1"], []],
      [["93.184.216.34"], ["::1"]],
      [["93.184.216.34"], ["::ffff:7f00:1"]],
      [[], ["64:ff9b::a00:1"]],
      [["169.254.169.254"], []],
      [["127.0.0.1"], ["2606:4700::1"]],
    ] as const) {
      const dns = await dnsServer((_name, type) => (type === "A" ? a : aaaa));
      try {
        const guard = new Guard(new HostResolver({ servers: [dns.server], hostsFile: null }));
        const code = await refusal(guard.dial({ ...target, host: "evil.example" }, signal));
        assert.equal(code, "EGRESS_ADDRESS_DENIED");
        assert.deepEqual(dns.asked.toSorted(), ["evil.example A", "evil.example AAAA"]);
      } finally {
        dns.close();
      }
    }
  });

  it("dials what it checked: a name that means another address a moment later is not asked again", async () => {
    const dns = await dnsServer((_name, type, asked) =>
      type === "AAAA" ? [] : asked <= 2 ? ["127.0.0.77"] : ["10.0.0.1"],
    );
    try {
      const guard = new Guard(new HostResolver({ servers: [dns.server], hostsFile: null }), {
        connectMs: 500,
      });
      const ranges = ["127.0.0.0/8"];
      const error: unknown = await guard
        .dial({ ...target, port: 9, host: "rebind.example", ranges }, signal)
        .catch((thrown: unknown) => thrown);
      assert.ok(error instanceof DoorwardError && error.code === "EGRESS_UNREACHABLE", String(error));
      assert.equal(dns.asked.length, 2);
      const again = await refusal(guard.dial({ ...target, port: 9, host: "rebind.example", ranges }, signal));
      assert.equal(again, "EGRESS_ADDRESS_DENIED");
    } finally {
      dns.close();
    }
  });

  it("refuses a host with more addresses than it would judge, whatever they are", async () => {
    const all = Array.from({ length: 65 }, (_, at) => `93.184.215.${String(at)}`);
    const guard = (count: number): Guard =>
      new Guard({ resolve: () => Promise.resolve(all.slice(0, count)) });
    assert.equal((await guard(64).addresses({ ...target, host: "many.example" }, signal)).length, 64);
    assert.equal(
      await refusal(guard(65).addresses({ ...target, host: "many.example" }, signal)),
      "EGRESS_ADDRESS_DENIED",
    );
  });

  it("does not resolve local names without a rule that gives their addresses", async () => {
    const guard = new Guard({ resolve: () => assert.fail("it was resolved") });
    for (const host of ["localhost", "db", "x.local", "metadata.google.internal"]) {
      assert.equal(await refusal(guard.addresses({ ...target, host }, signal)), "EGRESS_ADDRESS_DENIED");
    }
  });

  it("gives up on a server that never answers, and at once when it is told to", async () => {
    const dns = await dnsServer(() => "silent");
    try {
      const resolver = new HostResolver({ servers: [dns.server], hostsFile: null, timeoutMs: 200 });
      assert.equal(
        await refusal(new Guard(resolver).dial({ ...target, host: "slow.example" }, signal)),
        "EGRESS_UNRESOLVED",
      );
      await assert.rejects(
        new Guard(resolver).dial({ ...target, host: "slow.example" }, AbortSignal.abort()),
      );
    } finally {
      dns.close();
    }
  });

  it("refuses other schemes and ports that are none", async () => {
    const guard = new Guard({ resolve: () => assert.fail("it was resolved") });
    for (const port of [0, -1, 65_536, 1.5, Number.NaN]) {
      assert.equal(
        await refusal(guard.addresses({ ...target, host: "a.example", port }, signal)),
        "EGRESS_DENIED",
      );
    }
    for (const scheme of ["file", "ftp", "gopher"]) {
      const asked = { ...target, host: "a.example", scheme } as never;
      assert.equal(await refusal(guard.addresses(asked, signal)), "EGRESS_DENIED");
    }
  });

  it("follows redirects only to HTTP, without credentials, and not from https to http", () => {
    const from = new URL("https://a.example/x");
    for (const location of [
      "http://a.example/",
      "ftp://a.example/",
      "https://u:p@a.example/",
      "javascript:1",
      "file:///etc/passwd",
      "https://",
    ]) {
      assert.equal(Guard.redirect(from, location), null, location);
    }
    assert.deepEqual(Guard.redirect(from, "//0x7f.1:8443/y"), {
      scheme: "https",
      host: "127.0.0.1",
      port: 8443,
      ranges: null,
    });
    assert.deepEqual(Guard.redirect(from, "/y"), {
      scheme: "https",
      host: "a.example",
      port: 443,
      ranges: null,
    });
  });

  it("says why in words, names the rule, and hints at the policy", async () => {
    const guard = new Guard({ resolve: () => Promise.resolve(["10.0.0.1"]) });
    const error: unknown = await guard
      .addresses({ ...target, host: "corp.example" }, signal)
      .catch((thrown: unknown) => thrown);
    assert.ok(error instanceof DenialError);
    assert.equal(error.message, 'Cannot reach "corp.example": its address 10.0.0.1 is special (private)');
    assert.match(error.hint ?? "", /policy\.yaml/);
  });
});
