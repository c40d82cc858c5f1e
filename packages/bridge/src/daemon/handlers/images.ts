import type { ImageView } from "@doorward/contracts";
import type { Handlers } from "../../gateway/index.ts";
import type { EngineImage, MachineEngine } from "../../machines/engine.ts";
import type { Machines } from "../../machines/life/index.ts";
import type { PolicyFile } from "../../policy/index.ts";

type ImageHandlers = Pick<Handlers, Extract<keyof Handlers, `images.${string}`>>;

/** Handlers of image routes. */
export function imageHandlers(
  engine: () => Promise<MachineEngine>,
  open: () => Promise<Machines>,
  policy: PolicyFile,
): ImageHandlers {
  return {
    "images.list": async () => {
      const used = new Set((await open()).list().flatMap((record) => record.image?.id ?? []));
      return {
        images: (await (await engine()).images()).map((image) => imageView(image, used.has(image.id))),
      };
    },
    "images.build": async ({ body, progress, signal }) => {
      const { image } = policy.profile(body.profile ?? "default");
      return imageView(await (await engine()).ensureImage(image, progress, signal), true);
    },
    "images.prune": async () => {
      const kept = (await open()).list().flatMap((record) => record.image?.tag ?? []);
      return { removed: [...(await (await engine()).pruneImages(kept))] };
    },
  };
}

function imageView(image: EngineImage, current: boolean): ImageView {
  const { id, tag, recipe, sizeBytes, createdAt } = image;
  return { id, tag, recipe, sizeBytes, createdAt, current };
}
