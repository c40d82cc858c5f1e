import { parse, stringify } from "smol-toml";
import { UnreadableConfig, type ConfigFormat } from "./config-format.ts";

const MARK = "# Written by doorward connect, which takes it back with --remove\n";

/** A TOML file that is ours altogether, or not at all: its tables can't stand beside those of others. */
export const WHOLE_TOML: ConfigFormat = {
  name: "TOML",
  get: (text) => (text.trim() === "" ? undefined : read(text)),
  set: (text, _path, entry) => {
    if (text.trim() === "" || text.startsWith(MARK)) return `${MARK}${stringify(entry).trimEnd()}\n`;
    throw new UnreadableConfig("it has environments that Doorward did not write");
  },
  remove: (text) => {
    if (text.startsWith(MARK)) return "";
    throw new UnreadableConfig("it has environments that Doorward did not write");
  },
  isEmpty: (text) => text.trim() === "",
};

function read(text: string): unknown {
  try {
    return JSON.parse(JSON.stringify(parse(text)));
  } catch (cause) {
    const [what = "it is not TOML"] = (cause instanceof Error ? cause.message : String(cause)).split("\n");
    throw new UnreadableConfig(what.trim());
  }
}
