"""Verifies the records of an exported log with securesystemslib and the DSSE specification, none of our code."""

import base64
import hashlib
import json
import pathlib
import sys

from securesystemslib.signer import Signature, SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
ROTATION = "https://doorward.dev/evidence/key-rotation/v1"
SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")


def unique(pairs):
    """An object whose keys occur once."""
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"a key occurs twice: {keys}")
    return dict(pairs)


def no_fraction(text):
    """Records have integers alone."""
    raise ValueError(f"not an integer: {text}")


def parse(text):
    """JSON that is canonical: RFC 8785, for the ASCII keys and integers that records have."""
    value = json.loads(text, object_pairs_hook=unique, parse_float=no_fraction)
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


def key_of(raw):
    """A key by its 32 bytes, with the id that DSSE signatures name it by."""
    keyid = hashlib.sha256(SPKI_PREFIX + raw).hexdigest()
    return SSlibKey(keyid, "ed25519", "ed25519", {"public": raw.hex()})


def rotation(statement, which):
    """One of the two keys of a key rotation; nothing for any other record."""
    if statement["predicateType"] != ROTATION:
        return None
    key = statement["predicate"][which]
    found = key_of(base64.b64decode(key["publicKey"], validate=True))
    if found.keyid != key["keyId"]:
        raise ValueError("a key of a rotation has another id than it says")
    return found


def open_envelope(index, entry):
    """What an envelope signs, its statement and its signatures."""
    envelope = parse(entry)
    payload = base64.b64decode(envelope["payload"], validate=True)
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise ValueError(f"record {index}: another payload type")
    statement = parse(payload)
    if statement["_type"] != "https://in-toto.io/Statement/v1":
        raise ValueError(f"record {index}: not an in-toto Statement v1")
    if not statement["predicate"]["recordId"].startswith(f"e_{index}_"):
        raise ValueError(f"record {index}: it is record {statement['predicate']['recordId']}")
    return pre_auth_encoding(PAYLOAD_TYPE, payload), statement, envelope["signatures"]


def main(folder, vkey):
    """Checks every record against the newest key, given as a verifier key line, and the keys that led to it."""
    newest = key_of(base64.b64decode(vkey.strip().split("+", 2)[2])[1:])
    records = [open_envelope(*each) for each in enumerate(entries(pathlib.Path(folder)))]
    rotations = [statement for _, statement, _ in records if statement["predicateType"] == ROTATION]
    key = rotation(rotations[0], "previousKey") if rotations else newest
    for index, (signed, statement, signatures) in enumerate(records):
        following = rotation(statement, "nextKey")
        signers = [key] if following is None else [key, following]
        if [signature["keyid"] for signature in signatures] != [signer.keyid for signer in signers]:
            raise ValueError(f"record {index}: signed by other keys than the log's")
        for signer, signature in zip(signers, signatures):
            value = base64.b64decode(signature["sig"], validate=True).hex()
            signer.verify_signature(Signature(signer.keyid, value), signed)
        key = signers[-1]
    if key.keyid != newest.keyid:
        raise ValueError("the given key is not the log's newest")
    print(f"{len(records)} records verified")


main(sys.argv[1], sys.argv[2])
