/** Terminal types that Debian's ncurses-base describes; a machine knows no others. */
const KNOWN = new Set([
  "ansi",
  "dumb",
  "linux",
  "rxvt",
  "rxvt-unicode",
  "rxvt-unicode-256color",
  "screen",
  "screen-256color",
  "tmux",
  "tmux-256color",
  "vt100",
  "vt220",
  "xterm",
  "xterm-256color",
  "xterm-color",
]);

/** What a machine's terminal is told of the viewer's: its type, and whether it shows all colours. */
export function terminalEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const type = env["TERM"] ?? "dumb";
  const colors = env["COLORTERM"];
  return {
    TERM: KNOWN.has(type) ? type : "xterm-256color",
    ...(colors === "truecolor" || colors === "24bit" ? { COLORTERM: colors } : {}),
  };
}
