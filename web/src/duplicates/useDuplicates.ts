import { useInfiniteQuery, useMutation, useQueries, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, given } from "../api/client";
import type { paths } from "../api/openapi";
import type { Json, Picture } from "../api/types";
import { keyOf, readPicture } from "../picture/usePicture";
import { useSay } from "../shell/toasts";
import { texts } from "../texts";
import { sharpness } from "./measure";

export type Group = Json<paths["/duplicates"]["get"]["responses"][200]>["groups"][number];

const ENOUGH = 12;
const AT_ONCE = 4;

/** Groups of copies. Pages without any are passed over, until there are some more or everything was looked through. */
export function useGroups(enabled: boolean, wanted: number) {
  const pages = useInfiniteQuery({
    queryKey: ["duplicates"],
    queryFn: async ({ pageParam, signal }) => given(await api.GET("/duplicates", { params: { query: pageParam ? { cursor: pageParam } : {} }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor,
    staleTime: Infinity, // what is decided here is known here; looking again is asked for
    enabled,
  });
  const groups = pages.data?.pages.flatMap((page) => page.groups) ?? [];
  const { hasNextPage, isFetching, fetchNextPage, error } = pages;
  const few = groups.length < wanted * ENOUGH;
  useEffect(() => {
    if (few && hasNextPage && !isFetching && !error) void fetchNextPage();
  }, [few, hasNextPage, isFetching, error, fetchNextPage]);
  return { ...pages, groups, looking: isFetching || (few && hasNextPage && !error) };
}

/** Rows of a group's pictures, in its order; those that are gone are left out. */
export function useMembers(ids: readonly number[]): Picture[] {
  return useQueries({ queries: ids.map((id) => ({ queryKey: keyOf(id), queryFn: () => readPicture(id), retry: false })), combine: (found) => found.flatMap((one) => (one.data ? [one.data] : [])) });
}

/** By id; measured only where it is asked for. */
export function useSharpness(pictures: readonly Picture[], enabled: boolean): ReadonlyMap<number, number> {
  return useQueries({
    queries: pictures.map((one) => ({ queryKey: ["sharpness", one.sha256], queryFn: () => sharpness(one.content_url), staleTime: Infinity, retry: false, enabled })),
    combine: (found) => new Map(found.flatMap((one, at) => (one.data === undefined ? [] : [[pictures[at]!.id, one.data] as const]))),
  });
}

const path = (id: number) => ({ params: { path: { image_id: id } } });
const judged = async (verdict: "merge" | "split", keep: number, ids: readonly number[]) => given(await api.POST(`/duplicates/${verdict}`, { body: { keep, ids: [...ids] } }));

/** Of each of them with each other one. */
async function judgedAll(verdict: "merge" | "split", ids: readonly number[]): Promise<void> {
  for (const [at, id] of ids.slice(0, -1).entries()) await judged(verdict, id, ids.slice(at + 1));
}

async function each(ids: readonly number[], act: (id: number) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < ids.length; at += AT_ONCE) await Promise.all(ids.slice(at, at + AT_ONCE).map(act));
}

/** What a curator decides, each with its way back. onBack: it was taken back. */
export function useDecisions() {
  const queries = useQueryClient();
  const say = useSay();
  const words = texts.duplicates;
  const stale = () => queries.invalidateQueries({ predicate: ({ queryKey: [what] }) => what === "search" || what === "pictures" || what === "similar" || what === "copies" });
  const act = useMutation({
    mutationFn: ({ run }: { run: () => Promise<unknown>; said: string; undo?: () => Promise<unknown>; onBack?: () => void }) => run(),
    onSuccess: (_, { said, undo, onBack }) => {
      const back = undo && (() => undo().then(onBack, (error: Error) => say(error.message, { bad: true })).finally(() => void stale()));
      say(said, back ? { action: { label: texts.picture.undo, run: () => void back() } } : {});
    },
    onError: (error, { onBack }) => {
      onBack?.();
      say(error.message, { bad: true });
    },
    onSettled: stale,
  });
  return {
    busy: act.isPending,
    remove: (ids: readonly number[], onBack: () => void) =>
      act.mutate({
        run: () => each(ids, async (id) => given(await api.DELETE("/images/{image_id}", path(id)))),
        said: words.deleted(ids.length),
        undo: () => each(ids, async (id) => given(await api.POST("/images/{image_id}/restore", path(id)))),
        onBack,
      }),
    apart: (ids: readonly number[], onBack: () => void) => act.mutate({ run: () => judgedAll("split", ids), said: words.apart, undo: () => judgedAll("merge", ids), onBack }),
    /** known: they were copies before, so that there is nothing to go back to. */
    merge: (ids: readonly number[], known: boolean, onBack?: () => void) =>
      act.mutate({ run: () => judged("merge", ids[0]!, ids.slice(1)), said: words.merged, ...(known ? {} : { undo: () => judged("split", ids[0]!, ids.slice(1)) }), onBack }),
    tag: (pictures: readonly Picture[], tag: string) => {
      const set = async (id: number, tags: string[]) => queries.setQueryData(keyOf(id), given(await api.PATCH("/images/{image_id}", { ...path(id), body: { tags } })));
      const without = pictures.filter((one) => !one.tags.includes(tag));
      const before = new Map(without.map((one) => [one.id, one.tags]));
      const all = [...before.keys()];
      act.mutate({
        run: () => each(all, (id) => set(id, [...(before.get(id) ?? []), tag])),
        said: words.tagged(all.length, tag),
        undo: () => each(all, (id) => set(id, before.get(id) ?? [])),
      });
    },
  };
}
