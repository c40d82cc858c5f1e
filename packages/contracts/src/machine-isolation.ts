import * as z from "zod";
import { MachinePath, Sha256 } from "./text.ts";

/** One mount as the kernel shows it from inside a machine. */
export const MeasuredMount = z.strictObject({
  target: MachinePath,
  fstype: z.string().max(40).describe("File system type"),
  options: z.array(z.string().max(60)).max(40).describe("Mount options, sorted"),
  dev: z
    .string()
    .max(40)
    .nullable()
    .describe(
      "Device number of the mounted folder or file as seen through /proc/PID/root; null for pseudo file systems",
    ),
  ino: z.string().max(40).nullable().describe("Inode number beside it"),
});
export type MeasuredMount = z.infer<typeof MeasuredMount>;

/** How a running container is really isolated, measured from the host side. */
export const MachineIsolation = z.strictObject({
  imageId: Sha256.describe("Id of the image that runs"),
  user: z.string().max(40).describe("uid:gid inside the machine"),
  uidMap: z.string().max(1000).describe("uid_map of the first process, lines joined by commas"),
  gidMap: z.string().max(1000).describe("gid_map of the first process, lines joined by commas"),
  hostUid: z.int().describe("uid of the machine's user as the host sees it"),
  capEff: z.string().max(16).describe("CapEff of the first process, hex"),
  capBnd: z.string().max(16).describe("CapBnd of the first process, hex"),
  noNewPrivs: z.boolean().describe("NoNewPrivs of the first process"),
  seccompMode: z.int().min(0).max(2).describe("Seccomp mode of the first process; 2 is a filter"),
  seccompProfile: Sha256.describe("Digest of the seccomp profile file that was given"),
  rootReadOnly: z.boolean().describe("Whether / is mounted read-only"),
  namespaces: z
    .strictObject({
      user: z.boolean().describe("User namespace"),
      mnt: z.boolean().describe("Mount namespace"),
      pid: z.boolean().describe("Process namespace"),
      net: z.boolean().describe("Network namespace"),
      ipc: z.boolean().describe("IPC namespace"),
      uts: z.boolean().describe("Host name namespace"),
      cgroup: z.boolean().describe("Control group namespace"),
    })
    .describe("Which namespaces differ from the host's"),
  interfaces: z.array(z.string().max(20)).max(20).describe("Network interfaces, sorted"),
  routes: z.int().min(0).describe("Number of routes that leave the machine"),
  devices: z.array(z.string().max(200)).max(100).describe("Device nodes under /dev, sorted"),
  mounts: z.array(MeasuredMount).max(500).describe("Mounts, sorted by target"),
  limits: z
    .strictObject({
      memoryBytes: z.int().nullable().describe("Memory limit in force; null when not enforced"),
      swapBytes: z.int().nullable().describe("Memory and swap together in force; null when not enforced"),
      pids: z.int().nullable().describe("Process limit in force; null when not enforced"),
      cpus: z.number().nullable().describe("Processors in force; null when not enforced"),
      nofile: z.int().describe("Open files in force"),
      nproc: z.int().describe("Processes per uid in force"),
    })
    .describe("Resource limits as the kernel shows them"),
  environment: z
    .array(z.string().max(200))
    .max(100)
    .describe("Names (not values) of the first process's environment, sorted"),
});
export type MachineIsolation = z.infer<typeof MachineIsolation>;
