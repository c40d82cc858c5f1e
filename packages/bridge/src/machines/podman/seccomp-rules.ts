import * as z from "zod";

const Argument = z.looseObject({
  index: z.int(),
  value: z.number(),
  valueTwo: z.number().optional(),
  op: z.string(),
});
const Rule = z.looseObject({
  names: z.array(z.string()),
  action: z.string(),
  errnoRet: z.number().optional(),
  args: z.array(Argument).nullish(),
  includes: z
    .looseObject({ caps: z.array(z.string()).optional(), arches: z.array(z.string()).optional() })
    .nullish(),
  excludes: z
    .looseObject({ caps: z.array(z.string()).optional(), arches: z.array(z.string()).optional() })
    .nullish(),
});
/** One rule of a seccomp profile in the form that Podman and Docker share. */
export type SeccompRule = z.infer<typeof Rule>;

/** A seccomp profile in the form that Podman and Docker share; fields that we don't judge are kept. */
export const SeccompProfile = z.looseObject({
  defaultAction: z.string(),
  archMap: z
    .array(z.looseObject({ architecture: z.string(), subArchitectures: z.array(z.string()).nullish() }))
    .optional(),
  syscalls: z.array(Rule),
});
export type SeccompProfile = z.infer<typeof SeccompProfile>;

/** Which of our profiles: `machine`, or `browser`, where Chromium builds its own sandbox. */
export type SeccompKind = "machine" | "browser";

const EPERM = 1;
const ENOSYS = 38;
const EPROTONOSUPPORT = 93;
const EAFNOSUPPORT = 97;
// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
const namespaceFlags = [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];
const newNamespaces = namespaceFlags.reduce((sum, flag) => sum + flag, 0);
const setIds = 0o6000;
const setUid = 0o4000;
const setGid = 0o2000;
const creates = 0o100;
const makesTemporary = 0o20_000_000;

const refused = [
  "fsconfig",
  "fsmount",
  "fsopen",
  "fspick",
  "keyctl",
  "mount",
  "mount_setattr",
  "move_mount",
  "name_to_handle_at",
  "open_tree",
  "pivot_root",
  "setns",
  "umount",
  "umount2",
  "unshare",
  "open_by_handle_at",
  "add_key",
  "request_key",
  // io_uring makes sockets and opens files without passing this filter; socketcall hides the family behind a pointer.
  "io_uring_setup",
  "io_uring_enter",
  "io_uring_register",
  "socketcall",
];
const absent = ["clone3", "openat2"];
const modeArgument: ReadonlyMap<string, number> = new Map([
  ["chmod", 1],
  ["fchmod", 1],
  ["fchmodat", 2],
  ["fchmodat2", 2],
  ["creat", 1],
  ["mkdir", 1],
  ["mkdirat", 2],
  ["mknod", 1],
  ["mknodat", 2],
]);
const openArguments: ReadonlyMap<string, { readonly flags: number; readonly mode: number }> = new Map([
  ["open", { flags: 1, mode: 2 }],
  ["openat", { flags: 2, mode: 3 }],
]);
// The flag values above hold on these; others (MIPS, SPARC, Alpha) number them differently.
const architectures = new Set([
  "SCMP_ARCH_X86_64",
  "SCMP_ARCH_AARCH64",
  "SCMP_ARCH_S390X",
  "SCMP_ARCH_PPC64LE",
  "SCMP_ARCH_RISCV64",
]);
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;

/** Derives our tightened profile from the host's stock one. */
export function tightenProfile(stock: SeccompProfile, kind: SeccompKind): SeccompProfile {
  const free = kind === "browser" ? new Set(["unshare", "chroot"]) : new Set<string>();
  const denied = refused.filter((name) => !free.has(name));
  const replaced = new Set([
    ...denied,
    ...free,
    ...absent,
    ...modeArgument.keys(),
    ...openArguments.keys(),
    "clone",
    "socket",
    "socketpair",
  ]);
  return {
    ...stock,
    archMap: (stock.archMap ?? [])
      .filter(({ architecture }) => architectures.has(architecture))
      .map((entry) => ({ ...entry, subArchitectures: [] })),
    syscalls: [
      ...stock.syscalls.flatMap((rule) => keepRule(rule, replaced)),
      refuse(denied, EPERM),
      refuse(absent, ENOSYS),
      ...(free.size > 0 ? [allow([...free])] : []),
      ...cloneRules(kind),
      ...modeRules(),
      ...openRules(),
      ...socketRules(),
    ],
  };
}

/** Rules are OR-ed, so a name that we judge must vanish from every rule of the stock profile. */
function keepRule(rule: SeccompRule, replaced: ReadonlySet<string>): SeccompRule[] {
  // No machine has a capability, so what hangs on one never applies.
  if ((rule.includes?.caps ?? []).length > 0) return [];
  const names = rule.names.filter((name) => !replaced.has(name));
  return names.length === 0 ? [] : [{ ...rule, names }];
}

type Argument = z.infer<typeof Argument>;

function allow(names: string[], ...args: Argument[]): SeccompRule {
  return { names, action: "SCMP_ACT_ALLOW", args };
}

function refuse(names: string[], errnoRet: number, ...args: Argument[]): SeccompRule {
  return { names, action: "SCMP_ACT_ERRNO", errnoRet, args };
}

function equals(index: number, value: number): Argument {
  return { index, value, valueTwo: 0, op: "SCMP_CMP_EQ" };
}

/** True where the bits of `mask` in the argument are exactly `bits`. */
function masked(index: number, mask: number, bits: number): Argument {
  return { index, value: mask, valueTwo: bits, op: "SCMP_CMP_MASKED_EQ" };
}

function cloneRules(kind: SeccompKind): SeccompRule[] {
  if (kind === "browser") return [allow(["clone"])];
  // s390 takes the flags as its second argument.
  const rules = (index: number): SeccompRule[] => [
    allow(["clone"], masked(index, newNamespaces, 0)),
    ...namespaceFlags.map((flag) => refuse(["clone"], EPERM, masked(index, flag, flag))),
  ];
  return [
    ...rules(0).map((rule) => ({ ...rule, excludes: { arches: ["s390", "s390x"] } })),
    ...rules(1).map((rule) => ({ ...rule, includes: { arches: ["s390", "s390x"] } })),
  ];
}

function modeRules(): SeccompRule[] {
  return [...modeArgument].flatMap(([name, index]) => [
    allow([name], masked(index, setIds, 0)),
    refuse([name], EPERM, masked(index, setUid, setUid)),
    refuse([name], EPERM, masked(index, setGid, setGid)),
  ]);
}

/** The mode of an open counts only when it creates; otherwise its register may hold anything. */
function openRules(): SeccompRule[] {
  return [...openArguments].flatMap(([name, { flags, mode }]) => [
    allow([name], masked(flags, creates | makesTemporary, 0)),
    allow([name], masked(mode, setIds, 0)),
    ...[creates, makesTemporary].flatMap((flag) =>
      [setUid, setGid].map((bit) => refuse([name], EPERM, masked(flags, flag, flag), masked(mode, bit, bit))),
    ),
  ]);
}

function socketRules(): SeccompRule[] {
  const families = [AF_UNIX, AF_INET, AF_INET6];
  const others = Array.from({ length: AF_NETLINK }, (_, family) => family).filter(
    (family) => !families.includes(family),
  );
  return [
    ...families.map((family) => allow(["socket"], equals(0, family))),
    allow(["socket"], equals(0, AF_NETLINK), equals(2, 0)),
    refuse(["socket"], EPROTONOSUPPORT, equals(0, AF_NETLINK), {
      index: 2,
      value: 0,
      valueTwo: 0,
      op: "SCMP_CMP_NE",
    }),
    ...others.map((family) => refuse(["socket"], EAFNOSUPPORT, equals(0, family))),
    refuse(["socket"], EAFNOSUPPORT, { index: 0, value: AF_NETLINK, valueTwo: 0, op: "SCMP_CMP_GT" }),
    allow(["socketpair"], equals(0, AF_UNIX)),
  ];
}
