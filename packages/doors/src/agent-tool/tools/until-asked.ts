import type { AskedQuestion, ToolAnswer, ToolCall } from "../tool.ts";

/**
 * Does something that may have to be asked about: its answer when it came without a question, else at once that it waits.
 * `work` goes on beside the call, with the session's own signal, and tells of its question by the function it is given.
 */
export async function untilAsked<Output extends object>(
  call: ToolCall,
  work: (asked: (question: AskedQuestion) => void, signal: AbortSignal) => Promise<ToolAnswer<Output>>,
): Promise<ToolAnswer<Output> | ReturnType<ToolCall["pend"]>> {
  let asked: (question: AskedQuestion) => void = () => undefined;
  const question = new Promise<AskedQuestion>((resolve) => (asked = resolve));
  // Before it is asked about, it ends with its call; from then on with the session alone.
  const early = new AbortController();
  const stop = (): void => early.abort(call.signal.reason);
  call.signal.addEventListener("abort", stop, { once: true });
  if (call.signal.aborted) stop();
  const working = work(asked, AbortSignal.any([early.signal, call.session.pending.signal]));
  try {
    const first = await Promise.race([
      working.then((answer) => ({ answer })),
      question.then((waiting) => ({ waiting })),
    ]);
    return "answer" in first ? first.answer : call.pend(first.waiting, working);
  } finally {
    call.signal.removeEventListener("abort", stop);
  }
}
