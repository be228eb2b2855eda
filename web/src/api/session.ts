/** Who is signed in, and what they may. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, carry, given, whenSignedOut } from "./client";
import type { Role, Session } from "./types";

const KEY = ["session"];
const RANK: Record<Role, number> = { read: 0, write: 1, "tenant-admin": 2, admin: 3 };

async function current({ signal }: { signal: AbortSignal }): Promise<Session> {
  const session = given(await api.GET("/ui/session", { signal }));
  carry(session);
  return session;
}

/** undefined until it is known. */
export function useSession(): Session | undefined {
  const queries = useQueryClient();
  useEffect(() => whenSignedOut(() => void queries.invalidateQueries({ queryKey: KEY })), [queries]);
  return useQuery({ queryKey: KEY, queryFn: current, staleTime: 300_000, refetchOnWindowFocus: true, retry: true, retryDelay: (failed) => Math.min(5_000, 300 * 2 ** failed) }).data;
}

export function useMay(role: Role): boolean {
  const session = useSession();
  return session?.role !== undefined && RANK[session.role] >= RANK[role];
}

export function useSignIn() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (key: string) => given(await api.POST("/ui/session", { body: { key } })),
    onSuccess: async (session) => {
      await queries.cancelQueries({ queryKey: KEY }); // asked with the cookie before: its answer would take the token away
      carry(session);
      queries.setQueryData(KEY, session);
      await queries.invalidateQueries({ predicate: (query) => query.queryKey[0] !== KEY[0] });
    },
  });
}

export function useSignOut() {
  return useMutation({
    mutationFn: async () => given(await api.DELETE("/ui/session")),
    onSuccess: () => location.assign("/"), // a new page: nothing that was seen stays
  });
}
