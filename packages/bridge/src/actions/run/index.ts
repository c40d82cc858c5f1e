export { HostCommands } from "./command-runner.ts";
export type { HostCommandsOptions } from "./command-runner.ts";
