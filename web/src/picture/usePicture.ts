import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, fileAt, given, isGone } from "../api/client";
import type { Picture } from "../api/types";
import { bodyOf } from "../search/asked";
import { multipart } from "../search/useSearch";
import { useSay } from "../shell/toasts";
import { texts } from "../texts";
import { type Box, written } from "./box";
import { type Copy, foldedWith } from "./copies";
import { type Retag, retagged } from "./retag";

const SIMILAR = 30;
const COPIES_SOUGHT = 10;
const PENDING_MS = 1_000;

export const keyOf = (id: number) => ["picture", id];
const at = (id: number) => ({ params: { path: { image_id: id } } });

export async function readPicture(id: number, signal?: AbortSignal): Promise<Picture> {
  return given(await api.GET("/images/{image_id}", { ...at(id), signal }));
}

/** Read again while it waits for the embedder. */
export function usePicture(id: number, enabled = true) {
  return useQuery({
    queryKey: keyOf(id),
    queryFn: ({ signal }) => readPicture(id, signal),
    refetchInterval: ({ state }) => (state.data?.state === "pending" ? PENDING_MS : false),
    enabled,
  });
}

/** Like it, or like the part in the box. receipt: of the picture, where its index may be about to have it. */
export function useSimilar(id: number, box: Box | undefined, enabled: boolean, receipt?: string) {
  return useQuery({
    queryKey: ["similar", id, box && written(box)],
    queryFn: async ({ signal }) =>
      given(await api.POST("/search", { body: { ...bodyOf({ id, ...(box ? { box: written(box) } : {}) }, undefined), k: SIMILAR, explain: false, ...(receipt ? { receipts: [receipt] } : {}) }, signal })),
    enabled,
    placeholderData: (before) => before,
  });
}

/** Those that searches fold into one with it. Asked by its thumbnail: a search by its id leaves it out, and so cannot say whom it is folded with. */
export function useCopies(picture: Pick<Picture, "id" | "thumbnail_url">, enabled: boolean) {
  const { id } = picture;
  return useQuery({
    queryKey: ["copies", id],
    queryFn: async ({ signal }): Promise<Copy[]> => {
      const image = await fileAt(picture.thumbnail_url, signal).catch((error: unknown) => {
        if (!isGone(error)) throw error;
      });
      if (!image) return []; // deleted meanwhile, or a vector without a picture
      const found = given(await api.POST("/search", { ...multipart({ image, k: String(COPIES_SOUGHT) }), signal }));
      return foldedWith(id, found.results);
    },
    enabled,
  });
}

/** Of the tags that it has by now: what is shown may be older, and a PATCH says all of them. The picture as it is then. */
export async function retag(id: number, change: Retag): Promise<Picture> {
  const picture = await readPicture(id);
  const tags = retagged(picture.tags, change);
  return tags.length === picture.tags.length && tags.every((one, at) => one === picture.tags[at]) ? picture : given(await api.PATCH("/images/{image_id}", { ...at(id), body: { tags } }));
}

export type Change = Retag | { private: boolean };

/** What is changed is there at once, and goes back when the server refuses. Changes of one picture go one after the other. */
export function useChange(id: number) {
  const queries = useQueryClient();
  const say = useSay();
  const mutationKey = ["change", id];
  const show = (change: Change) =>
    queries.setQueryData<Picture>(keyOf(id), (now) => now && ("private" in change ? { ...now, ...change } : { ...now, tags: retagged(now.tags, change) }));
  return useMutation({
    mutationKey,
    scope: { id: mutationKey.join(" ") },
    mutationFn: async (change: Change) => ("private" in change ? given(await api.PATCH("/images/{image_id}", { ...at(id), body: change })) : retag(id, change)),
    onMutate: show,
    // An answer to one knows nothing of those that wait behind it.
    onSuccess: (picture) => queries.isMutating({ mutationKey }) === 1 && queries.setQueryData<Picture>(keyOf(id), picture),
    onError: (error, change) => {
      show("private" in change ? { private: !change.private } : { add: change.remove, remove: change.add });
      say(error.message, { bad: true });
      if (isGone(error)) void queries.invalidateQueries({ queryKey: keyOf(id) });
    },
  });
}

/** Gone at once; the toast's undo brings it back, for as long as the server's grace. */
export function useDelete(id: number, onGone: () => void, onBack: () => void) {
  const queries = useQueryClient();
  const say = useSay();
  const stale = () => queries.invalidateQueries({ predicate: ({ queryKey: [what] }) => what === "search" || what === "pictures" || what === "similar" });
  const restore = useMutation({
    mutationFn: async () => given(await api.POST("/images/{image_id}/restore", at(id))),
    onSuccess: async () => {
      say(texts.picture.restored);
      await queries.invalidateQueries({ queryKey: keyOf(id) });
      await stale();
      onBack();
    },
    onError: (error) => say(error.message, { bad: true }),
  });
  return useMutation({
    mutationFn: async () => given(await api.DELETE("/images/{image_id}", at(id))),
    onSuccess: async () => {
      say(texts.picture.deleted, { action: { label: texts.picture.undo, run: () => restore.mutate() } });
      onGone();
      queries.removeQueries({ queryKey: keyOf(id) });
      await stale();
    },
    onError: (error) => {
      say(error.message, { bad: true });
      if (isGone(error)) void queries.invalidateQueries({ queryKey: keyOf(id) });
    },
  });
}
