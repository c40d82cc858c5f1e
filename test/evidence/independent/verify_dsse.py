"""Verifies the records of an exported log with securesystemslib and the DSSE specification, none of our code."""

import base64
import hashlib
import json
import pathlib
import sys

from securesystemslib.signer import Signature, SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")


def unique(pairs):
    """An object whose keys occur once."""
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"a key occurs twice: {keys}")
    return dict(pairs)


def parse(text):
    """JSON that is canonical: RFC 8785, for the ASCII keys and integers that records have."""
    value = json.loads(text, object_pairs_hook=unique)
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if canonical.encode() != text:
        raise ValueError("not canonical")
    return value


def pre_auth_encoding(payload_type, payload):
    """What DSSE signs."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def entries(folder):
    """Every entry of every bundle, in order."""
    for path in sorted((folder / "tile" / "entries").rglob("*")):
        if not path.is_file():
            continue
        bundle = path.read_bytes()
        while bundle:
            length = int.from_bytes(bundle[:2], "big")
            yield bundle[2 : 2 + length]
            bundle = bundle[2 + length :]


def main(folder, vkey):
    """Checks every record against the key of a verifier key line."""
    raw = base64.b64decode(vkey.strip().split("+", 2)[2])[1:]
    keyid = hashlib.sha256(SPKI_PREFIX + raw).hexdigest()
    key = SSlibKey(keyid, "ed25519", "ed25519", {"public": raw.hex()})
    count = 0
    for index, entry in enumerate(entries(pathlib.Path(folder))):
        envelope = parse(entry)
        payload = base64.b64decode(envelope["payload"], validate=True)
        (signature,) = envelope["signatures"]
        if envelope["payloadType"] != PAYLOAD_TYPE or signature["keyid"] != keyid:
            raise ValueError(f"record {index}: another payload type or key")
        signed = pre_auth_encoding(PAYLOAD_TYPE, payload)
        key.verify_signature(Signature(keyid, base64.b64decode(signature["sig"]).hex()), signed)
        statement = parse(payload)
        if statement["_type"] != "https://in-toto.io/Statement/v1":
            raise ValueError(f"record {index}: not an in-toto Statement v1")
        if not statement["predicate"]["recordId"].startswith(f"e_{index}_"):
            raise ValueError(f"record {index}: it is record {statement['predicate']['recordId']}")
        count += 1
    print(f"{count} records verified")


main(sys.argv[1], sys.argv[2])
