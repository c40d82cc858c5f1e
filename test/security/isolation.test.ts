import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { needsRoot, openLab, REPO_OWNER, type Lab } from "../support/lab.ts";
import { descriptors, procFile } from "../support/leftovers.ts";

const CONFINED = `profiles:
  small:
    limits: { memoryMiB: 256, pids: 64, cpus: 0.5, nofile: 512 }
`;

describe("what runs in a machine is confined to it", { skip: needsRoot }, () => {
  let lab: Lab;
  let repo: string;
  let secret: string;

  before(async () => {
    lab = await openLab({ policy: CONFINED });
    repo = lab.repo("shop", { "app.js": "1\n", ".vscode/tasks.json": "{}\n", "node_modules/x/i.js": "x\n" });
    writeFileSync(join(repo, ".git", "hooks", "post-commit"), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    mkdirSync(join(lab.root, "user", ".ssh"));
    secret = join(lab.root, "user", ".ssh", "id_ed25519");
    writeFileSync(secret, "the host's key\n", { mode: 0o600 });
    await lab.up(repo);
  });
  after(async () => await lab[Symbol.asyncDispose]());

  const sh = async (line: string, machine = "shop"): Promise<string> => {
    const { stdout, stderr } = await lab.sh(machine, line);
    return stdout + stderr;
  };
  /** Runs a Node program in the machine. */
  const node = async (program: string): Promise<string> =>
    (await lab.exec("shop", ["node", "-e", program])).stdout.trim();
  const python = async (program: string): Promise<string> => {
    const ran = await lab.exec("shop", ["python3", "-c", program]);
    return (ran.stdout + ran.stderr).trim();
  };
  const field = (status: string, name: string): string =>
    new RegExp(`^${name}:\\s+(.*)$`, "m").exec(status)?.[1] ?? "";
  /** Processes inside with what the host says of them; without those that ended while it was read. */
  const alive = () =>
    lab
      .inside()
      .map(({ pid, command }) => {
        const [status = "", uids = "", gids = ""] = ["status", "uid_map", "gid_map"].map((name) =>
          procFile(pid, name),
        );
        return { command, status, uids, gids };
      })
      .filter(({ status, uids, gids }) => status !== "" && uids !== "" && gids !== "");

  it("its processes have no uid of a real user or of root on the host", () => {
    const inside = alive();
    assert.ok(inside.length >= 2, "init and guest are seen from the host");
    const known = new Set(
      readFileSync("/etc/passwd", "utf8")
        .split("\n")
        .map((line) => Number(line.split(":")[2])),
    );
    for (const { command, status, uids, gids } of inside) {
      for (const name of ["Uid", "Gid"]) {
        for (const id of field(status, name).split(/\s+/).map(Number)) {
          assert.ok(id >= 1_000_000, `${command} has ${name} ${id}`);
          assert.ok(!known.has(id));
        }
      }
      const [first, outside, size] = uids.trim().split(/\s+/).map(Number);
      assert.deepEqual([first, size], [0, 65_536], "one range of its own");
      assert.ok((outside ?? 0) >= 1_000_000);
      assert.equal(gids.trim().split("\n").length, 1);
    }
  });

  it("its processes have no capability, can gain none, and run under a seccomp filter, seen from the host", () => {
    for (const { command, status } of alive()) {
      for (const name of ["CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"])
        assert.match(field(status, name), /^0{16}$/, `${name} of ${command}`);
      assert.equal(field(status, "NoNewPrivs"), "1", command);
      assert.equal(field(status, "Seccomp"), "2", command);
    }
  });

  it("commands and terminals that doors start are confined in the same way", async () => {
    const seen = await sh("grep -E '^(Cap(Eff|Bnd|Prm)|NoNewPrivs|Seccomp):' /proc/self/status");
    assert.match(seen, /CapPrm:\t0{16}\nCapEff:\t0{16}\nCapBnd:\t0{16}\nNoNewPrivs:\t1\nSeccomp:\t2/);
  });

  it("two machines have ranges of ids that do not overlap", async () => {
    const other = await lab.up(repo, "--new");
    const starts = new Set(alive().map(({ uids }) => uids.trim().split(/\s+/)[1]));
    assert.equal(starts.size, 2);
    await lab.run(["rm", other]);
  });

  it("the root file system is read-only, and so is everything of it", async () => {
    for (const path of [
      "/x",
      "/etc/passwd",
      "/usr/bin/x",
      "/root/x",
      "/opt/dw/guest.mjs",
      "/run/doorward/x",
      "/etc/gitconfig",
    ])
      assert.match(await sh(`: >> ${path}`), /Read-only file system|Permission denied/, path);
    assert.match(await sh("grep ' / ' /proc/self/mountinfo"), / \/ ro[, ]/);
  });

  it("nothing is up but lo, and there are no routes and no way to add any", async () => {
    assert.equal(
      (await sh("ls /sys/class/net 2>/dev/null || cut -d: -f1 /proc/net/dev | tail -n +3")).trim(),
      "lo",
    );
    assert.equal(
      (await sh("tail -n +2 /proc/net/route; cat /proc/net/ipv6_route | grep -v ' lo$'")).trim(),
      "",
    );
    const dial = (host: string): string =>
      `require("net").connect({host:"${host}",port:53,timeout:1500}).on("error",e=>console.log(e.code)).on("connect",()=>console.log("OPEN")).on("timeout",()=>{console.log("timeout");process.exit()})`;
    for (const host of ["8.8.8.8", "10.0.2.2", "192.168.1.1", "169.254.169.254", "2001:4860:4860::8888"])
      assert.match(await node(dial(host)), /^(?:ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL|EACCES)$/, host);
    const bridgePort = await lab.tcpPort();
    const own = `require("net").connect(${bridgePort},"127.0.0.1").on("error",e=>console.log(e.code)).on("connect",()=>console.log("OPEN"))`;
    assert.equal(await node(own), "ECONNREFUSED", "its loopback is not the host's");
  });

  it("socket families beyond Unix, IPv4, IPv6 and route netlink are refused", async () => {
    const program = [
      "import socket",
      "for name, family, kind, proto in [('vsock',40,1,0),('packet',17,3,0),('bluetooth',31,5,0),('alg',38,5,0),('can',29,3,1),('xdp',44,3,0),('audit',16,3,9),('genl',16,3,16),('raw',2,3,1),('key',15,3,2)]:",
      "  try:",
      "    socket.socket(family, kind, proto); print(name, 'OPEN')",
      "  except OSError as e: print(name, 'refused')",
      "for family in (1, 2, 10): socket.socket(family, 1).close()",
      "print('ordinary sockets work')",
    ].join("\n");
    const seen = await python(program);
    assert.doesNotMatch(seen, /OPEN/);
    assert.match(seen, /vsock refused[\s\S]*ordinary sockets work$/);
  });

  it("no file of the repo gets a setuid or setgid bit, by any call", async () => {
    const shell =
      "cp /bin/bash b && chmod 6755 b; chmod 4755 b; chmod 2755 b; chmod u+s b; install -m 4755 /bin/sh c; mkdir -m 2755 d; stat -c %a b";
    assert.match(await sh(shell), /Operation not permitted/);
    const direct = [
      "import os, ctypes",
      "libc = ctypes.CDLL(None, use_errno=True)",
      "def t(name, *a):",
      "  r = libc.syscall(*a); print(name, r)",
      "open('s','w').close()",
      "fd = os.open('s', os.O_RDONLY)",
      "t('chmod', 90, b's', 0o6755); t('fchmod', 91, fd, 0o4755); t('fchmodat', 268, -100, b's', 0o2755)",
      "t('fchmodat2', 452, -100, b's', 0o6755, 0); t('creat', 85, b's1', 0o4755); t('open', 2, b's2', 0o101, 0o4755)",
      "t('openat', 257, -100, b's3', 0o101, 0o6755); t('mknod', 133, b's4', 0o100000 | 0o4755, 0); t('mknodat', 259, -100, b's5', 0o104755, 0)",
      "t('openat2', 437, -100, b's6', b'A\\x01' + bytes(22), 24); t('tmpfile', 257, -100, b'.', 0o20200001, 0o4755)",
    ].join("\n");
    const seen = await python(direct);
    for (const line of seen.split("\n")) assert.match(line, / -1$/, line);
    const found = execFileSync("find", [repo, "-perm", "/6000"]).toString();
    assert.equal(found, "", "seen from the host");
    assert.equal(statSync(join(repo, "b")).mode & 0o6000, 0);
  });

  it("the host's home, keys, Podman and the bridge's sockets can't be seen", async () => {
    assert.match(await sh(`cat ${secret}; ls ${lab.root} ${lab.home} /root/. 2>&1`), /No such file|denied/);
    assert.equal((await lab.sh("shop", `cat ${secret}`)).stdout, "");
    const found = await sh("find / -type s 2>/dev/null");
    assert.deepEqual(
      found.split("\n").filter((path) => path !== "" && path !== "/run/doorward/guest.sock"),
      [],
    );
    assert.equal((await lab.sh("shop", "test -S /run/doorward/guest.sock")).code, 0, "only the guest's own");
    const mounts = await sh("cut -d' ' -f4,5 /proc/self/mountinfo");
    assert.doesNotMatch(mounts, /podman\.sock|bridge\.sock|\.ssh/);
    assert.match(await sh("env"), /DOORWARD_MACHINE=shop/);
    assert.doesNotMatch(await sh("env"), /DOORWARD_HOME|DOORWARD_TOKEN|IMAGE_STORE/);
  });

  it("nobody but the guest is served on the guest's socket", async () => {
    const program = `const s=require("net").connect("/run/doorward/guest.sock");s.on("connect",()=>s.write("GET /v1/machines HTTP/1.1\\r\\nhost: localhost\\r\\n\\r\\n"));s.on("data",d=>console.log("DATA",String(d)));s.on("close",()=>console.log("closed"));s.on("error",e=>console.log(e.code));setTimeout(()=>process.exit(),8000)`;
    assert.doesNotMatch(await node(program), /DATA.*(?:HTTP|machines)/);
    assert.equal((await lab.sh("shop", "echo still-there")).stdout, "still-there\n");
  });

  it("git's hooks and config can't be written, replaced, moved, or moved with a parent", async () => {
    const attacks = [
      "echo evil >> .git/config",
      "git config core.fsmonitor /tmp/evil",
      "echo evil > .git/hooks/pre-commit",
      "echo evil >> .git/hooks/post-commit",
      "rm -f .git/hooks/post-commit",
      "chmod 777 .git/hooks/post-commit",
      "mv .git/hooks .git/hooks2",
      "mv .git/config .git/config2",
      "rm -rf .git/hooks .git/config",
      "mv .git .git2",
      "cp -a .git /tmp/g && mv /tmp/g .git3 && mv -T .git3 .git",
      "ln -sf /tmp/evil .git/config",
      "ln -sfn /tmp .git/hooks",
      "ln .git/config linked && echo evil >> linked",
      "mv ../shop ../gone",
      "rmdir .git/hooks",
      "echo '{}' > .vscode/tasks.json",
      "echo x > .vscode/settings.json",
      "mv .vscode .vscode2",
      'python3 -c \'import ctypes,os; l=ctypes.CDLL(None,use_errno=True); r=l.syscall(316,-100,b".git",-100,b"node_modules",2); print(os.strerror(ctypes.get_errno())) if r else None; exit(1 if r else 0)\'',
      "python3 -c 'import os; os.truncate(\".git/config\", 0)'",
      "dd if=/dev/zero of=.git/config count=1 conv=notrunc",
    ];
    const before = fingerprintOf(repo);
    for (const attack of attacks) {
      const ran = await lab.sh("shop", attack);
      assert.notEqual(ran.code, 0, `"${attack}" succeeded: ${ran.stdout}${ran.stderr}`);
    }
    assert.deepEqual(fingerprintOf(repo), before);
    assert.ok(!existsSync(join(repo, ".git2")));
  });

  it("hooks that exist still run in the machine, and source files can be written, as the repo's owner", async () => {
    const ran = await lab.sh(
      "shop",
      "echo 2 > app.js && mkdir -p lib/deep && echo 3 > lib/deep/new.js && ln -s app.js link && git add lib app.js && git commit -qm work && git log --oneline | wc -l",
    );
    assert.deepEqual([ran.code, ran.stdout.trim()], [0, "2"], ran.stderr);
    for (const path of ["app.js", "lib", "lib/deep/new.js", "link"]) {
      const { uid, gid } = lstatSync(join(repo, path));
      assert.deepEqual([uid, gid], [REPO_OWNER, REPO_OWNER], path);
    }
    assert.equal(readFileSync(join(repo, "lib/deep/new.js"), "utf8"), "3\n");
  });

  it("new namespaces, mounts, chroots and other ways to more privilege are refused", async () => {
    for (const attack of [
      "unshare -Ur id",
      "unshare -U true",
      "unshare -m true",
      "unshare -n true",
      "nsenter -t 1 -m true",
      "mount -t tmpfs none /tmp",
      "mount --bind /tmp /workspace",
      "umount /workspace/shop/.git/hooks",
      "mount -o remount,rw /",
      "chroot / true",
      "mknod /tmp/sda b 8 0",
      "mknod /tmp/mem c 1 1",
      "chown 0:0 app.js",
      "su -c id",
      "hostname evil",
      "date -s 2000-01-01",
      "renice -n -5 $$",
      "swapon /tmp/x",
      "setpriv --reuid=0 true",
    ]) {
      const ran = await lab.sh("shop", attack);
      assert.notEqual(ran.code, 0, `"${attack}" succeeded: ${ran.stdout}`);
    }
    const syscalls =
      "import ctypes,os\nl=ctypes.CDLL(None,use_errno=True)\n" +
      "for n,a in dict(keyctl=(250,0,-3,1),add_key=(248,b'user',b'k',b'v',1,-3),request_key=(249,b'user',b'k',None,-3),bpf=(321,0,0,0),perf=(298,0,0,-1,-1,0),userfaultfd=(323,0),io_uring=(425,8,0),open_by_handle=(304,-100,0,0),fsopen=(430,b'tmpfs',0),open_tree=(428,-100,b'/',1),move_mount=(429,0,0,0,0,0),setns=(308,0,0),init_module=(175,0,0,b''),kexec=(246,0,0,0,0),reboot=(169,0xfee1dead,672274793,0x89abcdef,0),clone_user=(56,0x10000000|17,0,0,0,0),clone3=(435,0,0),quotactl=(179,0,0,0,0),acct=(163,0),pivot_root=(155,b'/',b'/')).items():\n" +
      "  r=l.syscall(*a)\n  if r==0 and n=='clone_user': os._exit(0)\n  print(n, r, os.strerror(ctypes.get_errno()))\n";
    for (const line of (await python(syscalls)).split("\n")) assert.match(line, /^\w+ -1 /, line);
  });

  it("processes of the host and of other machines can't be seen, traced or signalled", async () => {
    const pids = (await sh("ls /proc | grep -E '^[0-9]+$'")).trim().split("\n");
    assert.ok(pids.length < 20, `${pids.length} processes`);
    assert.doesNotMatch(
      await sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"),
      /system service|conmon|daemon\/main/,
    );
    const bridge = await lab.bridgePid();
    assert.match(await sh(`kill -0 ${bridge}`), /No such process/);
    const trace = `import ctypes\nprint(ctypes.CDLL(None).ptrace(16, ${bridge}, 0, 0))`;
    assert.equal(await python(trace), "-1");
  });

  it("/proc and /sys offer no lever on the host", async () => {
    for (const path of [
      "/proc/sysrq-trigger",
      "/proc/sys/kernel/core_pattern",
      "/proc/sys/kernel/modprobe",
      "/proc/sys/vm/drop_caches",
      "/proc/sys/net/ipv4/ip_forward",
      "/proc/sys/fs/binfmt_misc/register",
      "/proc/self/oom_score_adj",
      "/sys/kernel/uevent_helper",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes",
      "/sys/fs/cgroup/devices/devices.allow",
      "/sys/fs/cgroup/memory/release_agent",
    ]) {
      const ran = await lab.sh(
        "shop",
        path.endsWith("oom_score_adj") ? `echo -1000 > ${path}` : `echo x > ${path}`,
      );
      assert.notEqual(ran.code, 0, path);
    }
    for (const path of [
      "/proc/kcore",
      "/proc/keys",
      "/proc/timer_list",
      "/proc/sched_debug",
      "/sys/firmware",
    ])
      assert.equal(
        (await sh(`cat ${path} 2>/dev/null | head -c 100; ls ${path}/* 2>/dev/null`))
          .trim()
          .replace(path, ""),
        "",
        path,
      );
    assert.notEqual((await lab.sh("shop", "dmesg")).code, 0);
    assert.match(readFileSync("/proc/sys/kernel/core_pattern", "utf8"), /\S/);
  });

  it("there are no devices but the harmless ones", async () => {
    const devices = (await sh("find /dev -type b -o -type c | sort")).trim().split("\n");
    const harmless = /^\/dev\/(?:full|null|random|tty|urandom|zero|console|pts\/(?:ptmx|\d+)|ptmx)$/;
    assert.deepEqual(
      devices.filter((device) => !harmless.test(device)),
      [],
    );
  });

  it("a process of the machine can't reach the host through the guest's open descriptors", () => {
    for (const { pid, command } of lab.inside()) {
      const open = descriptors(pid).filter((target) => target.startsWith("/"));
      const foreign = open.filter(
        (target) => !/^\/(?:dev|proc|opt\/dw|workspace|tmp|memfd|usr)\b/.test(target),
      );
      assert.deepEqual(foreign, [], command);
    }
  });

  it("limits hold: descriptors, processes, memory, and a fork bomb ends with its machine and the bridge alive", async (t) => {
    const small = await lab.up(lab.repo("small"), "--profile", "small");
    assert.equal((await sh("ulimit -Hn", small)).trim(), "512");
    const hog = await lab.run([
      "exec",
      small,
      "--",
      "python3",
      "-c",
      "x = bytearray(600*1024*1024); print('HAD IT')",
    ]);
    assert.notEqual(hog.code, 0);
    assert.doesNotMatch(hog.stdout, /HAD IT/);
    await lab.until("a machine that was hit goes on or ends in good order", async () =>
      ["running", "stopped"].includes((await lab.machine(small)).state),
    );
    if ((await lab.machine(small)).state === "stopped") await lab.run(["start", small]);
    const began = performance.now();
    const bomb = lab.run(
      [
        "exec",
        small,
        "--",
        "timeout",
        "-s",
        "KILL",
        "4",
        "python3",
        "-c",
        "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
      ],
      { timeoutMs: 120_000 },
    );
    await delay(1500);
    const neighbour = await lab.sh("shop", "echo quick");
    assert.equal(neighbour.stdout, "quick\n");
    const during = lab.inside().length;
    assert.ok(during <= 64 + 40, `${during} processes`);
    await bomb;
    t.diagnostic(
      `during a fork bomb: ${during} processes of all machines, a neighbour's exec took ${Math.round(neighbour.ms)} ms`,
    );
    assert.equal((await lab.run(["rm", small])).code, 0);
    t.diagnostic(`the bombed machine was gone after ${Math.round(performance.now() - began)} ms`);
    await lab.until("its processes are gone", () => lab.inside().length < 20);
    assert.equal((await lab.run(["bridge", "status"])).code, 0);
  });

  it("a full /tmp and a full log hurt the machine alone", async () => {
    const ran = await lab.sh("shop", "head -c 3G /dev/zero > /tmp/full; stat -c %s /tmp/full; rm /tmp/full");
    assert.match(ran.stderr, /No space left/);
    assert.ok(Number(ran.stdout) <= 1024 ** 3);
  });

  it("what the machine claims about names can't put escape sequences on the operator's screen", async () => {
    await lab.sh("shop", "printf x > \"$(printf 'a\\033]0;evil\\007b')\"");
    const seen = await lab.run(["up", repo]);
    assert.doesNotMatch(seen.stdout + seen.stderr, /\u001b\]/);
  });
});

/** Everything of `.git/hooks`, `.git/config` and `.vscode` as the host sees it. */
function fingerprintOf(repo: string): unknown {
  const read = (path: string): unknown => {
    const { ino, mode, uid } = lstatSync(path);
    return [path, ino, mode, uid, readFileSync(path, "utf8")];
  };
  const list = (folder: string): unknown[] =>
    readdirSync(join(repo, folder)).map((name) => read(join(repo, folder, name)));
  return [read(join(repo, ".git", "config")), list(".git/hooks"), list(".vscode")];
}
