import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SeccompProfile, tightenProfile, type SeccompRule } from "../src/machines/podman/seccomp-rules.ts";
import { requireRefusing, stockProfilePath } from "../src/machines/podman/seccomp-files.ts";

const path = stockProfilePath();
const skip = path === null ? "this host has no stock seccomp profile" : false;
const stock = (): SeccompProfile => SeccompProfile.parse(JSON.parse(readFileSync(path ?? "", "utf8")));

function rulesOf(profile: SeccompProfile, name: string, action: string): SeccompRule[] {
  return profile.syscalls.filter((rule) => rule.action === action && rule.names.includes(name));
}
const allowed = (profile: SeccompProfile, name: string): SeccompRule[] =>
  rulesOf(profile, name, "SCMP_ACT_ALLOW");

test(
  "no rule of the machine profile allows what breaks out of namespaces or around the filter",
  { skip },
  () => {
    const profile = tightenProfile(stock(), "machine");
    const names = [
      "mount",
      "umount2",
      "unshare",
      "setns",
      "pivot_root",
      "move_mount",
      "open_tree",
      "fsopen",
      "keyctl",
      "io_uring_setup",
      "socketcall",
      "clone3",
      "openat2",
      "chroot",
      "bpf",
      "name_to_handle_at",
      "open_by_handle_at",
    ];
    assert.deepEqual(
      names.filter((name) => allowed(profile, name).length > 0),
      [],
    );
  },
);

test("what is judged by its arguments has no rule left that allows it without", { skip }, () => {
  const profile = tightenProfile(stock(), "machine");
  for (const name of [
    "clone",
    "socket",
    "socketpair",
    "chmod",
    "fchmod",
    "fchmodat",
    "open",
    "openat",
    "creat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
  ]) {
    const rules = allowed(profile, name);
    assert.ok(rules.length > 0, name);
    assert.ok(
      rules.every(({ args }) => (args ?? []).length > 0),
      `"${name}" is allowed without a condition`,
    );
  }
});

test("no rule compares one argument twice, which the runtimes would take as a choice", { skip }, () => {
  for (const { names, args } of tightenProfile(stock(), "machine").syscalls) {
    const compared = (args ?? []).map(({ index }) => index);
    assert.equal(new Set(compared).size, compared.length, names.join(" "));
  }
});

test("no rule hangs on a capability, and no 32-bit programs are let through", { skip }, () => {
  const profile = tightenProfile(stock(), "machine");
  assert.ok(profile.syscalls.every(({ includes }) => (includes?.caps ?? []).length === 0));
  assert.ok((profile.archMap ?? []).length > 0);
  assert.ok((profile.archMap ?? []).every(({ subArchitectures }) => (subArchitectures ?? []).length === 0));
});

test("the browser profile differs only in what Chromium's own sandbox needs", { skip }, () => {
  const machine = tightenProfile(stock(), "machine");
  const browser = tightenProfile(stock(), "browser");
  for (const name of ["unshare", "chroot", "clone"]) {
    assert.ok(
      allowed(browser, name).some(({ args }) => (args ?? []).length === 0),
      name,
    );
  }
  const names = (profile: SeccompProfile): Set<string> =>
    new Set(
      profile.syscalls.filter(({ action }) => action === "SCMP_ACT_ALLOW").flatMap((rule) => rule.names),
    );
  const more = [...names(browser)].filter((name) => !names(machine).has(name));
  assert.deepEqual(more.sort(), ["chroot", "unshare"]);
});

test("the default stays a refusal", { skip }, () => {
  assert.equal(tightenProfile(stock(), "machine").defaultAction, "SCMP_ACT_ERRNO");
});

test("a stock profile that allows what it does not name is refused, not tightened", () => {
  for (const defaultAction of ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE"]) {
    assert.throws(
      () => requireRefusing({ defaultAction, syscalls: [] }, "/etc/seccomp.json"),
      { code: "HOST_UNSUPPORTED" },
      defaultAction,
    );
  }
  for (const defaultAction of ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"])
    requireRefusing({ defaultAction, syscalls: [] }, "/etc/seccomp.json");
});
