import { openGuestFiles } from "@doorward/guest";
import type { FilesOpener } from "./agent-session.ts";

/** Opens the files of a session's machine through its guest, within what its grant reaches. */
export const openMachineFiles: FilesOpener = ({ host, reach }, signal) =>
  openGuestFiles(host, { roots: reach.folders, workdir: reach.workdir }, signal);
