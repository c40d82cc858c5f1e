export { carryBytes } from "./carry-bytes.ts";
export { abortError } from "./host/abort-error.ts";
export {
  FrameDecoder,
  FRAME_HEADER_BYTES,
  MAX_DATA_BYTES,
  decodeMessage,
  encodeFrame,
  encodeMessage,
} from "./frame.ts";
export type { FrameRule, FrameRules, FrameSink } from "./frame.ts";
export {
  FILES_FRAME,
  FILES_PROTOCOL,
  MAX_CHANGES,
  MAX_CHANGE_BYTES,
  MAX_ITEMS,
  MAX_LINES,
  MAX_READ_BYTES,
  type FilesOpen,
} from "./files-protocol.ts";
export { EGRESS_PORT } from "./egress-port.ts";
export type {
  Bounded,
  EntryKind,
  Expectation,
  FileChange,
  FileChanged,
  FileContent,
  FileStat,
  FindRequest,
  FolderEntry,
  GuestFiles,
  ListRequest,
  SearchLine,
  SearchRequest,
} from "./files.ts";
export { AbortListeners } from "./host/files/abort-listeners.ts";
export { dialPort } from "./host/dial-port.ts";
export { GuestCommand, type CommandListener } from "./host/guest-command.ts";
export { GuestTerminal, type TerminalListener } from "./host/guest-terminal.ts";
export { openGuestFiles, type GuestFilesOptions, type ReachedRoot } from "./host/files/open-guest-files.ts";
export { plainText } from "./host/plain-text.ts";
export { runCommand, type RunRequest, type RunResult } from "./host/run-command.ts";
export { loadFfi } from "./inside/ffi.ts";
export type { GuestDialer, GuestLink } from "./link.ts";
export {
  CONTROL_FROM_BRIDGE_RULES,
  CONTROL_FROM_GUEST_RULES,
  ConnectionHello,
  ControlFromBridge,
  ControlFromGuest,
  EGRESS_PORT_PROTOCOL,
  EXEC_FROM_GUEST_RULES,
  FRAME,
  GUEST_PROTOCOLS,
  HELLO_RULES,
  STDIN_WINDOW_BYTES,
  StreamOpen,
  TERMINAL_FROM_GUEST_RULES,
  agreeOnProtocol,
  expectShape,
  type DialOpen,
  type ExecOpen,
  type GuestHealth,
  type GuestHello,
  type RoleChange,
  type Size,
  type TerminalInfo,
  type TerminalOpen,
  type TerminalStarted,
} from "./protocol.ts";
