import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DoorwardError } from "@doorward/contracts";
import { installCommand } from "../../hosts/linux/install-command.ts";
import type { LinuxHost } from "../../hosts/linux/linux-host.ts";
import { keepWritten } from "../../state/index.ts";
import { SeccompProfile, tightenProfile, type SeccompKind } from "./seccomp-rules.ts";

/** A profile on disk, with the digest of its bytes. */
export interface SeccompFile {
  readonly path: string;
  readonly digest: string;
}

/** Where distributions put the profile that Podman uses by default. */
const stockPaths = ["/usr/share/containers/seccomp.json", "/etc/containers/seccomp.json"];

/** Path of the host's stock profile, or `null`. */
export function stockProfilePath(): string | null {
  return stockPaths.find((path) => existsSync(path)) ?? null;
}

/** Derives both profiles from the stock one and writes them. */
export function writeSeccompFiles(
  state: string,
  host: LinuxHost,
): Readonly<Record<SeccompKind, SeccompFile>> {
  const path = stockProfilePath();
  if (path === null) {
    throw new DoorwardError({
      code: "HOST_UNSUPPORTED",
      message: `Cannot start machines: the stock seccomp profile is not in any of ${stockPaths.join(", ")}`,
      hint: installCommand(host.distribution, ["seccomp-profile"]),
    });
  }
  const stock = SeccompProfile.parse(JSON.parse(readFileSync(path, "utf8")));
  requireRefusing(stock, path);
  return { machine: writeProfile(state, stock, "machine"), browser: writeProfile(state, stock, "browser") };
}

/** What a profile does not name must be refused: tightening one that allows by default would leave most of it open. */
export function requireRefusing({ defaultAction }: SeccompProfile, path: string): void {
  if (/^SCMP_ACT_(?:ERRNO|KILL(?:_PROCESS|_THREAD)?)$/.test(defaultAction)) return;
  throw new DoorwardError({
    code: "HOST_UNSUPPORTED",
    message: `Cannot start machines: the seccomp profile "${path}" does "${defaultAction}" with system calls that it does not name`,
    hint: "Install your distribution's stock profile again",
  });
}

function writeProfile(state: string, stock: SeccompProfile, kind: SeccompKind): SeccompFile {
  const text = `${JSON.stringify(tightenProfile(stock, kind), null, 1)}\n`;
  const path = join(state, `seccomp-${kind}.json`);
  keepWritten(path, text, 0o644);
  return { path, digest: `sha256:${createHash("sha256").update(text).digest("hex")}` };
}
