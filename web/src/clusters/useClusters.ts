import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, given, Problem } from "../api/client";
import { type Asked, chipsOf, isSearch } from "../search/asked";
import { filterOf } from "../search/filters";
import { search } from "../search/useSearch";
import { texts } from "../texts";
import { ALIKE, type Cluster } from "./clusters";

/** Of a search its best hits; without one the collection's first pictures. */
export const HITS = 240;
export const PICTURES = 1_000;
const WAIT_SECONDS = 20;
const TRIES = 6;

/** What is asked for, in groups that look alike. Waits for the server's job where it takes long. */
export function useClusters(asked: Asked) {
  const queries = useQueryClient();
  const { groups: _, ...sought } = asked;
  const hits = async () => {
    const found = await queries.fetchQuery({ queryKey: ["search", "best", sought], queryFn: ({ signal }) => search(sought, undefined, signal, { k: HITS }) });
    return found.results.map((hit) => hit.id);
  };
  return useQuery({
    queryKey: ["clusters", asked],
    queryFn: async ({ signal }): Promise<Cluster[]> => {
      const filter = filterOf(chipsOf(asked));
      const which = isSearch(asked) ? { image_ids: await hits() } : { limit: PICTURES, ...(filter ? { filter } : {}) };
      if (which.image_ids?.length === 0) return [];
      for (let tried = 0; tried < TRIES; tried++) {
        const answer = given(await api.POST("/search/cluster", { params: { query: { wait_seconds: WAIT_SECONDS } }, body: { ...which, linkage: "average", threshold: asked.groups ?? ALIKE }, signal }));
        if ("clusters" in answer) return answer.clusters;
      }
      throw new Problem(504, "deadline", texts.groups.failed);
    },
    enabled: asked.groups !== undefined,
    placeholderData: keepPreviousData,
  });
}
