export { askingPlugin } from "./asking-plugin.ts";
export type { ActionAsker, ActionListener, ActionParts, AskerGrant } from "./flow-ports.ts";
export { ACTIONS_PER_ASKER, HostActions, type HostActionsOptions } from "./flow.ts";
