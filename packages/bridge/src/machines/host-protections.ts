import type { HostFacts, HostProtections, MachineIsolation } from "@doorward/contracts";
import type { EngineSpec } from "./engine.ts";

/** Which protections are in force: what `/proc` shows of the machine, and for the last two what the host was found to have. */
export function protectionsInForce(
  spec: EngineSpec,
  isolation: MachineIsolation,
  facts: HostFacts,
): HostProtections {
  const { namespaces, limits } = isolation;
  return {
    userNamespace: namespaces.user,
    ownIdRange: hasOwnRange(spec, isolation),
    idmappedMounts: hasIdmappedMounts(spec, isolation),
    mountNamespace: namespaces.mnt,
    processNamespace: namespaces.pid,
    networkNamespace: namespaces.net && isolation.interfaces.join() === "lo" && isolation.routes === 0,
    ipcNamespace: namespaces.ipc,
    hostNameNamespace: namespaces.uts,
    cgroupNamespace: namespaces.cgroup,
    noCapabilities: /^0+$/.test(isolation.capEff) && /^0+$/.test(isolation.capBnd),
    noNewPrivileges: isolation.noNewPrivs,
    seccompFilter: isolation.seccompMode === 2,
    readOnlyRoot: isolation.rootReadOnly,
    memoryLimit: limits.memoryBytes !== null,
    swapLimit: limits.swapBytes !== null,
    pidsLimit: limits.pids !== null,
    cpuLimit: limits.cpus !== null,
    mandatoryAccessControl: facts.mandatoryAccessControl !== "none",
    init: facts.findings.some(({ id, state }) => id === "init.catatonit" && state === "ok"),
  };
}

function hasOwnRange({ idRangeStart }: EngineSpec, { uidMap, gidMap }: MachineIsolation): boolean {
  const range = `0 ${String(idRangeStart)} 65536`;
  return uidMap === range && gidMap === range;
}

/** Every mount whose owner is to be mapped, as the kernel shows it; true where there is none. */
function hasIdmappedMounts(spec: EngineSpec, isolation: MachineIsolation): boolean {
  const mapped = new Set(spec.mounts.filter(({ mapOwner }) => mapOwner).map(({ target }) => target));
  return isolation.mounts.every(({ target, options }) => !mapped.has(target) || options.includes("idmapped"));
}
