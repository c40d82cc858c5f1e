import { commands, Uri, window, type ExtensionContext } from "vscode";
import { BridgeWatch } from "./bridge-watch.ts";
import { approve, approveFor, deny, explain, type DecisionParts } from "./decisions.ts";
import { approvalOf, EFFECT_SCHEME, EffectDocuments } from "./effect-documents.ts";
import { tellOfNew } from "./notices.ts";
import { WaitingTree } from "./waiting-tree.ts";
import type { Registered } from "./registered.ts";

/** Wires the extension: a watch of the bridge, what shows it, and what decides. */
export function activate(context: ExtensionContext): void {
  const watch = new BridgeWatch(process.env);
  const documents = new EffectDocuments(watch);
  const show = (id: string): Promise<void> => documents.show(id);
  const notices = tellOfNew(watch, (id) => show(id).catch(explain));
  const command = (name: string, run: (parts: DecisionParts, id: string) => Promise<void>): Registered =>
    commands.registerCommand(name, async (target: unknown) => {
      const id = idOf(target);
      if (id !== null) await run({ watch, show }, id).catch(explain);
    });
  context.subscriptions.push(
    { dispose: () => void watch[Symbol.asyncDispose]() },
    { dispose: () => notices[Symbol.dispose]() },
    ...documents.register(),
    ...new WaitingTree(watch).register(),
    command("doorward.show", (_parts, id) => show(id)),
    command("doorward.approve", approve),
    command("doorward.approveFor", approveFor),
    command("doorward.deny", deny),
    commands.registerCommand("doorward.why", async () => {
      if (watch.state.kind !== "watching") await explain(watch.state.error);
    }),
  );
}

/** What a command is about: an item of the list, a document, or the document in front. */
function idOf(target: unknown): string | null {
  const uri = target instanceof Uri ? target : window.activeTextEditor?.document.uri;
  const id: unknown = typeof target === "object" && target !== null ? Reflect.get(target, "id") : undefined;
  if (typeof id === "string") return id;
  return uri?.scheme === EFFECT_SCHEME ? approvalOf(uri) : null;
}
