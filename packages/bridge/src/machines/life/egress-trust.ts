import { chmod, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import type { EgressRule } from "@doorward/contracts";
import { ensureMachineCa } from "../../egress/tls/machine-ca.ts";
import type { LifeContext } from "./ports.ts";
import type { MachineRecord } from "./record.ts";

/** Folder on the host with a machine's own authority and its key; never mounted. */
export function authorityFolder(stateDir: string, machineId: string): string {
  return join(machineFolder(stateDir, machineId), "authority");
}

/**
 * Makes the folder that a machine gets read-only to trust from: `bundle.pem` with the public authorities, the machine's
 * own and those that rules name, and `machine-ca.pem` with the last two alone. Written anew at each launch.
 */
export async function trustFolder(context: LifeContext, record: MachineRecord): Promise<string> {
  const stateDir = context.folders.state;
  const folder = join(machineFolder(stateDir, record.id), "trusted");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o755);
  const { certificate } = ensureMachineCa(authorityFolder(stateDir, record.id));
  const own = [certificate, ...(await namedAuthorities(context, record))].map(line).join("");
  await replace(join(folder, "machine-ca.pem"), own);
  await replace(join(folder, "bundle.pem"), rootCertificates.map(line).join("") + own);
  return folder;
}

/** Removes what a machine trusted, and its authority. */
export async function forgetTrust(context: LifeContext, machineId: string): Promise<void> {
  await rm(machineFolder(context.folders.state, machineId), { recursive: true, force: true });
}

function machineFolder(stateDir: string, machineId: string): string {
  return join(stateDir, "egress", machineId);
}

/** Authorities of hosts that TLS passes to unread: the program in the machine has to trust them itself. */
async function namedAuthorities(context: LifeContext, record: MachineRecord): Promise<string[]> {
  const rules: readonly EgressRule[] = [
    ...record.profile.egress.allow,
    ...(context.policy.policy.egress?.allow ?? []),
  ];
  const paths = new Set(rules.flatMap(({ ca }) => (ca === undefined ? [] : [ca])));
  const texts = await Promise.all([...paths].map((path) => readAuthority(context, path)));
  return texts.filter((text) => text !== undefined);
}

/** A file that can't be read is no reason to refuse a launch: the gate refuses the host, and says so. */
async function readAuthority(context: LifeContext, path: string): Promise<string | undefined> {
  const real = path.startsWith("~") ? context.home + path.slice(1) : path;
  try {
    const text = await readFile(real, "utf8");
    return text.includes("-----BEGIN CERTIFICATE-----") && !text.includes("PRIVATE KEY") ? text : undefined;
  } catch (error) {
    context.log.warn({ err: error, path }, "authority of an egress rule can't be read");
    return undefined;
  }
}

async function replace(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  await writeFile(temporary, text, { mode: 0o644 });
  await chmod(temporary, 0o644);
  await rename(temporary, path);
}

function line(pem: string): string {
  return `${pem.trimEnd()}\n`;
}
