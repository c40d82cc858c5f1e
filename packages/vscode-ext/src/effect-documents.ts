import { EventEmitter, languages, Uri, window, workspace, type TextDocumentContentProvider } from "vscode";
import type { PendingApproval } from "@doorward/contracts";
import type { BridgeWatch } from "./bridge-watch.ts";
import { decidedText, effectText } from "./effect-text.ts";
import type { Registered } from "./registered.ts";

/** Scheme of the documents that show effects. */
export const EFFECT_SCHEME = "doorward-approval";
const LANGUAGE = "doorward-effect";

/** Read-only documents that show the full effect of what waits, as plain text, and say when it does not wait any more. */
export class EffectDocuments implements TextDocumentContentProvider {
  readonly #watch: BridgeWatch;
  readonly #shown = new Map<string, PendingApproval>();
  readonly #changed = new EventEmitter<Uri>();
  readonly onDidChange = this.#changed.event;

  constructor(watch: BridgeWatch) {
    this.#watch = watch;
  }

  /** Registers them with the editor. */
  register(): Registered[] {
    const listening = this.#watch.onState(() => this.#refresh());
    return [
      workspace.registerTextDocumentContentProvider(EFFECT_SCHEME, this),
      this.#changed,
      { dispose: () => listening[Symbol.dispose]() },
    ];
  }

  /** Opens the document of what waits under an id. */
  async show(id: string): Promise<void> {
    const document = await workspace.openTextDocument(effectUri(id));
    await languages.setTextDocumentLanguage(document, LANGUAGE);
    await window.showTextDocument(document, { preview: true });
  }

  /** Closed documents are forgotten here, and not when they close: a change of language closes and opens one, too. */
  #refresh(): void {
    const open = new Set(workspace.textDocuments.map(({ uri }) => uri.toString()));
    for (const id of [...this.#shown.keys()]) {
      const uri = effectUri(id);
      if (open.has(uri.toString())) this.#changed.fire(uri);
      else this.#shown.delete(id);
    }
  }

  provideTextDocumentContent(uri: Uri): string {
    const id = approvalOf(uri);
    const pending = this.#watch.pending(id);
    if (pending !== undefined) {
      this.#shown.set(id, pending);
      return effectText(pending);
    }
    const last = this.#shown.get(id);
    return last === undefined ? "Nothing waits under this id.\n" : decidedText(last);
  }
}

/** The id of what a document shows. */
export function approvalOf(uri: Uri): string {
  return uri.path.replace(/^\//, "");
}

function effectUri(id: string): Uri {
  return Uri.from({ scheme: EFFECT_SCHEME, path: `/${id}` });
}
