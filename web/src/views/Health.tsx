import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useMay } from "../api/session";
import type { Health as Told } from "../api/types";
import { Audit } from "../health/Audit";
import { Fares } from "../health/Fares";
import { Quotas } from "../health/Quotas";
import { Table } from "../health/Table";
import { useDeadLetters, useHealth, useReplay, useSpaces, useStages, useStats } from "../health/useHealth";
import { Progress } from "../jobs/Progress";
import { useJobs } from "../jobs/useJobs";
import { Bars } from "../shell/Bars";
import { Icon } from "../shell/Icon";
import { Failed } from "../shell/Failed";
import { Section } from "../shell/Section";
import { texts } from "../texts";

const number = new Intl.NumberFormat("en");
const DEAD_SHOWN = 100;
const PASSING = new Set(["collect", "cluster"]); // every hour, and at every look at groups: of no interest while they work

export function Health() {
  const admin = useMay("admin");
  const manages = useMay("tenant-admin");
  const health = useHealth();
  const stats = useStats(admin);
  const stages = useStages(admin);
  const spaces = useSpaces(admin);
  if (health.error) return <Failed error={health.error} again={() => void health.refetch()} />;
  const told = health.data;
  if (!told) return null;
  const columns = texts.health.columns;
  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-8 px-4 pt-4 pb-10 sm:px-6">
      <div>
        <h1 className="text-title">{sentence(told)}</h1>
        <p className="text-small text-soft">{told.version && texts.health.version(told.version)}</p>
      </div>
      <Section title={texts.health.indexes}>
        <Table
          label={texts.health.indexes}
          columns={[columns.index, columns.model, columns.state, columns.shards, columns.dim, columns.words]}
          figures={[3, 4]}
          rows={(told.indexes ?? []).map((one) => [one.id, one.model, one.state, one.shards, one.dim, one.text ? texts.health.yes : texts.health.no])}
        />
      </Section>
      {spaces.data && (
        <Section title={texts.health.spaces}>
          <Table
            label={texts.health.spaces}
            columns={[columns.space, columns.model, columns.dim, columns.buckets, columns.indexes]}
            figures={[2, 3]}
            rows={spaces.data.map((one) => [one.id, one.model, one.dim, one.buckets, one.indexes.join(", ")])}
          />
        </Section>
      )}
      {admin ? (
        <>
          {stats.data && (
            <Section title={texts.health.shards}>
              <dl className="flex flex-wrap gap-x-8 gap-y-2">
                {Object.entries({ ...stats.data.catalog, waiting: stats.data.waiting }).map(
                  ([name, value]) =>
                    typeof value === "number" && (
                      <div key={name}>
                        <dd className="text-title figures">{number.format(value)}</dd>
                        <dt className="text-tiny text-soft">{texts.health.catalog[name] ?? name}</dt>
                      </div>
                    ),
                )}
              </dl>
              <p className="text-small text-soft">{texts.health.answer(stats.data.shards.filter((one) => one.error === undefined).length, stats.data.shards.length)}</p>
              <Table
                label={texts.health.shards}
                columns={[columns.shard, columns.replica, columns.vectors, columns.head, columns.segments, columns.lag, columns.dead]}
                figures={[2, 3, 4, 5, 6]}
                rows={stats.data.shards.map((one) => [one.shard, one.replica, one.error ?? shown(one.live), shown(one.head_rows), shown(one.segments), shown(one.lag), shown(one.dead_rows)])}
              />
            </Section>
          )}
          <Section title={texts.health.latency}>
            {stages.data?.length ? (
              <Bars rows={stages.data.map(([name, ms]) => ({ name: texts.health.stages[name] ?? name, value: ms, shown: texts.search.took(ms) }))} />
            ) : (
              <p className="text-small text-soft">{texts.health.latencyNone}</p>
            )}
          </Section>
        </>
      ) : (
        <p className="text-small text-soft">{texts.health.needsAdmin}</p>
      )}
      <Fares may={manages} />
      <Jobs />
      <DeadLetters />
      <Quotas may={manages} />
      <Audit may={admin} />
    </div>
  );
}

function Jobs() {
  const may = useMay("write");
  const jobs = (useJobs(may).data ?? []).filter((job) => !PASSING.has(job.kind) || job.state !== "done");
  if (!jobs.length) return null;
  return (
    <Section title={texts.health.jobs}>
      <ul aria-label={texts.health.jobs} className="flex flex-col divide-y divide-line">
        {jobs.map((job) => (
          <li key={job.job_id} className="py-2.5">
            <Progress job={job} />
          </li>
        ))}
      </ul>
    </Section>
  );
}

function DeadLetters() {
  const may = useMay("tenant-admin");
  const letters = useDeadLetters(may);
  const replay = useReplay();
  if (!may || !letters.data) return null;
  return (
    <Section title={texts.health.deadLetters}>
      {letters.data.length === 0 ? (
        <p className="text-small text-soft">{texts.health.noDeadLetters}</p>
      ) : (
        <>
          <button type="button" className="button self-start" disabled={replay.isPending} onClick={() => replay.mutate(undefined)}>
            {texts.health.replayAll}
          </button>
          <ul className="divide-y divide-line text-small">
            {letters.data.slice(0, DEAD_SHOWN).map((letter) => (
              <li key={letter.image_id} className="flex items-center gap-4 py-2">
                <Thumbnail key={letter.image_id} id={letter.image_id} />
                <Link to="/ui/picture/$id" params={{ id: String(letter.image_id) }} className="min-w-0 flex-1">
                  <bdi className="block truncate underline decoration-line underline-offset-4">{letter.uri.slice(0, 300)}</bdi>
                  <bdi className="block break-words text-bad">{letter.reason.slice(0, 400)}</bdi>
                </Link>
                <button type="button" className="button" disabled={replay.isPending} onClick={() => replay.mutate([letter.image_id])}>
                  {texts.health.replay}
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
    </Section>
  );
}

function sentence(told: Told): string {
  if (!told.ok) return texts.health.down;
  if (told.embedder === "away") return texts.health.embedder;
  return told.writes === "behind" ? texts.health.writes : texts.health.fine;
}

/** Of a picture that could not be embedded a browser often shows something all the same. */
function Thumbnail({ id }: { id: number }) {
  const [unseen, setUnseen] = useState(false);
  return (
    <span className="flex size-14 shrink-0 items-center justify-center overflow-hidden rounded-picture bg-sunk text-soft">
      {unseen ? <Icon name="picture" /> : <img src={`/images/${id}/content`} alt="" loading="lazy" className="size-full object-cover" onError={() => setUnseen(true)} />}
    </span>
  );
}

const shown = (value: number | undefined) => (value === undefined ? "" : number.format(value));
