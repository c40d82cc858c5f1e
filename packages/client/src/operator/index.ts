export { approvalLines } from "./approval-lines.ts";
export { checkClosed, checkOwner, checkRuntime, unsafeFolder } from "./check-runtime.ts";
export { escapeLine, escapeText } from "./escape-text.ts";
export {
  currentHost,
  isPrivateRuntime,
  resolveFolders,
  SOCKET_PATH_BYTES,
  type FolderHost,
  type Folders,
} from "./folders.ts";
