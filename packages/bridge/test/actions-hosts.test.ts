import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { HostsRecord } from "@doorward/contracts";
import type { ActionError } from "../src/actions/action-error.ts";
import { HostsFile } from "../src/actions/hosts-file/index.ts";
import { hostsPathOf } from "../src/hosts/hosts-path.ts";

const never = new AbortController().signal;
const BASE = "127.0.0.1 localhost\n# caf\xe9 in another encoding\n10.0.0.1 printer";

describe("the hosts file", { skip: process.platform === "linux" ? false : "needs /proc" }, () => {
  let folder: string;
  let path: string;
  let hosts: HostsFile;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "doorward-hosts-"));
    path = join(folder, "hosts");
    writeFileSync(path, BASE, "latin1");
    hosts = new HostsFile({ path, ownNames: ["workstation"] });
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const text = () => readFileSync(path, "latin1");
  const record = (hostname: string, more: Partial<HostsRecord> = {}): HostsRecord => ({
    address: "127.0.0.1",
    hostname,
    ...more,
  });
  async function put(tag: string, ...records: HostsRecord[]): Promise<void> {
    await hosts.apply(await hosts.plan("agent one", tag, records), never);
  }
  async function code(work: Promise<unknown>): Promise<string> {
    try {
      await work;
    } catch (error) {
      return (error as ActionError).failure.code;
    }
    return "done";
  }

  it("gets a section at its end, and every other byte stays", async () => {
    await put(
      "my tag!",
      record("a.test", { comment: "dev é" }),
      record("A.test"),
      record("b.test", { address: "::1" }),
    );
    const section =
      "# BEGIN FDO:agentone:mytag\n127.0.0.1 a.test # dev é\n::1 b.test\n# END FDO:agentone:mytag\n";
    assert.equal(text(), `${BASE}\n${Buffer.from(section).toString("latin1")}`);
  });

  it("has a section replaced in its place, and another beside it left alone", async () => {
    await put("one", record("a.test"));
    await put("two", record("b.test"));
    await put("one", record("c.test"));
    assert.match(
      text(),
      /BEGIN FDO:agentone:one\n127.0.0.1 c.test\n# END FDO:agentone:one\n# BEGIN FDO:agentone:two\n127.0.0.1 b.test\n# END/,
    );
    assert.doesNotMatch(text(), /a\.test/);
  });

  it("is not written when nothing changes", async () => {
    await put("one", record("a.test"));
    const { ino } = statSync(path);
    const plan = await hosts.plan("agent one", "one", [record("a.test")]);
    assert.equal(plan.changed, false);
    await hosts.apply(plan, never);
    assert.equal(statSync(path).ino, ino);
  });

  it("keeps its mode and its line ends, and is edited where a link leads", async () => {
    writeFileSync(path, "127.0.0.1 localhost\r\n");
    chmodSync(path, 0o664);
    symlinkSync(path, join(folder, "link"));
    hosts = new HostsFile({ path: join(folder, "link") });
    await put("t", record("a.test"));
    assert.equal(
      text(),
      "127.0.0.1 localhost\r\n# BEGIN FDO:agentone:t\r\n127.0.0.1 a.test\r\n# END FDO:agentone:t\r\n",
    );
    assert.equal(statSync(path).mode & 0o777, 0o664);
    assert.ok(lstatSync(join(folder, "link")).isSymbolicLink());
  });

  const hostile: readonly (readonly [string, HostsRecord])[] = [
    ["a line feed in a comment", record("a.test", { comment: "x\n6.6.6.6 bank.test" })],
    ["a line separator in a comment", record("a.test", { comment: "x\u20286.6.6.6 bank.test" })],
    ["a next-line character in a comment", record("a.test", { comment: "x\u0085y" })],
    ["half a character in a comment", record("a.test", { comment: "x\ud800" })],
    ["a comment that turns the text around", record("a.test", { comment: "x\u202ey" })],
    ["a comment that looks like an edge", record("a.test", { comment: "# END FDO:other:tag" })],
    ["an address of colons", record("a.test", { address: ":::::" })],
    ["a word as address", record("a.test", { address: "cafe" })],
    ["an address with a zone", record("a.test", { address: "fe80::1%eth0" })],
    ["an empty label", record("a..b")],
    ["a hyphen alone", record("-")],
    ["a name of numbers", record("10.1")],
    ["a name with a space", record("a.test b.test")],
    ["localhost", record("LocalHost", { address: "6.6.6.6" })],
    ["a name below localhost", record("app.localhost")],
    ["ip6-loopback", record("ip6-loopback")],
    ["broadcasthost", record("broadcasthost")],
    ["this host's own name", record("Workstation")],
  ];
  for (const [name, bad] of hostile)
    it(`is not given ${name}`, async () => {
      assert.equal(await code(hosts.plan("p", "t", [record("good.test"), bad])), "VALIDATION_FAILED");
      assert.equal(text(), BASE);
    });

  const broken: readonly (readonly [string, string])[] = [
    ["has no end", "# BEGIN FDO:p:t\n1.1.1.1 a\n"],
    ["has no beginning", "# END FDO:p:t\n"],
    ["holds another", "# BEGIN FDO:p:t\n# BEGIN FDO:q:t\n# END FDO:q:t\n# END FDO:p:t\n"],
    ["is there twice", "# BEGIN FDO:p:t\n# END FDO:p:t\n# BEGIN FDO:p:t\n# END FDO:p:t\n"],
    ["of somebody else has no end", "# BEGIN FDO:other:x\n"],
  ];
  for (const [name, content] of broken)
    it(`is left alone when a section ${name}`, async () => {
      writeFileSync(path, content);
      assert.equal(await code(hosts.plan("p", "t", [record("a.test")])), "OS_ERROR");
      assert.equal(text(), content);
    });

  it("is not written when it changed since the plan", async () => {
    const plan = await hosts.plan("p", "t", [record("a.test")]);
    writeFileSync(path, "else\n");
    assert.equal(await code(hosts.apply(plan, never)), "SCOPE_VIOLATION");
    assert.equal(text(), "else\n");
  });

  it("is not written through a hard link, and not when it is absent", async () => {
    linkSync(path, join(folder, "other"));
    assert.equal(await code(hosts.plan("p", "t", [record("a.test")])), "SCOPE_VIOLATION");
    hosts = new HostsFile({ path: join(folder, "none") });
    assert.equal(await code(hosts.plan("p", "t", [record("a.test")])), "OS_ERROR");
    assert.equal(existsSync(join(folder, "none")), false);
  });

  it("takes only names with the suffixes of the policy, label by label", async () => {
    hosts = new HostsFile({ path, suffixes: ["corp.test"] });
    assert.equal(await code(hosts.plan("p", "t", [record("a.corp.test")])), "done");
    assert.equal(await code(hosts.plan("p", "t", [record("evilcorp.test")])), "SCOPE_VIOLATION");
  });

  it("is where each system has it", () => {
    assert.equal(hostsPathOf("linux", {}), "/etc/hosts");
    assert.equal(hostsPathOf("darwin", {}), "/etc/hosts");
    assert.equal(hostsPathOf("win32", { SystemRoot: "D:\\W" }), "D:\\W\\System32\\drivers\\etc\\hosts");
  });
});
