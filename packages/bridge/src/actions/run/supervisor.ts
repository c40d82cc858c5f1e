import { spawn } from "node:child_process";
import { closeSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { createInterface } from "node:readline";
import { killCgroup } from "./cgroup.ts";
import { systemCode, reasonOf } from "../failures.ts";
import { SUPERVISOR_FD, ToSupervisor, type FromSupervisor } from "./supervisor-protocol.ts";

/**
 * The process between the bridge and one program it runs. It enters the cgroups (or is process 1 of a namespace), starts
 * the file that it holds as a descriptor, and takes everything down with it when the bridge is gone.
 */
const O_CLOEXEC = 0o2_000_000;
const control = new Socket({ fd: SUPERVISOR_FD.control, readable: true, writable: true });
let cgroups: readonly string[] = [];
let group: number | null = null;

closeInherited();
control.on("error", endAll);
control.on("close", endAll);
control.on("end", endAll);
createInterface({ input: control }).on("line", (line) => {
  const message = ToSupervisor.parse(JSON.parse(line));
  if (message.type === "start") start(message);
  else signalGroup("SIGTERM");
});

function start(plan: Extract<ToSupervisor, { type: "start" }>): void {
  try {
    cgroups = plan.cgroups;
    for (const folder of cgroups) writeFileSync(`${folder}/cgroup.procs`, "0");
  } catch (error) {
    answer({ type: "failed", code: "CGROUP", message: reasonOf(error) });
    return;
  }
  const child = spawn(`/proc/self/fd/${SUPERVISOR_FD.program}`, plan.args, {
    argv0: plan.argv0,
    cwd: `/proc/self/fd/${SUPERVISOR_FD.cwd}`,
    env: plan.env,
    stdio: [0, 1, 2],
    detached: true,
    shell: false,
  });
  group = child.pid ?? null;
  child.on("error", (error) =>
    answer({ type: "failed", code: systemCode(error) ?? "UNKNOWN", message: reasonOf(error) }),
  );
  child.on("exit", (code, signal) => answer({ type: "exited", code, signal }));
  // Else the program's reader would wait for us, and its standard input would never end.
  for (const fd of [0, 1, 2]) closeSync(fd);
}

function answer(message: FromSupervisor): void {
  control.write(`${JSON.stringify(message)}\n`);
}

function signalGroup(signal: NodeJS.Signals): void {
  if (group === null) return;
  try {
    process.kill(-group, signal);
  } catch {
    // It has ended.
  }
}

/** As process 1 of a namespace the exit alone ends all; in a cgroup this kills the supervisor too. */
function endAll(): void {
  signalGroup("SIGKILL");
  for (const folder of cgroups) killCgroup(folder);
  process.exit(0);
}

/** Node marks what it was given as close-on-exec only up to the first gap; a program must get its three streams and no more. */
function closeInherited(): void {
  for (const name of readdirSync("/proc/self/fd")) {
    const fd = Number(name);
    if (fd > SUPERVISOR_FD.cwd && !closesOnExec(fd)) closeSync(fd);
  }
}

function closesOnExec(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
    return (parseInt(flags, 8) & O_CLOEXEC) !== 0;
  } catch {
    return true;
  }
}
