export {
  checkRuntime,
  currentHost,
  isPrivateRuntime,
  resolveFolders,
  SOCKET_PATH_BYTES,
  type FolderHost,
  type Folders,
} from "@doorward/client/operator";
export { createFolders } from "./create-folders.ts";
export { keepWritten, syncFolder, writeDurably } from "./durable-file.ts";
export { installationId } from "./installation-id.ts";
export { lockHolder, lockState, type StateLock } from "./lock.ts";
export { whyUnreadable } from "./why-unreadable.ts";
