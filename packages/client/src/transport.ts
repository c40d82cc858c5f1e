/** One HTTP request to a bridge; `body` is JSON text. */
export interface TransportRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The answer to a request; `body` is read once. */
export interface TransportResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: AsyncIterable<Uint8Array>;
}

/** What a transport tells about an open WebSocket. Set before the first message can arrive. */
export interface WireSocketListener {
  text(message: string): void;
  binary(message: Uint8Array): void;
  /** Called once; the reason is an error code of ours, or empty. */
  closed(code: number, reason: string): void;
}

/** An open WebSocket. */
export interface WireSocket {
  /** `sent` is called once the network took the message, or never will. */
  send(message: string | Uint8Array, sent?: () => void): void;
  /** Bytes accepted by `send` that the network has not taken yet. */
  readonly bufferedBytes: number;
  /** Stops handing on messages, and with that the sender once buffers are full, until {@link WireSocket.resume}. */
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
  /** Drops the connection without a closing handshake. */
  terminate(): void;
}

/** How a WebSocket is opened. */
export interface OpenOptions {
  /** Gives up, or ends what was opened. */
  readonly signal?: AbortSignal | undefined;
  /** Headers of the upgrade beside the transport's own. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Largest message that is taken, in bytes; that of our own protocols when absent. */
  readonly maxMessageBytes?: number;
}

/** How a client reaches a bridge: the one port between the pure parts and a platform. */
export interface Transport {
  /** Where the bridge is expected, for messages to people. */
  readonly address: string;
  request(request: TransportRequest): Promise<TransportResponse>;
  /** Opens a WebSocket; refusals with a problem document reject with that error. */
  open(
    path: string,
    protocol: string,
    listener: WireSocketListener,
    options?: OpenOptions,
  ): Promise<WireSocket>;
  close(): void;
}
