import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import type { ActionPreset } from "@doorward/contracts";
import { ArgumentRefusal, matchCommand } from "../../packages/bridge/src/actions/arguments/index.ts";
import { ACTION_PRESET_SPECS } from "../../packages/bridge/src/actions/presets/index.ts";

/** What a tool says of a flag or a command that it does not know; everything else means that it understood. */
const NOT_UNDERSTOOD =
  /unknown (?:shorthand )?(?:flag|command|option)|unrecognized|unknown switch|flag provided but not defined|is not a (?:git|docker|podman) command/i;

function placeOf(preset: ActionPreset): string | undefined {
  return ACTION_PRESET_SPECS[preset].places.find((place) => existsSync(place));
}

function refused(preset: ActionPreset, line: readonly string[]): void {
  const { scope, places } = ACTION_PRESET_SPECS[preset];
  assert.throws(() => matchCommand(line, scope, basename(places[0] ?? "")), ArgumentRefusal);
}

describe("git itself", { skip: placeOf("git") === undefined ? "no git here" : false }, () => {
  const git = placeOf("git") ?? "";
  const env = {
    PATH: "/usr/bin:/bin",
    HOME: "/nonexistent",
    ...ACTION_PRESET_SPECS.git.scope.environment?.set,
  };

  function inRepo(work: (repo: string) => void): void {
    const repo = mkdtempSync(join(tmpdir(), "doorward-git-"));
    const own = { cwd: repo, env: { PATH: env.PATH, HOME: repo, GIT_CONFIG_NOSYSTEM: "1" } };
    try {
      execFileSync(git, ["init", "-q", "-b", "main"], own);
      for (const message of ["one", "two"])
        execFileSync(
          git,
          [
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@example.invalid",
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            message,
          ],
          own,
        );
      execFileSync(git, ["tag", "v1"], own);
      work(repo);
    } finally {
      rmSync(repo, { recursive: true, force: true });
    }
  }

  it("understands every command line that the preset gives as an example", () => {
    inRepo((repo) => {
      for (const line of ACTION_PRESET_SPECS.git.examples) {
        const ran = spawnSync(git, line.split(" "), { cwd: repo, env, encoding: "utf8" });
        assert.equal(ran.status, 0, `${line}: ${ran.stderr}`);
      }
    });
  });
  it("really runs what abbreviated and joined flags name, which the preset refuses", () => {
    inRepo((repo) => {
      const mark = join(repo, "ran");
      const program = join(repo, "evil");
      writeFileSync(program, `#!/bin/sh\n: > '${mark}'\n`, { mode: 0o755 });
      const attacks = [
        ["ls-remote", `--upload-p=${program}`, repo],
        ["-c", `core.fsmonitor=${program}`, "status"],
        ["-c", `alias.x=!${program}`, "x"],
        ["log", `--outp=${mark}`],
        ["grep", `-O${program}`, "x"],
      ];
      const worked = attacks.filter((args) => {
        rmSync(mark, { force: true });
        spawnSync(git, args, { cwd: repo, env: { PATH: env.PATH, HOME: repo }, timeout: 120_000 });
        refused("git", args);
        return existsSync(mark);
      });
      assert.ok(worked.length >= 3, JSON.stringify(worked));
    });
  });
  it("in the preset's environment runs nothing that the repository's own configuration names", () => {
    inRepo((repo) => {
      const mark = join(repo, "ran");
      const program = join(repo, "evil");
      writeFileSync(program, `#!/bin/sh\n: > '${mark}'\n`, { mode: 0o755 });
      for (const key of [
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "gpg.program",
        "core.editor",
        "pager.log",
        "pager.status",
      ])
        execFileSync(git, ["-C", repo, "config", key, program], { env: { PATH: env.PATH, HOME: repo } });
      execFileSync(git, ["-C", repo, "config", "log.showSignature", "true"], {
        env: { PATH: env.PATH, HOME: repo },
      });
      for (const line of ACTION_PRESET_SPECS.git.examples)
        spawnSync(git, line.split(" "), { cwd: repo, env });
      assert.equal(existsSync(mark), false);
    });
  });
  it("in the preset's environment runs nothing that a submodule's own configuration names either", () => {
    inRepo((repo) => {
      const mark = join(repo, "ran");
      const program = join(repo, ".git", "evil");
      writeFileSync(program, `#!/bin/sh\n: > '${mark}'\n`, { mode: 0o755 });
      const own = { cwd: repo, env: { PATH: env.PATH, HOME: repo }, encoding: "utf8" as const };
      const commit = execFileSync(git, ["rev-parse", "HEAD"], own).trim();
      execFileSync(git, ["clone", "-q", repo, join(repo, "sub")], own);
      execFileSync(git, ["update-index", "--add", "--cacheinfo", `160000,${commit},sub`], own);
      execFileSync(git, ["-C", "sub", "config", "core.fsmonitor", program], own);
      execFileSync(git, ["config", "submodule.sub.ignore", "none"], own);
      spawnSync(git, ["status"], own);
      assert.equal(existsSync(mark), true, "without the preset it does");
      rmSync(mark);
      for (const line of ACTION_PRESET_SPECS.git.examples)
        spawnSync(git, line.split(" "), { cwd: repo, env });
      assert.equal(existsSync(mark), false);
    });
  });
  it("in the preset's environment asks no program of the repository about signatures, whatever their kind", () => {
    inRepo((repo) => {
      const mark = join(repo, "ran");
      const program = join(repo, "evil");
      writeFileSync(program, `#!/bin/sh\n: > '${mark}'\n`, { mode: 0o755 });
      const own = { cwd: repo, env: { PATH: env.PATH, HOME: repo }, encoding: "utf8" as const };
      for (const key of ["gpg.program", "gpg.openpgp.program", "gpg.x509.program", "gpg.ssh.program"])
        execFileSync(git, ["config", key, program], own);
      execFileSync(git, ["config", "format.pretty", "%G? %s"], own);
      writeFileSync(join(repo, "signers"), "");
      execFileSync(git, ["config", "gpg.ssh.allowedSignersFile", join(repo, "signers")], own);
      const plain = execFileSync(git, ["cat-file", "commit", "HEAD"], own);
      const ran = ["PGP SIGNATURE", "SIGNED MESSAGE", "SSH SIGNATURE"].flatMap((kind) => {
        const signature = `gpgsig -----BEGIN ${kind}-----\n \n eA==\n -----END ${kind}-----\n\n`;
        const commit = execFileSync(git, ["hash-object", "-t", "commit", "-w", "--stdin"], {
          ...own,
          input: plain.replace("\n\n", `\n${signature}`),
        }).trim();
        execFileSync(git, ["update-ref", "HEAD", commit], own);
        spawnSync(git, ["log", "-n", "1"], own);
        const worked = existsSync(mark) ? [kind] : [];
        rmSync(mark, { force: true });
        spawnSync(git, ["log", "-n", "1"], { cwd: repo, env });
        assert.equal(existsSync(mark), false, kind);
        return worked;
      });
      assert.ok(ran.length >= 2, JSON.stringify(ran));
    });
  });
});

/** What makes a tool parse a whole command line and do nothing, and the environment for that; aws has no credentials here, which ends it. */
const HELP: readonly (readonly [ActionPreset, readonly string[], Readonly<Record<string, string>>])[] = [
  ["docker-cli", ["--help"], {}],
  ["podman", ["--help"], {}],
  ["kubectl", ["--help"], {}],
  ["terraform", ["-help"], {}],
  ["helm", ["--help"], {}],
  ["kustomize", ["--help"], {}],
  ["nomad", ["-help"], {}],
  ["vault", ["-help"], {}],
  ["gh", ["--help"], {}],
  ["azure-cli", ["--help"], { AZURE_CORE_COLLECT_TELEMETRY: "0", AZURE_CONFIG_DIR: "/nonexistent/azure" }],
  ["aws-cli", [], { AWS_PAGER: "", AWS_EC2_METADATA_DISABLED: "true", AWS_DEFAULT_REGION: "eu-north-1" }],
  ["ansible", ["--help"], {}],
];

for (const [preset, help, variables] of HELP) {
  const program = placeOf(preset);
  describe(`${preset} itself`, { skip: program === undefined ? "not installed here" : false }, () => {
    it("knows every command and flag of the preset's command lines", () => {
      for (const line of ACTION_PRESET_SPECS[preset].examples) {
        const [file, args] = commandOf(program ?? "", preset, line.split(" "));
        const ran = spawnSync(file, [...args, ...help], {
          encoding: "utf8",
          timeout: 300_000,
          env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", ...variables },
        });
        assert.doesNotMatch(`${ran.stdout}${ran.stderr}`.slice(0, 400), NOT_UNDERSTOOD, line);
      }
    });
  });
}

/** The scope of ansible is of several programs, and its lines begin with which. */
function commandOf(program: string, preset: ActionPreset, line: readonly string[]): [string, string[]] {
  const [first = "", ...rest] = line;
  return preset === "ansible" ? [join(program, "..", first), rest] : [program, [...line]];
}

it(
  "docker itself understands a server joined to -H, which the preset refuses",
  { skip: placeOf("docker-cli") === undefined ? "no docker here" : false },
  () => {
    const args = ["-Htcp://127.0.0.1:1", "version"];
    const ran = spawnSync(placeOf("docker-cli") ?? "", args, {
      encoding: "utf8",
      timeout: 300_000,
      env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent" },
    });
    assert.match(`${ran.stdout}${ran.stderr}`, /127\.0\.0\.1:1/);
    refused("docker-cli", args);
  },
);
