import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, given } from "../api/client";
import type { paths } from "../api/openapi";
import type { Json } from "../api/types";
import { isRunning, useJob } from "../jobs/useJobs";
import { useSay } from "../shell/toasts";

export const MEASURES = ["distance", "density", "training"] as const;
export type Measure = (typeof MEASURES)[number];
export type Anomaly = Json<paths["/qa/anomalies"]["get"]["responses"][200]>["images"][number];

const PAGE = 20;

/** The farthest first, as last measured. */
export function useAnomalies(by: Measure, enabled: boolean) {
  return useInfiniteQuery({
    queryKey: ["anomalies", by],
    queryFn: async ({ pageParam, signal }) => given(await api.GET("/qa/anomalies", { params: { query: { by, limit: PAGE, ...(pageParam ? { cursor: pageParam } : {}) } }, signal })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor,
    enabled,
  });
}

/** Measures anew, and shows what came of it when it is done. */
export function useMeasure() {
  const queries = useQueryClient();
  const say = useSay();
  const start = useMutation({
    mutationFn: async () => given(await api.POST("/qa/anomalies")).job_id,
    onError: (error) => say(error.message, { bad: true }),
  });
  const job = useJob(start.data);
  const over = job.data !== undefined && !isRunning(job.data);
  const failed = over ? job.data?.error : undefined;
  useEffect(() => {
    if (over) void queries.invalidateQueries({ queryKey: ["anomalies"] });
    if (failed) say(failed, { bad: true });
  }, [over, failed, queries, say]);
  return { measure: () => start.mutate(), busy: start.isPending || (start.data !== undefined && !over) };
}
