/** The calls of one session that wait for the operator, or whose answer waits to be fetched. */
export class PendingCalls implements AsyncDisposable {
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
