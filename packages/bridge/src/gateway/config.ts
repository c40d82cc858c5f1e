/** Limits of the gateway; every one has a safe default and a name. */
export interface GatewayLimits {
  /** Bytes of a request body. */
  readonly bodyBytes: number;
  /** Levels of nesting in a JSON body. */
  readonly bodyDepth: number;
  /** Bytes of a request's line and headers together. */
  readonly headerBytes: number;
  /** Headers of a request. */
  readonly headerCount: number;
  /** Characters of a request's URL. */
  readonly urlChars: number;
  /** Open connections, for each listener. */
  readonly connections: number;
  /** Milliseconds until a request's headers must be there. */
  readonly headersMs: number;
  /** Milliseconds until a request's body must be there, and a message of a socket whole. */
  readonly requestMs: number;
  /** Milliseconds that an idle connection is kept. */
  readonly keepAliveMs: number;
  /** Requests per second of a grant's holder; twice as many at once. */
  readonly requestsPerSecond: number;
  /** Plain requests per second of a grant's holder at doors; twice as many at once. */
  readonly doorRequestsPerSecond: number;
  /** Plain requests of one session at a door that are served at the same time. */
  readonly requestsPerSession: number;
  /** Milliseconds without a request after which a session of plain requests ends. */
  readonly unusedMs: number;
  /** Requests per second of everyone without a token together, for each listener. */
  readonly anonymousRequestsPerSecond: number;
  /** Requests per second of the operator. */
  readonly operatorRequestsPerSecond: number;
  /** Failed authentications per minute and listener; beyond it they are refused without a reason. */
  readonly failedTokensPerMinute: number;
  /** Denial records per minute of one subject; beyond it they are counted. */
  readonly denialsPerMinute: number;
  /** Open sessions at doors. */
  readonly sockets: number;
  /** Of these, how many only the operator may use, so that no holder can lock the operator out. */
  readonly operatorSockets: number;
  /** Open sessions of one grant at doors. */
  readonly socketsPerGrant: number;
  /** Bytes of one grant that wait at doors, over all its sockets and requests: not whole, not answered, or not read. */
  readonly bytesPerGrant: number;
  /** The same of all grants together. */
  readonly bytesWaiting: number;
  /** Bytes of a WebSocket message. */
  readonly frameBytes: number;
  /** Milliseconds between pings of a door socket. */
  readonly pingMs: number;
  /** Milliseconds of silence after which a door socket counts as dead. */
  readonly silenceMs: number;
  /** Milliseconds that a cut socket has to answer the close frame before it is destroyed. */
  readonly cutMs: number;
  /** Milliseconds that running requests have to finish when the bridge stops. */
  readonly shutdownMs: number;
}

/** The limits where nothing else is configured. */
export const DEFAULT_LIMITS: GatewayLimits = {
  bodyBytes: 1_048_576,
  bodyDepth: 32,
  headerBytes: 16_384,
  headerCount: 100,
  urlChars: 4096,
  connections: 2048,
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 5_000,
  requestsPerSecond: 500,
  doorRequestsPerSecond: 2000,
  requestsPerSession: 128,
  unusedMs: 300_000,
  anonymousRequestsPerSecond: 50,
  operatorRequestsPerSecond: 1000,
  failedTokensPerMinute: 60,
  denialsPerMinute: 60,
  sockets: 1024,
  operatorSockets: 128,
  socketsPerGrant: 256,
  bytesPerGrant: 67_108_864,
  bytesWaiting: 268_435_456,
  frameBytes: 1_048_576,
  pingMs: 20_000,
  silenceMs: 60_000,
  cutMs: 25,
  shutdownMs: 5_000,
};

/** How the gateway is set up. */
export interface GatewayConfig {
  /** Login name of the operator; callers on the Unix socket are `operator:<login>`. */
  readonly login: string;
  /** Names beside loopback's that a Host header may carry. */
  readonly hosts?: readonly string[];
  /** Origins of browser pages that may call, e.g. `http://127.0.0.1:7611`; none by default. */
  readonly origins?: readonly string[];
  /** Whether TCP listens on `::1` too. */
  readonly ipv6?: boolean;
  readonly limits?: Partial<GatewayLimits>;
}

/** The configured limits on top of the defaults. */
export function limitsOf(config: GatewayConfig): GatewayLimits {
  return { ...DEFAULT_LIMITS, ...config.limits };
}
