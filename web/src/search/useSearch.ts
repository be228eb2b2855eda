import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import { api, form, given, mayPass, Problem } from "../api/client";
import { person } from "../api/person";
import type { SearchAnswer } from "../api/types";
import { texts } from "../texts";
import { type Asked, bodyOf, chipsOf, formOf, isSearch } from "./asked";
import { filterOf } from "./filters";
import { kept } from "./uploads";

/** The answer, page by page. The last one stays while the next is on its way. */
export function useSearch({ groups: _, ...asked }: Asked) {
  return useInfiniteQuery({
    queryKey: ["search", asked],
    queryFn: ({ pageParam, signal }) => search(asked, pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor,
    enabled: isSearch(asked),
    placeholderData: keepPreviousData,
  });
}

const WALL_PICTURES = 120;

/** What the collection holds, by the filters, what came last first. */
export function useWall(asked: Asked, enabled: boolean) {
  const filter = filterOf(chipsOf(asked));
  return useInfiniteQuery({
    queryKey: ["pictures", filter ?? null],
    queryFn: async ({ pageParam, signal }) =>
      given(
        await api.GET("/images", {
          params: { query: { order: "newest", limit: WALL_PICTURES, ...(filter ? { filter: JSON.stringify(filter) } : {}), ...(pageParam ? { cursor: pageParam } : {}) } },
          signal,
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor,
    enabled,
    placeholderData: keepPreviousData,
  });
}

type Pages = { hasNextPage: boolean; isFetching: boolean; isPlaceholderData: boolean; error: Error | null; fetchNextPage: () => Promise<unknown> };

/** For a list whose end is near: asks for the next page, if there is one and none is on its way. What was refused is not asked for again by itself. */
export function useMore({ hasNextPage, isFetching, isPlaceholderData, error, fetchNextPage }: Pages): () => void {
  const may = hasNextPage && !isFetching && !isPlaceholderData && (error === null || mayPass(error));
  return useCallback(() => {
    if (may) void fetchNextPage();
  }, [may, fetchNextPage]);
}

/** An uploaded picture's address for <img>; undefined until it is read, null when it is not here. */
export function useUpload(name: string | undefined): string | null | undefined {
  const { data: picture } = useQuery({
    queryKey: ["upload", name],
    queryFn: async () => (await kept(name!)) ?? null,
    enabled: name !== undefined,
    staleTime: Infinity,
  });
  const [url, setUrl] = useState<string | null | undefined>(undefined);
  useEffect(() => {
    if (!picture) return setUrl(picture);
    const made = URL.createObjectURL(picture);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [picture]);
  return name === undefined ? undefined : url;
}

/** pinned: to an index, which else the server chooses. */
export async function search(asked: Asked, cursor: string | undefined, signal: AbortSignal, pinned: { index?: string; k?: number } = {}): Promise<SearchAnswer> {
  const more = { user_id: person(), ...pinned }; // somebody is answered by one arm of a rollout, and their clicks count for it
  if (!asked.upload) return given(await api.POST("/search", { body: { ...bodyOf(asked, cursor), ...more }, signal }));
  const image = await kept(asked.upload);
  if (!image) throw new Problem(404, "absent", texts.search.lost);
  const fields = formOf(asked, cursor);
  const also = Object.fromEntries(Object.entries(more).map(([name, value]) => [name, String(value)]));
  if (fields) return given(await api.POST("/search", { ...multipart({ image, ...fields, ...also }), signal }));
  const box = asked.box ? { bbox: asked.box, bbox_unit: "fraction" } : {};
  const embedded = given(await api.POST("/embed/image", { ...multipart({ image, ...box }), signal }));
  return given(await api.POST("/search", { body: { ...bodyOf(asked, cursor, embedded), ...more }, signal }));
}

/** A body of fields and files, as openapi-fetch sends it. */
export function multipart(fields: Record<string, string | Blob | undefined>) {
  return { body: fields as never, bodySerializer: () => form(fields) };
}
