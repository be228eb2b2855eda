import { useQueryClient } from "@tanstack/react-query";
import { useBlocker } from "@tanstack/react-router";
import { type DragEvent, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useMay } from "../api/session";
import { filesOf } from "../add/dropped";
import { Links } from "../add/Links";
import { List } from "../add/List";
import { looksLikePicture, Uploads } from "../add/uploads";
import { Refused } from "../shell/Refused";
import { texts } from "../texts";

const uploads = new Uploads(); // goes on while another view is looked at

export function Add() {
  useSyncExternalStore(uploads.subscribe, uploads.snapshot);
  const queries = useQueryClient();
  const counts = uploads.counts();
  const busy = uploads.busy;
  useEffect(() => {
    if (!busy && counts.added > 0) void queries.invalidateQueries({ queryKey: ["pictures"] });
  }, [busy, counts.added, queries]);
  useBlocker({ shouldBlockFn: () => false, enableBeforeUnload: () => uploads.busy });
  const mayFetch = useMay("tenant-admin");
  if (!useMay("write")) return <Refused why={texts.add.needsRole} />;
  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-6 px-4 pt-4 pb-10 sm:px-6">
      <h1 className="text-title">{texts.add.title}</h1>
      <Place />
      {counts.all > 0 && (
        <section className="flex flex-col gap-3">
          <div className="flex flex-wrap items-center gap-2">
            <p role="status" className="me-auto text-small figures">
              {texts.add.overall(counts.done, counts.all)} <span className="text-soft">· {texts.add.summary(counts.added, counts.known, counts.failed)}</span>
            </p>
            {busy && (
              <button type="button" className="button" onClick={() => uploads.pause(!uploads.paused)}>
                {uploads.paused ? texts.add.resume : texts.add.pause}
              </button>
            )}
            {counts.failed > 0 && (
              <button type="button" className="button" onClick={() => uploads.retry()}>
                {texts.add.retry}
              </button>
            )}
            {!busy && (
              <button type="button" className="button button-bare" onClick={() => uploads.clear()}>
                {texts.add.clear}
              </button>
            )}
          </div>
          <div role="progressbar" aria-label={texts.add.title} aria-valuemin={0} aria-valuemax={counts.all} aria-valuenow={counts.done} className="h-1.5 rounded-full bg-line">
            <div className="h-full rounded-full bg-mark transition-[width]" style={{ width: `${(100 * counts.done) / counts.all}%` }} />
          </div>
          {uploads.away && (
            <p role="alert" className="text-small text-bad">
              {texts.add.away}
            </p>
          )}
          <List items={uploads.list()} />
        </section>
      )}
      {mayFetch && <Links said={() => uploads.said} />}
    </div>
  );
}

/** Where files are dropped or chosen, and what is said of all of them. */
function Place() {
  const [over, setOver] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const dropped = async (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const found = await filesOf(event.dataTransfer.items);
    uploads.add(found.length === 1 ? found : found.filter(looksLikePicture));
  };
  return (
    <div
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => void dropped(event)}
      className={`flex flex-col items-center gap-4 rounded-sheet border-2 border-dashed px-6 py-12 text-center transition-colors ${over ? "border-mark bg-raised" : "border-line"}`}
    >
      <p className="text-lead">{texts.add.drop}</p>
      <div className="flex flex-wrap justify-center gap-2">
        <button type="button" className="button button-strong" onClick={() => files.current?.click()}>
          {texts.add.files}
        </button>
        <button type="button" className="button" onClick={() => folder.current?.click()}>
          {texts.add.folder}
        </button>
      </div>
      <label className="flex flex-wrap items-center justify-center gap-x-2 gap-y-1 text-small text-soft">
        {texts.add.tags}
        <input className="field w-48" dir="auto" placeholder="lamp, brass" maxLength={2000} defaultValue={uploads.said.tags.join(", ")} onChange={(event) => (uploads.said = { ...uploads.said, tags: event.target.value.split(",").map((tag) => tag.trim()).filter(Boolean) })} />
      </label>
      <label className="flex items-center gap-2 text-start text-small text-soft">
        <input type="checkbox" className="size-4 shrink-0 accent-ink" defaultChecked={uploads.said.private} onChange={(event) => (uploads.said = { ...uploads.said, private: event.target.checked })} />
        {texts.add.private}
      </label>
      <input
        ref={files}
        type="file"
        multiple
        hidden
        onChange={(event) => {
          uploads.add([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
      <input
        ref={folder}
        type="file"
        {...{ webkitdirectory: "" }}
        hidden
        onChange={(event) => {
          uploads.add([...(event.target.files ?? [])].filter(looksLikePicture));
          event.target.value = "";
        }}
      />
    </div>
  );
}
