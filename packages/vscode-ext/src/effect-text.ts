import { approvalLines, escapeLine } from "@doorward/client/operator";
import type { PendingApproval } from "@doorward/contracts";

/** Most lines of an effect that a dialog repeats; the document beside it has all of them. */
const DIALOG_LINES = 12;

/** The full effect as the document has it: the text of `doorward action ls`. */
export function effectText(pending: PendingApproval): string {
  return `${approvalLines(pending, `at ${clock(pending.expiresAt)}`).join("\n")}\n`;
}

/** What the document says once it is decided, in time or not. */
export function decidedText(pending: PendingApproval): string {
  return `This does not wait any more: it was decided, its time was over, or whoever asked went away.\n\n${effectText(pending)}`;
}

/** The beginning of the effect, for a dialog. */
export function dialogText(pending: PendingApproval): string {
  const { operation, requestedBy, machine, title, lines, digest } = pending;
  const more = lines.length - DIALOG_LINES;
  return [
    escapeLine(title),
    `${operation} for ${requestedBy}${machine === null ? "" : ` in ${machine.name}`}`,
    "",
    ...lines.slice(0, DIALOG_LINES).map(escapeLine),
    ...(more > 0 ? [`... and ${more} more lines, in the document`] : []),
    "",
    digest,
  ].join("\n");
}

/**
 * Text of others for a notification, which makes links (of commands, too) of `[text](target)`: nothing of it is a link
 * after this, and every character can still be read.
 */
export function unlinked(text: string): string {
  return escapeLine(text).replaceAll("](", "] (");
}

function clock(time: string): string {
  return new Date(time).toLocaleTimeString("en-GB");
}
