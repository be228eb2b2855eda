import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, given } from "../api/client";
import type { paths } from "../api/openapi";
import type { Json } from "../api/types";
import { useSay } from "../shell/toasts";
import { texts } from "../texts";

export type Said = Json<paths["/feedback"]["get"]["responses"][200]>["feedback"][number];
export type Action = Said["action"];
export type Saying = { image_id: number; action: Action; query_id?: string; query_image_id?: number };

const SHOWN = 20;

/** What was said of a picture, the newest first. */
export function useSaid(id: number, enabled: boolean) {
  return useQuery({
    queryKey: ["feedback", id],
    queryFn: async ({ signal }) => given(await api.GET("/feedback", { params: { query: { image_id: id, limit: SHOWN } }, signal })).feedback,
    enabled,
  });
}

/** onRefused: it was not kept. */
export function useSayOf(onRefused?: () => void) {
  const queries = useQueryClient();
  const say = useSay();
  return useMutation({
    mutationFn: async (saying: Saying) => given(await api.POST("/feedback", { body: saying })),
    onSuccess: () => say(texts.feedback.thanks),
    onError: (error) => {
      onRefused?.();
      say(error.message, { bad: true });
    },
    onSettled: (_, __, saying) => queries.invalidateQueries({ queryKey: ["feedback", saying.image_id] }),
  });
}
