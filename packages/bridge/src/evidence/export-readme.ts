/** The README of an exported bundle: how to verify it with tools that are not ours. */
export const AUDITOR_README = `# Doorward evidence

This folder is a copy of a transparency log. It can be verified offline, with a public key and without Doorward.

| file | what it is |
|---|---|
| checkpoint | signed tree head: origin, number of records, root hash (C2SP tlog-checkpoint, signed-note) |
| tile/L/N | hashes of the Merkle tree, 256 a tile (C2SP tlog-tiles, RFC 6962 hashing) |
| tile/entries/N | the records, 256 a bundle, each behind its length as 16-bit big-endian number |
| key.vkey | verifier key of the checkpoint (C2SP signed-note) |
| key.pem | the same public key, PEM |
| witness/HASH.checkpoint | the last checkpoint that a witness cosigned (C2SP tlog-cosignature), if there are witnesses |
| witness/HASH.vkey | that witness's verifier key; HASH is the key's hash in it |
| proofs/record-N.tlog-proof | that record N is in the checkpoint (C2SP tlog-proof), for the newest launches |
| proofs/consistency-A-B.json | that the first A records of the B are those of an older checkpoint (RFC 6962, 2.1.2) |
| referenced/SHA256 | what was too big for a record: transcripts, patches, mount evidence; named by digest |

Each record is a DSSE envelope (Ed25519) around an in-toto Statement v1 in canonical JSON (RFC 8785). The keyid is the
SHA-256 of the public key's SubjectPublicKeyInfo (DER). A key rotation is signed by the old and the new key.

## Get the keys from somebody you trust

\`key.vkey\` here was copied together with the log, so whoever changed the log could have changed it too. Compare it with
what the operator gave you on another way. Do the same with a checkpoint you keep, or with the key of a witness and the
last checkpoint in its own folder: without one, nobody can tell whether the newest records were cut off, or whether you
were shown another log than somebody else.

## With Doorward

    doorward evidence verify . --key key.vkey
    doorward evidence verify . --key key.vkey --checkpoint KEPT
    doorward evidence verify . --key key.vkey --witness witness/HASH.vkey

## With other people's tools

Doorward's repository has short programs that use the libraries below and nothing of Doorward, in
\`test/evidence/independent\`. There, with this folder as DIR; on Debian: \`apt-get install golang-go golang-golang-x-mod-dev python3-securesystemslib\`.

    GO111MODULE=off GOPATH=/usr/share/gocode go run verify_tlog.go DIR "$(cat DIR/key.vkey)"
    /usr/bin/python3 verify_dsse.py DIR "$(cat DIR/key.vkey)"
    GO111MODULE=off go run verify_cosignature.go DIR/witness/HASH.checkpoint "$(cat DIR/witness/HASH.vkey)"

- Checkpoint: Go, \`golang.org/x/mod/sumdb/note\`: \`note.NewVerifier(vkey)\` and \`note.Open(checkpoint, note.VerifierList(v))\`.
- Tree and proofs: Go, \`golang.org/x/mod/sumdb/tlog\`: \`tlog.RecordHash\` over each entry, \`tlog.TreeHash\`, \`tlog.TileHashReader\`
  with height 8 over \`tile/L/N\`; or any other client of tlog-tiles.
- Records: Python, \`securesystemslib\`: \`SSlibKey.verify_signature\` over the pre-authentication encoding; or \`cosign\`, or any DSSE library.
- A single signature by hand: the signed bytes are \`DSSEv1 28 application/vnd.in-toto+json LENGTH PAYLOAD\`, where PAYLOAD is
  the decoded payload and LENGTH its length in bytes; then \`openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in BYTES -sigfile SIG\`.
- A cosignature by hand: behind the 4-byte key hash come 8 bytes of time (big-endian seconds) and 64 of Ed25519 signature over
  \`cosignature/v1\`, newline, \`time SECONDS\`, newline, and the checkpoint's text.
- Referenced files: \`cd referenced && for f in *; do echo "$f  $f" | sha256sum -c -; done\`.

## What this proves

That these records were signed by the key's holder and stand in this order, with none changed, dropped or added between
them. It proves nothing about a bridge that lied when it signed. Records hold digests and references, never secrets,
file contents or command output; what a machine reported about itself is marked so in docs/evidence.md.
`;
