import { useMemo, useRef, useState } from "react";
import { Item } from "../anomalies/Item";
import { type Measure, MEASURES, useAnomalies, useMeasure } from "../anomalies/useAnomalies";
import { useMay } from "../api/session";
import type { Action } from "../feedback/useFeedback";
import { Failed } from "../shell/Failed";
import { Refused } from "../shell/Refused";
import { useFollowing } from "../shell/useFollowing";
import { useSteady } from "../shell/useSteady";
import { texts } from "../texts";

export function Anomalies() {
  const may = useMay("write");
  const mayMeasure = useMay("tenant-admin");
  const [by, setBy] = useState<Measure>("distance");
  const found = useAnomalies(by, may);
  const { measure, busy } = useMeasure();
  const [said, setSaid] = useState<ReadonlyMap<number, Action>>(new Map());
  const list = useRef<HTMLOListElement>(null);
  const leaves = useFollowing(list, "a");
  // Each once: between two pages it may have been measured anew.
  const latest = useMemo(() => [...new Map(found.data?.pages.flatMap((page) => page.images.map((one) => [one.id, one] as const))).values()], [found.data]);
  const [rows, hand] = useSteady(latest, by);
  if (!may) return <Refused why={texts.anomalies.needsRole} />;
  const left = rows.filter((one) => !said.has(one.id));
  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-4 px-4 pt-4 pb-10 sm:px-6">
      <div className="flex flex-wrap items-end justify-between gap-3">
        <div className="min-w-0 flex-1 basis-72">
          <h1 className="text-title">{texts.anomalies.title}</h1>
          <p className="text-small text-soft">{texts.anomalies.about}</p>
        </div>
        <div className="flex flex-wrap items-center gap-2">
          <select aria-label={texts.anomalies.by} className="field max-w-full" value={by} onChange={(event) => setBy(event.target.value as Measure)}>
            {MEASURES.map((one) => (
              <option key={one} value={one}>
                {texts.anomalies.measures[one]}
              </option>
            ))}
          </select>
          {mayMeasure && (
            <button type="button" className="button" disabled={busy} onClick={measure}>
              {busy ? texts.anomalies.measuring : texts.anomalies.measure}
            </button>
          )}
        </div>
      </div>
      {found.error && !found.data && <Failed error={found.error} again={() => void found.refetch()} />}
      {found.data && left.length === 0 && !found.hasNextPage && <p className="py-8 text-center text-soft">{said.size ? texts.anomalies.done : texts.anomalies.empty}</p>}
      <ol ref={list} aria-label={texts.anomalies.title} aria-busy={found.isFetching} {...hand}>
        {left.map((one, at) => (
          <Item
            key={one.id}
            anomaly={one}
            onSaid={(action) => {
              leaves(at);
              setSaid((now) => new Map(now).set(one.id, action));
            }}
            onBack={() => setSaid((now) => new Map([...now].filter(([id]) => id !== one.id)))}
          />
        ))}
      </ol>
      {found.error && found.data && <Failed error={found.error} again={() => void (found.isFetchNextPageError ? found.fetchNextPage() : found.refetch())} />}
      {found.hasNextPage && (
        <button type="button" className="button self-center" disabled={found.isFetching} onClick={() => void found.fetchNextPage()}>
          {texts.anomalies.more}
        </button>
      )}
    </div>
  );
}
