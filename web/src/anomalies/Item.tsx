import { Link } from "@tanstack/react-router";
import { type Action, useSayOf } from "../feedback/useFeedback";
import { Thumbnail } from "../picture/Thumbnail";
import { usePicture, useSimilar } from "../picture/usePicture";
import { nameOf } from "../search/names";
import { texts } from "../texts";
import type { Anomaly } from "./useAnomalies";

const NEAREST = 4;
const SAID: readonly Action[] = ["reviewed", "anomaly"];
const KEYS: Partial<Record<string, Action>> = { r: "reviewed", o: "anomaly" };

/** A picture that stands apart, what it stands apart from, and what can be said of it. onSaid: at once. onBack: what was said was not kept. */
export function Item({ anomaly, onSaid, onBack }: { anomaly: Anomaly; onSaid: (action: Action) => void; onBack: () => void }) {
  const picture = usePicture(anomaly.id).data;
  const near = useSimilar(anomaly.id, undefined, picture?.state === "indexed").data?.results.slice(0, NEAREST) ?? [];
  const saying = useSayOf(onBack);
  const say = (action: Action) => {
    onSaid(action);
    saying.mutate({ image_id: anomaly.id, action });
  };
  return (
    <li
      className="grid grid-cols-[5.5rem_minmax(0,1fr)] gap-3 border-b border-line py-4 sm:grid-cols-[12rem_minmax(0,1fr)] sm:gap-4"
      onKeyDown={(event) => {
        const action = KEYS[event.key];
        if (action && !event.repeat && !event.ctrlKey && !event.metaKey) say(action);
      }}
    >
      <Link to="/ui/picture/$id" params={{ id: String(anomaly.id) }} className="block h-24 overflow-hidden rounded-picture bg-sunk sm:h-36">
        <Thumbnail src={picture?.thumbnail_url ?? `/images/${anomaly.id}/thumbnail`} alt={picture ? nameOf(picture) : `#${anomaly.id}`} className="size-full object-contain" />
      </Link>
      <div className="flex min-w-0 flex-col gap-2">
        <p className="flex items-baseline gap-3">
          <span className="text-lead figures">{anomaly.score.toFixed(3)}</span>
          <bdi className="truncate text-small">{picture ? nameOf(picture) : ""}</bdi>
        </p>
        <p className="text-small text-soft">{anomaly.reasons.join("; ")}</p>
        <div className="flex min-h-12 flex-wrap items-center gap-1.5">
          {near.length > 0 && <span className="text-tiny text-soft">{texts.anomalies.nearest}</span>}
          {near.map((hit) => (
            <Thumbnail key={hit.id} src={hit.thumbnail_url} alt={nameOf(hit)} title={hit.score.toFixed(3)} className="h-10 rounded-picture sm:h-12" />
          ))}
        </div>
        <div className="flex flex-wrap gap-2">
          {SAID.map((action) => (
            <button key={action} type="button" className="button" onClick={() => say(action)}>
              {texts.feedback.say[action]}
            </button>
          ))}
        </div>
      </div>
    </li>
  );
}
