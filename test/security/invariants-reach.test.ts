import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "@doorward/client";
import type { AgentMachineFingerprint } from "@doorward/contracts";
import { needsRoot, type Lab } from "../support/lab.ts";
import { procFile } from "../support/leftovers.ts";
import {
  BROWSERS,
  CANARY,
  openInvariantsLab,
  SECRETS,
  VARIABLES,
  type InvariantsLab,
} from "./invariants-lab.ts";

describe(
  "the security invariants of the host interface: what a machine sees and changes",
  { skip: needsRoot },
  () => {
    let own: InvariantsLab;
    let lab: Lab;
    let home: string;
    let repo: string;

    before(async () => {
      own = await openInvariantsLab();
      ({ lab, home, repo } = own);
    });
    after(async () => await own[Symbol.asyncDispose]());

    it("1: no machine ever has the home folder as a whole", { timeout: 600_000 }, async () => {
      const before = await own.names();
      symlinkSync(home, join(lab.sources, "to-home"));
      symlinkSync(lab.root, join(lab.sources, "above-home"));
      mkdirSync(join(lab.sources, "bound"));
      mkdirSync(join(lab.sources, "outer", "inner"), { recursive: true });
      execFileSync("mount", ["--bind", home, join(lab.sources, "bound")]);
      execFileSync("mount", ["--bind", home, join(lab.sources, "outer", "inner")]);
      execFileSync("git", ["init", "--quiet", home]);
      try {
        const spellings = [
          home,
          `${home}/`,
          `${home}/.`,
          `${home}//`,
          "~",
          `/proc/self/root${home}`,
          `${home}/.config/..`,
          lab.root,
          "/tmp",
          "/",
          join(lab.sources, "to-home"),
          `${join(lab.sources, "to-home")}/.`,
          join(lab.sources, "above-home"),
          join(lab.sources, "above-home", "user"),
          join(lab.sources, "bound"),
          join(lab.sources, "outer"),
        ];
        for (const path of spellings) await own.refused(path);
        const inside = await lab.run(["up", "--json"], { cwd: home });
        assert.notEqual(inside.code, 0, "a home that is a repo, as the current folder");
        assert.equal((await lab.run(["run", home, "--", "true"])).code, 3);
        assert.equal((await lab.run(["up", "--review", home])).code, 3);
      } finally {
        for (const name of ["bound", "outer/inner"]) execFileSync("umount", [join(lab.sources, name)]);
        rmSync(join(home, ".git"), { recursive: true });
      }
      assert.deepEqual(await own.names(), before);
      const [launched] = await own.statements("launch", 1);
      const { inputs } = launched?.["fingerprint"] as AgentMachineFingerprint;
      const sources = inputs.mounts.map(({ source }) => source);
      for (const source of sources) assert.ok(!`${home}/`.startsWith(`${source}/`), source);
    });

    it(
      "2: no machine sees keys, profiles, keychains, tokens, credentials or password stores by default",
      { timeout: 600_000 },
      async () => {
        const before = await own.names();
        for (const path of SECRETS) {
          const place = path.includes("/") ? join(home, path, "..") : join(home, path);
          await own.refused(place, path);
        }
        for (const path of [".ssh", ".aws", ".password-store"]) {
          symlinkSync(join(home, path), join(lab.sources, `to${path}`));
          await own.refused(join(lab.sources, `to${path}`));
        }
        assert.deepEqual(await own.names(), before);
        const search = `grep -rslF ${CANARY} / --exclude-dir=proc --exclude-dir=sys; cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -F ${CANARY}; true`;
        writeFileSync(join(repo, "planted.txt"), `${CANARY}\n`);
        assert.equal(
          (await lab.sh("shop", search)).stdout,
          "/workspace/shop/planted.txt\n",
          "the search finds",
        );
        rmSync(join(repo, "planted.txt"));
        assert.equal((await lab.sh("shop", search)).stdout, "", "nothing else is there");
        for (const path of [...SECRETS, ...BROWSERS]) {
          const tried = await lab.sh("shop", `cat '${join(home, path)}' ~/'${path}'`);
          assert.equal(tried.stdout, "", path);
        }
        // A link that the machine makes leads nowhere, in the machine as on the host's side of the mount.
        await lab.sh("shop", `ln -s ${home}/.ssh keys; ln -s /proc/1/root${home} root`);
        assert.equal((await lab.sh("shop", "cat keys/* root/.netrc")).stdout, "");
        await lab.sh("shop", "rm keys root");
        for (const { pid } of lab.inside())
          for (const value of Object.values(VARIABLES)) assert.ok(!procFile(pid, "environ").includes(value));
      },
    );

    it(
      "3: no browser profile is shared, by mount, by document or by grant",
      { timeout: 600_000 },
      async () => {
        const before = await own.names();
        for (const path of BROWSERS) await own.refused(join(home, path, ".."), path);
        symlinkSync(join(home, ".mozilla"), join(lab.sources, "profile"));
        await own.refused(join(lab.sources, "profile"));
        assert.deepEqual(await own.names(), before);
        const document = await own.refusedDocument("BrowserDoor/valid/macos-host-extension-with-grant");
        assert.equal(document, "DOOR_NOT_BUILT");
        for (const operation of [
          "browser.attach",
          "browser.read_page",
          "browser.managed_identity_delegate",
        ]) {
          assert.notEqual(await own.refusedGrant({ operations: [operation] }), "minted", operation);
          const wide = { doors: ["terminal", "browser"], operations: ["terminal.exec", operation] };
          assert.notEqual(await own.refusedGrant(wide), "minted", operation);
        }
        const { token } = await lab.grant("shop", ["terminal.observe"]);
        await using client = connect({ url: `http://127.0.0.1:${await lab.tcpPort()}`, token });
        const { grants } = await client.call("grants.list", {});
        const [held] = grants;
        assert.ok(held);
        const wider = client.call("grants.narrow", {
          params: { grant: held.grant.grantId },
          body: { operations: ["browser.attach"] } as never,
        });
        await assert.rejects(wider);
      },
    );

    it("4: only allowlisted repo paths can be edited", { timeout: 600_000 }, async () => {
      const outside = join(lab.root, "outside.txt");
      writeFileSync(outside, "as it was\n", { mode: 0o666 });
      symlinkSync(outside, join(repo, "way-out"));
      symlinkSync("../../outside.txt", join(repo, "way-up"));
      const hook = join(repo, ".git", "config");
      const [config, tasks] = [hook, join(repo, ".vscode", "tasks.json")].map((path) =>
        readFileSync(path, "utf8"),
      );
      const attacks = [
        "echo evil > way-out",
        "echo evil > way-up",
        "ln way-up twin && echo evil > twin",
        "echo evil > ../../outside.txt",
        "mkdir -p up && mount --bind / up && echo evil > up/outside.txt",
        `echo evil > /proc/1/root${outside}`,
        `echo evil > ${outside}`,
        "echo evil >> .git/config",
        "echo evil >> .vscode/tasks.json",
        "mv .vscode .vscode2",
        "echo evil > .git/hooks/post-checkout",
        "echo evil > ../other/file",
        "echo evil > .env",
      ];
      for (const attack of attacks) await lab.sh("shop", attack);
      assert.equal(readFileSync(outside, "utf8"), "as it was\n");
      assert.equal(readFileSync(hook, "utf8"), config);
      assert.equal(readFileSync(join(repo, ".vscode", "tasks.json"), "utf8"), tasks);
      assert.match(readFileSync(join(repo, ".env"), "utf8"), new RegExp(CANARY));
      assert.throws(() => readFileSync(join(repo, ".git", "hooks", "post-checkout")));
      assert.equal((await lab.sh("shop", "echo fine > app.js")).code, 0, "ordinary work goes on");
      // Tools that edit are held to the paths of their grant, by every one of them and by every spelling.
      symlinkSync("../app.js", join(repo, "lib", "beside"));
      symlinkSync(outside, join(repo, "lib", "way-out"));
      const operations = ["agent-tool.list", "agent-tool.read", "agent-tool.write"];
      await using editor = await own.agentTools({ operations, paths: [join(repo, "lib")] });
      const kept = readFileSync(join(repo, "app.js"), "utf8");
      const places = [
        "app.js",
        "lib/../app.js",
        "lib/beside",
        "lib/way-out",
        ".vscode/tasks.json",
        ".git/config",
      ]
        .map((path) => `/workspace/shop/${path}`)
        .concat(
          "/proc/self/root/workspace/shop/app.js",
          outside,
          join(repo, "app.js"),
          "../../../../etc/passwd",
        );
      for (const path of places) {
        const patch = [
          "*** Begin Patch",
          `*** Update File: ${path}`,
          "@@",
          "-fine",
          "+evil",
          "*** End Patch",
        ];
        const edits = [
          ["write_file", { path, content: "evil\n" }],
          ["edit_file", { path, edits: [{ old_text: "fine", new_text: "evil" }] }],
          ["apply_patch", { patch: patch.join("\n") }],
        ] as const;
        for (const [tool, given] of edits)
          assert.notEqual(await editor.agent.refusal(tool, given), "allowed", `${tool} ${path}`);
      }
      const moved = [
        "*** Begin Patch",
        "*** Update File: /workspace/shop/lib/a.js",
        "*** Move to: /workspace/shop/b.js",
      ];
      assert.notEqual(
        await editor.agent.refusal("apply_patch", { patch: [...moved, "*** End Patch"].join("\n") }),
        "allowed",
      );
      assert.equal(readFileSync(join(repo, "app.js"), "utf8"), kept);
      assert.equal(readFileSync(outside, "utf8"), "as it was\n");
      assert.equal(readFileSync(hook, "utf8"), config);
      assert.equal(readFileSync(join(repo, ".vscode", "tasks.json"), "utf8"), tasks);
      await editor.agent.answer("write_file", { path: "/workspace/shop/lib/a.js", content: "2\n" });
      assert.equal(readFileSync(join(repo, "lib", "a.js"), "utf8"), "2\n", "ordinary edits go on");
      // A file with a second name outside would be edited there too.
      const twin = lab.repo("twin");
      linkSync(outside, join(twin, "twin.txt"));
      assert.equal((await lab.run(["up", twin])).code, 3);
      // Where nothing could hold a grant to its paths, it is not minted.
      const paths = [join(repo, ".vscode")];
      for (const operation of ["terminal.attach", "terminal.input", "terminal.exec", "terminal.agent-exec"])
        assert.notEqual(await own.refusedGrant({ operations: [operation], paths }), "minted", operation);
      const tools = await own.refusedGrant({ operations: ["agent-tool.read", "agent-tool.exec"], paths });
      assert.equal(tools, "GRANT_UNENFORCEABLE");
      for (const path of [home, "/", lab.sources, join(lab.sources, "other"), join(repo, "way-out")])
        assert.notEqual(
          await own.refusedGrant({ operations: ["terminal.observe"], paths: [path] }),
          "minted",
          path,
        );
      for (const operation of ["editor.read", "editor.edit", "editor.write"])
        assert.notEqual(
          await own.refusedGrant({ operations: [operation], paths: [repo] }),
          "minted",
          operation,
        );
      assert.equal(await own.refusedDocument("EditorDoor/valid/linux-vscode"), "DOOR_NOT_BUILT");
    });
  },
);
