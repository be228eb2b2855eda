import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { api, given } from "../api/client";
import type { paths } from "../api/openapi";
import type { Json } from "../api/types";

const EVERY_MS = 60_000;
const CHANGES_EVERY_MS = 10_000;
const PAGE = 20;

export type Insights = Json<paths["/insights"]["get"]["responses"][200]>;
export type Quota = Json<paths["/quotas"]["get"]["responses"][200]>["quotas"][number];
export type Change = Json<paths["/audit"]["get"]["responses"][200]>["audit"][number];

/** Of the week until today, by day and index. */
export function useInsights(enabled: boolean) {
  return useQuery({ queryKey: ["insights"], queryFn: async ({ signal }) => given(await api.GET("/insights", { signal })), refetchInterval: EVERY_MS, enabled });
}

export function useQuotas(enabled: boolean) {
  return useQuery({ queryKey: ["quotas"], queryFn: async ({ signal }) => given(await api.GET("/quotas", { signal })).quotas, refetchInterval: EVERY_MS, enabled });
}

/** The newest first, and as far back as somebody asks. They are written half a second after they happen. */
export function useAudit(enabled: boolean) {
  return useInfiniteQuery({
    queryKey: ["audit"],
    queryFn: async ({ pageParam, signal }) => given(await api.GET("/audit", { params: { query: { limit: PAGE, ...(pageParam ? { cursor: pageParam } : {}) } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor,
    refetchInterval: CHANGES_EVERY_MS,
    enabled,
  });
}
