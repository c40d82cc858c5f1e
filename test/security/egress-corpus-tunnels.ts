import { clientHello } from "../../packages/bridge/test/egress-tls-hello.ts";
import { HOST, SMUGGLED, type Attempt } from "./egress-corpus-attempt.ts";

/** Attempts with other protocols, tunnels, TLS and SOCKS; `canary` is the port on loopback that must stay untouched. */
export function tunnelAttempts(canary: number): Attempt[] {
  return [...protocols(canary), ...tunnels(canary), ...hellos(), ...socks(canary)];
}

function protocols(canary: number): Attempt[] {
  const upgrade = (to: string): string =>
    `GET http://good.test/${SMUGGLED} HTTP/1.1\r\n${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: ${to}\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`;
  return [
    { name: "h2c by upgrade", send: [upgrade("h2c")] },
    { name: "h2c beside websocket", send: [upgrade("websocket, h2c")] },
    { name: "h2c by a second Upgrade header", send: [upgrade("websocket\r\nUpgrade: h2c")] },
    {
      name: "a WebSocket in HTTP/1.0",
      send: [
        `GET http://good.test/${SMUGGLED} HTTP/1.0\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      ],
    },
    { name: "TLS by upgrade", send: [upgrade("TLS/1.0")] },
    {
      name: "an upgrade with a body",
      send: [
        `POST http://good.test/ HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 8\r\n\r\n${SMUGGLED}`,
      ],
    },
    { name: "the HTTP/2 preface", send: [`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`] },
    {
      name: "the HTTP/2 preface with a Host",
      send: [`PRI http://good.test/ HTTP/2.0\r\n${HOST}\r\nSM\r\n\r\n`],
    },
    { name: "TLS to the proxy itself", send: [clientHello({ name: "good.test" })] },
    {
      name: "SOCKS4",
      send: [
        Buffer.concat([Buffer.from([4, 1, canary >> 8, canary & 255, 127, 0, 0, 1]), Buffer.from("x\0")]),
      ],
    },
    {
      name: "SOCKS4a",
      send: [Buffer.concat([Buffer.from([4, 1, 0, 80, 0, 0, 0, 1]), Buffer.from("x\0localhost\0")])],
    },
    { name: "an SSH greeting", send: [Buffer.from("\u0001SSH-2.0-x\r\n")] },
    {
      name: "a PROXY header before the request",
      send: [
        `PROXY TCP4 127.0.0.1 127.0.0.1 1 ${canary}\r\nGET http://good.test/${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`,
      ],
    },
    {
      name: "CONNECT behind a request that is served",
      send: [
        `GET http://good.test/ HTTP/1.1\r\n${HOST}\r\nCONNECT good.test:80 HTTP/1.1\r\n\r\nGET /${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`,
      ],
    },
    {
      name: "a second request behind a refused one",
      send: [
        `GET http://internal.test/ HTTP/1.1\r\nHost: internal.test\r\nContent-Length: 300\r\n\r\nGET http://good.test/${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`,
      ],
    },
  ];
}

function tunnels(canary: number): Attempt[] {
  const connect = (target: string, rest = ""): string => `CONNECT ${target} HTTP/1.1\r\n${rest}\r\n`;
  const forms = new Map([
    ["without a port", connect("good.test")],
    ["with an empty port", connect("good.test:")],
    ["with port 0", connect("good.test:0")],
    ["with port 65979, which wraps to 443", connect("good.test:65979")],
    ["with a port in hexadecimal", connect("good.test:0x1bb")],
    ["with a port with a sign", connect("good.test:+443")],
    ["with a port that no rule names", connect("good.test:22")],
    ["with a path", connect("good.test:443/x")],
    ["with a scheme", connect("https://good.test:443")],
    ["with credentials", connect(`good.test@127.0.0.1:${canary}`)],
    ["with a password", connect("u:p@good.test:443")],
    ["with a query", connect("good.test:443?x")],
    ["with a path alone", connect("/")],
    ["with an asterisk", connect("*")],
    ["with a zone", connect(`[fe80::1%lo]:${canary}`)],
    ["with a list", connect(`good.test:443,127.0.0.1:${canary}`)],
    ["with a body of known length", connect("good.test:443", "Content-Length: 8\r\n") + SMUGGLED],
    [
      "with a chunked body",
      connect("good.test:443", "Transfer-Encoding: chunked\r\n") + `8\r\n${SMUGGLED}\r\n0\r\n\r\n`,
    ],
    ["with an upgrade", connect("good.test:443", "Connection: Upgrade\r\nUpgrade: h2c\r\n")],
    ["to a name beyond ASCII", "CONNECT gööd.test:443 HTTP/1.1\r\n\r\n"],
    ["to a name of another domain that ends alike", connect("evilgood.test:443")],
    ["to a subdomain that no rule names", connect("a.good.test:443")],
    ["to two labels under a wildcard", connect("a.b.wild.test:443")],
    ["to the bare domain of a wildcard", connect("wild.test:443")],
    ["to a public name of a loopback address", connect("loop.test:443")],
    ["to a name with one public and one loopback address", connect("mixed.test:443")],
    ["to a name of a mapped address", connect("mapped.test:443")],
    ["to a name of the metadata address", connect("metadata.test:443")],
    ["to a name of a NAT64 address", connect("nat64.test:443")],
    ["to a name of a 6to4 address", connect("sixtofour.test:443")],
    ["to a name of 0.0.0.0", connect("zero.test:443")],
    ["to a name that has no address", connect("empty.test:443")],
    ["to a name that changes to loopback", connect("rebind.test:443")],
    ["to an internal name outside its range", connect("ranged.test:443")],
    ["to a name of ::1", connect("loop6.test:443")],
    ["to a name of ::", connect("unspecified6.test:443")],
    ["to a name of a unique local address", connect("unique6.test:443")],
    ["to a name of a link-local IPv6 address", connect("link6.test:443")],
    ["to a name of the metadata address in IPv6", connect("metadata6.test:443")],
    ["to a name of a Teredo address", connect("teredo.test:443")],
    ["to a name that is public in IPv4 and loopback in IPv6", connect("either.test:443")],
    ["to an internal name outside its IPv6 range", connect("ranged6.test:443")],
    ["to an internal name whose IPv6 address maps one of its range", connect("mapped6.test:443")],
  ]);
  const hidden = `GET /${SMUGGLED} HTTP/1.1\r\nHost: good.test\r\n\r\n`;
  return [
    ...[...forms].map(([what, text]) => ({ name: `CONNECT ${what}`, send: [text] })),
    { name: "plain HTTP in a tunnel to port 443", send: [hidden], inside: "blind" },
    { name: "plain HTTP sent along with CONNECT", send: [connect("good.test:443") + hidden] },
    { name: "SSH in a tunnel to port 443", send: [`SSH-2.0-${SMUGGLED}\r\n`], inside: "blind" },
    {
      name: "HTTP/2 without TLS in a tunnel to port 443",
      send: [`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${SMUGGLED}`],
      inside: "blind",
    },
    {
      name: "plain HTTP of another host in a tunnel to port 80",
      send: [`GET /${SMUGGLED} HTTP/1.1\r\nHost: internal.test\r\n\r\n`],
      inside: "raw",
    },
    {
      name: "plain HTTP behind empty lines in a tunnel",
      send: [`\r\n\r\nGET /${SMUGGLED} HTTP/1.1\r\nHost: internal.test\r\n\r\n`],
      inside: "raw",
    },
    {
      name: "plain HTTP in pieces in a tunnel",
      send: ["GE", "T ", `/${SMUGGLED} HTTP/1.1\r\nHost: internal.test\r\n\r\n`],
      inside: "raw",
    },
    ...[
      `M-SEARCH /${SMUGGLED} HTTP/1.1`,
      `A /${SMUGGLED} HTTP/1.1`,
      `G3T /${SMUGGLED} HTTP/1.1`,
      `${"LONG".repeat(20)} /${SMUGGLED} HTTP/1.1`,
      ` GET /${SMUGGLED} HTTP/1.1`,
      `GET ?${SMUGGLED} HTTP/1.1`,
      `BREW ${SMUGGLED}.html HTTP/1.1`,
      `ACL * ${SMUGGLED}`,
      `CONNECT ${SMUGGLED}.test:443 HTTP/1.1`,
      `M-SEARCH /${SMUGGLED}${"x".repeat(20_000)} HTTP/1.1`,
    ].map((line) => ({
      name: `plain HTTP that begins "${line.slice(0, 24)}" in a tunnel to port 80`,
      send: [line.slice(0, 1), `${line.slice(1)}\r\nHost: internal.test\r\n\r\n`],
      inside: "raw" as const,
    })),
    {
      name: "HTTP/2 without TLS in a tunnel to port 80",
      send: [`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${SMUGGLED}`],
      inside: "raw",
    },
    {
      name: "CONNECT inside a tunnel to port 80",
      send: [`CONNECT 127.0.0.1:${canary} HTTP/1.1\r\n\r\n`, "x"],
      inside: "raw",
    },
    {
      name: "absolute form inside a tunnel to port 80",
      send: [`GET http://127.0.0.1:${canary}/${SMUGGLED} HTTP/1.1\r\nHost: good.test\r\n\r\n`],
      inside: "raw",
    },
    {
      name: "TLS of another host in a tunnel to port 80",
      send: [clientHello({ name: "internal.test" })],
      inside: "raw",
    },
  ];
}

function hellos(): Attempt[] {
  const marker = Buffer.from(SMUGGLED);
  const split = clientHello({ name: "internal.test", fragment: 20 });
  const forms = new Map<string, readonly Buffer[]>([
    ["another host", [clientHello({ name: "internal.test" })]],
    ["no server", [clientHello({ name: null })]],
    ["an empty server", [clientHello({ name: "" })]],
    ["two extensions of the server", [clientHello({ name: "good.test", twice: true })]],
    ["two servers", [clientHello({ name: "good.test", names: ["good.test", "internal.test"] })]],
    ["a server with a NUL", [clientHello({ name: "good.test\0.internal.test" })]],
    ["a server of another kind", [clientHello({ name: "good.test", nameType: 9 })]],
    ["a subdomain", [clientHello({ name: "a.good.test" })]],
    ["an address", [clientHello({ name: "127.0.0.1" })]],
    ["another host in small records", [split]],
    [
      "the right host in a record for each byte, behind a kilobyte of padding",
      [clientHello({ name: "good.test", fragment: 1, extra: [[21, Buffer.alloc(1000)]] })],
    ],
    ["another host byte by byte", [split.subarray(0, 3), split.subarray(3, 40), split.subarray(40)]],
    [
      "another host behind an encrypted hello",
      [clientHello({ name: "internal.test", extra: [[0xfe0d, marker]] })],
    ],
    ["the right host and more in its record", [clientHello({ name: "good.test", after: marker })]],
    [
      "a server in the form of SSL 2",
      [Buffer.from(`802e0103010015000000100100800300800700c0${"00".repeat(28)}`, "hex")],
    ],
    [
      "the right host behind a change of ciphers",
      [Buffer.concat([Buffer.from("140303000101", "hex"), clientHello({ name: "good.test" })])],
    ],
    ["a length past its end", [Buffer.from("16030100100100000c0303ffffffffffffffffffff", "hex"), marker]],
  ]);
  return [
    ...[...forms].map(([what, send]) => ({
      name: `a hello that names ${what}`,
      send,
      inside: "blind" as const,
    })),
    {
      name: "a hello that never ends",
      send: [clientHello({ name: "good.test" }).subarray(0, 50)],
      inside: "blind",
      held: true,
    },
    { name: "a tunnel in which nothing comes", send: [], inside: "blind", held: true },
    {
      name: "an alert in place of a hello",
      send: [Buffer.from("15030300020100", "hex"), marker],
      inside: "blind",
    },
    {
      name: "64 kB of hello",
      send: [
        Buffer.concat(
          Array.from({ length: 5 }, () =>
            Buffer.concat([Buffer.from("1603014000", "hex"), Buffer.alloc(16_384, 1)]),
          ),
        ),
      ],
      inside: "blind",
    },
  ];
}

function socks(canary: number): Attempt[] {
  const port = Buffer.from([canary >> 8, canary & 255]);
  const hello = Buffer.from([5, 1, 0]);
  const name = (text: string): Buffer =>
    Buffer.concat([Buffer.from([5, 1, 0, 3, Buffer.byteLength(text)]), Buffer.from(text), port]);
  const v4 = (...bytes: number[]): Buffer => Buffer.concat([Buffer.from([5, 1, 0, 1, ...bytes]), port]);
  const v6 = (hex: string): Buffer =>
    Buffer.concat([Buffer.from([5, 1, 0, 4]), Buffer.from(hex, "hex"), port]);
  const requests = new Map<string, Buffer>([
    ["BIND", Buffer.concat([Buffer.from([5, 2, 0, 1, 127, 0, 0, 1]), port])],
    ["UDP ASSOCIATE", Buffer.concat([Buffer.from([5, 3, 0, 1, 0, 0, 0, 0]), port])],
    ["Tor's RESOLVE", Buffer.concat([Buffer.from([5, 0xf0, 0, 3, 9]), Buffer.from("good.test"), port])],
    ["a loopback address", v4(127, 0, 0, 1)],
    ["the zero address", v4(0, 0, 0, 0)],
    ["the metadata address", v4(169, 254, 169, 254)],
    ["::1", v6("00000000000000000000000000000001")],
    ["a mapped address", v6("00000000000000000000ffff7f000001")],
    ["a link-local address", v6("fe800000000000000000000000000001")],
    ["an address as a name", name("127.0.0.1")],
    ["a decimal address as a name", name("2130706433")],
    ["localhost", name("localhost")],
    ["a name with a NUL", name("good.test\0x")],
    ["a name with an at sign", name("good.test@127.0.0.1")],
    ["a name with a space", name("good test")],
    ["a name beyond ASCII", name("gööd.test")],
    ["a name in brackets", name("[::1]")],
    ["an empty name", Buffer.concat([Buffer.from([5, 1, 0, 3, 0]), port])],
    ["an unknown address type", Buffer.concat([Buffer.from([5, 1, 0, 9, 1, 2, 3, 4]), port])],
    ["a reserved byte", Buffer.concat([Buffer.from([5, 1, 7, 1, 127, 0, 0, 1]), port])],
    ["version 4 in its second step", Buffer.concat([Buffer.from([4, 1, 0, 1, 127, 0, 0, 1]), port])],
    ["port 0", Buffer.concat([Buffer.from([5, 1, 0, 3, 9]), Buffer.from("good.test"), Buffer.from([0, 0])])],
    ["a host that no rule names", name("internal.test")],
  ]);
  return [
    ...[...requests].map(([what, bytes]) => ({ name: `SOCKS5 with ${what}`, send: [hello, bytes] })),
    { name: "SOCKS5 with a password alone", send: [Buffer.from([5, 1, 2])] },
    { name: "SOCKS5 with no method", send: [Buffer.from([5, 0])] },
    { name: "SOCKS5 with GSSAPI alone", send: [Buffer.from([5, 1, 1])] },
    {
      name: "SOCKS5 with a shorter name than said",
      send: [hello, Buffer.concat([Buffer.from([5, 1, 0, 3, 200]), Buffer.from("good.test")])],
      held: true,
    },
    { name: "SOCKS5 that stops after its greeting", send: [hello], held: true },
    { name: "SOCKS5 that stops in its greeting", send: [Buffer.from([5, 9, 0])], held: true },
  ];
}
