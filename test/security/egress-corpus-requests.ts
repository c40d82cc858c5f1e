import { END, HOST, SMUGGLED, type Attempt } from "./egress-corpus-attempt.ts";

/** Attempts with plain requests, and with those in opened TLS; `canary` is the port on loopback that must stay untouched. */
export function requestAttempts(canary: number): Attempt[] {
  return [
    ...addresses(canary),
    ...targets(canary),
    ...hosts(canary),
    ...framing(),
    ...heads(),
    ...opened(canary),
    ...slow(),
  ];
}

const ADDRESSES = (
  "127.0.0.1 127.1 127.0.1 127.0.0.1. 2130706433 017700000001 0x7f000001 0x7f.0.0.1 0177.0.0.1 0x7f.1 0 0.0.0.0 00.0.0.0 " +
  "127.000.000.001 0300.0250.0.1 3232235521 4294967295 127.0.0.256 1.2.3.4.5 " +
  "[::1] [::] [0:0:0:0:0:0:0:1] [0000::0001] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b:1::7f00:1] " +
  "[2002:7f00:1::] [fe80::1] [fd00::1] [fec0::1] [ff02::1] [2001::1] [::ffff:169.254.169.254] [fd00:ec2::254] " +
  "169.254.169.254 0xa9fea9fe 2852039166 100.64.0.1 10.0.0.1 192.168.0.1 172.16.0.1 224.0.0.1 255.255.255.255 192.0.2.1 198.18.0.1 " +
  "localhost LOCALHOST localhost. a.localhost localhost.localdomain metadata.google.internal internal.test ip6-localhost"
).split(" ");

function addresses(canary: number): Attempt[] {
  return ADDRESSES.flatMap((host) => [
    {
      name: `CONNECT to ${host}`,
      send: [`CONNECT ${host}:${canary} HTTP/1.1\r\nHost: ${host}:${canary}${END}`],
    },
    {
      name: `plain request to ${host}`,
      send: [`GET http://${host}:${canary}/${SMUGGLED} HTTP/1.1\r\nHost: ${host}:${canary}${END}`],
    },
  ]);
}

function targets(canary: number): Attempt[] {
  const inUrl = new Map([
    ["credentials before an address", `http://good.test@127.0.0.1:${canary}/`],
    ["credentials before the allowed host", "http://user:secret@good.test/"],
    ["an empty user", "http://@good.test/"],
    ["a password that looks like a port", `http://good.test:80@127.0.0.1:${canary}/`],
    ["a backslash for a slash", `http://good.test\\@127.0.0.1:${canary}/`],
    ["an encoded at sign", `http://good.test%40127.0.0.1:${canary}/`],
    ["an encoded slash in the host", `http://127.0.0.1:${canary}%2f.good.test/`],
    ["an encoded NUL in the host", `http://127.0.0.1%00.good.test:${canary}/`],
    ["a fragment", `http://good.test/#@127.0.0.1:${canary}/`],
    ["a fragment for a path", "http://127.0.0.1#good.test/"],
    ["no host", "http:///path"],
    ["a path for a host", `http:/127.0.0.1:${canary}/`],
    ["a scheme without slashes", "http:good.test/"],
    ["three slashes", `http:////127.0.0.1:${canary}/`],
    ["https in absolute form", "https://good.test/"],
    ["ftp", "ftp://good.test/"],
    ["file", "file:///etc/passwd"],
    ["gopher", `gopher://127.0.0.1:${canary}/_x`],
    ["a Unix socket", "http://unix:/run/docker.sock:/"],
    ["a zone in an IPv6 address", `http://[fe80::1%25lo]:${canary}/`],
    ["a zone without encoding", `http://[::1%lo]:${canary}/`],
    ["an IPvFuture literal", `http://[v1.127.0.0.1]:${canary}/`],
    ["an unclosed bracket", `http://[::1:${canary}/`],
    ["port 0", "http://good.test:0/"],
    ["port 65536", "http://good.test:65536/"],
    ["port 4294967376, which wraps to 80", "http://good.test:4294967376/"],
    ["a negative port", "http://good.test:-80/"],
    ["a port with a plus", "http://good.test:+80/"],
    ["a port in octal form", "http://good.test:0080/"],
    ["an empty port", "http://good.test:/"],
    ["two ports", `http://good.test:80:${canary}/`],
    ["an encoded dot", "http://good%2etest/"],
    ["a wildcard host", "http://*/"],
    ["an empty label", "http://good..test/"],
    ["two trailing dots", "http://good.test../"],
    ["a label over 63 characters", `http://${"a".repeat(64)}.test/`],
    ["a name over 253 characters", `http://${"a.".repeat(130)}test/`],
    ["full-width digits", "http://１２７.0.0.1/"],
    ["ideographic full stops", "http://127。0。0。1/"],
    ["circled digits", "http://①②⑦.⓪.⓪.①/"],
    ["a soft hyphen", "http://good\u00ad.test/"],
    ["a tab in the host", "http://good\t.test/"],
    ["no scheme and host", `/${SMUGGLED}`],
    ["an asterisk", "*"],
  ]);
  return [...inUrl].flatMap(([what, url]) => {
    const host = /^http:\/\/([^/]*)/.exec(url)?.[1] ?? "good.test";
    return [
      { name: `a target with ${what}`, send: [Buffer.from(`GET ${url} HTTP/1.1\r\nHost: ${host}${END}`)] },
      {
        name: `a target with ${what}, Host good.test`,
        send: [Buffer.from(`GET ${url} HTTP/1.1\r\n${HOST}X: ${SMUGGLED}${END}`)],
      },
    ];
  });
}

function hosts(canary: number): Attempt[] {
  const get = "GET http://good.test/ HTTP/1.1\r\n";
  return [
    { name: "a Host header with another name", send: [`${get}Host: internal.test\r\nX: ${SMUGGLED}${END}`] },
    {
      name: "a Host header with another port",
      send: [`${get}Host: good.test:${canary}\r\nX: ${SMUGGLED}${END}`],
    },
    { name: "a Host header with an address", send: [`${get}Host: 127.0.0.1:${canary}${END}`] },
    { name: "two Host headers", send: [`${get}${HOST}Host: internal.test${END}`] },
    { name: "two Host headers of other case", send: [`${get}${HOST}hOST: internal.test${END}`] },
    { name: "no Host header", send: [`${get}X: ${SMUGGLED}${END}`] },
    { name: "an empty Host header", send: [`${get}Host:${END}`] },
    { name: "a list in the Host header", send: [`${get}Host: good.test, internal.test${END}`] },
    { name: "credentials in the Host header", send: [`${get}Host: internal.test@good.test${END}`] },
    { name: "a path in the Host header", send: [`${get}Host: good.test/internal${END}`] },
    {
      name: "CONNECT with another Host header",
      send: [`CONNECT good.test:443 HTTP/1.1\r\nHost: internal.test:443${END}`],
    },
    {
      name: "CONNECT with two Host headers",
      send: [`CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\nHost: internal.test${END}`],
    },
    { name: "HTTP/1.0 without a Host header", send: [`GET http://good.test/${SMUGGLED} HTTP/1.0${END}`] },
  ];
}

function framing(): Attempt[] {
  const post = `POST http://good.test/ HTTP/1.1\r\n${HOST}`;
  const inner = `GET http://good.test/${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`;
  const chunked = "Transfer-Encoding: chunked\r\n";
  const heads = new Map([
    ["a length and chunks", `Content-Length: 6\r\n${chunked}\r\n0\r\n\r\nG`],
    ["chunks and a length", `${chunked}Content-Length: 6\r\n\r\n0\r\n\r\nG`],
    ["two lengths", "Content-Length: 0\r\nContent-Length: 5\r\n\r\nABCDE"],
    ["two equal lengths", "Content-Length: 5\r\nContent-Length: 5\r\n\r\nABCDE"],
    ["a list of lengths", "Content-Length: 5, 5\r\n\r\nABCDE"],
    ["a length with a plus", "Content-Length: +5\r\n\r\nABCDE"],
    ["a negative length", "Content-Length: -1\r\n\r\n"],
    ["a length in hexadecimal", "Content-Length: 0x5\r\n\r\nABCDE"],
    ["a length over 64 bits", `Content-Length: 99999999999999999999999\r\n\r\n`],
    ["a length with a space inside", "Content-Length: 1 0\r\n\r\nABCDE"],
    ["a coding named xchunked", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
    ["identity after chunked", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"],
    ["gzip and chunked", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
    ["two codings", `${chunked}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n`],
    ["chunked twice", `${chunked}${chunked}\r\n0\r\n\r\n`],
    ["a space before the colon", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"],
    ["a vertical tab before the coding", "Transfer-Encoding:\u000bchunked\r\n\r\n0\r\n\r\n"],
    ["a folded coding", "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"],
    ["a quoted coding", 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n'],
    ["a chunk size with a sign", `${chunked}\r\n+1\r\nA\r\n0\r\n\r\n`],
    ["a chunk size with 0x", `${chunked}\r\n0x1\r\nA\r\n0\r\n\r\n`],
    ["a chunk size that overflows", `${chunked}\r\nfffffffffffffffff\r\nA\r\n0\r\n\r\n`],
    ["a chunk that is longer than said", `${chunked}\r\n1\r\nABC\r\n0\r\n\r\n`],
    ["a chunk that ends in LF", `${chunked}\r\n1\nA\n0\n\n`],
    ["a chunk extension that ends in LF", `${chunked}\r\n1;x\nA\r\n0\r\n\r\n`],
    ["a space behind the chunk size", `${chunked}\r\n1 \r\nA\r\n0\r\n\r\n`],
    ["a coding folded behind chunked", "Transfer-Encoding: chunked\r\n , identity\r\n\r\n0\r\n\r\n"],
    ["an empty coding beside chunked", "Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n"],
    ["an empty length", "Content-Length: \r\n\r\nABCDE"],
    ["a chunk extension with a request in quotes", `${chunked}\r\n5;a="x\r\n\r\n0\r\n\r\n`],
    ["a chunk extension of 100 kB", `${chunked}\r\n5;${"a".repeat(100_000)}\r\nABCDE\r\n0\r\n\r\n`],
    ["a length among its trailers", `${chunked}\r\n0\r\nContent-Length: 5\r\n\r\nABCDE`],
    ["no chunk size", `${chunked}\r\n\r\n\r\n`],
  ]);
  return [
    ...[...heads].map(([what, head]) => ({ name: `a body with ${what}`, send: [post + head + inner] })),
    {
      name: "chunks in HTTP/1.0",
      send: [`POST http://good.test/ HTTP/1.0\r\n${HOST}${chunked}\r\n0\r\n\r\n${inner}`],
    },
    {
      name: "a Connection header that strips the length",
      send: [`${post}Connection: content-length\r\nContent-Length: 5\r\n\r\nABCDE`],
    },
    {
      name: "a Connection header that strips the length of nothing",
      send: [`${post}Connection: close, x-a, Content-Length\r\nX: ${SMUGGLED}${END}`],
    },
    {
      name: "a Connection header that strips Host",
      send: [`${post}Connection: close, Host\r\nX: ${SMUGGLED}${END}`],
    },
    {
      name: "a Connection header that strips credentials",
      send: [`${post}Connection: Authorization\r\nAuthorization: x${END}`],
    },
  ];
}

function heads(): Attempt[] {
  const get = `GET http://good.test/ HTTP/1.1\r\n${HOST}`;
  const many = Array.from({ length: 2000 }, (_, at) => `X-${at}: a\r\n`).join("");
  const raw = new Map([
    ["bare LF between lines", `GET http://good.test/${SMUGGLED} HTTP/1.1\nHost: good.test\n\n`],
    ["bare LF in a value", `${get}X: a\nX-Injected: ${SMUGGLED}${END}`],
    ["bare CR in a value", `${get}X: a\rX-Injected: ${SMUGGLED}${END}`],
    ["NUL in a value", `${get}X: a\0${SMUGGLED}${END}`],
    ["NUL in the target", `GET http://good.test/\0${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`],
    ["CR in the target", `GET http://good.test/\r${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`],
    [
      "CRLF in the target",
      `GET http://good.test/ HTTP/1.1\r\nX: ${SMUGGLED}\r\n\r\nx HTTP/1.1\r\n${HOST}\r\n`,
    ],
    ["a space in the target", `GET http://good.test/a ${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`],
    ["a tab for a space", `GET\thttp://good.test/${SMUGGLED}\tHTTP/1.1\r\n${HOST}\r\n`],
    ["a folded header", `${get}X: a\r\n ${SMUGGLED}${END}`],
    ["a header without a name", `${get}: ${SMUGGLED}${END}`],
    ["a header without a colon", `${get}${SMUGGLED}${END}`],
    ["a space in a header's name", `${get}X Y: ${SMUGGLED}${END}`],
    ["bytes over 127 in the target", `GET http://good.test/\u00e4${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`],
    ["HTTP/0.9", `GET http://good.test/${SMUGGLED}\r\n`],
    ["HTTP/1.2", `GET http://good.test/${SMUGGLED} HTTP/1.2\r\n${HOST}\r\n`],
    ["HTTP/2.0 in words", `GET http://good.test/${SMUGGLED} HTTP/2.0\r\n${HOST}\r\n`],
    ["a lower-case method", `get http://good.test/${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`],
    ["TRACE", `TRACE http://good.test/${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`],
    ["SOURCE", `SOURCE http://good.test/${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`],
    ["an unknown method", `EVIL http://good.test/${SMUGGLED} HTTP/1.1\r\n${HOST}\r\n`],
    ["a header of 100 kB", `${get}X: ${"a".repeat(100_000)}${END}`],
    ["2,000 headers", `${get}${many}X: ${SMUGGLED}${END}`],
    ["a target of 20 kB", `GET http://good.test/${"a".repeat(20_000)} HTTP/1.1\r\n${HOST}\r\n`],
    ["an Expect that nobody knows", `${get}Expect: ${SMUGGLED}${END}`],
    ["an Expect twice", `${get}Expect: 100-continue\r\nExpect: 100-continue\r\nX: ${SMUGGLED}${END}`],
  ]);
  return [...raw].map(([what, text]) => ({ name: `a head with ${what}`, send: [text] }));
}

function opened(canary: number): Attempt[] {
  const host = "Host: opened.test\r\n";
  const get = (target: string, rest = ""): string => `GET ${target} HTTP/1.1\r\n${host}${rest}\r\n`;
  const requests = new Map([
    ["another Host", `GET /api/${SMUGGLED} HTTP/1.1\r\nHost: internal.test\r\n\r\n`],
    ["another port in Host", `GET /api/${SMUGGLED} HTTP/1.1\r\nHost: opened.test:${canary}\r\n\r\n`],
    ["no Host", `GET /api/${SMUGGLED} HTTP/1.1\r\n\r\n`],
    ["absolute form", get(`https://opened.test/api/${SMUGGLED}`)],
    ["absolute form of another host", get(`http://127.0.0.1:${canary}/api/${SMUGGLED}`)],
    ["CONNECT", `CONNECT 127.0.0.1:${canary} HTTP/1.1\r\n${host}\r\n`],
    [
      "a length and chunks",
      `POST /api/ HTTP/1.1\r\n${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${get(`/api/${SMUGGLED}`)}`,
    ],
    ["the HTTP/2 preface", `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`],
    ["h2c", get(`/api/${SMUGGLED}`, "Connection: Upgrade\r\nUpgrade: h2c\r\n")],
    ["a method that the rule does not name", `DELETE /api/${SMUGGLED} HTTP/1.1\r\n${host}\r\n`],
    ["a path outside the prefix", get(`/${SMUGGLED}`)],
    ["a path that begins like the prefix", get(`/apiary/${SMUGGLED}`)],
    ["dot segments", get(`/api/../${SMUGGLED}`)],
    ["encoded dot segments", get(`/api/%2e%2e/${SMUGGLED}`)],
    ["dots encoded twice", get(`/api/%252e%252e/${SMUGGLED}`)],
    ["an encoded slash", get(`/api/..%2f${SMUGGLED}`)],
    ["an encoded backslash", get(`/api/..%5c${SMUGGLED}`)],
    ["a backslash", get(`/api/..\\${SMUGGLED}`)],
    ["two slashes", get(`/api//${SMUGGLED}`)],
    ["path parameters", get(`/api/..;/${SMUGGLED}`)],
    ["an encoded NUL", get(`/api/%00/${SMUGGLED}`)],
    ["a broken encoding", get(`/api/%zz/${SMUGGLED}`)],
    ["an overlong encoding", get(`/api/%u002e%u002e/${SMUGGLED}`)],
    ...[
      "X-HTTP-Method-Override",
      "x-http-method",
      "X_Method_Override",
      "X-Original-Method",
      "X-Forwarded-Method",
    ].map((header): [string, string] => [
      `a method in ${header}`,
      `POST /api/${SMUGGLED} HTTP/1.1\r\n${host}${header}: DELETE\r\nContent-Length: 0\r\n\r\n`,
    ]),
    ...[
      "X-Original-URL",
      "X-Rewrite-Url",
      "X-Original-URI",
      "X-Forwarded-Uri",
      "X-Forwarded-Path",
      "X-Override-Url",
      "Unencoded-URL",
      "X-Waws-Unencoded-Url",
      "Request-Uri",
      "Destination",
      "X-Amz-Copy-Source",
      "x-goog-copy-source",
      "X_MS_Copy_Source",
    ].map((header): [string, string] => [`a path in ${header}`, get("/api/", `${header}: /${SMUGGLED}\r\n`)]),
    ["TRACE", `TRACE /api/${SMUGGLED} HTTP/1.1\r\n${host}\r\n`],
  ]);
  return [...requests].map(([what, text]) => ({
    name: `opened TLS with ${what}`,
    send: [text],
    inside: "opened" as const,
  }));
}

function slow(): Attempt[] {
  const get = "GET http://good.test/ HTTP/1.1\r\n";
  return [
    { name: "a connection that sends nothing", send: [], held: true },
    { name: "a head that stops in its target", send: ["GET http://good.t"], held: true },
    { name: "a head that stops in a header", send: [`${get}${HOST}X: `], held: true },
    {
      name: "a head that comes byte by byte",
      send: Array.from(`${get}${HOST}X: aaaaaaaaaaaaaaaaaaaaaaaaa`).slice(0, 40),
      held: true,
    },
    { name: "a CONNECT that stops", send: ["CONNECT good.test:443 HT"], held: true },
  ];
}
