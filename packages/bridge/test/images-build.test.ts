import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { toDoorwardError } from "@doorward/contracts";
import { pino } from "pino";
import type { EngineImage } from "../src/machines/engine.ts";
import { PodmanEngine } from "../src/machines/podman/podman-engine.ts";
import { findProgram } from "../src/machines/podman/runtime-choice.ts";
import { never, skipped } from "./podman-lab.ts";

const skip =
  skipped !== false ? skipped : findProgram("mmdebstrap") === null ? "mmdebstrap is not installed" : false;
const machine = { name: "machine", buildTools: false };

function leftovers(): string[] {
  const scratch = ["/dev/shm", "/tmp"].flatMap((folder) =>
    readdirSync(folder).map((name) => join(folder, name)),
  );
  return scratch.filter((path) => path.includes(`/doorward-image-${String(process.pid)}-`));
}

function buildersRunning(): boolean {
  return readdirSync("/proc").some((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`doorward-image-${String(process.pid)}-`)
      );
    } catch {
      return false;
    }
  });
}

describe("the machine image", { skip, concurrency: false, timeout: 600_000 }, () => {
  let root: string;
  let engine: PodmanEngine;
  before(async () => {
    root = mkdtempSync("/var/tmp/dwimg-");
    const log = pino({ level: "silent" });
    engine = await PodmanEngine.open({
      stateDir: join(root, "state"),
      runtimeDir: join(root, "run"),
      installationId: "i_img",
      log,
      signal: never,
    });
  });
  after(async () => {
    for (const { containerId } of await engine.list()) await engine.remove(containerId, 0);
    await engine[Symbol.asyncDispose]();
    rmSync(root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });

  test("an image that is not there is never pulled", async () => {
    for (const name of ["localhost/absent:1", "docker.io/library/debian:bookworm", "a:b:c", "../x:y"]) {
      await assert.rejects(
        engine.ensureImage({ name, buildTools: false }, () => undefined, never),
        (error: unknown) => {
          assert.equal(toDoorwardError(error).code, "IMAGE_NOT_FOUND");
          return true;
        },
      );
    }
  });

  test("a build that everyone left is stopped, and leaves no process and no file", async () => {
    const earlier = new Set(leftovers());
    const abort = new AbortController();
    const build = engine.ensureImage(machine, () => undefined, abort.signal);
    setTimeout(() => {
      abort.abort();
    }, 3_000);
    await assert.rejects(build, (error: unknown) => toDoorwardError(error).code === "ABORTED");
    for (
      let round = 0;
      round < 2400 && (buildersRunning() || leftovers().some((path) => !earlier.has(path)));
      round++
    ) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(
      leftovers().filter((path) => !earlier.has(path)),
      [],
    );
    assert.equal(buildersRunning(), false);
    assert.deepEqual(await engine.images(), []);
  });

  let built: EngineImage;
  test("two who ask at once share one build, and one of them may leave", async () => {
    const steps: string[] = [];
    const leaver = new AbortController();
    const first = engine.ensureImage(machine, ({ step }) => steps.push(step), leaver.signal);
    const second = engine.ensureImage(machine, ({ step }) => steps.push(step), never);
    setTimeout(() => {
      leaver.abort();
    }, 2_000);
    await assert.rejects(first);
    built = await second;
    assert.equal(steps.filter((step) => step === "Unpacking the base system").length, 1);
    assert.match(built.id, /^sha256:[a-f0-9]{64}$/);
    assert.match(built.digest, /^sha256:[a-f0-9]{64}$/);
    assert.match(built.recipe, /^sha256:[a-f0-9]{64}$/);
    assert.deepEqual(
      (await engine.images()).map(({ tag }) => tag),
      [built.tag],
    );
  });

  test("a built image is found again without a build", async () => {
    const steps: string[] = [];
    assert.deepEqual(await engine.ensureImage(machine, ({ step }) => steps.push(step), never), built);
    assert.deepEqual(steps, []);
  });

  test("the image has what an agent needs, and nothing that is set-id", async () => {
    const script = `set -e; cd /tmp; id -un; node --version; npm --version >/dev/null; npx --version >/dev/null; git --version >/dev/null; rg --version >/dev/null
      curl --version >/dev/null; python3 -m venv v; v/bin/pip --version >/dev/null; git config --system branch.autoSetupMerge
      git init -q r; locale | grep -q C.UTF-8; find / -xdev -perm /6000 -type f 2>/dev/null | wc -l; sleep 0.2`;
    const ended = new Promise<void>((resolve) => {
      engine.onExit(() => {
        resolve();
      });
    });
    const { containerId } = await engine.launch(
      {
        name: "dwimg",
        machineId: "m_image0000000",
        installationId: "i_img",
        imageId: built.id,
        command: ["sh", "-c", script],
        workdir: "/workspace",
        hostname: "dwimg",
        env: { HOME: "/tmp", LANG: "C.UTF-8", PATH: "/usr/local/bin:/usr/bin:/bin" },
        user: { uid: 1000, gid: 1000 },
        idRangeStart: 5_000_000,
        mounts: [],
        tmpfs: [{ target: "/tmp", sizeBytes: 1 << 28, mode: 0o1777 }],
        limits: { memoryBytes: 1 << 30, pids: 256, cpus: 2, nofile: 4096, nproc: 256, shmBytes: 1 << 20 },
        relaxations: [],
        seccomp: "machine",
      },
      never,
    );
    await ended;
    const lines = (await engine.logs(containerId, 50)).trim().split("\n");
    assert.equal(lines[0], "agent");
    assert.match(lines[1] ?? "", /^v24\./);
    assert.deepEqual(lines.slice(2), ["false", "0"]);
    assert.deepEqual(await engine.pruneImages([]), [], "an image in use is kept");
    await engine.remove(containerId, 0);
  });

  test("pruning keeps what is named and removes the rest", async () => {
    assert.deepEqual(await engine.pruneImages([built.tag]), []);
    assert.deepEqual(await engine.pruneImages([]), [built.tag]);
    assert.deepEqual(await engine.images(), []);
  });
});
