import { texts } from "../texts";
import { isRunning, type Job, useCancel } from "./useJobs";

/** How far a job is, and a way to stop it. */
export function Progress({ job }: { job: Job }) {
  const cancel = useCancel();
  const running = isRunning(job);
  return (
    <div className="flex flex-col gap-1.5">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1 text-small">
        <span className="font-medium">{texts.jobs.kinds[job.kind] ?? job.kind}</span>
        <span className={job.state === "failed" ? "text-bad" : "text-soft"}>{texts.jobs.states[job.state] ?? job.state}</span>
        <span className="me-auto text-soft figures">
          {job.total > 0 && texts.jobs.progress(job.done, job.total)}
          {running && job.remaining_seconds !== null && ` · ${texts.jobs.remaining(job.remaining_seconds)}`}
        </span>
        {running && (
          <button type="button" className="button" disabled={cancel.isPending} onClick={() => cancel.mutate(job.job_id)}>
            {texts.health.cancel}
          </button>
        )}
      </div>
      {job.source && <bdi className="truncate text-tiny text-soft">{job.source.slice(0, 300)}</bdi>}
      {running && (
        <div role="progressbar" aria-label={texts.jobs.kinds[job.kind] ?? job.kind} aria-valuemin={0} aria-valuemax={Math.max(1, job.total)} aria-valuenow={job.done} className="h-1.5 rounded-full bg-line">
          <div className="h-full rounded-full bg-mark transition-[width]" style={{ width: `${job.total ? (100 * job.done) / job.total : 0}%` }} />
        </div>
      )}
      {job.error && <bdi className="text-small break-words text-bad">{job.error.slice(0, 400)}</bdi>}
    </div>
  );
}
