import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, given } from "../api/client";
import type { SearchAnswer } from "../api/types";
import type { Asked } from "../search/asked";
import { search } from "../search/useSearch";
import { useSay } from "../shell/toasts";
import { texts } from "../texts";

const EVERY_MS = 2_000;
const SHOWN = 20;

export type Index = { id: string; space: string; state: string; factory: string; shards: number; codebook: string | null };
export type Gate = { name: string; value: number | null; needed: string; met: boolean };
export type Arms<T> = { control: T; candidate: T };
type Interval = { value: number | null; low: number | null; high: number | null };
export type Canary = {
  arms?: Partial<Arms<{ searches: number; errors: number }>>;
  callers?: Record<string, number>;
  clicks?: Record<string, number>;
  ctr?: Partial<Arms<number | null>>;
  ctr_ratio?: Interval;
  win_rate?: Interval;
};
export type Shadow = { searches: number; error_share: number | null; p95_ms?: { candidate: number | null; live: number | null }; overlap_at_10: number | null; zero_hits: number | null };
export type Audit = { at_ms: number; step: string; state: string; by: string; reason: string; share: number };
export type Rollout = {
  id: string;
  state: string;
  candidate: Index;
  control: Index;
  share: number;
  auto_promote: boolean;
  created_at_ms: number;
  gates: Gate[];
  figures: { build?: { live?: number; missing?: number } };
  shadow: Shadow | null;
  canary: Canary | null;
  verdict: string;
  reasons: string[];
  allowed: Step[];
};
export type Told = Rollout & { audit: Audit[]; routing: { epoch: number; followers: Record<string, number> } };
export type Step = "pause" | "resume" | "canary" | "promote" | "rollback" | "abort" | "retire";
export type Asking = { reason: string; share?: number; force?: boolean; yes?: boolean };
export type Start = { model?: string; index?: string; codebook?: "retrain"; factory?: string; shards?: number; auto_promote?: boolean; reason?: string };

export function useIndexes(enabled: boolean) {
  return useQuery({
    queryKey: ["rollouts", "indexes"],
    queryFn: async ({ signal }) => (given(await api.GET("/indexes", { signal })) as unknown as { indexes: Index[] }).indexes,
    refetchInterval: EVERY_MS,
    enabled,
  });
}

export function useRollouts(enabled: boolean) {
  return useQuery({
    queryKey: ["rollouts", "all"],
    queryFn: async ({ signal }) => (given(await api.GET("/rollouts", { signal })) as unknown as { rollouts: Rollout[] }).rollouts,
    refetchInterval: EVERY_MS,
    enabled,
  });
}

/** With gates, figures and audit, as they come. */
export function useRollout(id: string) {
  return useQuery({
    queryKey: ["rollouts", "one", id],
    queryFn: async ({ signal }) => given(await api.GET("/rollouts/{id}", { params: { path: { id } }, signal })) as unknown as Told,
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
      if (step === "canary") return given(await api.POST("/rollouts/{id}/canary", { params, body: { share: 0, force: false, ...asking } })) as unknown as Told;
      if (step === "retire") return given(await api.POST("/rollouts/{id}/retire", { params, body: { yes: false, ...asking } })) as unknown as Told;
      return given(await api.POST(`/rollouts/{id}/${step}`, { params, body: { reason: asking.reason } })) as unknown as Told;
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
    mutationFn: async (body: Start) => given(await api.POST("/rollouts", { body: body as never })) as unknown as Told,
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
