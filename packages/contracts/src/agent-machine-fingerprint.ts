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
    ])
    .describe("What the mount is for"),
  target: MachinePath,
  source: HostPath,
  access: z.enum(["ro", "rw"]).describe("Access"),
  dev: z.string().max(40).describe("Device number of the source at decision time"),
  ino: z.string().max(40).describe("Inode number of the source at decision time"),
});
export type FingerprintMount = z.infer<typeof FingerprintMount>;

/** Everything that makes a machine what it is; the fingerprint is the digest of its canonical JSON (RFC 8785). */
export const FingerprintInputs = z.strictObject({
  image: z
    .strictObject({
      id: Sha256.describe("Image id"),
      recipe: z.string().max(300).describe("Recipe the image was built from, or the name it was found by"),
    })
    .describe("Image"),
  profile: AgentMachineProfile,
  policyHash: Sha256.describe("Digest of the policy in force"),
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
  host: HostFacts.omit({ findings: true }).describe("What the host can enforce"),
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
