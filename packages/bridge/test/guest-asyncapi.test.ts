import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { ASYNCAPI_PATH, asyncApiDocument } from "./guest-asyncapi.ts";

test("the AsyncAPI document says what the schemas say", () => {
  assert.deepEqual(parse(readFileSync(ASYNCAPI_PATH, "utf8")), parse(asyncApiDocument()));
});
