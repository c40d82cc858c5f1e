import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Problem } from "@doorward/contracts";
import { hostKey, clientKey } from "../src/cli/ssh/keys.ts";
import { createSshFolders, sshPlace } from "../src/cli/ssh/place.ts";
import { runHere, startCliLab, type CliLab } from "./cli-lab.ts";

const skip = spawnSync("ssh-keygen", ["-?"]).error === undefined ? false : "needs ssh-keygen";

describe("ssh, ssh-config and ssh-proxy", { timeout: 600_000, skip }, () => {
  let lab: CliLab;
  before(async () => (lab = await startCliLab()));
  after(() => lab[Symbol.asyncDispose]());

  const wrong: readonly [readonly string[], string][] = [
    [["ssh-config", "--print", "--remove"], "options"],
    [["ssh-config", "--install", "--stand-in"], "options"],
    [["ssh-config", "shop"], "machine"],
    [["ssh-config", "--token-file", "t"], "--token-file"],
    [["ssh-config", "../x", "--print"], "machine"],
    [["ssh-proxy", "-oProxyCommand=x.doorward"], "argv"],
    [["ssh-proxy", "$(touch x).doorward"], "machine"],
    [["ssh-proxy", ".doorward"], "machine"],
    [["ssh", "a b"], "machine"],
  ];
  for (const [args, field] of wrong) {
    it(`${JSON.stringify(args)} is refused with exit code 2`, async () => {
      const ran = await runHere(lab, [...args, "--json"]);
      assert.equal(ran.code, 2, ran.stderr);
      assert.equal(Problem.parse(JSON.parse(ran.stderr)).details?.["field"], field);
    });
  }

  it("a machine whose image has no sshd of ours is refused with what to do", async () => {
    const ran = await lab.run(["ssh-proxy", "shop.doorward"]);
    assert.equal(ran.code, 127);
    assert.match(ran.stderr, /its image has no sshd .*\n.*doorward stop shop && doorward start shop/);
  });

  it("a token file decides for whom it acts, and one that others read, or that is missing, for nobody", async () => {
    const file = join(lab.home, "token");
    const proxy = (): ReturnType<CliLab["run"]> =>
      lab.run(["ssh-proxy", "shop", "--token-file", file], {
        env: { DOORWARD_URL: `http://127.0.0.1:${String(lab.port)}` },
      });
    assert.match((await proxy()).stderr, /Cannot read token file .*ENOENT/);
    const { token, id } = await lab.grant(["terminal.exec", "terminal.agent-exec"]);
    writeFileSync(file, `${token}\n`, { mode: 0o600 });
    assert.match((await proxy()).stderr, /has no sshd/);
    lab.authority.revoke(id, "done", "operator:ada");
    assert.match((await proxy()).stderr, /revoked/);
    chmodSync(file, 0o644);
    assert.match((await proxy()).stderr, /other users can read it/);
    writeFileSync(file, "\n");
    chmodSync(file, 0o600);
    assert.match((await proxy()).stderr, /it is empty/);
  });

  it("of many that make a key at once one wins, and each machine is known once with a key of its own", async () => {
    const place = sshPlace({ DOORWARD_HOME: join(lab.home, "many") });
    createSshFolders(place);
    const keys = await Promise.all(Array.from({ length: 8 }, () => hostKey(place, "shop")));
    assert.equal(new Set(keys).size, 1);
    assert.notEqual(await hostKey(place, "other"), keys[0]);
    await hostKey(place, "shop");
    const known = readFileSync(place.knownHosts, "utf8").trim().split("\n");
    assert.deepEqual(
      known.map((line) => line.split(" ")[0]).sort(),
      [...new Set(known.map((line) => line.split(" ")[0]))].sort(),
    );
    const said = spawnSync(
      "ssh-keygen",
      ["-y", "-f", place.identity.replace(/id_ed25519$/, "host-keys/shop")],
      { encoding: "utf8" },
    );
    assert.ok(
      known.includes(`shop.doorward ${said.stdout.split(" ").slice(0, 2).join(" ").trim()}`),
      said.stdout,
    );
  });

  it("a damaged key is refused by its path", async () => {
    const place = sshPlace({ DOORWARD_HOME: join(lab.home, "damaged") });
    createSshFolders(place);
    writeFileSync(
      place.identity,
      "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
      { mode: 0o600 },
    );
    await assert.rejects(clientKey(place), /Cannot use key ".*id_ed25519": it is damaged/);
  });

  it("a ~/.ssh/config that is a symlink stays one, and is as before after --remove", async () => {
    const home = join(lab.home, "user");
    mkdirSync(join(home, ".ssh"), { recursive: true });
    writeFileSync(join(home, "dotfile"), "Host a\n\nHost b\n");
    symlinkSync("../dotfile", join(home, ".ssh", "config"));
    const env = { HOME: home };
    assert.equal((await lab.run(["ssh-config", "--install"], { env })).code, 0);
    assert.match(readFileSync(join(home, "dotfile"), "utf8"), /^# .*\nInclude ".*"\n\nHost a/);
    assert.equal((await lab.run(["ssh-config", "--remove"], { env })).code, 0);
    assert.equal(readlinkSync(join(home, ".ssh", "config")), "../dotfile");
    assert.equal(readFileSync(join(home, "dotfile"), "utf8"), "Host a\n\nHost b\n");
    assert.equal(existsSync(join(lab.home, "state", "ssh")), false);
  });

  it("what is printed is what ssh reads, also where the path needs quotes and has percent signs", async () => {
    const env = { DOORWARD_HOME: join(lab.home, "a 100% odd 'place") };
    const printed = await lab.run(["ssh-config", "shop", "--print", "--token-file", "to ken"], { env });
    const file = join(lab.home, "printed");
    writeFileSync(file, printed.stdout);
    const read = spawnSync("ssh", ["-F", file, "-G", "shop.doorward"], { encoding: "utf8" }).stdout;
    assert.match(read, /^user agent$/m);
    assert.match(read, /^proxycommand .*ssh-proxy --token-file '.*to ken' '%h'$/m);
    assert.match(read, /^stricthostkeychecking (?:true|yes)$/m);
    assert.match(read, /^forwardagent no$/m);
    assert.ok(read.includes("100% odd 'place/state/ssh/known_hosts"), read);
  });
});
