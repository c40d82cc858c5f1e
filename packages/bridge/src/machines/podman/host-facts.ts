import type { HostFacts } from "@doorward/contracts";
import { gradeOf, hostFindings } from "../../hosts/linux/host-findings.ts";
import type { LinuxHost } from "../../hosts/linux/linux-host.ts";
import { findProgram, type RuntimeChoice } from "./runtime-choice.ts";
import { stockProfilePath } from "./seccomp-files.ts";

/** Puts what was found of host and runtime in the form of the contract. */
export function describeHost(host: LinuxHost, runtime: RuntimeChoice, imageBase: string | null): HostFacts {
  const ownership = ownershipOf(host, runtime);
  const findings = hostFindings(host, {
    podman: runtime.podman,
    runtime: runtime.version,
    wrapped: runtime.wrapped,
    rejected: runtime.rejected,
    ownership,
    limits: [...host.enforceable],
    stockSeccomp: stockProfilePath(),
    storageDriver: "overlay",
    programs: {
      mmdebstrap: findProgram("mmdebstrap"),
      newuidmap: findProgram("newuidmap"),
      catatonit: findInit(),
      setpriv: findProgram("setpriv"),
    },
    imageBase,
  });
  return {
    adapter: "linux",
    kernel: host.kernel,
    podman: runtime.podman,
    runtime: runtime.version,
    rootless: host.rootless,
    cgroups: host.cgroups,
    limits: [...host.enforceable],
    ownership,
    userNamespace: ownership !== "same-uid",
    mandatoryAccessControl: host.mandatoryAccessControl,
    nofile: host.nofile,
    nproc: host.nproc,
    grade: gradeOf(findings, ownership),
    findings,
  };
}

function ownershipOf(host: LinuxHost, { idmap }: RuntimeChoice): HostFacts["ownership"] {
  if (host.rootless) return "keep-id";
  return idmap && host.userNamespaces ? "idmapped" : "same-uid";
}

/** Path of the init that Podman puts into a machine, or `null`. */
export function findInit(): string | null {
  return (
    findProgram("catatonit") ??
    findProgram("../libexec/podman/catatonit") ??
    findProgram("../lib/podman/catatonit")
  );
}
