import type { Command } from "commander";
import type { Cli } from "../cli.ts";
import { COMPLETION_SCRIPTS } from "../completion-scripts.ts";
import { usage } from "../parse-input.ts";
import { leaf } from "../run.ts";

/** `doorward completion`. */
export function defineCompletion(command: Command, cli: Cli): void {
  command.argument("<shell>", "bash, zsh or fish");
  leaf(
    command,
    cli,
    [
      "source <(doorward completion bash)",
      'doorward completion zsh > "${fpath[1]}/_doorward"',
      "doorward completion fish > ~/.config/fish/completions/doorward.fish",
    ],
    (run, [shell]) => {
      const script = COMPLETION_SCRIPTS.get(String(shell));
      if (script === undefined)
        throw usage(`Cannot print completion: shell "${String(shell)}" is not bash, zsh or fish`, "shell");
      run.output.result({ shell, script }, () => script);
      return Promise.resolve(0);
    },
  );
}
