/** A program that reads or writes a clipboard; text goes through its streams only. */
export interface ClipboardCommand {
  readonly file: string;
  readonly args: readonly string[];
}

/** How the clipboard of a session is reached. */
export interface ClipboardTool {
  readonly name: string;
  readonly read: ClipboardCommand;
  readonly write: ClipboardCommand;
}

/** The tool of a session, or what is missing, for people. */
export type ClipboardChoice = { readonly tool: ClipboardTool } | { readonly missing: string };

type Environment = Readonly<Record<string, string | undefined>>;
/** Finds a program in the folders that only the system can write; null when it is not there. */
export type FindProgram = (name: string) => string | null;

const POWERSHELL = ["-NoLogo", "-NoProfile", "-NonInteractive", "-Command"];
const POWERSHELL_READ =
  "[Console]::OutputEncoding = [Text.Encoding]::UTF8; [Console]::Out.Write((Get-Clipboard -Raw))";
const POWERSHELL_WRITE =
  "[Console]::InputEncoding = [Text.Encoding]::UTF8; Set-Clipboard -Value ([Console]::In.ReadToEnd())";

/** Chooses the clipboard tool by platform and session. */
export function chooseClipboard(
  platform: NodeJS.Platform,
  env: Environment,
  find: FindProgram,
): ClipboardChoice {
  if (platform === "darwin") return macClipboard(find);
  if (platform === "win32") return windowsClipboard(find);
  const wayland = isSet(env["WAYLAND_DISPLAY"]) ? waylandClipboard(find) : null;
  const x11 = isSet(env["DISPLAY"]) ? x11Clipboard(find) : null;
  if (wayland !== null) return { tool: wayland };
  if (x11 !== null) return { tool: x11 };
  if (isSet(env["WAYLAND_DISPLAY"])) return { missing: "install wl-clipboard" };
  if (isSet(env["DISPLAY"])) return { missing: "install xclip or xsel" };
  return {
    missing: "the bridge runs outside a graphical session (neither WAYLAND_DISPLAY nor DISPLAY is set)",
  };
}

function waylandClipboard(find: FindProgram): ClipboardTool | null {
  const [copy, paste] = [find("wl-copy"), find("wl-paste")];
  if (copy === null || paste === null) return null;
  const read = { file: paste, args: ["--no-newline", "--type", "text/plain;charset=utf-8"] };
  return { name: "wl-clipboard", read, write: { file: copy, args: ["--type", "text/plain;charset=utf-8"] } };
}

function x11Clipboard(find: FindProgram): ClipboardTool | null {
  const xclip = find("xclip");
  if (xclip !== null) {
    const args = ["-selection", "clipboard", "-target", "UTF8_STRING"];
    const write = { file: xclip, args: [...args.slice(0, 2), "-in"] };
    return { name: "xclip", read: { file: xclip, args: [...args, "-out"] }, write };
  }
  const xsel = find("xsel");
  if (xsel === null) return null;
  const read = { file: xsel, args: ["--clipboard", "--output"] };
  return { name: "xsel", read, write: { file: xsel, args: ["--clipboard", "--input"] } };
}

function macClipboard(find: FindProgram): ClipboardChoice {
  const [copy, paste] = [find("pbcopy"), find("pbpaste")];
  if (copy === null || paste === null)
    return { missing: "pbcopy and pbpaste are part of macOS but are not there" };
  return { tool: { name: "pasteboard", read: { file: paste, args: [] }, write: { file: copy, args: [] } } };
}

function windowsClipboard(find: FindProgram): ClipboardChoice {
  const file = find("powershell.exe");
  if (file === null) return { missing: "Windows PowerShell is not there" };
  const read = { file, args: [...POWERSHELL, POWERSHELL_READ] };
  return { tool: { name: "PowerShell", read, write: { file, args: [...POWERSHELL, POWERSHELL_WRITE] } } };
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "";
}
