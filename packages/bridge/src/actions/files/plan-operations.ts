import type { FileOperation } from "@doorward/contracts";
import { hostFailure, outsideScope } from "../failures.ts";
import type { FileChange } from "../ports.ts";
import { checkMovable, checkRemovable, checkReplaceable, checkSize, checkWritable } from "./checks.ts";
import { parentOf, type Place } from "./file-roots.ts";
import { checkOperation, contentOf, placeIn, type LoadedScope } from "./loaded-scope.ts";
import type { PlannedTree } from "./planned-tree.ts";
import { previewOf } from "./preview.ts";

type Of<T extends FileOperation["type"]> = Extract<FileOperation, { type: T }>;

const NEW_FOLDER = { kind: "folder", content: null, size: 0, links: 1, disk: null } as const;

/** Judges one operation on the tree as those before it leave it, changes the tree, and says what changes. */
export function planOperation(scope: LoadedScope, tree: PlannedTree, operation: FileOperation): FileChange {
  checkOperation(scope, operation);
  switch (operation.type) {
    case "mkdir":
      return planMkdir(scope, tree, operation);
    case "writeFile":
    case "appendFile":
      return planWrite(scope, tree, operation);
    case "rename":
      return planRename(scope, tree, operation);
    case "remove":
      return planRemove(scope, tree, operation);
  }
}

function planMkdir(scope: LoadedScope, tree: PlannedTree, operation: Of<"mkdir">): FileChange {
  const place = placeIn(scope, operation.path);
  const made: string[] = [];
  makeFolder(tree, place, operation.recursive ?? false, made);
  const preview =
    made.length === 0 ? "the folder is there" : `makes ${made.map((path) => `"${path}"`).join(", ")}`;
  return change(operation, place, preview + modeText(operation.mode));
}

function makeFolder(tree: PlannedTree, place: Place, recursive: boolean, made: string[]): void {
  const { kind } = tree.at(place);
  if (kind === "folder" && recursive) return;
  if (kind === "link" || kind === "other")
    throw outsideScope(`Cannot make folder "${place.path}": it is no folder`);
  if (kind !== "absent") throw hostFailure(`Cannot make folder "${place.path}": it exists`);
  const { parent } = parentOf(place);
  if (recursive) makeFolder(tree, parent, true, made);
  tree.folder(parent);
  tree.put(place, NEW_FOLDER);
  made.push(place.path);
}

function planWrite(
  scope: LoadedScope,
  tree: PlannedTree,
  operation: Of<"writeFile"> | Of<"appendFile">,
): FileChange {
  const place = placeIn(scope, operation.path);
  tree.folder(parentOf(place).parent);
  const node = tree.at(place);
  checkWritable(place.path, node);
  const content = contentOf(operation);
  const isAppend = operation.type === "appendFile";
  const size = (isAppend ? node.size : 0) + content.length;
  checkSize(scope, place.path, size);
  const after = isAppend ? Buffer.concat([node.content ?? Buffer.alloc(0), content]) : content;
  tree.put(place, { kind: "file", content: after, size, links: 1, disk: null });
  const before = node.kind === "absent" ? null : node.content;
  const tooLarge = node.kind === "file" && node.content === null;
  const preview = tooLarge ? `replaces ${String(node.size)} bytes` : previewOf(place.path, before, after);
  return change(
    operation,
    place,
    preview + modeText(operation.type === "writeFile" ? operation.mode : undefined),
  );
}

function planRename(scope: LoadedScope, tree: PlannedTree, operation: Of<"rename">): FileChange {
  const from = placeIn(scope, operation.from);
  const to = placeIn(scope, operation.to);
  tree.folder(parentOf(from).parent);
  tree.folder(parentOf(to).parent);
  if (from.root.dev !== to.root.dev)
    throw hostFailure(`Cannot rename "${from.path}" to "${to.path}": they lie on different file systems`);
  if (from.path === to.path || to.path.startsWith(`${from.path}/`))
    throw hostFailure(`Cannot rename "${from.path}" to "${to.path}": a thing cannot be moved into itself`);
  const node = tree.at(from);
  const target = tree.at(to);
  checkMovable(from.path, node);
  checkReplaceable(to.path, target);
  if (target.kind === "file" && node.kind === "folder")
    throw hostFailure(`Cannot rename "${from.path}" to "${to.path}": a file is there`);
  tree.move(from, to);
  const preview =
    target.kind === "file" ? `replaces a file of ${String(target.size)} bytes` : `moves a ${node.kind}`;
  return { operation: "rename", path: from.path, to: to.path, preview };
}

function planRemove(scope: LoadedScope, tree: PlannedTree, operation: Of<"remove">): FileChange {
  const place = placeIn(scope, operation.path);
  const { parent } = parentOf(place);
  const isThere = tree.at(parent).kind === "folder";
  if (isThere) tree.folder(parent);
  const node = tree.at(place);
  if (node.kind === "absent") {
    if (operation.force !== true) throw hostFailure(`Cannot remove "${place.path}": it does not exist`);
    return change(operation, place, "nothing is there");
  }
  checkRemovable(place.path, node);
  const entries = node.kind === "folder" ? tree.entriesOf(place) : 0;
  if (entries > 0) checkRecursive(scope, operation, place, entries);
  tree.remove(place);
  if (node.kind === "folder")
    return change(operation, place, `removes a folder with ${String(entries)} entries`);
  if (node.kind === "link") return change(operation, place, "removes a symlink, not what it leads to");
  return change(
    operation,
    place,
    node.content === null ? `removes ${String(node.size)} bytes` : previewOf(place.path, node.content, null),
  );
}

function checkRecursive(scope: LoadedScope, operation: Of<"remove">, place: Place, entries: number): void {
  if (operation.recursive !== true)
    throw hostFailure(`Cannot remove "${place.path}": the folder holds ${String(entries)} entries`);
  if (!scope.recursiveRemove)
    throw outsideScope(
      `Cannot remove "${place.path}": scope "${scope.id}" does not allow folders with what they hold`,
    );
}

function change(operation: FileOperation, place: Place, preview: string): FileChange {
  return { operation: operation.type, path: place.path, to: null, preview };
}

function modeText(mode: number | undefined): string {
  return mode === undefined ? "" : `\nmode ${mode.toString(8).padStart(4, "0")}`;
}
