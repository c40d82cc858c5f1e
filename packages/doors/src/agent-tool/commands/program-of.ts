const ASSIGNMENT = /^[A-Za-z_][A-Za-z0-9_]*=\S*\s+/;
const WORD = /^(?:[A-Za-z0-9._+-]*\/)*([A-Za-z0-9_][A-Za-z0-9._+-]{0,63})(?=$|[\s;&|<>()])/;
/** Words in front of the program that says what a line is for. */
const BEFORE =
  /^(?:(?:cd\s+[^\s;&|]+\s*(?:&&|;))|env|exec|command|nice|nohup|time|timeout\s+[0-9.]+[smhd]?)\s+/;

/** Words of the shell itself that begin a line of several programs. */
const OF_THE_SHELL: ReadonlySet<string> = new Set(
  "case coproc do elif else for function if select then until while".split(" "),
);

/**
 * Basename of the first program of a shell's line, for the evidence, which keeps no arguments: where the line starts with
 * anything but a plain word, or with a word of the shell's language, it is the shell's own.
 */
export function programOf(line: string, shell: string): string {
  let rest = line.trimStart();
  for (let left = 8; left > 0; left -= 1) {
    const skipped = BEFORE.exec(rest)?.[0] ?? ASSIGNMENT.exec(rest)?.[0];
    if (skipped === undefined) break;
    rest = rest.slice(skipped.length).trimStart();
  }
  const program = WORD.exec(rest)?.[1];
  return program === undefined || OF_THE_SHELL.has(program) ? shell : program;
}
