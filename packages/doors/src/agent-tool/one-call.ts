import { createHash } from "node:crypto";
import { AGENT_TOOLS, DenialError, DoorwardError, toDoorwardError } from "@doorward/contracts";
import type { Begun, PendingQuestion, ToolCallRecord } from "../door.ts";
import { FirstAbort } from "../first-abort.ts";
import { allowanceOf, toolIdOf, waitsForOperator } from "./allowance.ts";
import { approvalRequest } from "./approval-text.ts";
import { parseArguments } from "./call-arguments.ts";
import { failureOf, noSuchTool, notAllowed } from "./call-failure.ts";
import {
  answeredRecord,
  beginningOf,
  objectOf,
  thrownRecord,
  type CallEnd,
  type CallFacts,
  type CallObject,
} from "./call-record.ts";
import { meaningOf } from "./call-meaning.ts";
import { canonicalJson } from "./canonical-json.ts";
import { pendingAnswer } from "./pending-answer.ts";
import type { PendingHandle } from "./pending-calls.ts";
import type { RefusedCalls } from "./refused-calls.ts";
import type { RunningCalls } from "./running-calls.ts";
import type { CallOutcome, CallRequest } from "./tool-caller.ts";
import type { AskedQuestion, PendingAnswer, ShownFile, Tool, ToolAnswer } from "./tool.ts";

/** What all calls share. */
export interface CallShared {
  readonly running: RunningCalls;
  readonly refused: RefusedCalls;
}

type Input = Readonly<Record<string, unknown>>;

/** Under which approval a call runs, and what was noted of its beginning. */
interface Under {
  readonly approval: string | null;
  readonly begun: Begun | null;
}

const NOT_BEGUN: Under = { approval: null, begun: null };

/** One call of a tool on its way: judged, parsed, approved, judged again, run, recorded. */
export class OneCall {
  readonly #tool: Tool;
  readonly #request: Omit<CallRequest, "name">;
  readonly #shared: CallShared;
  #began = performance.now();
  #registryGrant: string | null = null;
  #key = "";
  /** The same for all calls of this kind of client in this machine that do the same. */
  #meaning = "";
  #denied = false;
  #shown: ShownFile | null = null;
  #object: CallObject = { program: null, target: null };

  constructor(tool: Tool, request: Omit<CallRequest, "name">, shared: CallShared) {
    this.#tool = tool;
    this.#request = request;
    this.#shared = shared;
  }

  /** Does all of it; the outcome is given back once its record is durable. */
  async perform(): Promise<CallOutcome> {
    const { session, signal } = this.#request;
    let input: Input;
    let places: Disposable;
    try {
      this.#judge();
      input = parseArguments(this.#tool, this.#request.arguments);
      this.#object = objectOf(this.#tool, input, session.door.reach.workdir);
      places = this.#shared.running.take(session.door.id, session.door.machine.id);
    } catch (error) {
      return await this.#failed(error, signal, NOT_BEGUN);
    }
    using _places = places;
    return await this.#decided(input);
  }

  async #decided(input: Input): Promise<CallOutcome> {
    const { signal } = this.#request;
    let begun: Begun | null = null;
    try {
      begun = this.#begin(null);
      const waiting = this.#mayAsk() ? this.#askedBefore(input) : null;
      if (waiting !== null) return await this.#answered(waiting, { approval: null, begun });
      const { pending } = this.#request.session;
      const asked = this.#mustAsk() ? await pending.inTurn(() => this.#ask(input)) : null;
      if (asked?.pending === true) return await this.#answered(asked.answer, { approval: null, begun });
      if (asked !== null) begun.approved(asked.approval);
      return await this.#run(input, signal, { approval: asked?.approval ?? null, begun });
    } catch (error) {
      return await this.#failed(error, signal, { approval: null, begun });
    } finally {
      begun?.[Symbol.dispose]();
    }
  }

  /** Throws unless grant and door allow the call at this moment. */
  #judge(): void {
    const { session } = this.#request;
    const { name, offered } = this.#tool;
    session.door.signal.throwIfAborted();
    const allowance = allowanceOf(session.door, name);
    if (!allowance.allowed) throw notAllowed(name, allowance);
    this.#registryGrant = allowance.registryGrant;
    this.#check();
    if (offered?.(session) === false) throw noSuchTool(name, "this session does not have it");
  }

  /** The gateway itself records what it refuses here. */
  #check(): void {
    this.#denied = true;
    this.#request.session.door.host.check(AGENT_TOOLS[this.#tool.name].operation);
    this.#denied = false;
  }

  #mustAsk(): boolean {
    return waitsForOperator(this.#request.session.door.agentTool, this.#tool.name);
  }

  #mayAsk(): boolean {
    return AGENT_TOOLS[this.#tool.name].effect === "acts" || this.#mustAsk();
  }

  #askedBefore(input: Input): ToolAnswer<PendingAnswer> | null {
    this.#key = this.#keyOf(input);
    this.#meaning = this.#meaningOf(input);
    return this.#alreadyAsked();
  }

  /** The handle that the same call was given before, while nobody decided; throws when it was refused a moment ago. */
  #alreadyAsked(): ToolAnswer<PendingAnswer> | null {
    const { session } = this.#request;
    this.#shared.refused.check(this.#meaning, this.#tool.name);
    const waiting = session.pending.undecided(this.#key);
    return waiting === undefined ? null : pendingAnswer(waiting, session.door.machine.name);
  }

  async #ask(
    input: Input,
  ): Promise<{ pending: true; answer: ToolAnswer<PendingAnswer> } | { pending: false; approval: string }> {
    const { session } = this.#request;
    // The same call may have been asked about while this one waited for its turn.
    const before = this.#alreadyAsked();
    if (before !== null) return { pending: true, answer: before };
    session.pending.refuseMany();
    const { request, file } = await approvalRequest(this.#tool, input, session);
    this.#shown = file;
    const question = session.door.host.ask(request);
    const approval = await atOnce(question);
    if (approval !== null) return { pending: false, approval };
    const { id, expiresAt } = question;
    const waiting = { id, expiresAt, tool: this.#tool.name, key: this.#key };
    const call = session.pending.add(waiting, (handle) => this.#later(input, question, handle));
    return { pending: true, answer: pendingAnswer(call, session.door.machine.name) };
  }

  /** Waits for the decision, and runs the call exactly as it was asked. */
  async #later(input: Input, question: PendingQuestion, handle: PendingHandle): Promise<void> {
    using asked = question;
    const { signal } = this.#request.session.pending;
    const { running } = this.#shared;
    try {
      const { id } = await until(asked.decided, signal);
      handle.running();
      this.#began = performance.now();
      this.#judge();
      using _places = running.take(this.#request.session.door.id, this.#request.session.door.machine.id);
      using begun = this.#begin(id);
      handle.ended("done", await this.#run(input, signal, { approval: id, begun }));
    } catch (error) {
      this.#refusedLater(error, handle);
      if (!isRefusal(error) && !signal.aborted)
        await this.#failed(error, signal, { approval: asked.id, begun: null }).catch(() => undefined);
    }
  }

  #refusedLater(error: unknown, handle: PendingHandle): void {
    if (isRefusal(error)) this.#shared.refused.add(this.#meaning, error);
    handle.ended(isRefusal(error) ? "refused" : "done", failureOf(error));
  }

  #pend(question: AskedQuestion, work: Promise<ToolAnswer<object>>): ToolAnswer<PendingAnswer> {
    const { session } = this.#request;
    const waiting = { ...question, tool: this.#tool.name, key: this.#key };
    const call = session.pending.add(waiting, async (handle) => {
      try {
        handle.ended("done", { kind: "answered", answer: await work });
      } catch (error) {
        this.#refusedLater(error, handle);
      }
    });
    return pendingAnswer(call, session.door.machine.name);
  }

  async #run(input: Input, caller: AbortSignal, under: Under): Promise<CallOutcome> {
    const { session } = this.#request;
    using either = new FirstAbort(caller, session.door.signal);
    const { signal } = either;
    let answer: ToolAnswer<object>;
    try {
      signal.throwIfAborted();
      answer = await this.#tool.call(input, {
        session,
        signal,
        shown: this.#shown,
        progress: (message) => this.#request.progress(message),
        pend: (question, work) => this.#pend(question, work),
      });
      // What came after the grant's end was never asked for under it.
      session.door.signal.throwIfAborted();
    } catch (error) {
      return await this.#failed(error, caller, under);
    }
    return await this.#answered(answer, under);
  }

  async #answered(answer: ToolAnswer<object>, under: Under): Promise<CallOutcome> {
    const unrecorded = await this.#record(answeredRecord(this.#facts(under.approval), answer), under);
    return unrecorded ?? { kind: "answered", answer };
  }

  async #failed(thrown: unknown, caller: AbortSignal, under: Under): Promise<CallOutcome> {
    const ended = this.#endOf(thrown, caller);
    if (this.#denied) return failureOf(thrown);
    const error = ended === "cut" ? toDoorwardError(this.#request.session.door.signal.reason) : thrown;
    const unrecorded = await this.#record(thrownRecord(this.#facts(under.approval), error, ended), under);
    return unrecorded ?? failureOf(error);
  }

  #endOf(thrown: unknown, caller: AbortSignal): CallEnd {
    const refused = thrown instanceof DenialError && !isAborted(thrown);
    if (this.#request.session.door.signal.aborted) return refused ? null : "cut";
    return caller.aborted && !refused ? "cancelled" : null;
  }

  /** Answers the failure to record, if it failed: what is not recorded is not given out. */
  async #record(record: ToolCallRecord, { begun }: Under): Promise<CallOutcome | null> {
    try {
      await (begun ?? this.#request.session.door.host).record(record);
      return null;
    } catch (error) {
      return failureOf(error);
    }
  }

  /** Notes the call, so that it has a record even if the bridge is killed before it ends. */
  #begin(approval: string | null): Begun {
    return this.#request.session.door.host.begin(beginningOf(this.#facts(approval)));
  }

  #facts(approval: string | null): CallFacts {
    const { session, client, arguments: given } = this.#request;
    const durationMs = performance.now() - this.#began;
    const registryGrant = this.#registryGrant;
    const [tool, object] = [this.#tool, this.#object];
    return { session, tool, client, arguments: given, object, registryGrant, approval, durationMs };
  }

  #keyOf(input: Input): string {
    const { machine, grantId } = this.#request.session.door;
    const bound = { tool: this.#tool.name, input, machine: machine.id, grant: grantId };
    return digestOf(bound);
  }

  #meaningOf(input: Input): string {
    const { machine, subject, reach } = this.#request.session.door;
    const does = meaningOf(this.#tool, input, reach.workdir);
    // Not the subject: an agent that starts its client anew has another session, and would ask again.
    const client = toolIdOf(subject) ?? subject;
    return digestOf({ tool: this.#tool.name, does, machine: machine.id, client });
  }
}

function digestOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

/** The approval of a question that was decided before, for a time; null when it waits. */
async function atOnce({ decided }: PendingQuestion): Promise<string | null> {
  const waits = new Promise<null>((resolve) => setImmediate(resolve, null));
  return await Promise.race([decided.then(({ id }) => id), waits]);
}

function until<T>(decided: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(toDoorwardError(signal.reason));
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    decided.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

function isRefusal(thrown: unknown): thrown is DenialError {
  return thrown instanceof DenialError && thrown.code === "APPROVAL_DENIED";
}

function isAborted(thrown: unknown): boolean {
  return thrown instanceof DoorwardError && thrown.code === "ABORTED";
}
