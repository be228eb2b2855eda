import { useState } from "react";
import { useMay } from "../api/session";
import { Table } from "../health/Table";
import { AuditList } from "../rollouts/AuditList";
import { Gates } from "../rollouts/Gates";
import { Judged } from "../rollouts/Judged";
import { SideBySide } from "../rollouts/SideBySide";
import { StartForm } from "../rollouts/StartForm";
import { Steps } from "../rollouts/Steps";
import { type Index, useIndexes, useRollout, useRollouts } from "../rollouts/useRollouts";
import { Walk } from "../rollouts/Walk";
import { Failed } from "../shell/Failed";
import { Refused } from "../shell/Refused";
import { Section } from "../shell/Section";
import { texts } from "../texts";

const RUNNING = new Set(["building", "paused", "shadow", "canary"]);

export function Rollouts() {
  const may = useMay("admin");
  const indexes = useIndexes(may);
  const rollouts = useRollouts(may);
  const [chosen, setChosen] = useState<string | undefined>();
  const [starting, setStarting] = useState(false);
  if (!may) return <Refused why={texts.rollouts.needsAdmin} />;
  const error = indexes.error ?? rollouts.error;
  const failed = error && <Failed error={error} again={() => void Promise.all([indexes.refetch(), rollouts.refetch()])} />;
  if (!indexes.data || !rollouts.data) return failed;
  const shown = rollouts.data.find((one) => one.id === chosen) ?? rollouts.data[0];
  const runs = rollouts.data.some((one) => RUNNING.has(one.state));
  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-8 px-4 pt-4 pb-10 sm:px-6">
      <div className="flex flex-wrap items-start justify-between gap-3">
        <h1 className="min-w-0 text-title break-words">{sentence(indexes.data)}</h1>
        {!runs && (
          <button type="button" className="button" onClick={() => setStarting(true)}>
            {texts.rollouts.begin.title}
          </button>
        )}
      </div>
      {failed}
      {shown ? <One key={shown.id} id={shown.id} /> : <p className="-mt-4 max-w-prose text-small text-soft">{texts.rollouts.none}</p>}
      <Section title={texts.rollouts.indexes}>
        <Table
          label={texts.rollouts.indexes}
          columns={[texts.rollouts.columns.index, texts.rollouts.columns.state, texts.rollouts.columns.shards, texts.rollouts.columns.factory, texts.rollouts.columns.codebook]}
          rows={indexes.data.map((one) => [<bdi key="id">{one.id}</bdi>, texts.rollouts.indexStates[one.state] ?? one.state, one.shards, one.factory, one.codebook ? texts.health.yes : texts.health.no])}
        />
      </Section>
      {rollouts.data.length > 1 && (
        <Section title={texts.rollouts.earlier}>
          <ul className="flex flex-col divide-y divide-line text-small">
            {rollouts.data.map((one) => (
              <li key={one.id}>
                <button type="button" aria-current={one.id === shown?.id} className="flex w-full flex-wrap gap-x-3 py-2 text-start hover:text-mark-ink aria-[current=true]:font-semibold" onClick={() => setChosen(one.id)}>
                  <span>{one.id}</span>
                  <span className="text-soft">{texts.rollouts.states[one.state] ?? one.state}</span>
                  <bdi className="min-w-0 flex-1 truncate">{one.candidate.id}</bdi>
                </button>
              </li>
            ))}
          </ul>
        </Section>
      )}
      <StartForm open={starting} onClose={() => setStarting(false)} />
    </div>
  );
}

/** One rollout, from its walk to who took which step. */
function One({ id }: { id: string }) {
  const rollout = useRollout(id);
  if (rollout.error && !rollout.data) return <Failed error={rollout.error} again={() => void rollout.refetch()} />;
  const told = rollout.data;
  if (!told) return null;
  const { live, missing } = told.figures.build ?? {};
  const behind = Object.values(told.routing.followers).filter((epoch) => epoch < told.routing.epoch).length;
  const comparable = told.candidate.state !== "retired" && told.control.state !== "retired" && told.candidate.state !== "building";
  return (
    <>
      <section aria-label={texts.rollouts.title} className="flex flex-col gap-5">
        <p className="text-small break-words text-soft">
          {texts.rollouts.pair(told.id)} <bdi className="text-ink">{told.candidate.id}</bdi> {texts.rollouts.besideOf} <bdi className="text-ink">{told.control.id}</bdi>
          {told.state === "canary" && ` · ${texts.rollouts.shared(told.share)}`}
          {behind > 0 && ` · ${texts.rollouts.behind(behind)}`}
        </p>
        <Walk rollout={told} />
        <Steps rollout={told} />
        {live !== undefined && missing !== undefined && missing > 0 && (
          <div role="progressbar" aria-label={texts.rollouts.built} aria-valuemin={0} aria-valuemax={live} aria-valuenow={live - missing} className="flex flex-col gap-1">
            <span className="text-small figures">{texts.rollouts.progress(live - missing, live)}</span>
            <span className="h-1.5 rounded-full bg-line">
              <span className="block h-full rounded-full bg-mark transition-[width]" style={{ width: `${(100 * (live - missing)) / Math.max(1, live)}%` }} />
            </span>
          </div>
        )}
      </section>
      <div className="grid gap-8 md:grid-cols-2">
        {told.gates.length > 0 && (
          <Section title={texts.rollouts.gatesTitle}>
            <Gates gates={told.gates} />
          </Section>
        )}
        <Section title={texts.rollouts.judge}>
          <Judged rollout={told} />
        </Section>
      </div>
      {comparable && <SideBySide rollout={told} />}
      <Section title={texts.rollouts.audit}>
        <AuditList audit={told.audit} />
      </Section>
    </>
  );
}

function sentence(indexes: readonly Index[]): string {
  const canary = indexes.find((one) => one.state === "canary");
  const live = indexes.find((one) => one.state === "live");
  if (canary && live) return texts.rollouts.answerBoth(live.id, canary.id);
  return live ? texts.rollouts.answers(live.id) : texts.rollouts.title;
}
