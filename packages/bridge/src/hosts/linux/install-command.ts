import type { Distribution } from "./linux-host.ts";

const fedoraNames: ReadonlyMap<string, string> = new Map([
  ["uidmap", "shadow-utils"],
  ["seccomp-profile", "containers-common"],
]);
const archNames: ReadonlyMap<string, string> = new Map([
  ["uidmap", "shadow"],
  ["seccomp-profile", "containers-common"],
]);
const debianNames: ReadonlyMap<string, string> = new Map([
  ["seccomp-profile", "golang-github-containers-common"],
]);

/** The command that installs packages (named as Debian names them) on a distribution. */
export function installCommand(distribution: Distribution, packages: readonly string[]): string {
  const named = (names: ReadonlyMap<string, string>): string =>
    [...new Set(packages.map((name) => names.get(name) ?? name))].join(" ");
  switch (distribution.family) {
    case "debian":
      return `sudo apt-get install -y ${named(debianNames)}`;
    case "fedora":
      return `sudo dnf install -y ${named(fedoraNames)}`;
    case "arch":
      return `sudo pacman -S --needed ${named(archNames)}`;
    case "suse":
      return `sudo zypper install -y ${named(fedoraNames)}`;
    case "other":
      return `install with your package manager: ${packages.join(" ")}`;
  }
}
