import { styleText } from "node:util";
import { asCalled, calledAs } from "./called-as.ts";
import type { Cli } from "./cli.ts";
import { escapeLine } from "@doorward/client/operator";
import { wrapped } from "./wrapped.ts";

/** Colours that the command uses. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** JSON that is harmless on a terminal too: control characters and direction marks stand in it as escapes, which mean the same. */
export function jsonText(document: unknown, indent?: number): string {
  return JSON.stringify(document, null, indent).replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Prints results to stdout and everything else to stderr. */
export class Output {
  readonly json: boolean;
  readonly #cli: Cli;
  readonly #colors: boolean;

  constructor(cli: Cli, options: { readonly json: boolean; readonly color: boolean }) {
    this.#cli = cli;
    this.json = options.json;
    this.#colors = options.color && (cli.env["NO_COLOR"] ?? "") === "" && cli.env["TERM"] !== "dumb";
  }

  /** Prints a command's result: the document as JSON, or the text for people. */
  result(document: unknown, text: () => string): void {
    const shown = this.json ? jsonText(document, 2) : text();
    if (shown !== "") this.#cli.stdout.write(shown.endsWith("\n") ? shown : `${shown}\n`);
  }

  /** One line beside the result. */
  note(text: string): void {
    this.#cli.stderr.write(`${escapeLine(text)}\n`);
  }

  /** One line beside the result for people only. */
  info(text: string): void {
    if (!this.json) this.note(text);
  }

  /** Text for people whose commands can be pasted as they are, however this one was called. */
  commands(text: string): string {
    return asCalled(text, calledAs(this.#cli, this.#cli.script));
  }

  /** Text for stdout in lines as wide as the terminal, behind an indent; as it is where stdout is none. */
  wrap(text: string, indent: number): string {
    const { isTTY, columns } = this.#cli.stdout;
    return isTTY === true && columns !== undefined ? wrapped(text, indent, columns) : text;
  }

  /** Colours text for stdout, when that is a terminal. */
  style(style: Style, text: string): string {
    return this.#paint(this.#cli.stdout.isTTY === true, style, text);
  }

  /** Colours text for stderr, when that is a terminal. */
  styleError(style: Style, text: string): string {
    return this.#paint(this.#cli.stderr.isTTY === true, style, text);
  }

  #paint(terminal: boolean, style: Style, text: string): string {
    return terminal && this.#colors ? styleText(style, text) : text;
  }
}
