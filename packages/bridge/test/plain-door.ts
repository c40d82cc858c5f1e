import type { Door, DoorEntry } from "@doorward/doors";

/** The entry of a door that takes plain requests, at `plain/two`, and does with them what a test says. */
export function plainDoor(behaviour: Required<Pick<Door, "request">> & Pick<Door, "busy">): DoorEntry {
  const door: Door = {
    id: "agent-tool",
    operations: [],
    open: () => Promise.reject(new Error("no sockets here")),
    ...behaviour,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const endpoint = { segment: "plain/two", protocol: null, methods: ["POST"] };
  const operations = ["agent-tool.read"] as const;
  return {
    id: "agent-tool",
    endpoints: [{ ...endpoint, operations, implicit: operations }],
    load: () => Promise.resolve(door),
  };
}
