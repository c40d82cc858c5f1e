import { DoorwardError } from "@doorward/contracts";
import type { Logger } from "pino";
import * as z from "zod";
import type { EngineImage, ImageRecipe, Progress } from "../engine.ts";
import type { LibpodApi } from "../podman/libpod-api.ts";
import { buildImage, recipeLabel, type BuildContext } from "./image-build.ts";
import { imageRepository, resolveRecipe, type ResolvedRecipe } from "./image-recipe.ts";

const Inspected = z.object({
  Id: z.string(),
  Digest: z.string(),
  RepoTags: z.array(z.string()).nullable(),
  Labels: z.record(z.string(), z.string()).nullish(),
  Size: z.int(),
  Created: z.string(),
});
const Listed = z.array(
  z.object({ Id: z.string(), RepoTags: z.array(z.string()).nullish(), Names: z.array(z.string()).nullish() }),
);

/** What the images need of the engine. */
export interface MachineImagesOptions extends BuildContext {
  readonly api: LibpodApi;
  readonly imageBase: string | null;
  readonly log: Logger;
}

interface Build {
  readonly done: Promise<void>;
  readonly abort: AbortController;
  readonly watchers: Set<Progress>;
}

/** The machine images of this engine: built when absent, shared by those who ask at once, pruned when unused. */
export class MachineImages implements AsyncDisposable {
  readonly #options: MachineImagesOptions;
  readonly #builds = new Map<string, Build>();

  constructor(options: MachineImagesOptions) {
    this.#options = options;
  }

  /** Image of a recipe; `machine` is built when absent, any other name is looked up and never pulled. */
  async ensure(recipe: ImageRecipe, progress: Progress, signal: AbortSignal): Promise<EngineImage> {
    signal.throwIfAborted();
    if (recipe.name !== "machine") return await this.#existing(recipe.name);
    const resolved = resolveRecipe(recipe, this.#options.imageBase);
    const found = await this.#inspect(resolved.tag);
    if (found !== null) return found;
    await this.#share(resolved, progress, signal);
    return await this.#existing(resolved.tag);
  }

  async #existing(name: string): Promise<EngineImage> {
    const found = await this.#inspect(name);
    if (found !== null) return found;
    throw new DoorwardError({
      code: "IMAGE_NOT_FOUND",
      message: `Cannot use image "${name}": it is not in Doorward's own storage`,
      hint: "doorward image ls",
    });
  }

  async #inspect(name: string): Promise<EngineImage | null> {
    const path = `/images/${encodeURIComponent(name)}`;
    const exists = await this.#options.api
      .json(z.unknown(), { method: "GET", path: `${path}/json` })
      .catch(absentOnly);
    return exists === null ? null : describeImage(Inspected.parse(exists), name);
  }

  /** One build for all who wait for the same recipe; it stops when the last of them goes away. */
  async #share(recipe: ResolvedRecipe, progress: Progress, signal: AbortSignal): Promise<void> {
    const build = this.#builds.get(recipe.tag) ?? this.#begin(recipe);
    build.watchers.add(progress);
    const leave = (): void => {
      build.watchers.delete(progress);
      if (build.watchers.size === 0) build.abort.abort();
    };
    signal.addEventListener("abort", leave, { once: true });
    try {
      await Promise.race([build.done, rejectOnAbort(signal)]);
    } finally {
      signal.removeEventListener("abort", leave);
      build.watchers.delete(progress);
    }
  }

  #begin(recipe: ResolvedRecipe): Build {
    const abort = new AbortController();
    const watchers = new Set<Progress>();
    const report: Progress = (step) => {
      for (const watcher of watchers) watcher(step);
    };
    const done = buildImage(recipe, this.#options, report, abort.signal).finally(() => {
      if (this.#builds.get(recipe.tag)?.abort === abort) this.#builds.delete(recipe.tag);
    });
    // Everyone who asked may have left before it ends.
    done.catch((error: unknown) => {
      this.#options.log.debug({ err: error }, "image build ended");
    });
    abort.signal.addEventListener(
      "abort",
      () => {
        this.#builds.delete(recipe.tag);
      },
      { once: true },
    );
    const build = { done, abort, watchers };
    this.#builds.set(recipe.tag, build);
    return build;
  }

  /** Images that Doorward built. */
  async list(): Promise<readonly EngineImage[]> {
    const listed = await this.#options.api.json(Listed, { method: "GET", path: "/images/json" });
    const tags = listed
      .flatMap(({ RepoTags, Names }) => [...(RepoTags ?? Names ?? [])])
      .filter((tag) => tag.startsWith(`${imageRepository}:`));
    const found = await Promise.all([...new Set(tags)].map((tag) => this.#inspect(tag)));
    return found.filter((image) => image !== null);
  }

  /** Removes our images that are not to be kept and that no container uses. */
  async prune(keepTags: readonly string[]): Promise<readonly string[]> {
    const kept = new Set(keepTags);
    const removed: string[] = [];
    for (const { tag } of await this.list()) {
      if (kept.has(tag)) continue;
      const path = `/images/${encodeURIComponent(tag)}`;
      // Podman answers 409 for an image that a container uses: that one stays.
      const gone = await this.#options.api
        .json(z.unknown(), { method: "DELETE", path, query: { force: "false" } })
        .catch(conflictOnly);
      if (gone !== null) removed.push(tag);
    }
    return removed;
  }

  /** Stops every build and waits until its children and files are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    const builds = [...this.#builds.values()];
    for (const { abort } of builds) abort.abort();
    await Promise.allSettled(builds.map(({ done }) => done));
  }
}

function describeImage(image: z.infer<typeof Inspected>, name: string): EngineImage {
  return {
    id: `sha256:${image.Id.replace(/^sha256:/, "")}`,
    digest: image.Digest,
    tag: image.RepoTags?.includes(name) === true ? name : (image.RepoTags?.[0] ?? name),
    // An image that was made from ours inherits the label, and anybody can write it.
    recipe: name.startsWith(`${imageRepository}:`) ? (image.Labels?.[recipeLabel] ?? "") : name,
    sizeBytes: image.Size,
    createdAt: new Date(image.Created).toISOString(),
  };
}

function absentOnly(error: unknown): null {
  if (error instanceof DoorwardError && error.details?.["status"] === 404) return null;
  throw error;
}

function conflictOnly(error: unknown): null {
  const status = error instanceof DoorwardError ? error.details?.["status"] : undefined;
  if (status === 409 || status === 404) return null;
  throw error;
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener(
      "abort",
      () => {
        reject(new DoorwardError({ code: "ABORTED", message: "The operation was stopped" }));
      },
      { once: true },
    );
  });
}
