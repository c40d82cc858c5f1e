/** What the editor disposes when the extension ends. */
export interface Registered {
  dispose(): unknown;
}
