import { hostname, userInfo } from "node:os";
import type { HostsRecord } from "@doorward/contracts";
import { hostsPathOf } from "../../hosts/hosts-path.ts";
import { pathRulesOf } from "../../hosts/path-rules-of.ts";
import { ActionError } from "../action-error.ts";
import { hostFailure, outsideScope, reasonOf, systemCode } from "../failures.ts";
import { checkWritable } from "../files/checks.ts";
import { inHeldFolder, loadRoot, parentOf, type Place } from "../files/file-roots.ts";
import { observe, sha256, type Observed } from "../files/observe.ts";
import { previewOf } from "../files/preview.ts";
import { replaceFile } from "../files/replace-file.ts";
import type { HostsActions, HostsPlan } from "../ports.ts";
import { checkRecords, cleanTag, replaceSection } from "./section.ts";

/** What the hosts file needs to know of this host; tests name another file. */
export interface HostsFileOptions {
  readonly path?: string;
  readonly platform?: NodeJS.Platform;
  /** Names must end in one of these; any when absent. */
  readonly suffixes?: readonly string[];
  /** Names of this host, which no record may redefine. */
  readonly ownNames?: readonly string[];
}

interface Draft {
  readonly place: Place;
  readonly observed: Observed;
  readonly before: Buffer;
  readonly after: Buffer;
}

/** Edits one tagged section of the hosts file, in one step, and leaves every other byte of it alone. */
export class HostsFile implements HostsActions {
  readonly #path: string;
  readonly #platform: NodeJS.Platform;
  readonly #suffixes: readonly string[] | null;
  readonly #ownNames: readonly string[];

  constructor(options: HostsFileOptions = {}) {
    this.#platform = options.platform ?? process.platform;
    this.#path = options.path ?? hostsPathOf(this.#platform, process.env);
    this.#suffixes = options.suffixes ?? null;
    this.#ownNames = options.ownNames ?? [hostname(), hostname().split(".", 1)[0] ?? ""];
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the port is asynchronous; the file is small
  async plan(owner: string, tag: string, records: readonly HostsRecord[]): Promise<HostsPlan> {
    const kept = checkRecords(records, this.#ownNames);
    this.#checkSuffixes(kept);
    return this.#plan(`FDO:${cleanTag(owner)}:${cleanTag(tag)}`, kept);
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as above
  async apply(plan: HostsPlan, signal: AbortSignal): Promise<void> {
    if (signal.aborted)
      throw new ActionError({ code: "CANCELLED", message: "Cancelled before the hosts file was written" });
    if (this.#plan(plan.section, plan.records).state !== plan.state)
      throw outsideScope(`Cannot write "${plan.hostsPath}": it is no longer what the plan was made on`);
    if (plan.changed) this.#write(this.#draft(plan.section, plan.records));
  }

  #plan(section: string, records: readonly HostsRecord[]): HostsPlan {
    const { place, observed, before, after } = this.#draft(section, records);
    const changed = !before.equals(after);
    const preview = previewOf(this.#path, before, after);
    const changes = changed ? [{ operation: "writeFile", path: this.#path, to: null, preview } as const] : [];
    const state = sha256(JSON.stringify([place.path, observed.line, section, records]));
    return { hostsPath: this.#path, section, changed, changes, records, state };
  }

  /** The file's own links are followed once, here: what they lead to is what is edited. */
  #draft(section: string, records: readonly HostsRecord[]): Draft {
    const place = this.#place();
    const observed = observe(place);
    checkWritable(place.path, observed);
    if (observed.content === null)
      throw hostFailure(`Cannot edit "${this.#path}": it is absent or too large`);
    const before = observed.content;
    const after = Buffer.from(replaceSection(before.toString("latin1"), section, records), "latin1");
    return { place, observed, before, after };
  }

  #place(): Place {
    try {
      const root = loadRoot(this.#path, pathRulesOf(this.#platform));
      if (root.only === null) throw hostFailure("it is a folder");
      return { root, names: [root.only], path: `${root.folder}/${root.only}` };
    } catch (error) {
      throw hostFailure(`Cannot edit "${this.#path}": ${reasonOf(error)}`, error);
    }
  }

  #write({ place, observed, after }: Draft): void {
    const { parent, name } = parentOf(place);
    try {
      const look = { content: after, mode: observed.mode, owner: observed.owner };
      inHeldFolder(parent, (folder) => replaceFile(folder, name, look));
    } catch (error) {
      if (error instanceof ActionError) throw error;
      throw hostFailure(`Cannot write "${this.#path}": ${writeProblem(error)}`, error);
    }
  }

  #checkSuffixes(records: readonly HostsRecord[]): void {
    const suffixes = this.#suffixes;
    if (suffixes === null) return;
    const outside = records.find(({ hostname: name }) => !suffixes.some((suffix) => endsIn(name, suffix)));
    if (outside !== undefined)
      throw outsideScope(
        `Cannot write "${outside.hostname}" to the hosts file: the policy allows only names that end in ${suffixes.join(", ")}`,
      );
  }
}

/** Whole labels: `evil-corp.test` does not end in `corp.test`. */
function endsIn(name: string, suffix: string): boolean {
  const bare = suffix.toLowerCase().replace(/^\.+/, "");
  return name.toLowerCase() === bare || name.toLowerCase().endsWith(`.${bare}`);
}

function writeProblem(error: unknown): string {
  switch (systemCode(error)) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return `user "${userInfo().username}", as whom the bridge runs, may not; add the lines of the plan yourself (--dry-run shows them), or run a bridge as root for this`;
    case "EBUSY":
      return "it is a mount of its own, as in a container, and cannot be replaced in one step; edit it where it is mounted from";
    default:
      return reasonOf(error);
  }
}
