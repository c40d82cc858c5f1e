import * as z from "zod";
import { AgentMachineProfileRef, DefaultDecision, documentHead, urnOf } from "./document-head.ts";
import { BROWSER_PERMISSION_SCOPES } from "./operations.ts";
import { MachinePath } from "./text.ts";

const WebOrigin = z
  .string()
  .max(300)
  .regex(/^https?:\/\/[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?$/)
  .describe("A web origin: scheme, host and optional port");

/** What of the operator's own browser profile a door may use; it needs a grant that says so. */
export const HostProfileSharing = z.strictObject({
  grantRef: urnOf("host-interface-grant").describe("URN of the grant that allows the exception"),
  origins: z.array(WebOrigin).min(1).max(50).describe("Origins whose cookies are shared, and no others"),
});
export type HostProfileSharing = z.infer<typeof HostProfileSharing>;

/** Browser door of an agent machine. */
export const BrowserDoor = z
  .strictObject({
    ...documentHead("BrowserDoor", "browser-door"),
    name: z.string().min(1).max(80).describe("Name for people"),
    agentMachineProfileRef: AgentMachineProfileRef,
    mode: z
      .enum(["isolated-browser", "host-extension", "remote-debug-target", "no-browser"])
      .describe("Browser automation mode"),
    transport: z
      .enum(["native_pipe", "cdp", "webdriver", "extension", "accessibility"])
      .describe("How the browser is driven"),
    brokerRef: z
      .string()
      .max(300)
      .regex(
        /^(?:urn:srcos:[a-z0-9-]+(?::[a-z0-9-]+)?:[A-Za-z0-9._~-]+|native-messaging:[a-z0-9_]+(?:\.[a-z0-9_]+)*)$/,
      )
      .nullable()
      .describe("URN of the broker, or native-messaging: and the host's name; null when neither is used"),
    remoteDebugEndpoint: z
      .string()
      .max(100)
      .regex(/^(?:http|ws):\/\/(?:127\.0\.0\.1|\[::1\]):[1-9][0-9]{0,4}\/?$/)
      .nullable()
      .describe("Debugging endpoint of a remote-debug-target, on loopback; null in the other modes"),
    profileIsolation: z
      .strictObject({
        profile: z
          .enum(["fresh-per-session", "kept-in-machine"])
          .describe("Whether the browser's profile ends with the session or with its machine"),
        cookies: z
          .enum(["hidden", "own-session"])
          .describe("Whether clients may read the cookies of the isolated browser"),
        hostProfileSharing: HostProfileSharing.nullable().describe(
          "The exception for the operator's own browser profile; null, the default, shares nothing",
        ),
      })
      .describe("Cookie and profile isolation policy"),
    permissionScope: z
      .array(z.enum(BROWSER_PERMISSION_SCOPES))
      .max(BROWSER_PERMISSION_SCOPES.length)
      .describe("What automation may do; what is not listed is refused"),
    screenshots: z
      .strictObject({
        decision: DefaultDecision.describe("Whether screenshots may be taken"),
        payloadMode: z
          .enum(["metadata-only", "ref-only"])
          .describe("What evidence holds of a screenshot; never its pixels"),
      })
      .describe("Screenshot policy"),
    downloads: z
      .strictObject({
        decision: DefaultDecision.describe("Whether files may be downloaded"),
        agentPath: MachinePath.describe("Folder of the machine that downloads go to"),
        maxBytes: z.int().min(1).max(17_179_869_184).describe("Byte cap of one download"),
        hashDownloads: z.literal(true).describe("The digest of each download is recorded"),
        recordSourceDomain: z.literal(true).describe("The domain of each download is recorded"),
        directExecutionAllowed: z.literal(false).describe("Downloads are never executable"),
      })
      .describe("Download policy"),
    uploads: z
      .strictObject({
        decision: DefaultDecision.describe("Whether files may be uploaded"),
        agentPaths: z
          .array(MachinePath)
          .max(64)
          .describe("Folders of the machine that uploads may come from; host paths never"),
        maxBytes: z.int().min(1).max(17_179_869_184).describe("Byte cap of one upload"),
      })
      .describe("Upload policy"),
    userVisible: z.literal(true).describe("The operator can watch every session"),
    revocable: z.literal(true).describe("Revoking the grant ends the session"),
  })
  .describe(
    "Browser door of an agent machine: automation mode, broker, profile isolation, screenshots, downloads and uploads",
  );
export type BrowserDoor = z.infer<typeof BrowserDoor>;
