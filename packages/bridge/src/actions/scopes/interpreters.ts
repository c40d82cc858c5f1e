import { basename } from "node:path";

const NAMES = new Set(
  (
    "sh bash dash zsh ksh mksh fish csh tcsh ash rbash busybox toybox python pypy ipython perl ruby irb lua luajit php tclsh wish expect " +
    "node nodejs deno bun npm npx yarn yarnpkg pnpm pnpx corepack tsx ts-node pip pipx pip3 uv uvx poetry conda gem bundle rake cargo rustc go gcc cc c++ g++ clang tcc " +
    "make gmake cmake ninja just task ant mvn gradle bazel sbt env sudo su doas pkexec runuser setpriv chroot unshare nsenter " +
    "ssh scp sftp rsync socat nc ncat netcat curl wget telnet xargs find fd parallel awk gawk mawk nawk original-awk sed ed ex vi vim nvim nano emacs less more man " +
    "tar zip unzip cpio git-shell gdb lldb strace ltrace script screen tmux nohup setsid timeout nice ionice stdbuf time watch flock at batch crontab " +
    "systemd-run systemctl java jshell javac groovy scala kotlin dotnet mono pwsh powershell powershell.exe cmd cmd.exe wscript cscript osascript rundll32.exe wsl wsl.exe " +
    "erl elixir iex R Rscript julia octave ghc runghc guile sbcl ocaml qemu-system-x86_64 docker-compose mount dd install cp mv ln tee apt apt-get dpkg yum dnf rpm brew snap flatpak pacman apk ld.so " +
    "psql mysql mariadb sqlite3 gs m4 tcpdump nix nix-shell nix-build capsh bwrap firejail systemd-nspawn machinectl " +
    "dbus-run-session xdg-open logrotate run-parts start-stop-daemon bash-static busybox-static"
  ).split(" "),
);

/**
 * Whether a program by its file name runs what its arguments say: a shell, an interpreter, a package runner, an editor, or
 * a tool that starts others. Versions at the end of names are ignored. No time-limited approval holds for one.
 */
export function isInterpreter(path: string): boolean {
  const name = basename(path.replaceAll("\\", "/"));
  const plain = name.toLowerCase().replace(/\.exe$/, "");
  const unversioned = plain.replace(/-?[0-9][0-9.]*[a-z]?$/, "");
  return (
    NAMES.has(name) ||
    NAMES.has(plain) ||
    NAMES.has(unversioned) ||
    /^ld(?:-linux.*)?\.so(?:\.|$)/.test(plain)
  );
}
