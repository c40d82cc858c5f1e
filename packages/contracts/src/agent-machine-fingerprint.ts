import * as z from "zod";
import { AgentMachineProfile } from "./agent-machine-profile.ts";
import { documentHead, urnOf } from "./document-head.ts";
import { HostFacts } from "./host-facts.ts";
import { MachineIsolation } from "./machine-isolation.ts";
import { HostPath, MachineId, MachineName, MachinePath, Sha256, Timestamp } from "./text.ts";

/** A mount as policy decided it. */
export const FingerprintMount = z.strictObject({
  role: z
    .enum([
      "repo",
      "protected",
      "mount-point",
      "hidden",
      "guest-runtime",
      "guest-socket",
      "home",
      "secret-file",
      "egress-ca",
    ])
    .describe("What the mount is for"),
  target: MachinePath,
  source: HostPath,
  access: z.enum(["ro", "rw"]).describe("Access"),
  dev: z
    .string()
    .max(40)
    .describe('Device number of the source at decision time; "own" for what Doorward makes by itself'),
  ino: z.string().max(40).describe('Inode number of the source at decision time; "own" likewise'),
  owner: z
    .string()
    .max(40)
    .nullable()
    .describe(
      "uid:gid on the host that the machine's user acts as on this mount; null where ids are not mapped",
    ),
});
export type FingerprintMount = z.infer<typeof FingerprintMount>;

/** Which protections of the design are in force for a machine on its host. */
export const HostProtections = z.strictObject({
  userNamespace: z.boolean().describe("A user namespace of its own"),
  ownIdRange: z.boolean().describe("A range of ids that belongs to nobody on the host"),
  idmappedMounts: z
    .boolean()
    .describe("Repos keep their owner although the machine has no identity of the host"),
  mountNamespace: z.boolean().describe("A mount namespace of its own"),
  processNamespace: z.boolean().describe("A process namespace of its own"),
  networkNamespace: z
    .boolean()
    .describe("A network namespace of its own with nothing up but lo and no routes"),
  ipcNamespace: z.boolean().describe("An IPC namespace of its own"),
  hostNameNamespace: z.boolean().describe("A host name namespace of its own"),
  cgroupNamespace: z.boolean().describe("A control group namespace of its own"),
  noCapabilities: z.boolean().describe("No capability, and none to be had"),
  noNewPrivileges: z.boolean().describe("Programs can gain no privileges"),
  seccompFilter: z.boolean().describe("System calls pass a filter"),
  readOnlyRoot: z.boolean().describe("The root file system is read-only"),
  memoryLimit: z.boolean().describe("Memory is limited"),
  swapLimit: z.boolean().describe("Swap is limited with memory"),
  pidsLimit: z.boolean().describe("The number of processes is limited"),
  cpuLimit: z.boolean().describe("Processor time is limited"),
  mandatoryAccessControl: z.boolean().describe("The host has AppArmor or SELinux"),
  init: z.boolean().describe("An init of ours reaps orphaned processes"),
});
export type HostProtections = z.infer<typeof HostProtections>;

/** Everything that makes a machine what it is; the fingerprint is the digest of its canonical JSON (RFC 8785). */
export const FingerprintInputs = z.strictObject({
  image: z
    .strictObject({
      id: Sha256.describe("Image id"),
      digest: z.string().max(200).describe("Digest of the image's manifest, as the engine keeps it"),
      recipe: z.string().max(300).describe("Recipe the image was built from, or the name it was found by"),
    })
    .describe("Image"),
  profile: AgentMachineProfile,
  policyHash: Sha256.describe("Digest of the policy in force"),
  hide: z
    .array(z.string().max(200))
    .max(200)
    .describe("Globs masked by request, besides the profile's; sorted, each once"),
  mounts: z.array(FingerprintMount).max(500).describe("Mounts as decided, sorted by target"),
  isolation: MachineIsolation.describe(
    "Isolation as measured, with what differs from launch to launch (id range, device numbers of pseudo file systems) normalised",
  ),
  guest: z
    .strictObject({
      digest: Sha256.describe("Digest of the guest's runtime folder"),
      protocol: z.int().describe("Protocol version"),
    })
    .describe("Guest"),
  doors: z
    .record(z.string().max(40), z.string().max(40))
    .describe("Doors offered and their protocol versions"),
  host: HostFacts.omit({ findings: true, nofile: true, nproc: true }).describe(
    "The host and its enforcement grade; what of its limits is in force stands under isolation",
  ),
  protections: HostProtections.describe("Which protections this host really enforces for this machine"),
  relaxations: z.array(z.string().max(80)).max(20).describe("Relaxations and fallbacks in force"),
});
export type FingerprintInputs = z.infer<typeof FingerprintInputs>;

/** What a machine really is: the digest over everything that defines how it runs, and those inputs. */
export const AgentMachineFingerprint = z
  .strictObject({
    ...documentHead("AgentMachineFingerprint", "agent-machine-fingerprint"),
    machineRef: urnOf("agent-machine").describe("URN of the machine"),
    machine: z.strictObject({ id: MachineId, name: MachineName }).describe("The machine"),
    observedAt: Timestamp.describe("When it was measured"),
    digest: Sha256.describe("SHA-256 of the canonical JSON of inputs"),
    inputs: FingerprintInputs.describe("Everything that the digest is taken over"),
  })
  .describe("Digest over everything that defines how a machine really runs");
export type AgentMachineFingerprint = z.infer<typeof AgentMachineFingerprint>;
