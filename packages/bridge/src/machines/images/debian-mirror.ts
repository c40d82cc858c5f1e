import { readdirSync } from "node:fs";
import { readText } from "../../hosts/linux/read-text.ts";

interface AptSource {
  readonly uri: string;
  readonly suites: readonly string[];
}

const defaultMirror = "http://deb.debian.org/debian";
const defaultSecurity = "http://deb.debian.org/debian-security";
const codenames = /^(?:bullseye|bookworm|trixie|forky|sid|stable|testing|oldstable)$/;

/** The apt lines to build a Debian root from: this host's own mirrors where it is a Debian, else Debian's. */
export function debianSources(suite: string, aptFolder = "/etc/apt"): string[] {
  const isDebian = /^ID=debian$/m.test(readText("/etc/os-release") ?? "");
  const sources = isDebian ? hostSources(aptFolder) : [];
  const plain = (name: string): boolean => codenames.test(name);
  const mirror = sources.find(({ suites }) => suites.some(plain))?.uri ?? defaultMirror;
  const security =
    sources.find(({ suites }) => suites.some((name) => name.endsWith("-security")))?.uri ?? defaultSecurity;
  return [
    `deb ${mirror} ${suite} main`,
    `deb ${mirror} ${suite}-updates main`,
    `deb ${security} ${suite}-security main`,
  ];
}

function hostSources(folder: string): AptSource[] {
  const parts = `${folder}/sources.list.d`;
  let names: string[] = [];
  try {
    names = readdirSync(parts).sort();
  } catch {
    // A host may keep everything in sources.list.
  }
  const oneLine = [
    `${folder}/sources.list`,
    ...names.filter((name) => name.endsWith(".list")).map((name) => `${parts}/${name}`),
  ];
  const stanzas = names.filter((name) => name.endsWith(".sources")).map((name) => `${parts}/${name}`);
  return [
    ...oneLine.flatMap((path) => parseLines(readText(path) ?? "")),
    ...stanzas.flatMap((path) => parseStanzas(readText(path) ?? "")),
  ].filter(({ uri }) => /^https?:\/\//.test(uri));
}

function parseLines(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)$/.exec(line.trim());
    const [, uri, suite, components = ""] = match ?? [];
    return uri !== undefined && suite !== undefined && hasMain(components) ? [{ uri, suites: [suite] }] : [];
  });
}

/** Stanzas of the deb822 form (sources.list(5)), separated by empty lines. */
function parseStanzas(text: string): AptSource[] {
  const bare = text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n");
  return bare.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string): string =>
      new RegExp(`^${name}:(.*(?:\n[ \t].*)*)`, "mi").exec(stanza)?.[1]?.trim() ?? "";
    const usable =
      field("Types").split(/\s+/).includes("deb") &&
      hasMain(field("Components")) &&
      !/^no$/i.test(field("Enabled"));
    return usable
      ? field("URIs")
          .split(/\s+/)
          .map((uri) => ({ uri, suites: field("Suites").split(/\s+/) }))
      : [];
  });
}

function hasMain(components: string): boolean {
  return components.split(/\s+/).includes("main");
}
