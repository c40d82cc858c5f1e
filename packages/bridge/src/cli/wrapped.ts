import { Help } from "commander";

/** Narrower than this, text is left to the terminal. */
const NARROWEST = 30;

const help = Object.assign(new Help(), { minWidthToWrap: NARROWEST });

/**
 * Words in lines of a width, the first behind what stands there already and the others behind spaces; a word that is longer
 * stands whole, so that it can be copied.
 */
export function wrapped(text: string, indent: number, width: number): string {
  return help.boxWrap(text, width - indent).replaceAll("\n", `\n${" ".repeat(indent)}`);
}
