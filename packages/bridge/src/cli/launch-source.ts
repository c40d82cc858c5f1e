import type { DoorwardClient } from "@doorward/client";
import { DoorwardError } from "@doorward/contracts";
import * as z from "zod";
import { listRecords, LogFiles, openCheckpoint, readLeaf, type ListSource } from "../evidence/index.ts";
import { digestOf } from "../machines/fingerprint.ts";
import { escapeLine } from "@doorward/client/operator";
import { parseMachine, usage } from "./parse-input.ts";

/** What comparing needs of a launch record; looser than the contract, so that records of other builds can be compared too. */
const LaunchStatement = z.object({
  predicateType: z.string().regex(/\/launch\/v1$/),
  predicate: z.object({
    recordId: z.string(),
    at: z.string(),
    machine: z.object({ id: z.string(), name: z.string() }),
    fingerprint: z.object({ digest: z.string(), inputs: z.record(z.string(), z.unknown()) }),
  }),
});

/** One launch record with its fingerprint. */
export type LaunchRecord = z.infer<typeof LaunchStatement>["predicate"] & { readonly index: number };

/** Where launch records are read from: the running bridge, or the files of a log. */
export interface LaunchSource {
  /** The statement of a record. */
  statement(index: number): Promise<unknown>;
  /** Indexes of a machine's launches, newest first. */
  launches(machine: string, limit: number): Promise<readonly number[]>;
}

/** Launch records of the running bridge. */
export function bridgeLaunches(client: DoorwardClient, signal: AbortSignal): LaunchSource {
  return {
    statement: async (index) =>
      (await client.call("evidence.show", { params: { index } }, { signal })).statement,
    launches: async (machine, limit) => {
      const query = { type: "launch", machine, limit };
      return (await client.call("evidence.list", { query }, { signal })).records.map(({ index }) => index);
    },
  };
}

/** Launch records of a log's folder or of an export, without a bridge. */
export async function fileLaunches(dir: string): Promise<LaunchSource> {
  const files = new LogFiles(dir);
  const { size } = openCheckpoint(await files.checkpoint());
  const bundle = (n: number): Promise<Buffer[]> => files.entries(n, Math.min(WIDTH, size - n * WIDTH));
  const source: ListSource = { size, mayHold: () => true, bundle };
  return {
    statement: async (index) => {
      if (index >= size) throw noRecord(`record ${String(index)} is not among its ${String(size)}`);
      const leaf = (await bundle(Math.floor(index / WIDTH)))[index % WIDTH];
      return leaf === undefined ? null : readLeaf(leaf, index).statement;
    },
    launches: async (machine, limit) =>
      (await listRecords(source, { limit, machine, type: "launch" })).entries.map(({ index }) => index),
  };
}

const WIDTH = 256;

/**
 * The launches that two references name: each an index, a record id, or a machine's name or id for its latest launch.
 * A machine alone stands for its last two launches.
 */
export async function findLaunches(
  source: LaunchSource,
  first: string,
  second: string | undefined,
): Promise<readonly [LaunchRecord, LaunchRecord]> {
  if (second !== undefined) return [await findLaunch(source, first), await findLaunch(source, second)];
  if (/^(?:[0-9]|e_)/.test(first))
    throw usage("Cannot compare: name a second launch", "record", "doorward evidence show --diff 12 15");
  const [last, previous] = await source.launches(parseMachine(first), 2);
  if (last === undefined || previous === undefined)
    throw noRecord(`"${escapeLine(first)}" has not been launched twice`);
  return [await read(source, previous), await read(source, last)];
}

async function findLaunch(source: LaunchSource, given: string): Promise<LaunchRecord> {
  const index = /^(?:e_)?([0-9]{1,15})(?:_[a-z2-7]{8})?$/.exec(given)?.[1];
  if (index === undefined) return newest(source, parseMachine(given));
  const record = await read(source, Number(index));
  if (!given.startsWith("e_") || record.recordId === given) return record;
  throw noRecord(`record ${index} is "${escapeLine(record.recordId)}" and not "${escapeLine(given)}"`);
}

async function newest(source: LaunchSource, machine: string): Promise<LaunchRecord> {
  const [index] = await source.launches(machine, 1);
  if (index === undefined) throw noRecord(`there is no launch of "${escapeLine(machine)}"`);
  return read(source, index);
}

async function read(source: LaunchSource, index: number): Promise<LaunchRecord> {
  const parsed = LaunchStatement.safeParse(await source.statement(index));
  if (!parsed.success) throw noRecord(`record ${String(index)} is not a launch`);
  const { predicate } = parsed.data;
  const { digest, inputs } = predicate.fingerprint;
  if (digestOf(inputs) === digest) return { ...predicate, index };
  throw new DoorwardError({
    code: "EVIDENCE_INVALID",
    message: `Cannot compare launches: the digest of record ${String(index)} is not that of its inputs`,
    hint: "doorward evidence verify",
  });
}

function noRecord(why: string): DoorwardError {
  return new DoorwardError({
    code: "EVIDENCE_NOT_FOUND",
    message: `Cannot compare launches: ${why}`,
    hint: "doorward evidence ls --type launch",
  });
}
