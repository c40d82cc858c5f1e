import { commands, EventEmitter, ThemeIcon, TreeItem, window, type TreeDataProvider } from "vscode";
import { escapeLine } from "@doorward/client/operator";
import type { PendingApproval } from "@doorward/contracts";
import type { BridgeState, BridgeWatch } from "./bridge-watch.ts";
import type { Registered } from "./registered.ts";

/** Id of the view. */
export const WAITING_VIEW = "doorward.waiting";

/** The list of what waits, with its number on the view's icon and in the status bar. */
export class WaitingTree implements TreeDataProvider<PendingApproval> {
  readonly #watch: BridgeWatch;
  readonly #changed = new EventEmitter<undefined>();
  readonly onDidChangeTreeData = this.#changed.event;

  constructor(watch: BridgeWatch) {
    this.#watch = watch;
  }

  /** Registers it with the editor. */
  register(): Registered[] {
    const view = window.createTreeView(WAITING_VIEW, { treeDataProvider: this });
    const status = window.createStatusBarItem("doorward.waiting");
    status.name = "Doorward";
    status.command = `${WAITING_VIEW}.focus`;
    const show = (state: BridgeState): void => {
      const count = state.kind === "watching" ? state.approvals.length : 0;
      view.badge = count === 0 ? undefined : { value: count, tooltip: waits(count) };
      status.text = `$(shield) ${count}`;
      status.tooltip = waits(count);
      if (count === 0) status.hide();
      else status.show();
      void commands.executeCommand("setContext", "doorward.bridge", state.kind);
      this.#changed.fire(undefined);
    };
    const listening = this.#watch.onState(show);
    show(this.#watch.state);
    return [view, status, this.#changed, { dispose: () => listening[Symbol.dispose]() }];
  }

  getChildren(parent?: PendingApproval): PendingApproval[] {
    const { state } = this.#watch;
    return parent === undefined && state.kind === "watching" ? [...state.approvals] : [];
  }

  getTreeItem({ id, title, operation, requestedBy, machine, lasting }: PendingApproval): TreeItem {
    const item = new TreeItem(escapeLine(title));
    item.id = id;
    item.description = requestedBy;
    item.tooltip = `${operation} for ${requestedBy}${machine === null ? "" : ` in ${machine.name}`}`;
    item.iconPath = new ThemeIcon("shield");
    item.contextValue = lasting ? "lasting" : "once";
    item.command = { command: "doorward.show", title: "Show", arguments: [{ id }] };
    return item;
  }
}

function waits(count: number): string {
  return count === 1 ? "One decision waits for you" : `${count} decisions wait for you`;
}
