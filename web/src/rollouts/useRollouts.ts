import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, given } from "../api/client";
import type { paths } from "../api/openapi";
import type { Json, SearchAnswer } from "../api/types";
import type { Asked } from "../search/asked";
import { search } from "../search/useSearch";
import { useSay } from "../shell/toasts";
import { texts } from "../texts";

const EVERY_MS = 2_000;
const SHOWN = 20;

export type Told = Json<paths["/rollouts/{id}"]["get"]["responses"][200]>;
export type Rollout = Json<paths["/rollouts"]["get"]["responses"][200]>["rollouts"][number];
export type Index = Rollout["control"];
export type Gate = Rollout["gates"][number];
export type Audit = Told["audit"][number];
export type Step = Rollout["allowed"][number];
export type Asking = { reason: string; share?: number; force?: boolean; yes?: boolean };
export type Start = NonNullable<paths["/rollouts"]["post"]["requestBody"]>["content"]["application/json"];

export function useIndexes(enabled: boolean) {
  return useQuery({
    queryKey: ["rollouts", "indexes"],
    queryFn: async ({ signal }) => given(await api.GET("/indexes", { signal })).indexes,
    refetchInterval: EVERY_MS,
    enabled,
  });
}

export function useRollouts(enabled: boolean) {
  return useQuery({
    queryKey: ["rollouts", "all"],
    queryFn: async ({ signal }) => given(await api.GET("/rollouts", { signal })).rollouts,
    refetchInterval: EVERY_MS,
    enabled,
  });
}

/** With gates, figures and audit, as they come. */
export function useRollout(id: string) {
  return useQuery({
    queryKey: ["rollouts", "one", id],
    queryFn: async ({ signal }) => given(await api.GET("/rollouts/{id}", { params: { path: { id } }, signal })),
    refetchInterval: EVERY_MS,
  });
}

/** What the server refuses is told where it was asked, not in passing. */
export function useStep(id: string) {
  const queries = useQueryClient();
  const say = useSay();
  return useMutation({
    mutationFn: async ({ step, ...asking }: Asking & { step: Step }) => {
      const params = { path: { id } };
      if (step === "canary") return given(await api.POST("/rollouts/{id}/canary", { params, body: { share: 0, ...asking } }));
      if (step === "retire") return given(await api.POST("/rollouts/{id}/retire", { params, body: asking }));
      return given(await api.POST(`/rollouts/{id}/${step}`, { params, body: { reason: asking.reason } }));
    },
    onSuccess: (told, { step }) => {
      queries.setQueryData(["rollouts", "one", id], told);
      say(texts.rollouts.done[step]);
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["rollouts"] }),
  });
}

export function useStart() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (body: Start) => given(await api.POST("/rollouts", { body })),
    onSettled: () => queries.invalidateQueries({ queryKey: ["rollouts"] }),
  });
}

/** One index's answer, whoever it usually answers. */
export function usePinned(asked: Asked, index: string, enabled: boolean) {
  return useQuery<SearchAnswer>({
    queryKey: ["pinned", index, asked],
    queryFn: ({ signal }) => search(asked, undefined, signal, { index, k: SHOWN }),
    enabled,
    placeholderData: (before) => before,
  });
}
