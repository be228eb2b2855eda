import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef } from "react";
import { api, given } from "../api/client";
import type { paths } from "../api/openapi";
import type { Json } from "../api/types";
import { useSay } from "../shell/toasts";
import { texts } from "../texts";
import { meansSince, type Totals, totals } from "./metrics";

const EVERY_MS = 5_000;
const KEPT = 24;
const STAGES = "omma_search_stage_seconds";

export type Shard = Json<paths["/stats"]["get"]["responses"][200]>["shards"][number];
export type DeadLetter = Json<paths["/dead-letters"]["get"]["responses"][200]>["dead_letters"][number];

export function useHealth() {
  return useQuery({
    queryKey: ["health"],
    queryFn: async ({ signal }) => {
      const { data, error, response } = await api.GET("/health", { signal });
      if (response.status === 503 && error && "ok" in error) return error; // says what is missing
      return given({ data, error, response });
    },
    refetchInterval: EVERY_MS,
  });
}

export function useStats(enabled: boolean) {
  return useQuery({
    queryKey: ["stats"],
    queryFn: async ({ signal }) => given(await api.GET("/stats", { signal })),
    refetchInterval: EVERY_MS,
    enabled,
  });
}

/** What pictures are compared in, and what answers from it. */
export function useSpaces(enabled: boolean) {
  return useQuery({
    queryKey: ["spaces"],
    queryFn: async ({ signal }) => given(await api.GET("/spaces", { signal })).spaces,
    refetchInterval: 4 * EVERY_MS,
    enabled,
  });
}

/** Mean milliseconds of each stage of the searches of the last two minutes; since the server began at first. */
export function useStages(enabled: boolean) {
  const past = useRef<Totals[]>([]);
  return useQuery({
    queryKey: ["stages"],
    queryFn: async ({ signal }) => {
      const text = given(await api.GET("/metrics", { signal, parseAs: "text" }));
      const now = totals(text, STAGES, "stage");
      past.current = [...past.current, now].slice(-KEPT);
      const lately = meansSince(past.current[0], now);
      return lately.length ? lately : meansSince(undefined, now);
    },
    refetchInterval: EVERY_MS,
    enabled,
  });
}

export function useDeadLetters(enabled: boolean) {
  return useQuery({
    queryKey: ["dead-letters"],
    queryFn: async ({ signal }) => given(await api.GET("/dead-letters", { signal })).dead_letters,
    refetchInterval: 4 * EVERY_MS,
    enabled,
  });
}

export function useReplay() {
  const queries = useQueryClient();
  const say = useSay();
  return useMutation({
    mutationFn: async (ids: number[] | undefined) => given(await api.POST("/dead-letters/replay", { body: ids ? { image_ids: ids } : {} })),
    onSuccess: (told) => say(texts.health.replayed(told.replayed.length, told.dead_again.length)),
    onError: (error) => say(error.message, { bad: true }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["dead-letters"] }),
  });
}
