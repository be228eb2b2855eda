import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, given } from "../api/client";
import { useSay } from "../shell/toasts";
import { texts } from "../texts";

export type Action = "relevant" | "irrelevant" | "duplicate" | "different" | "anomaly" | "reviewed";
export type Said = { id: number; action: Action; at: string; note?: string; given_by?: string; query_image_id?: number };
export type Saying = { image_id: number; action: Action; query_id?: string; query_image_id?: number };

const SHOWN = 20;

/** What was said of a picture, the newest first. */
export function useSaid(id: number, enabled: boolean) {
  return useQuery({
    queryKey: ["feedback", id],
    queryFn: async ({ signal }) => (given(await api.GET("/feedback", { params: { query: { image_id: id, limit: SHOWN } }, signal })) as unknown as { feedback: Said[] }).feedback,
    enabled,
  });
}

export function useSayOf(onSaid?: (said: Saying) => void) {
  const queries = useQueryClient();
  const say = useSay();
  return useMutation({
    mutationFn: async (saying: Saying) => given(await api.POST("/feedback", { body: { note: "", query_id: "", query_image_id: 0, ...saying } })),
    onSuccess: (_, saying) => {
      say(texts.feedback.thanks);
      onSaid?.(saying);
    },
    onError: (error) => say(error.message, { bad: true }),
    onSettled: (_, __, saying) => queries.invalidateQueries({ queryKey: ["feedback", saying.image_id] }),
  });
}
