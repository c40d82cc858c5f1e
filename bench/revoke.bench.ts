import { connect, type TerminalSession } from "@doorward/client";
import type { Bench } from "./lib/bench.ts";
import type { BenchPart } from "./lib/row.ts";
import { summarise } from "./lib/summary.ts";

const SESSIONS = 100;
const TERMINALS = 10;
const REACH_MS = 50;

/** A grant with 100 open sessions is revoked: time until its holder saw each one close. */
export const revokePart: BenchPart = {
  id: "revoke",
  title: "revoke",
  async run(bench) {
    const rounds = bench.pick({ quick: 2, normal: 12 });
    const [each, last, answers]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < rounds; round += 1) {
      bench.say(`revoke with ${String(SESSIONS)} sessions, round ${String(round + 1)}`);
      const { closed, answered } = await revokeOnce(bench);
      each.push(...closed);
      last.push(Math.max(...closed));
      answers.push(answered);
    }
    const { p99, count } = summarise(each);
    return [
      {
        name: `revoke until every socket is closed, ${String(SESSIONS)} sessions`,
        unit: "ms",
        value: summarise(last).p50,
        p99,
        samples: count,
        reach: `p99 <= ${String(REACH_MS)} ms`,
        met: p99 <= REACH_MS,
        beside: [],
        note:
          `median: the last socket of a round; p99: every socket of ${String(rounds)} rounds; slowest ${Math.max(...last).toFixed(1)} ms; ` +
          `the revoke call itself, with its record durable: ${summarise(answers).p50.toFixed(1)} ms`,
      },
    ];
  },
};

/** Times from sending the revoke to each close, all in this process. */
async function revokeOnce(bench: Bench): Promise<{ closed: number[]; answered: number }> {
  const [operator, lab, machine] = [await bench.client(), await bench.lab(), await bench.machine()];
  const { id, token } = await lab.grant(machine.id, [
    "terminal.attach",
    "terminal.observe",
    "terminal.input",
  ]);
  await using holder = connect({ url: `http://127.0.0.1:${String(await lab.tcpPort())}`, token });
  const sessions: TerminalSession[] = [];
  try {
    for (let count = 0; count < TERMINALS; count += 1) {
      const first = await holder.attachTerminal(machine.id, quiet({ argv: ["cat"] }));
      sessions.push(first);
      for (let viewer = 1; viewer < SESSIONS / TERMINALS; viewer += 1)
        sessions.push(
          await holder.attachTerminal(machine.id, quiet({ terminal: first.id, mode: "observe" })),
        );
    }
    const began = performance.now();
    const closes = sessions.map(async ({ done }) => {
      const end = await done;
      if (end.kind !== "closed") throw new Error(`A revoked session ended as "${end.kind}"`);
      return performance.now() - began;
    });
    await operator.call("grants.revoke", { params: { grant: id }, body: {} });
    const answered = performance.now() - began;
    return { closed: await Promise.all(closes), answered };
  } finally {
    for (const session of sessions) session.detach();
    await endTerminals(bench);
  }
}

function quiet<Options extends object>(options: Options) {
  return { ...options, reconnectMs: 0, data: () => undefined } as const;
}

/** Terminals outlive their viewers; a later round needs their places. */
async function endTerminals(bench: Bench): Promise<void> {
  const [client, machine] = [await bench.client(), await bench.machine()];
  await client.exec(machine.id, ["pkill", "-x", "cat"]);
}
