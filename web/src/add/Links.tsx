import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { api, given } from "../api/client";
import { Progress } from "../jobs/Progress";
import { isRunning, useFailed, useJob } from "../jobs/useJobs";
import { texts } from "../texts";
import { addressesOf } from "./addresses";
import type { SaidOfAll } from "./sending";

/** A list of addresses that the server fetches, and what came of each. */
export function Links({ said }: { said: () => SaidOfAll }) {
  const queries = useQueryClient();
  const [pasted, setPasted] = useState("");
  const addresses = addressesOf(pasted);
  const start = useMutation({
    mutationFn: async (urls: readonly string[]) => {
      const { tags, private: alone } = said();
      const pictures = urls.map((url) => ({ url, ...(tags.length ? { tags: [...tags] } : {}), ...(alone ? { private: true } : {}) }));
      return given(await api.POST("/ingest", { body: { pictures } })).job_id;
    },
    onSuccess: () => setPasted(""),
  });
  const job = useJob(start.data).data;
  const running = isRunning(job);
  const failed = useFailed(job && start.data, running).data ?? [];
  useEffect(() => {
    if (job && !running) void queries.invalidateQueries({ queryKey: ["pictures"] });
  }, [job, running, queries]);
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (addresses.length) start.mutate(addresses);
  };
  return (
    <section className="flex flex-col gap-3">
      <form className="flex flex-col gap-2" onSubmit={send}>
        <label className="flex flex-col gap-1">
          <span className="text-lead">{texts.add.urls}</span>
          <span className="text-small text-soft">{texts.add.urlsAbout}</span>
          <textarea className="field min-h-28 resize-y py-2 font-mono" dir="ltr" spellCheck={false} placeholder={"https://example.org/lamp.jpg\nhttps://example.org/chair.png"} value={pasted} onChange={(event) => setPasted(event.target.value)} />
        </label>
        <button type="submit" className="button self-start" disabled={!addresses.length || start.isPending}>
          {texts.add.fetch(addresses.length)}
        </button>
      </form>
      {start.error && (
        <p role="alert" className="text-small break-words text-bad">
          {start.error.message}
        </p>
      )}
      {job && <Progress job={job} />}
      {job && !running && (
        <p role="status" className="text-small figures">
          {texts.add.summary(job.created, job.unchanged, failed.length)}
        </p>
      )}
      {failed.length > 0 && (
        <ul aria-label={texts.add.urlsFailed} className="divide-y divide-line text-small">
          {failed.map((one) => (
            <li key={one.place} className="py-1.5">
              <bdi className="block truncate">{one.place.slice(0, 300)}</bdi>
              <bdi className="block break-words text-bad">{(one.reason || one.outcome).slice(0, 400)}</bdi>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
