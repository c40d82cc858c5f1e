import { parseDocument, type Document } from "yaml";
import { isHollow, keptKeys, UnreadableConfig, valueAt, type ConfigFormat } from "./config-format.ts";

/** YAML; comments and order stay, spacing may become regular. */
export const YAML_CONFIG: ConfigFormat = {
  name: "YAML",
  get: (text, path) => valueAt(read(text).toJS(), path),
  set: (text, path, entry) => {
    const document = read(text);
    const parent = path.slice(0, -1);
    // An empty key (`mcp_servers:`) holds null, into which nothing can be put.
    if (parent.length > 0 && isHollow(valueAt(document.toJS(), parent))) {
      const last = path.at(-1) ?? "";
      document.setIn(parent, document.createNode({ [last]: entry }));
    } else document.setIn(path, document.createNode(entry));
    return write(document);
  },
  remove: (text, path, prune) => {
    const document = read(text);
    document.deleteIn(path);
    const kept = keptKeys(document.toJS(), path);
    if (prune && kept < path.length - 1) document.deleteIn(path.slice(0, kept + 1));
    return isHollow(document.toJS()) && document.commentBefore === null ? "" : write(document);
  },
  isEmpty: (text) => text.trim() === "",
};

function read(text: string): Document {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined) throw new UnreadableConfig(error.message.split("\n")[0] ?? "it is not YAML");
  const value: unknown = document.toJS();
  if (value !== null && (typeof value !== "object" || Array.isArray(value)))
    throw new UnreadableConfig("it is not a mapping");
  return document;
}

function write(document: Document): string {
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}
