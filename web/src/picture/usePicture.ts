import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, given } from "../api/client";
import type { Picture } from "../api/types";
import { bodyOf } from "../search/asked";
import { useSay } from "../shell/toasts";
import { texts } from "../texts";
import { type Box, written } from "./box";

const SIMILAR = 30;
const COPIES_WITHIN = 10;

export const keyOf = (id: number) => ["picture", id];
const at = (id: number) => ({ params: { path: { image_id: id } } });

export async function readPicture(id: number, signal?: AbortSignal): Promise<Picture> {
  return given(await api.GET("/images/{image_id}", { ...at(id), signal }));
}

export function usePicture(id: number) {
  return useQuery({ queryKey: keyOf(id), queryFn: ({ signal }) => readPicture(id, signal) });
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

/** Its near-duplicates, each by itself. */
export function useCopies(id: number, enabled: boolean) {
  return useQuery({
    queryKey: ["copies", id],
    queryFn: async ({ signal }) =>
      given(await api.POST("/search", { body: { image_id: id, k: SIMILAR, near_duplicates: "keep", phash_gate: COPIES_WITHIN }, signal })).results,
    enabled,
  });
}

/** Tags are there at once, and go back when the server refuses. */
export function useTags(id: number) {
  const queries = useQueryClient();
  const say = useSay();
  return useMutation({
    mutationFn: async (tags: string[]) => given(await api.PATCH("/images/{image_id}", { ...at(id), body: { tags } })),
    onMutate: (tags) => {
      const before = queries.getQueryData<Picture>(keyOf(id));
      if (before) queries.setQueryData<Picture>(keyOf(id), { ...before, tags });
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
