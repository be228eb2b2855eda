import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, given } from "../api/client";
import type { Picture } from "../api/types";
import { bodyOf } from "../search/asked";
import { multipart } from "../search/useSearch";
import { useSay } from "../shell/toasts";
import { texts } from "../texts";
import { type Box, written } from "./box";
import { foldedWith } from "./copies";

const SIMILAR = 30;
const COPIES_SOUGHT = 10;

export const keyOf = (id: number) => ["picture", id];
const at = (id: number) => ({ params: { path: { image_id: id } } });

export async function readPicture(id: number, signal?: AbortSignal): Promise<Picture> {
  return given(await api.GET("/images/{image_id}", { ...at(id), signal }));
}

export function usePicture(id: number, enabled = true) {
  return useQuery({ queryKey: keyOf(id), queryFn: ({ signal }) => readPicture(id, signal), enabled });
}

/** Like it, or like the part in the box. */
export function useSimilar(id: number, box: Box | undefined, enabled: boolean) {
  return useQuery({
    queryKey: ["similar", id, box && written(box)],
    queryFn: async ({ signal }) =>
      given(await api.POST("/search", { body: { ...bodyOf({ id, ...(box ? { box: written(box) } : {}) }, undefined), k: SIMILAR, explain: false }, signal })),
    enabled,
    placeholderData: (before) => before,
  });
}

/** Those that searches fold into one with it. Asked by its thumbnail: a search by its id leaves it out, and so cannot say whom it is folded with. */
export function useCopies(picture: Pick<Picture, "id" | "thumbnail_url">, enabled: boolean) {
  const { id } = picture;
  return useQuery({
    queryKey: ["copies", id],
    queryFn: async ({ signal }) => {
      const thumbnail = await fetch(picture.thumbnail_url, { signal });
      if (!thumbnail.ok) return []; // deleted meanwhile, or a vector without a picture
      const image = await thumbnail.blob();
      const found = given(await api.POST("/search", { ...multipart({ image, k: String(COPIES_SOUGHT) }), signal }));
      return foldedWith(id, found.results);
    },
    enabled,
  });
}

export type Change = { tags?: string[]; private?: boolean };

/** What is changed is there at once, and goes back when the server refuses. */
export function useChange(id: number) {
  const queries = useQueryClient();
  const say = useSay();
  return useMutation({
    mutationFn: async (body: Change) => given(await api.PATCH("/images/{image_id}", { ...at(id), body })),
    onMutate: (change) => {
      const before = queries.getQueryData<Picture>(keyOf(id));
      if (before) queries.setQueryData<Picture>(keyOf(id), { ...before, ...change });
      return before;
    },
    onSuccess: (picture) => queries.setQueryData<Picture>(keyOf(id), picture),
    onError: (error, _, before) => {
      if (before) queries.setQueryData<Picture>(keyOf(id), before);
      say(error.message, { bad: true });
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
    onError: (error) => say(error.message, { bad: true }),
  });
}
