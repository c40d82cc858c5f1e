import type { Connection } from "./connection.ts";

/** One step of the store's shape; steps only ever go forward. */
export interface Migration {
  /** Version of the store after this step. */
  readonly version: number;
  up(connection: Connection): void;
}

/** Every step so far, in order. Released steps never change. */
export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    up: (connection) =>
      connection.execute(
        `CREATE TABLE documents (
           collection TEXT NOT NULL,
           id TEXT NOT NULL,
           value TEXT NOT NULL,
           PRIMARY KEY (collection, id)
         ) STRICT, WITHOUT ROWID`,
      ),
  },
  {
    // Profiles of stored machines say what they may reach and which secrets they have: until then, none.
    version: 2,
    up: (connection) =>
      connection.execute(
        `UPDATE documents SET value = json_set(
           value, '$.profile.egress', json('{"presets":[],"allow":[],"deny":[],"askSeconds":0}'),
           '$.profile.secrets', json('[]'))
         WHERE collection = 'machines' AND json_extract(value, '$.profile.egress') IS NULL`,
      ),
  },
];
