import { useInfiniteQuery, useMutation, useQueries, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, given, isGone } from "../api/client";
import type { paths } from "../api/openapi";
import type { Json, Picture } from "../api/types";
import type { Retag } from "../picture/retag";
import { keyOf, readPicture, retag } from "../picture/usePicture";
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

/** Rows of a group's pictures, in its order; those that are gone are left out. known: none is on its way. error: of one that did not come, which may be there all the same. */
export function useMembers(ids: readonly number[]) {
  const queries = useQueryClient();
  const found = useQueries({
    queries: ids.map((id) => ({ queryKey: keyOf(id), queryFn: () => readPicture(id) })),
    combine: (rows) => ({
      members: rows.flatMap((one) => (one.data && !isGone(one.error) ? [one.data] : [])),
      known: rows.every((one) => !one.isPending),
      error: rows.find((one) => one.isError && !one.data && !isGone(one.error))?.error,
    }),
  });
  return { ...found, again: () => void Promise.all(ids.map((id) => queries.refetchQueries({ queryKey: keyOf(id) }))) };
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

/** Gone already is as good: what is tried again was half done. */
async function remove(id: number): Promise<void> {
  const answer = await api.DELETE("/images/{image_id}", path(id));
  if (answer.response.status !== 404) given(answer);
}

/** Of each of them with each other one. */
async function judgedAll(verdict: "merge" | "split", ids: readonly number[]): Promise<void> {
  for (const [at, id] of ids.slice(0, -1).entries()) await judged(verdict, id, ids.slice(at + 1));
}

/** A few at a time; what is under way when one fails is waited for. */
async function each(ids: readonly number[], act: (id: number) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const ended = await Promise.allSettled(ids.slice(at, at + AT_ONCE).map(act));
    const failed = ended.find((one) => one.status === "rejected");
    if (failed) throw failed.reason;
  }
}

/** What a curator decides, each with its way back. onBack: it was taken back. */
export function useDecisions() {
  const queries = useQueryClient();
  const say = useSay();
  const words = texts.duplicates;
  const stale = () => queries.invalidateQueries({ predicate: ({ queryKey: [what] }) => what === "search" || what === "pictures" || what === "similar" || what === "copies" });
  const act = useMutation({
    mutationFn: ({ run }: { run: () => Promise<unknown>; said: string | (() => string); undo?: () => Promise<unknown>; onBack?: () => void }) => run(),
    onSuccess: (_, { said, undo, onBack }) => {
      const back = undo && (() => undo().then(onBack, (error: Error) => say(error.message, { bad: true })).finally(() => void stale()));
      say(typeof said === "string" ? said : said(), back ? { action: { label: texts.picture.undo, run: () => void back() } } : {});
    },
    onError: (error, { onBack }) => {
      onBack?.();
      say(error.message, { bad: true });
      void queries.invalidateQueries({ queryKey: ["picture"] }); // some of it may be done
    },
    onSettled: stale,
  });
  return {
    busy: act.isPending,
    remove: (ids: readonly number[], onBack: () => void) =>
      act.mutate({
        run: () => each(ids, remove),
        said: words.deleted(ids.length),
        undo: () => each(ids, async (id) => given(await api.POST("/images/{image_id}/restore", path(id)))),
        onBack,
      }),
    apart: (ids: readonly number[], onBack: () => void) => act.mutate({ run: () => judgedAll("split", ids), said: words.apart, undo: () => judgedAll("merge", ids), onBack }),
    /** known: they were copies before, so that there is nothing to go back to. */
    merge: (ids: readonly number[], known: boolean, onBack?: () => void) =>
      act.mutate({ run: () => judged("merge", ids[0]!, ids.slice(1)), said: words.merged, ...(known ? {} : { undo: () => judged("split", ids[0]!, ids.slice(1)) }), onBack }),
    tag: (ids: readonly number[], tag: string) => {
      const got: number[] = []; // had it not
      const change = async (id: number, how: Retag) => queries.setQueryData(keyOf(id), await retag(id, how));
      act.mutate({
        run: () =>
          each(ids, async (id) => {
            if ((await readPicture(id)).tags.includes(tag)) return;
            await change(id, { add: tag });
            got.push(id);
          }),
        said: () => words.tagged(got.length, tag),
        undo: () => each(got, (id) => change(id, { remove: tag })),
      });
    },
  };
}
