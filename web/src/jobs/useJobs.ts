import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, given } from "../api/client";
import type { paths } from "../api/openapi";
import type { Json } from "../api/types";
import { useSay } from "../shell/toasts";

const EVERY_MS = 1_000;
const RESTING_MS = 10_000;
const SHOWN = 20;
const FAILED_SHOWN = 100;

/** As a list tells it: without its result. */
export type Job = Json<paths["/jobs"]["get"]["responses"][200]>["jobs"][number];

export const isRunning = (job: Job | undefined) => job !== undefined && (job.state === "waiting" || job.state === "running");

export function useJobs(enabled: boolean) {
  return useQuery({
    queryKey: ["jobs"],
    queryFn: async ({ signal }) => given(await api.GET("/jobs", { params: { query: { limit: SHOWN } }, signal })).jobs,
    refetchInterval: (query) => (query.state.data?.some(isRunning) ? EVERY_MS : RESTING_MS),
    enabled,
  });
}

/** undefined: none yet. */
export function useJob(id: string | undefined) {
  return useQuery({
    queryKey: ["job", id],
    queryFn: async ({ signal }) => given(await api.GET("/jobs/{job_id}", { params: { path: { job_id: id! } }, signal })),
    refetchInterval: (query) => (query.state.data && !isRunning(query.state.data) ? false : EVERY_MS),
    enabled: id !== undefined,
  });
}

/** Lines of a list that did not become pictures, with the reason; read anew while the job runs. */
export function useFailed(id: string | undefined, running: boolean) {
  return useQuery({
    queryKey: ["job", id, "failed", running],
    queryFn: async ({ signal }) => given(await api.GET("/jobs/{job_id}/downloads", { params: { path: { job_id: id! }, query: { failed: true, limit: FAILED_SHOWN } }, signal })).downloads,
    refetchInterval: running ? 2 * EVERY_MS : false,
    enabled: id !== undefined,
  });
}

export function useCancel() {
  const queries = useQueryClient();
  const say = useSay();
  return useMutation({
    mutationFn: async (id: string) => given(await api.DELETE("/jobs/{job_id}", { params: { path: { job_id: id } } })),
    onError: (error) => say(error.message, { bad: true }),
    onSettled: () => queries.invalidateQueries({ predicate: ({ queryKey: [what] }) => what === "jobs" || what === "job" }),
  });
}
