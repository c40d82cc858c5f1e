"""Checks schemas and examples with Python's jsonschema alone: nothing here is shared with the TypeScript side.

Usage: python3 validate_with_jsonschema.py PACKAGE_FOLDER. Prints one line, or each fault and exits with 1.
"""

import json
import pathlib
import sys

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError


def escaped(part):
    return str(part).replace("~", "~0").replace("/", "~1")


def pointer(parts):
    return "".join("/" + escaped(part) for part in parts)


def places(error):
    """Where an error is: a missing, unknown or misnamed property is its own place; alternatives name theirs."""
    base = pointer(error.absolute_path)
    found = {base}
    if error.validator == "required":
        found = {base + "/" + escaped(name) for name in error.validator_value if name not in error.instance}
    elif error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema.get("properties", {})
        found = {base + "/" + escaped(name) for name in error.instance if name not in known}
    elif "propertyNames" in error.absolute_schema_path:
        found = {base + "/" + escaped(error.instance)}
    for inner in error.context or []:
        found |= places(inner)
    return found


def wrong_places(validator, document):
    found = set()
    for error in validator.iter_errors(document):
        found |= places(error)
    return found


def main(package):
    faults, identities, judged = [], {}, {"valid": 0, "invalid": 0}
    for path in sorted((package / "schemas").glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            faults.append(f"{path.name}: {error.message}")
            continue
        if schema["$id"] in identities:
            faults.append(f"{path.name}: $id is also that of {identities[schema['$id']]}")
        identities[schema["$id"]] = path.name
        validator = Draft202012Validator(schema)
        has_alternatives = '"anyOf"' in path.read_text() or '"oneOf"' in path.read_text()
        examples = package / "examples" / path.stem
        for example in sorted(examples.glob("valid/*.json")):
            judged["valid"] += 1
            found = wrong_places(validator, json.loads(example.read_text(encoding="utf-8")))
            if found:
                faults.append(f"{path.stem}/{example.name}: refused at {sorted(found)}")
        for example in sorted(examples.glob("invalid/*.json")):
            judged["invalid"] += 1
            vector = json.loads(example.read_text(encoding="utf-8"))
            found = wrong_places(validator, vector["document"])
            named = vector["at"] in found if has_alternatives else found == {vector["at"]}
            if not named:
                faults.append(f"{path.stem}/{example.name}: {sorted(found) or 'accepted'} instead of {vector['at']}")
    for fault in faults:
        print(fault)
    print(f"{len(identities)} schemas, {judged['valid']} accepted, {judged['invalid']} refused, {len(faults)} faults")
    return 1 if faults or not judged["invalid"] else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
