/** Types of pino-roll, which ships none: a rotating destination for pino. */
declare module "pino-roll" {
  import type { DestinationStream } from "pino";

  export interface RollOptions {
    readonly file: string;
    readonly extension?: string;
    readonly size?: string;
    readonly limit?: { readonly count: number };
    readonly mkdir?: boolean;
  }

  const build: (options: RollOptions) => Promise<DestinationStream & { end(): void }>;
  export { build as default };
}
