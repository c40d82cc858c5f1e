import * as z from "zod";

/**
 * The machine of an answer. It stands in every structured one, because clients that give these to their model, as Codex
 * does, leave out the text beside them.
 */
export const machineField = z.string().describe("The machine that it was done in");
